using Risk.Core.Log;

namespace Risk.Storage.Log;

/// <summary>How a <see cref="FileDecisionLog"/> is opened.</summary>
internal sealed record DecisionLogOptions
{
    /// <summary>The log's identity and its key's name, e.g. <c>risk/card-payments</c>. No spaces, no plus.</summary>
    public required string Origin { get; init; }

    /// <summary>32 bytes to derive a new log's key from, so that runs are reproducible; empty makes a random one.</summary>
    public ReadOnlyMemory<byte> KeySeed { get; init; }

    /// <summary>Bytes of a journal segment; 32 MiB unless told, at least 64 KiB. A group must fit one.</summary>
    public long SegmentBytes { get; init; } = 32 << 20;

    /// <summary>A checkpoint is published at most this often, and at closing.</summary>
    public TimeSpan CheckpointEvery { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Full bundles that may wait in memory for their files; a commit waits beyond. About 200 KB each.</summary>
    public int LiveBundlesMax { get; init; } = 64;

    /// <summary>False writes tiles within <see cref="IDecisionLog.Commit"/> instead of on a thread, for simulations.</summary>
    public bool TilesInBackground { get; init; } = true;

    public TimeProvider Clock { get; init; } = TimeProvider.System;

    public ILogDisk Disk { get; init; } = new LogDisk();
}

/// <summary>
/// The decision log in files. A commit is one write and one <c>fdatasync</c> of the journal; a second thread then turns
/// full bundles of 256 entries into tile files, publishes checkpoints and gives journal segments back.
/// <para>
/// What a crash leaves, and what opening does: the newest journal segments hold every acknowledged entry that is in no
/// durable full tile. Tiles below the oldest such segment are durable, because a segment is given back only after a sync,
/// and so are those below the last checkpoint; tiles above may be missing, torn or complete, and are written again from
/// the journal, byte for byte the same. A torn last commit is cut back to its last whole group. The result must reach the
/// last checkpoint and have its root, else <c>LOG_ROLLBACK</c>.
/// </para>
/// <para>
/// A failed write or sync makes the log read only until it is opened again: the kernel may have dropped the pages, so a
/// second sync that succeeds proves nothing (https://www.postgresql.org/docs/current/wal-reliability.html, "fsyncgate").
/// </para>
/// </summary>
internal sealed class FileDecisionLog : IDecisionLog
{
    private readonly DecisionLogOptions _options;
    private readonly LogFolder _folder;
    private readonly FileStream _lock;
    private readonly Journal _journal;
    private readonly TileWriter _tiles;
    private readonly Thread? _tiler;

    // _gate guards what commits and readers touch; _tiling serialises the tile files. _tiling is taken before _gate.
    private readonly Lock _tiling = new();
    private readonly object _gate = new();
    private readonly List<Bundle> _live = [];
    private readonly Stack<Bundle> _free = new();
    private readonly Bundle _tail = new();
    private readonly Lock _reading = new();
    private readonly byte[] _position = new byte[LogFormat.PositionBytesMax];
    private byte[] _readEntries = [];
    private byte[] _readPayloads = [];
    private int _readEntriesBytes;
    private int _readPayloadsBytes;
    private long _readBundle = -1;
    private int _positionBytes;
    private long _size;
    private long _durableSize;
    private long _checkpointAt;
    private bool _closing;
    private bool _isClosed;
    private volatile Exception? _failure;

    private FileDecisionLog(LogFolder folder, DecisionLogOptions options, FileStream @lock)
    {
        _folder = folder;
        _options = options;
        _lock = @lock;
        Key = LogKey.LoadOrCreate(folder, options.Origin, options.KeySeed.Span);
        _tiles = new TileWriter(folder, options.Disk, Key, options.Origin);
        _journal = new Journal(options.Disk, folder.Journal, options.SegmentBytes);
        Recover();
        if (options.TilesInBackground)
        {
            _tiler = new Thread(TileUntilClosed) { Name = "decision log tiles", IsBackground = true };
            _tiler.Start();
        }
    }

    /// <summary>The key that signs; its <see cref="LogKey.Key"/> is for auditors.</summary>
    public LogKey Key { get; }

    public string Origin => _options.Origin;

    public long Size => Volatile.Read(ref _size);

    public long DurableSize => Volatile.Read(ref _durableSize);

    public ReadOnlySpan<byte> LastPosition => _position.AsSpan(0, _positionBytes);

    /// <summary>Torn tails that opening cut back: 0 or 1, code <c>RECOVERED_TAIL</c>.</summary>
    public int RecoveredTails { get; private set; }

    /// <summary>The directory of the run.</summary>
    public string Directory => _folder.Root;

