using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Risk.Core.Log;

/// <summary>Signs note texts; the key is the adapter's.</summary>
public interface INoteSigner
{
    VerifierKey Key { get; }

    /// <summary>The Ed25519 signature of the text, 64 bytes.</summary>
    byte[] Sign(ReadOnlySpan<byte> text);
}

/// <summary>Checks an Ed25519 signature (RFC 8032); handed in, because Core has no native code.</summary>
public delegate bool VerifyEd25519(ReadOnlySpan<byte> publicKey, ReadOnlySpan<byte> text, ReadOnlySpan<byte> signature);

/// <summary>
/// A named Ed25519 public key in the text form of https://c2sp.org/signed-note and of Go's sumdb/note:
/// <c>name+hash+base64(0x01 || key)</c>.
/// </summary>
public sealed record VerifierKey
{
    private const byte Ed25519Type = 0x01;
    private const int PublicKeyBytes = 32;

    public VerifierKey(string name, ReadOnlySpan<byte> publicKey)
    {
        if (!IsName(name) || publicKey.Length != PublicKeyBytes)
        {
            throw new ArgumentException($"'{name}' with {publicKey.Length} key bytes is not a named Ed25519 key: no spaces, no plus, 32 bytes.");
        }

        Name = name;
        PublicKey = publicKey.ToArray();
        KeyId = HashOf(name, publicKey);
    }

    public string Name { get; }

    /// <summary>32 bytes, RFC 8032.</summary>
    public byte[] PublicKey { get; }

    /// <summary>SHA-256(name || 0x0A || 0x01 || key), the first 4 bytes, big-endian.</summary>
    public uint KeyId { get; }

    /// <summary>Reads the text form; false when it is not one, or its hash is not the key's.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out VerifierKey? key)
    {
        key = null;
        string[] parts = text.Trim().Split('+', 3);
        Span<byte> typed = stackalloc byte[1 + PublicKeyBytes];
        if (parts.Length != 3 || !IsName(parts[0]) ||
            !uint.TryParse(parts[1], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint hash) ||
            !Convert.TryFromBase64String(parts[2], typed, out int length) || length != typed.Length || typed[0] != Ed25519Type)
        {
            return false;
        }

        var parsed = new VerifierKey(parts[0], typed[1..]);
        if (parsed.KeyId != hash)
        {
            return false;
        }

        key = parsed;
        return true;
    }

    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Name}+{KeyId:x8}+{Convert.ToBase64String([Ed25519Type, .. PublicKey])}");

    public bool Equals(VerifierKey? other) => other is not null && Name == other.Name && PublicKey.AsSpan().SequenceEqual(other.PublicKey);

    public override int GetHashCode() => HashCode.Combine(Name, KeyId);

    internal static bool IsName(string name) => name.Length > 0 && !name.Any(c => char.IsWhiteSpace(c) || char.IsControl(c) || c == '+');

    private static uint HashOf(string name, ReadOnlySpan<byte> publicKey)
    {
        byte[] hashed = SHA256.HashData([.. Encoding.UTF8.GetBytes(name), (byte)'\n', Ed25519Type, .. publicKey]);
        return BinaryPrimitives.ReadUInt32BigEndian(hashed);
    }
}

/// <summary>One signature line of a note.</summary>
public sealed record NoteSignature(string Name, uint KeyId, byte[] Signature);

/// <summary>A signed note, https://c2sp.org/signed-note: a text that ends in a newline, and its signatures.</summary>
public sealed class SignedNote
{
    private const int BytesMax = 64 * 1024;
    private const int SignaturesMax = 64;
    private static readonly UTF8Encoding Utf8Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private SignedNote(string text, IReadOnlyList<NoteSignature> signatures)
    {
        Text = text;
        Signatures = signatures;
    }

    /// <summary>What is signed, the final newline included.</summary>
    public string Text { get; }

    public IReadOnlyList<NoteSignature> Signatures { get; }

    /// <summary>Signs a text that ends in a newline and returns the whole note, UTF-8.</summary>
    public static byte[] Sign(string text, INoteSigner signer)
    {
        byte[] signature = signer.Sign(Encoding.UTF8.GetBytes(text));
        byte[] line = new byte[sizeof(uint) + signature.Length];
        BinaryPrimitives.WriteUInt32BigEndian(line, signer.Key.KeyId);
        signature.CopyTo(line, sizeof(uint));
        return Encoding.UTF8.GetBytes($"{text}\n\u2014 {signer.Key.Name} {Convert.ToBase64String(line)}\n");
    }

    /// <summary>Takes a note apart, strictly; says nothing about its signatures.</summary>
    public static bool TryParse(ReadOnlySpan<byte> note, [NotNullWhen(true)] out SignedNote? parsed)
    {
        parsed = null;
        if (note.Length > BytesMax || Decode(note) is not { } all || !all.EndsWith('\n') || all.Any(c => c < ' ' && c != '\n'))
        {
            return false;
        }

        int split = all.LastIndexOf("\n\n", StringComparison.Ordinal);
        if (split < 0 || split + 2 == all.Length)
        {
            return false;
        }

        var signatures = new List<NoteSignature>();
        foreach (string line in all[(split + 2)..^1].Split('\n'))
        {
            if (signatures.Count == SignaturesMax || ParseLine(line) is not { } signature)
            {
                return false;
            }

            signatures.Add(signature);
        }

        parsed = new SignedNote(all[..(split + 1)], signatures);
        return true;
    }

    /// <summary>True when the key signed the text: there is a line by it, and every line by it verifies.</summary>
    public bool IsSignedBy(VerifierKey key, VerifyEd25519 verify)
    {
        byte[] text = Encoding.UTF8.GetBytes(Text);
        bool any = false;
        foreach (NoteSignature line in Signatures)
        {
            if (line.Name == key.Name && line.KeyId == key.KeyId)
            {
                if (!verify(key.PublicKey, text, line.Signature))
                {
                    return false;
                }

                any = true;
            }
        }

        return any;
    }

    private static NoteSignature? ParseLine(string line)
    {
        string[] parts = line.Split(' ');
        if (parts is not ["\u2014", var name, var encoded] || !VerifierKey.IsName(name))
        {
            return null;
        }

        byte[] bytes = new byte[encoded.Length];
        return Convert.TryFromBase64String(encoded, bytes, out int length) && length > sizeof(uint)
            ? new NoteSignature(name, BinaryPrimitives.ReadUInt32BigEndian(bytes), bytes[sizeof(uint)..length])
            : null;
    }

    private static string? Decode(ReadOnlySpan<byte> note)
    {
        try
        {
            return Utf8Strict.GetString(note);
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }
}
