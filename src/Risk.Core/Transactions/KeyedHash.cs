using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace Risk.Core.Transactions;

/// <summary>
/// SipHash-2-4, a pseudorandom function for short inputs: without the key nobody can compute, guess or collide tokens.
/// 64 and 128 bits wide. Immutable, safe to share. The key is handed in and never shown.
/// Source: Aumasson and Bernstein 2012, https://cr.yp.to/siphash/siphash-20120918.pdf; 128-bit output and test vectors:
/// https://github.com/veorq/SipHash.
/// </summary>
public sealed class KeyedHash
{
    public const int KeySize = 16;

    private readonly ulong _key0, _key1;

    /// <param name="key">16 secret bytes; any other size is a bug of the caller and throws.</param>
    public KeyedHash(ReadOnlySpan<byte> key)
    {
        if (key.Length != KeySize)
        {
            throw new ArgumentException($"the key has {key.Length} bytes, it must have {KeySize}", nameof(key));
        }

        _key0 = BinaryPrimitives.ReadUInt64LittleEndian(key);
        _key1 = BinaryPrimitives.ReadUInt64LittleEndian(key[8..]);
    }

    private KeyedHash(EntityKey key) => (_key0, _key1) = (key.High, key.Low);

    /// <summary>An independent function for another purpose, from the same secret: values of two purposes never match.</summary>
    public KeyedHash Derive(string purpose) => new(Hash128(Encoding.UTF8.GetBytes(purpose)));

    /// <summary>128 bits of <paramref name="text"/>; <see cref="EntityKey.High"/> is the first word of the reference's output.</summary>
    public EntityKey Hash128(ReadOnlySpan<byte> text)
    {
        ulong v0 = _key0 ^ 0x736f6d6570736575UL, v1 = _key1 ^ 0x646f72616e646f6dUL ^ 0xee;
        ulong v2 = _key0 ^ 0x6c7967656e657261UL, v3 = _key1 ^ 0x7465646279746573UL;
        Absorb(text, ref v0, ref v1, ref v2, ref v3);
        v2 ^= 0xee;
        Rounds4(ref v0, ref v1, ref v2, ref v3);
        ulong first = v0 ^ v1 ^ v2 ^ v3;
        v1 ^= 0xdd;
        Rounds4(ref v0, ref v1, ref v2, ref v3);
        return new EntityKey(first, v0 ^ v1 ^ v2 ^ v3);
    }

    /// <summary>64 bits of <paramref name="text"/>.</summary>
    public ulong Hash64(ReadOnlySpan<byte> text)
    {
        ulong v0 = _key0 ^ 0x736f6d6570736575UL, v1 = _key1 ^ 0x646f72616e646f6dUL;
        ulong v2 = _key0 ^ 0x6c7967656e657261UL, v3 = _key1 ^ 0x7465646279746573UL;
        Absorb(text, ref v0, ref v1, ref v2, ref v3);
        v2 ^= 0xff;
        Rounds4(ref v0, ref v1, ref v2, ref v3);
        return v0 ^ v1 ^ v2 ^ v3;
    }

    /// <summary>HMAC-SHA-256 of a long text under the same secret, for values that leave the engine.</summary>
    internal Sha256Digest Hmac(ReadOnlySpan<byte> text)
    {
        Span<byte> key = stackalloc byte[KeySize];
        Span<byte> digest = stackalloc byte[Sha256Digest.Size];
        BinaryPrimitives.WriteUInt64LittleEndian(key, _key0);
        BinaryPrimitives.WriteUInt64LittleEndian(key[8..], _key1);
        HMACSHA256.HashData(key, text, digest);
        key.Clear();
        return Sha256Digest.From(digest);
    }

    private static void Absorb(ReadOnlySpan<byte> text, ref ulong v0, ref ulong v1, ref ulong v2, ref ulong v3)
    {
        int whole = text.Length & ~7;
        foreach (ulong read in MemoryMarshal.Cast<byte, ulong>(text[..whole]))
        {
            ulong word = BitConverter.IsLittleEndian ? read : BinaryPrimitives.ReverseEndianness(read);
            v3 ^= word;
            Round(ref v0, ref v1, ref v2, ref v3);
            Round(ref v0, ref v1, ref v2, ref v3);
            v0 ^= word;
        }

        ulong last = (ulong)text.Length << 56;
        ReadOnlySpan<byte> rest = text[whole..];
        for (int index = 0; index < rest.Length; index++)
        {
            last |= (ulong)rest[index] << (8 * index);
        }

        v3 ^= last;
        Round(ref v0, ref v1, ref v2, ref v3);
        Round(ref v0, ref v1, ref v2, ref v3);
        v0 ^= last;
    }

    private static void Rounds4(ref ulong v0, ref ulong v1, ref ulong v2, ref ulong v3)
    {
        Round(ref v0, ref v1, ref v2, ref v3);
        Round(ref v0, ref v1, ref v2, ref v3);
        Round(ref v0, ref v1, ref v2, ref v3);
        Round(ref v0, ref v1, ref v2, ref v3);
    }

    private static void Round(ref ulong v0, ref ulong v1, ref ulong v2, ref ulong v3)
    {
        v0 += v1;
        v2 += v3;
        v1 = BitOperations.RotateLeft(v1, 13) ^ v0;
        v3 = BitOperations.RotateLeft(v3, 16) ^ v2;
        v0 = BitOperations.RotateLeft(v0, 32);
        v2 += v1;
        v0 += v3;
        v1 = BitOperations.RotateLeft(v1, 17) ^ v2;
        v3 = BitOperations.RotateLeft(v3, 21) ^ v0;
        v2 = BitOperations.RotateLeft(v2, 32);
    }
}
