using Risk.Core.Log;

namespace Risk.Storage.Log;

/// <content>What opening does; the why is told at the class.</content>
internal sealed partial class FileDecisionLog
{
    private void Recover()
    {
        Checkpoint? published = ReadCheckpoint();
        var recovery = new JournalRecovery();
        recovery.Open(_options.Disk, _folder.Journal);
        if (recovery.IsEmpty && published is { Size: > 0 })
        {
            throw Rollback(published, 0, "its journal is gone");
        }

        // Full tiles below either are durable: a segment is given back, and a checkpoint published, only after a sync.
        long start = (recovery.FirstSequence + LogFormat.TileWidth - 1) / LogFormat.TileWidth * LogFormat.TileWidth;
        start = Math.Max(start, (published?.Size ?? 0) / LogFormat.TileWidth * LogFormat.TileWidth);
        _tiles.Restore(start, published);
        _size = start;
        byte[]? rootAtCheckpoint = published?.Size == 0 ? MerkleHash.Empty.ToArray() : null;
        recovery.Read((in JournalFrame frame) => rootAtCheckpoint = Replay(frame, published) ?? rootAtCheckpoint);
        if (published is not null)
        {
            if (published.Size > recovery.EndSequence)
            {
                throw Rollback(published, recovery.EndSequence, "it was cut");
            }

            rootAtCheckpoint ??= RootInFiles(published.Size);
            if (!rootAtCheckpoint.AsSpan().SequenceEqual(published.RootHash))
            {
                throw Rollback(published, _size, "its root at that size is another");
            }
        }

        RecoveredTails = recovery.RecoveredTails;
        _durableSize = _size;
        if (_tiles.Size > start)
        {
            _tiles.Sync();
        }

        var anchor = new JournalFrame { FirstSequence = _tiles.Size, Position = LastPosition };
        if (_live.Count > 0)
        {
            anchor.Count = _live[0].Count;
            anchor.Entries = _live[0].EncodedEntries(_live[0].Count);
            anchor.Payloads = _live[0].EncodedPayloads(_live[0].Count);
        }

        _journal.Begin(recovery.Found, recovery.LastId, anchor);
        _journal.KeepSpare();
        if (published is null)
        {
            Publish();
        }
    }

    /// <summary>Takes a recovered frame; writes bundles that become full. Returns the root when the checkpoint's size is passed.</summary>
    private byte[]? Replay(in JournalFrame frame, Checkpoint? published)
    {
        SetPosition(frame.Position);
        ReadOnlySpan<byte> entries = frame.Entries;
        ReadOnlySpan<byte> payloads = frame.Payloads;
        int count = frame.Count;
        byte[]? root = null;
        for (long skip = Math.Clamp(_size - frame.FirstSequence, 0, count); skip > 0; skip--, count--)
        {
            BundleFile.TryNext(ref entries, out _);
            BundleFile.TryNext(ref payloads, out _);
        }

        while (count > 0)
        {
            Bundle last = _live.Count > 0 ? _live[^1] : NextBundle();
            int taken = last.Take(ref entries, ref payloads, count);
            count -= taken;
            _size += taken;
            if (published is not null && published.Size > last.FirstSequence && published.Size <= last.EndSequence)
            {
                root = _tiles.Root(last, (int)(published.Size - last.FirstSequence));
            }

            if (last.IsFull)
            {
                _tiles.WriteFull(last);
                _live.Clear();
                _free.Push(last);
            }
        }

        return root;
    }

    /// <summary>The root of a size whose tiles are all durable files.</summary>
    private byte[] RootInFiles(long size)
    {
        var tree = new MerkleTiles();
        long full = size / LogFormat.TileWidth;
        tree.Restore(full * LogFormat.TileWidth, (level, index, to) => BundleFile.ReadTile(_folder.Hashes(level, index), to));
        int width = TilePath.PartialWidth(0, size);
        byte[] tail = [];
        if (width > 0 && BundleFile.ReadWidth(w => _folder.Hashes(0, full, w), width, ref tail) < width * LogFormat.HashBytes)
        {
            throw new DecisionLogException(LogCodes.Corrupt, $"{_folder.Hashes(0, full, width)} is missing or too short.");
        }

        byte[] root = new byte[LogFormat.HashBytes];
        tree.Root(tail.AsSpan(0, width * LogFormat.HashBytes), root);
        return root;
    }

    private Checkpoint? ReadCheckpoint()
    {
        if (!File.Exists(_folder.Checkpoint))
        {
            return null;
        }

        if (!SignedNote.TryParse(File.ReadAllBytes(_folder.Checkpoint), out SignedNote? note) ||
            !Checkpoint.TryParse(note.Text, out Checkpoint? checkpoint))
        {
            throw new DecisionLogException(LogCodes.Corrupt, $"{_folder.Checkpoint} is not a checkpoint.");
        }

        if (checkpoint.Origin != _options.Origin || !note.IsSignedBy(Key.Key, Ed25519.Verify))
        {
            throw new DecisionLogException(LogCodes.Other, $"{_folder.Checkpoint} is of '{checkpoint.Origin}', or not signed by {Key.Key.Name}+{Key.Key.KeyId:x8}.");
        }

        return checkpoint;
    }

    private static DecisionLogException Rollback(Checkpoint published, long size, string why) =>
        new(LogCodes.Rollback, $"The log has {size} entries and does not reach its checkpoint of {published.Size}: {why}. Restore the directory from a backup that does.");
}