    /// <summary>Opens the log of a directory, makes it when there is none, and recovers it after a crash.</summary>
    /// <exception cref="DecisionLogException"><c>LOG_IN_USE</c>, <c>LOG_ROLLBACK</c>, <c>LOG_CORRUPT</c>, <c>LOG_OTHER</c>.</exception>
    public static FileDecisionLog Open(string directory, DecisionLogOptions options)
    {
        var folder = new LogFolder(directory);
        System.IO.Directory.CreateDirectory(folder.Journal);
        System.IO.Directory.CreateDirectory(folder.Log);
        System.IO.Directory.CreateDirectory(folder.Private);
        FileStream @lock = TakeLock(folder);
        try
        {
            return new FileDecisionLog(folder, options, @lock);
        }
        catch
        {
            @lock.Dispose();
            throw;
        }
    }

    public void Append(DecisionGroup group)
    {
        ThrowUnlessWritable();
        if (group.FirstSequence != _size || group.PayloadCount != group.Count)
        {
            throw new ArgumentException($"The group starts at {group.FirstSequence} with {group.Count} records and {group.PayloadCount} payloads; the log is at {_size}.");
        }

        ReadOnlySpan<byte> entries = group.EncodedRecords(0, group.Count);
        ReadOnlySpan<byte> payloads = group.EncodedPayloads(0, group.Count);
        MakeRoom(JournalFormat.FrameBytes(group.Position.Length, entries.Length, payloads.Length));
        _journal.Add(group);
        lock (_gate)
        {
            TakeIntoBundles(entries, payloads, group.Count);
            SetPosition(group.Position);
        }
    }

    public void Commit()
    {
        ThrowUnlessWritable();
        if (!_journal.HasPending)
        {
            return;
        }

        try
        {
            _journal.Sync();
        }
        catch (Exception e)
        {
            throw Fail(e);
        }

        lock (_gate)
        {
            _durableSize = _size;
            Monitor.PulseAll(_gate);
        }

        if (_tiler is null)
        {
            TileNow();
        }
        else if (_live.Count > _options.LiveBundlesMax)
        {
            WaitForTiler();
        }
    }

    public bool TryRead(long sequence, LogEntry entry)
    {
        long index = sequence / LogFormat.TileWidth;
        int item = (int)(sequence % LogFormat.TileWidth);
        lock (_gate)
        {
            if (sequence < 0 || sequence >= _size)
            {
                return false;
            }

            long first = _live.Count > 0 ? _live[0].Index : long.MaxValue;
            if (index >= first)
            {
                Bundle bundle = _live[(int)(index - first)];
                entry.Set(bundle.Entry(item), bundle.Payload(item));
                return true;
            }
        }

        return TryReadFile(index, item, entry);
    }

    /// <summary>Reads entries in order from <paramref name="from"/> to the size the log has now.</summary>
    public DecisionLogReader Read(long from) => new(_folder, from, Size, this);

    public byte[] RootHash()
    {
        lock (_tiling)
        {
            int count = SettleTail();
            return _tiles.Root(_tail, count);
        }
    }

    public void PublishCheckpoint()
    {
        ThrowUnlessWritable();
        try
        {
            lock (_tiling)
            {
                Publish();
            }
        }
        catch (IOException e)
        {
            throw Fail(e);
        }
    }

    /// <summary>Publishes a last checkpoint and closes. What was appended and not committed is dropped.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_isClosed)
            {
                return;
            }

            _isClosed = true;
            _closing = true;
            Monitor.PulseAll(_gate);
        }

