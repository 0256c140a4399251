using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Risk.Core.Log;

/// <summary>
/// What a decision was based on and a person may ask to have erased: the transaction and the features. The log holds
/// only its commitment, SHA-256 over these bytes; the salt keeps anyone from guessing an erased payload from it.
/// A view: it lives as long as the payload's bytes.
/// </summary>
public readonly ref struct PrivatePayload(ReadOnlySpan<byte> salt, ReadOnlySpan<byte> transaction, ReadOnlySpan<byte> features)
{
    /// <summary>16 bytes, derived by the caller from a secret key and the event id.</summary>
    public ReadOnlySpan<byte> Salt { get; } = salt;

    /// <summary>The transaction in its canonical form; opaque here.</summary>
    public ReadOnlySpan<byte> Transaction { get; } = transaction;

    /// <summary>The feature view, little-endian float32 after float32, in the catalog's order.</summary>
    public ReadOnlySpan<byte> FeatureBytes { get; } = features;

    public int FeatureCount => FeatureBytes.Length / sizeof(float);

    /// <summary>Copies the features into a buffer of at least <see cref="FeatureCount"/> floats.</summary>
    public void CopyFeatures(Span<float> destination)
    {
        for (int i = 0; i < FeatureCount; i++)
        {
            destination[i] = BinaryPrimitives.ReadSingleLittleEndian(FeatureBytes[(i * sizeof(float))..]);
        }
    }
}

/// <summary>The encoding of a private payload: deterministic CBOR, {1: salt, 2: transaction, 3: features}, all byte strings.</summary>
public static class PrivatePayloadCodec
{
    /// <summary>An upper bound of the bytes that <see cref="Write"/> needs.</summary>
    public static int BytesMax(int transactionBytes, int features) =>
        1 + 3 * (1 + CborWriter.HeadBytesMax) + LogFormat.SaltBytes + transactionBytes + features * sizeof(float);

    /// <summary>Writes the payload and returns its length in bytes, at most <see cref="LogFormat.EntryBytesMax"/>.</summary>
    /// <exception cref="ArgumentException">The salt has another size, or the payload is too large.</exception>
    public static int Write(ReadOnlySpan<byte> salt, ReadOnlySpan<byte> transaction, ReadOnlySpan<float> features, Span<byte> destination)
    {
        if (salt.Length != LogFormat.SaltBytes)
        {
            ThrowSalt(salt.Length);
        }

        var writer = new CborWriter(destination);
        writer.WriteMap(3);
        writer.WriteUnsigned(1);
        writer.WriteBytes(salt);
        writer.WriteUnsigned(2);
        writer.WriteBytes(transaction);
        writer.WriteUnsigned(3);
        if (BitConverter.IsLittleEndian)
        {
            writer.WriteBytes(MemoryMarshal.AsBytes(features));
        }
        else
        {
            throw new PlatformNotSupportedException("Private payloads are written on little-endian machines.");
        }

        if (writer.Length > LogFormat.EntryBytesMax)
        {
            ThrowTooLarge(writer.Length);
        }

        return writer.Length;
    }

    /// <summary>Reads a payload, strictly. After a fault the view must not be used.</summary>
    public static RecordFault Read(ReadOnlySpan<byte> payload, out PrivatePayload view)
    {
        var reader = new CborReader(payload);
        if (reader.ReadMap() != 3)
        {
            reader.Fail(RecordFault.WrongType);
        }

        ReadOnlySpan<byte> salt = ReadField(ref reader, 1);
        ReadOnlySpan<byte> transaction = ReadField(ref reader, 2);
        ReadOnlySpan<byte> features = ReadField(ref reader, 3);
        if (salt.Length != LogFormat.SaltBytes || features.Length % sizeof(float) != 0)
        {
            reader.Fail(RecordFault.ValueRange);
        }

        reader.ReadEnd();
        view = new PrivatePayload(salt, transaction, features);
        return reader.Fault;
    }

    /// <summary>The commitment that goes into the record: SHA-256 over the payload's bytes, 32 bytes.</summary>
    public static void Commit(ReadOnlySpan<byte> payload, Span<byte> commitment) => SHA256.HashData(payload, commitment);

    private static ReadOnlySpan<byte> ReadField(scoped ref CborReader reader, ulong key)
    {
        if (reader.ReadUnsigned(ulong.MaxValue) != key)
        {
            reader.Fail(RecordFault.UnknownField);
        }

        return reader.ReadBytes();
    }

    [DoesNotReturn]
    private static void ThrowSalt(int length) =>
        throw new ArgumentException($"The salt of a private payload has {length} bytes; it has {LogFormat.SaltBytes}.");

    [DoesNotReturn]
    private static void ThrowTooLarge(int length) =>
        throw new ArgumentException($"The private payload has {length} bytes; it has at most {LogFormat.EntryBytesMax}.");
}
