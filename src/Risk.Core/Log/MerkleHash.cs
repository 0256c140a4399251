using System.Security.Cryptography;

namespace Risk.Core.Log;

/// <summary>The hashes of RFC 6962, https://www.rfc-editor.org/rfc/rfc6962#section-2.1; SHA-256, 32 bytes each.</summary>
public static class MerkleHash
{
    private const int StackBytesMax = 1024;

    /// <summary>The hash of a tree without entries: SHA-256 of nothing.</summary>
    public static ReadOnlySpan<byte> Empty =>
    [
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
        0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ];

    /// <summary>SHA-256(0x00 || entry).</summary>
    public static void Leaf(ReadOnlySpan<byte> entry, Span<byte> hash)
    {
        Span<byte> input = entry.Length < StackBytesMax ? stackalloc byte[StackBytesMax] : new byte[entry.Length + 1];
        input[0] = 0x00;
        entry.CopyTo(input[1..]);
        SHA256.HashData(input[..(entry.Length + 1)], hash);
    }

    /// <summary>SHA-256(0x01 || left || right). <paramref name="hash"/> may overlap either.</summary>
    public static void Node(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right, Span<byte> hash)
    {
        Span<byte> input = stackalloc byte[1 + 2 * LogFormat.HashBytes];
        input[0] = 0x01;
        left.CopyTo(input[1..]);
        right.CopyTo(input[(1 + LogFormat.HashBytes)..]);
        SHA256.HashData(input, hash);
    }

    /// <summary>Adds a leaf to be hashed with up to seven others, see <see cref="Sha256Lanes.Add"/>.</summary>
    public static void AddLeaf(Sha256Lanes lanes, ReadOnlySpan<byte> entry, Span<byte> hashes, int offset) => lanes.Add(0x00, entry, hashes, offset);

    /// <summary>
    /// The hash of a perfect subtree: reduces a power of two of hashes in place, the result is the first 32 bytes.
    /// </summary>
    public static void Reduce(Sha256Lanes lanes, Span<byte> hashes)
    {
        for (int count = hashes.Length / LogFormat.HashBytes; count > 1; count /= 2)
        {
            // In place: a pair is copied before its hash is written, and hashes go where pairs were read already.
            for (int i = 0; i < count / 2; i++)
            {
                lanes.Add(0x01, hashes.Slice(2 * i * LogFormat.HashBytes, 2 * LogFormat.HashBytes), hashes, i * LogFormat.HashBytes);
            }

            lanes.Flush(hashes);
        }
    }
}