        _tiler?.Join();
        try
        {
            if (_failure is null)
            {
                lock (_tiling)
                {
                    Publish();
                }
            }
        }
        finally
        {
            _journal.Dispose();
            _lock.Dispose();
        }
    }

    /// <summary>Closes as a crash would: no checkpoint, no tiles. For tests.</summary>
    internal void Abandon()
    {
        _failure ??= new IOException("abandoned");
        Dispose();
    }

    /// <summary>True when the bundle's files are written and it is no longer in memory.</summary>
    internal bool IsInFiles(long bundle)
    {
        lock (_gate)
        {
            return bundle < (_live.Count > 0 ? _live[0].Index : _size / LogFormat.TileWidth);
        }
    }

    private static FileStream TakeLock(LogFolder folder)
    {
        try
        {
            return new FileStream(folder.Lock, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e)
        {
            throw new DecisionLogException(LogCodes.InUse, $"Another process writes to the log in {folder.Root}: stop it, or use another directory.", isRetriable: true, e);
        }
    }

    private void MakeRoom(int frameBytes)
    {
        if (frameBytes > _journal.FrameBytesMax)
        {
            throw new ArgumentException($"The group takes {frameBytes} bytes; the journal's segments take {_journal.FrameBytesMax}.");
        }

        if (!_journal.Fits(frameBytes))
        {
            Commit();
            if (!_journal.Fits(frameBytes))
            {
                RotateJournal();
            }
        }
    }

    private void RotateJournal()
    {
        try
        {
            _journal.Rotate(_size, LastPosition);
        }
        catch (Exception e)
        {
            throw Fail(e);
        }
    }

    private void TakeIntoBundles(ReadOnlySpan<byte> entries, ReadOnlySpan<byte> payloads, int count)
    {
        while (count > 0)
        {
            Bundle last = _live.Count > 0 && !_live[^1].IsFull ? _live[^1] : NextBundle();
            int taken = last.Take(ref entries, ref payloads, count);
            count -= taken;
            _size += taken;
        }
    }

    private Bundle NextBundle()
    {
        if (!_free.TryPop(out Bundle? bundle))
        {
            bundle = new Bundle();
        }

        bundle.Clear(_size / LogFormat.TileWidth);
        _live.Add(bundle);
        return bundle;
    }

    private void SetPosition(ReadOnlySpan<byte> position)
    {
        position.CopyTo(_position);
        _positionBytes = position.Length;
    }

    private void WaitForTiler()
    {
        lock (_gate)
        {
            while (_live.Count > _options.LiveBundlesMax && _live[0].IsFull && _failure is null)
            {
                Monitor.Wait(_gate);
            }
        }

        ThrowUnlessWritable();
    }

    private void TileUntilClosed()
    {
        while (true)
        {
            lock (_gate)
            {
                if (!_closing && !HasDurableFullBundle)
                {
                    Monitor.Wait(_gate, _options.CheckpointEvery);
                }

                if (_closing)
                {
                    return;
                }
            }

            try
            {
                TileNow();
            }
            catch (Exception e)
            {
                Fail(e);
                return;
            }
        }
    }

    private void TileNow()
    {
        lock (_tiling)
        {
            WriteFullBundles();
            if (_options.Clock.GetElapsedTime(_checkpointAt) >= _options.CheckpointEvery && _tiles.Published?.Size != DurableSize)
            {
                Publish();
            }

            _journal.KeepSpare();
        }
    }

    private bool HasDurableFullBundle => _live.Count > 0 && _live[0].IsFull && _live[0].EndSequence <= _durableSize;

    private void WriteFullBundles()
    {
        while (true)
        {
            Bundle bundle;
            lock (_gate)
            {
                if (!HasDurableFullBundle)
                {
                    return;
                }

                bundle = _live[0];
            }

            _tiles.WriteFull(bundle);
            lock (_gate)
            {
                _live.RemoveAt(0);
                _free.Push(bundle);
                Monitor.PulseAll(_gate);
            }
        }
    }

    private void Publish()
    {
        int count = SettleTail();
        if (_tiles.Published?.Size == _tiles.Size + count)
        {
            return;
        }

        _tiles.Publish(_tail, count);
        _journal.Release(_tiles.DurableSize);
        _checkpointAt = _options.Clock.GetTimestamp();
    }

    /// <summary>
    /// Writes what is full, then copies the 0 to 255 durable entries behind it, so that appending goes on meanwhile;
    /// returns their count.
    /// </summary>
    private int SettleTail()
    {
        int count;
        do
        {
            WriteFullBundles();
            count = CopyTail();
        }
        while (count == LogFormat.TileWidth);
        return count;
    }

    private int CopyTail()
    {
        lock (_gate)
        {
            _tail.Clear(_tiles.Size / LogFormat.TileWidth);
            int count = (int)Math.Min(_durableSize - _tiles.Size, LogFormat.TileWidth);
            if (count > 0)
            {
                ReadOnlySpan<byte> entries = _live[0].EncodedEntries(count);
                ReadOnlySpan<byte> payloads = _live[0].EncodedPayloads(count);
                _tail.Take(ref entries, ref payloads, count);
            }

            return count;
        }
    }

    /// <summary>One bundle stays read: a source that goes back asks for one entry after the other.</summary>
    private bool TryReadFile(long index, int item, LogEntry entry)
    {
        lock (_reading)
        {
            if (_readBundle != index)
            {
                _readBundle = -1;
                _readEntriesBytes = BundleFile.Read(_folder.Entries(index), ref _readEntries);
                _readPayloadsBytes = Math.Max(0, BundleFile.Read(_folder.Payloads(index), ref _readPayloads));
                _readBundle = index;
            }

            if (_readEntriesBytes < 0 || !BundleFile.TryItem(_readEntries.AsSpan(0, _readEntriesBytes), item, out ReadOnlySpan<byte> record))
            {
                throw new DecisionLogException(LogCodes.Corrupt, $"{_folder.Entries(index)} is missing or too short for its entry {item}.");
            }

            BundleFile.TryItem(_readPayloads.AsSpan(0, _readPayloadsBytes), item, out ReadOnlySpan<byte> payload);
            entry.Set(record, payload);
            return true;
        }
    }

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

    private DecisionLogException Fail(Exception cause)
    {
        _failure ??= cause;
        lock (_gate)
        {
            Monitor.PulseAll(_gate);
        }

        return new DecisionLogException(LogCodes.ReadOnly, $"Writing to the log in {_folder.Root} failed: {cause.Message} Nothing is acknowledged any more; open the log again.", inner: cause);
    }

    private void ThrowUnlessWritable()
    {
        ObjectDisposedException.ThrowIf(_isClosed, this);
        if (_failure is { } failure)
        {
            throw Fail(failure);
        }
    }
}
