using Risk.Core.Log;

namespace Risk.Storage.Log;

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
internal sealed partial class FileDecisionLog : IDecisionLog
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

    public IDecisionLogReader Read(long from) => new DecisionLogReader(_folder, from, Size, this);

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
