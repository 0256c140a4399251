using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Risk.Core.Transactions;

/// <summary>A SHA-256 value (or an HMAC-SHA-256), 32 bytes held in four words so that it lives without an array.</summary>
public readonly record struct Sha256Digest(ulong First, ulong Second, ulong Third, ulong Fourth)
{
    public const int Size = 32;

    /// <summary>The digest of <paramref name="bytes"/>.</summary>
    public static Sha256Digest Of(ReadOnlySpan<byte> bytes)
    {
        Span<byte> digest = stackalloc byte[Size];
        SHA256.HashData(bytes, digest);
        return From(digest);
    }

    /// <summary>Takes over 32 bytes; fewer throw.</summary>
    public static Sha256Digest From(ReadOnlySpan<byte> digest) => new(
        BinaryPrimitives.ReadUInt64BigEndian(digest),
        BinaryPrimitives.ReadUInt64BigEndian(digest[8..]),
        BinaryPrimitives.ReadUInt64BigEndian(digest[16..]),
        BinaryPrimitives.ReadUInt64BigEndian(digest[24..]));

    /// <summary>Writes the 32 bytes; a shorter destination throws.</summary>
    public void CopyTo(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, First);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], Second);
        BinaryPrimitives.WriteUInt64BigEndian(destination[16..], Third);
        BinaryPrimitives.WriteUInt64BigEndian(destination[24..], Fourth);
    }

    /// <summary>64 lower-case hexadecimal digits.</summary>
    public override string ToString() => $"{First:x16}{Second:x16}{Third:x16}{Fourth:x16}";
}
