using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Risk.Core.Log;
using Risk.Storage.Log;

namespace Risk.Storage;

/// <summary>
/// Snapshots of the engine's state, so that a restart replays only the log's tail. A file is written beside its name, synced,
/// renamed and the folder synced, so it is whole or not there; the last two stay. A snapshot is a cache: one that is
/// damaged, or was made by another feature catalog, is passed over, and nothing is lost but time.
/// <code>magic 8 bytes, sequence i64, length i64 (little-endian), catalog digest 32 bytes, SHA-256 of all before and of the content 32 bytes; content</code>
/// </summary>
internal sealed class SnapshotStore : ISnapshotStore
{
    private const int Kept = 2;
    private const int HashedHeaderBytes = 8 + 8 + 8 + LogFormat.HashBytes;
    private const int HeaderBytes = HashedHeaderBytes + LogFormat.HashBytes;
    private readonly string _folder;

    /// <param name="folder">Holds snapshots and nothing else; made when the first is saved.</param>
    public SnapshotStore(string folder)
    {
        _folder = Path.GetFullPath(folder);
    }

    private static ReadOnlySpan<byte> Magic => "RISKSNP1"u8;

    /// <summary>Saves a snapshot; durable on return. Older ones than the last two are deleted.</summary>
    /// <param name="sequence">Entries of the decision log it includes; all of them must be durable.</param>
    /// <param name="catalogDigest">32 bytes.</param>
    /// <param name="content">Opaque.</param>
    /// <exception cref="IOException">The disk failed; the earlier snapshots are still there.</exception>
    public void Save(long sequence, ReadOnlySpan<byte> catalogDigest, ReadOnlySpan<byte> content)
    {
        if (catalogDigest.Length != LogFormat.HashBytes)
        {
            throw new ArgumentException($"A catalog digest has {LogFormat.HashBytes} bytes, not {catalogDigest.Length}.", nameof(catalogDigest));
        }

        Directory.CreateDirectory(_folder);
        string path = Path.Combine(_folder, string.Create(CultureInfo.InvariantCulture, $"{sequence:D16}.snapshot"));
        string unfinished = path + ".new";
        byte[] header = new byte[HeaderBytes];
        Magic.CopyTo(header);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(8), sequence);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(16), content.Length);
        catalogDigest.CopyTo(header.AsSpan(24));
        Hash(header, content).CopyTo(header, HashedHeaderBytes);
        using (SafeFileHandle file = File.OpenHandle(unfinished, FileMode.Create, FileAccess.Write))
        {
            RandomAccess.Write(file, header, 0);
            RandomAccess.Write(file, content, HeaderBytes);
            RandomAccess.FlushToDisk(file);
        }

        File.Move(unfinished, path, overwrite: true);
        Posix.SyncDirectory(_folder);
        foreach (string old in NewestFirst().Skip(Kept))
        {
            File.Delete(old);
        }
    }

    /// <summary>Loads the newest whole snapshot by that catalog that includes no more of the log than there is; false when there is none.</summary>
    /// <param name="catalogDigest">32 bytes.</param>
    /// <param name="logSize">Entries of the log as it was recovered.</param>
    /// <param name="sequence">Entries of the log it includes: replay goes on from this sequence.</param>
    /// <param name="content">What was saved.</param>
    public bool TryLoad(ReadOnlySpan<byte> catalogDigest, long logSize, out long sequence, [NotNullWhen(true)] out byte[]? content)
    {
        foreach (string path in NewestFirst())
        {
            content = Read(path, catalogDigest, out sequence);
            if (content is not null && sequence <= logSize)
            {
                return true;
            }
        }

        (sequence, content) = (0, null);
        return false;
    }

    private static byte[]? Read(string path, ReadOnlySpan<byte> catalogDigest, out long sequence)
    {
        sequence = 0;
        using SafeFileHandle file = File.OpenHandle(path);
        byte[] header = new byte[HeaderBytes];
        if (RandomAccess.Read(file, header, 0) != header.Length || !header.AsSpan().StartsWith(Magic) ||
            !header.AsSpan(24, LogFormat.HashBytes).SequenceEqual(catalogDigest))
        {
            return null;
        }

        long length = BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(16));
        if (length < 0 || length != RandomAccess.GetLength(file) - HeaderBytes || length > Array.MaxLength)
        {
            return null;
        }

        byte[] content = new byte[length];
        for (int at = 0; at < content.Length;)
        {
            int read = RandomAccess.Read(file, content.AsSpan(at), HeaderBytes + at);
            if (read == 0)
            {
                return null;
            }

            at += read;
        }

        sequence = BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(8));
        return Hash(header, content).AsSpan().SequenceEqual(header.AsSpan(HashedHeaderBytes)) ? content : null;
    }

    private static byte[] Hash(ReadOnlySpan<byte> header, ReadOnlySpan<byte> content)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(header[..HashedHeaderBytes]);
        hash.AppendData(content);
        return hash.GetHashAndReset();
    }

    private string[] NewestFirst() => Directory.Exists(_folder)
        ? [.. Directory.GetFiles(_folder, "*.snapshot").OrderDescending(StringComparer.Ordinal)]
        : [];
}
