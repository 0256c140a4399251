using System.Globalization;
using Risk.Core.Log;

namespace Risk.Storage.Log;

/// <summary>
/// The write-ahead journal: what was acknowledged and is in no durable full tile yet. Segments are preallocated files that
/// are used round and round (<see cref="JournalFormat"/>); one commit is one write and one <c>fdatasync</c>.
/// The writing thread calls <see cref="Add"/>, <see cref="Sync"/> and <see cref="Rotate"/>, the tiling thread
/// <see cref="Release"/> and <see cref="KeepSpare"/>; they share only the list of segments.
/// </summary>
internal sealed class Journal : IDisposable
{
    private readonly ILogDisk _disk;
    private readonly string _folder;
    private readonly long _segmentBytes;
    private readonly Lock _gate = new();
    private readonly List<Segment> _live = [];
    private readonly Stack<Segment> _spares = new();
    private byte[] _pending = new byte[256 * 1024];
    private int _pendingBytes = JournalFormat.CommitHeaderBytes;
    private Segment? _active;
    private long _offset;
    private long _commitNumber;
    private long _lastId;
    private int _lastFile = -1;

    public Journal(ILogDisk disk, string folder, long segmentBytes)
    {
        _disk = disk;
        _folder = folder;
        _segmentBytes = segmentBytes;
    }

    /// <summary>Frames that wait for <see cref="Sync"/>.</summary>
    public bool HasPending => _pendingBytes > JournalFormat.CommitHeaderBytes;

    /// <summary>Segments that hold entries not known to be in durable tiles, the active one included.</summary>
    public int LiveSegments
    {
        get
        {
            lock (_gate)
            {
                return _live.Count;
            }
        }
    }

    /// <summary>Most bytes of one frame: what fits a segment behind its header and anchor.</summary>
    public long FrameBytesMax => _segmentBytes - 4 * JournalFormat.BlockBytes - 2 * LogFormat.PositionBytesMax;

    /// <summary>
    /// Begins the journal of an opened log in a fresh segment, durable on return: all older ones are superseded by its
    /// anchor, which holds the entries that are in no full tile.
    /// </summary>
    /// <param name="found">The files found at opening; from now on they are the journal's.</param>
    /// <param name="lastId">The newest segment's id; 0 in a new log.</param>
    /// <param name="anchor">What the log goes on from.</param>
    public void Begin(IReadOnlyList<FoundSegment> found, long lastId, in JournalFrame anchor)
    {
        _lastId = lastId;
        foreach (FoundSegment segment in found)
        {
            _lastFile = Math.Max(_lastFile, NumberOf(segment.Path));
        }

        // Live segments hold the only copy of the anchor's entries until it is durable.
        Reuse(found, live: false);
        int anchorBytes = JournalFormat.FrameBytes(anchor.Position.Length, anchor.Entries.Length, anchor.Payloads.Length);
        if (anchorBytes > FrameBytesMax)
        {
            // 255 entries of the largest size are more than a segment: this once, a larger one.
            Spare(NewSegment(_segmentBytes + JournalFormat.AlignBlock(anchorBytes)));
        }

        Activate(anchor.FirstSequence, oldestIsSelf: true);
        AddFrame(anchor.FirstSequence, anchor.Count, anchor.Position, anchor.Entries, anchor.Payloads);
        Sync();
        Reuse(found, live: true);
    }

    /// <summary>True when the group and what is pending fit the active segment.</summary>
    public bool Fits(int frameBytes) =>
        JournalFormat.AlignBlock(_offset + _pendingBytes + frameBytes) <= _active!.File.Bytes;

    /// <summary>Queues a frame for the next <see cref="Sync"/>; the caller has made it fit.</summary>
    public void Add(DecisionGroup group) => AddFrame(
        group.FirstSequence, group.Count, group.Position, group.EncodedRecords(0, group.Count), group.EncodedPayloads(0, group.Count));

    /// <summary>Writes what is pending and makes it durable. After an exception the journal must not be written any more.</summary>
    public void Sync()
    {
        JournalFormat.WriteCommit(_pending, _pendingBytes, _active!.Header.Id, _commitNumber);
        int padded = (int)JournalFormat.AlignBlock(_pendingBytes);
        Grow(padded);
        _pending.AsSpan(_pendingBytes, padded - _pendingBytes).Clear();
        _active.File.Write(_offset, _pending.AsSpan(0, padded));
        _active.File.Sync();
        _offset += padded;
        _commitNumber++;
        _pendingBytes = JournalFormat.CommitHeaderBytes;
    }

