using Risk.Core.Log;

namespace Risk.Storage.Log;

/// <summary>
/// Turns durable entries into the files an auditor reads: bundles, hash tiles, checkpoints. Single-threaded; the caller
/// serialises. Files of full bundles are written once and become durable together (<see cref="Sync"/>); until then the
/// journal still has their entries.
/// </summary>
internal sealed class TileWriter(LogFolder folder, ILogDisk disk, INoteSigner signer, string origin) : IHashTileSink
{
    private readonly MerkleTiles _tree = new();
    private readonly Sha256Lanes _lanes = new();
    private readonly byte[] _leaves = new byte[LogFormat.TileBytes];
    private readonly List<string> _partials = [];
    private readonly List<string> _obsolete = [];

    /// <summary>Entries in full bundles that have been written.</summary>
    public long Size => _tree.Size;

    /// <summary>Entries in full bundles that are durable.</summary>
    public long DurableSize { get; private set; }

    /// <summary>The last checkpoint; null before the first.</summary>
    public Checkpoint? Published { get; private set; }

    /// <summary>Takes up a log that has that many entries in durable full tiles.</summary>
    public void Restore(long size, Checkpoint? published)
    {
        _tree.Restore(size, (level, index, to) => BundleFile.ReadTile(folder.Hashes(level, index), to));
        DurableSize = size;
        Published = published;
        if (published is not null)
        {
            RememberPartials(published.Size);
        }
    }

    /// <summary>Writes a full bundle and the hash tiles that it completes.</summary>
    public void WriteFull(Bundle bundle)
    {
        disk.WriteFile(folder.Entries(bundle.Index), bundle.EncodedEntries(LogFormat.TileWidth));
        disk.WriteFile(folder.Payloads(bundle.Index), bundle.EncodedPayloads(LogFormat.TileWidth));
        Supersede(folder.Entries(bundle.Index));
        Supersede(folder.Payloads(bundle.Index));
        HashLeaves(bundle, LogFormat.TileWidth);
        _tree.Add(_leaves, this);
    }

    public void TakeHashTile(int level, long index, ReadOnlySpan<byte> hashes)
    {
        string path = folder.Hashes(level, index);
        disk.WriteFile(path, hashes);
        Supersede(path);
    }

    /// <summary>Everything written so far is durable on return.</summary>
    public void Sync()
    {
        disk.SyncAll(folder.Root);
        DurableSize = _tree.Size;
        foreach (string partials in _obsolete)
        {
            disk.DeleteFolder(partials);
        }

        _obsolete.Clear();
    }

    /// <summary>The root over the full bundles and the first <paramref name="count"/> entries of the last one.</summary>
    public byte[] Root(Bundle? last, int count)
    {
        byte[] root = new byte[LogFormat.HashBytes];
        _tree.Root(HashLeaves(last, count), root);
        return root;
    }

    /// <summary>
    /// Publishes a checkpoint: the partial tiles of that size, all made durable, then the signature over them.
    /// </summary>
    public void Publish(Bundle? last, int count)
    {
        long size = _tree.Size + count;
        byte[] root = Root(last, count);
        if (count > 0)
        {
            WritePartial(folder.Entries(last!.Index), count, last.EncodedEntries(count));
            WritePartial(folder.Payloads(last.Index), count, last.EncodedPayloads(count));
            WritePartial(folder.Hashes(0, last.Index), count, _leaves.AsSpan(0, count * LogFormat.HashBytes));
        }

        for (int level = 1; level <= _tree.LevelCount; level++)
        {
            ReadOnlySpan<byte> hashes = _tree.Partial(level);
            if (!hashes.IsEmpty)
            {
                long index = size / MerkleTiles.WidthOf(level + 1);
                WritePartial(folder.Hashes(level, index), hashes.Length / LogFormat.HashBytes, hashes);
            }
        }

        Sync();
        Published = new Checkpoint(origin, size, root);
        disk.ReplaceFile(folder.Checkpoint, Published.Sign(signer));
    }

    private ReadOnlySpan<byte> HashLeaves(Bundle? bundle, int count)
    {
        for (int i = 0; i < count; i++)
        {
            MerkleHash.AddLeaf(_lanes, bundle!.Entry(i), _leaves, i * LogFormat.HashBytes);
        }

        _lanes.Flush(_leaves);
        return _leaves.AsSpan(0, count * LogFormat.HashBytes);
    }

    private void WritePartial(string fullPath, int width, ReadOnlySpan<byte> bytes)
    {
        string partials = TilePath.PartialsOf(fullPath);
        disk.WriteFile(Path.Combine(partials, width.ToString(System.Globalization.CultureInfo.InvariantCulture)), bytes);
        if (!_partials.Contains(partials))
        {
            _partials.Add(partials);
        }
    }

    /// <summary>The full tile stands in for its partial ones, once it is durable.</summary>
    private void Supersede(string fullPath)
    {
        if (_partials.Count > 0 && TilePath.PartialsOf(fullPath) is var partials && _partials.Remove(partials))
        {
            _obsolete.Add(partials);
        }
    }

    private void RememberPartials(long size)
    {
        if (TilePath.PartialWidth(0, size) > 0)
        {
            _partials.Add(TilePath.PartialsOf(folder.Entries(size / LogFormat.TileWidth)));
            _partials.Add(TilePath.PartialsOf(folder.Payloads(size / LogFormat.TileWidth)));
        }

        for (int level = 0; size >> (LogFormat.TileHeight * level) > 0; level++)
        {
            if (TilePath.PartialWidth(level, size) > 0)
            {
                _partials.Add(TilePath.PartialsOf(folder.Hashes(level, size / MerkleTiles.WidthOf(level + 1))));
            }
        }
    }
}