    /// <summary>Goes on in the next segment, its anchor durable on return; nothing may be pending.</summary>
    public void Rotate(long firstSequence, ReadOnlySpan<byte> position)
    {
        _active!.EndSequence = firstSequence;
        Activate(firstSequence, oldestIsSelf: false);
        AddFrame(firstSequence, 0, position, default, default);
        Sync();
    }

    /// <summary>Tiles up to this size are durable: segments with nothing beyond become spares.</summary>
    public void Release(long tiledSize)
    {
        while (true)
        {
            Segment oldest;
            lock (_gate)
            {
                if (_live.Count < 2 || _live[0].EndSequence > tiledSize)
                {
                    return;
                }

                oldest = _live[0];
                _live.RemoveAt(0);
            }

            Spare(oldest);
        }
    }

    /// <summary>Prepares the next segment ahead of time: zeroing one takes longer than a decision may.</summary>
    public void KeepSpare()
    {
        lock (_gate)
        {
            if (_spares.Count > 0)
            {
                return;
            }
        }

        Spare(NewSegment(_segmentBytes));
    }

    public void Dispose()
    {
        foreach (Segment segment in _live.Concat(_spares))
        {
            segment.File.Dispose();
        }

        _live.Clear();
        _spares.Clear();
    }

    private static int NumberOf(string path) =>
        int.Parse(Path.GetFileNameWithoutExtension(path).AsSpan("segment-".Length), NumberStyles.None, CultureInfo.InvariantCulture);

    private void Reuse(IReadOnlyList<FoundSegment> found, bool live)
    {
        foreach (FoundSegment segment in found)
        {
            if (segment.IsLive != live)
            {
                continue;
            }

            if (segment.File.Bytes == _segmentBytes)
            {
                Spare(new Segment(segment.File));
            }
            else
            {
                segment.File.Dispose();
                File.Delete(segment.Path);
            }
        }
    }

    private void Activate(long firstSequence, bool oldestIsSelf)
    {
        Segment? next;
        lock (_gate)
        {
            _spares.TryPop(out next);
        }

        next ??= NewSegment(_segmentBytes);
        lock (_gate)
        {
            long id = ++_lastId;
            long oldest = oldestIsSelf || _live.Count == 0 ? id : _live[0].Header.Id;
            next.Header = new SegmentHeader(id, firstSequence, oldest);
            next.EndSequence = long.MaxValue;
            _live.Add(next);
        }

        Span<byte> block = stackalloc byte[JournalFormat.BlockBytes];
        block.Clear();
        JournalFormat.WriteHeader(block, next.Header);
        next.File.Write(0, block);
        _active = next;
        _offset = JournalFormat.BlockBytes;
        _commitNumber = 0;
    }

    private void AddFrame(long firstSequence, int count, ReadOnlySpan<byte> position, ReadOnlySpan<byte> entries, ReadOnlySpan<byte> payloads)
    {
        Grow(_pendingBytes + JournalFormat.FrameBytes(position.Length, entries.Length, payloads.Length));
        _pendingBytes += JournalFormat.WriteFrame(_pending.AsSpan(_pendingBytes), firstSequence, count, position, entries, payloads);
    }

    private void Grow(int bytes)
    {
        if (_pending.Length < bytes)
        {
            Array.Resize(ref _pending, (int)JournalFormat.AlignBlock(Math.Max(bytes, _pending.Length * 2)));
        }
    }

    private Segment NewSegment(long bytes)
    {
        int number = Interlocked.Increment(ref _lastFile);
        string path = Path.Combine(_folder, string.Create(CultureInfo.InvariantCulture, $"segment-{number:000}.journal"));
        return new Segment(_disk.OpenJournal(path, bytes));
    }

    private void Spare(Segment segment)
    {
        lock (_gate)
        {
            _spares.Push(segment);
        }
    }

    private sealed class Segment(IJournalFile file)
    {
        public readonly IJournalFile File = file;
        public SegmentHeader Header;
        public long EndSequence;
    }
}
