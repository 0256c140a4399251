using Risk.Core.Log;

namespace Risk.Storage.Log;

/// <summary>
/// Reads entries in order, with their payloads; one bundle is in memory at a time, nothing is allocated an entry. It
/// trusts the files: <see cref="LogVerifier"/> is the one that doesn't.
/// <code>while (reader.Read()) { use(reader.Record, reader.Payload); }</code>
/// </summary>
internal sealed class DecisionLogReader : IDecisionLogReader
{
    private readonly LogFolder _folder;
    private readonly FileDecisionLog? _log;
    private readonly JournalTail? _tail;
    private readonly LogEntry _entry = new();
    private readonly long _end;
    private byte[] _entries = new byte[128 * 1024];
    private byte[] _payloads = new byte[128 * 1024];
    private int _entriesAt;
    private int _entriesEnd;
    private int _payloadsAt;
    private int _payloadsEnd;
    private int _recordStart;
    private int _payloadStart;
    private bool _inMemory;
    private long _bundle = -1;

    internal DecisionLogReader(LogFolder folder, long from, long end, FileDecisionLog? log)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(from);
        _folder = folder;
        _log = log;
        _end = end;
        Sequence = from - 1;
    }

    private DecisionLogReader(LogFolder folder, long from, JournalTail tail)
        : this(folder, from, tail.End, null) => _tail = tail;

    /// <summary>Sequence of the current entry.</summary>
    public long Sequence { get; private set; }

    /// <summary>The end: sequence after the last entry that will be read.</summary>
    public long End => _end;

    /// <summary>The current entry; valid until the next <see cref="Read"/>.</summary>
    public ReadOnlySpan<byte> Record => _inMemory ? _entry.Record : _entries.AsSpan(_recordStart, _entriesAt - _recordStart);

    /// <summary>The current payload; empty when it was erased; valid until the next <see cref="Read"/>.</summary>
    public ReadOnlySpan<byte> Payload => _inMemory ? _entry.Payload : _payloads.AsSpan(_payloadStart, _payloadsAt - _payloadStart);

    /// <summary>Reads a log that no one needs to have open, up to its last checkpoint, whose signature is not checked here.</summary>
    /// <param name="directory">The run's directory, or the log itself.</param>
    /// <param name="from">First sequence.</param>
    /// <exception cref="DecisionLogException"><c>LOG_CORRUPT</c>: there is no checkpoint, or files are missing.</exception>
    public static DecisionLogReader Open(string directory, long from = 0)
    {
        LogFolder folder = LogFolder.Find(directory);
        return new DecisionLogReader(folder, from, SizeAtCheckpoint(folder), null);
    }

    /// <summary>Reads a log that someone else may be writing, up to its last commit.</summary>
    /// <exception cref="DecisionLogException"><c>LOG_CORRUPT</c>: there is no checkpoint, or files are missing.</exception>
    public static DecisionLogReader OpenToLastCommit(LogFolder folder, long from)
    {
        JournalTail tail;
        long size;
        do
        {
            // Between the two the owner may have moved entries on from its journal into tiles: then the checkpoint has them.
            size = SizeAtCheckpoint(folder);
            tail = JournalTail.Read(folder.Journal, size);
        }
        while (tail.HasGap && SizeAtCheckpoint(folder) > size);
        return new DecisionLogReader(folder, from, tail);
    }

    private static long SizeAtCheckpoint(LogFolder folder)
    {
        if (!File.Exists(folder.Checkpoint) ||
            !SignedNote.TryParse(File.ReadAllBytes(folder.Checkpoint), out SignedNote? note) ||
            !Checkpoint.TryParse(note.Text, out Checkpoint? checkpoint))
        {
            throw new DecisionLogException(LogCodes.Corrupt, $"There is no readable checkpoint in {folder.Log}.");
        }

        return checkpoint.Size;
    }

    /// <summary>Goes to the next entry; false at the end.</summary>
    /// <exception cref="DecisionLogException"><c>LOG_CORRUPT</c>: a file is missing or too short.</exception>
    public bool Read()
    {
        if (Sequence + 1 >= _end)
        {
            return false;
        }

        Sequence++;
        if (_tail is not null && Sequence >= _tail.From)
        {
            _tail.Read(Sequence, _entry);
            return _inMemory = true;
        }

        long bundle = Sequence / LogFormat.TileWidth;
        if (bundle != _bundle || _inMemory)
        {
            OpenBundle(bundle);
        }

        if (_inMemory)
        {
            return _log!.TryRead(Sequence, _entry);
        }

        if (!Next(_entries, ref _entriesAt, _entriesEnd, out _recordStart))
        {
            throw Short(_folder.Entries(bundle));
        }

        if (!Next(_payloads, ref _payloadsAt, _payloadsEnd, out _payloadStart))
        {
            _payloadStart = _payloadsAt;
        }

        return true;
    }

    /// <summary>Reads one entry by its sequence and goes on from there.</summary>
    public bool Seek(long sequence)
    {
        Sequence = sequence - 1;
        _bundle = -1;
        return Read();
    }

    public void Dispose()
    {
        _entries = [];
        _payloads = [];
    }

    private static bool Next(byte[] buffer, ref int at, int end, out int start)
    {
        ReadOnlySpan<byte> rest = buffer.AsSpan(at, end - at);
        bool any = BundleFile.TryNext(ref rest, out ReadOnlySpan<byte> item);
        start = any ? at + LogFormat.LengthPrefixBytes : at;
        at = start + item.Length;
        return any;
    }

    private void OpenBundle(long bundle)
    {
        int width = (int)Math.Min((_tail?.From ?? _end) - bundle * LogFormat.TileWidth, LogFormat.TileWidth);
        _bundle = bundle;
        _inMemory = _log is not null && !_log.IsInFiles(bundle);
        if (_inMemory)
        {
            return;
        }

        _entriesEnd = BundleFile.ReadWidth(w => _folder.Entries(bundle, w), width, ref _entries);
        if (_entriesEnd < 0)
        {
            throw Short(_folder.Entries(bundle, width));
        }

        _payloadsEnd = Math.Max(0, BundleFile.ReadWidth(w => _folder.Payloads(bundle, w), width, ref _payloads));
        _entriesAt = 0;
        _payloadsAt = 0;
        for (int i = 0; i < (int)(Sequence % LogFormat.TileWidth); i++)
        {
            if (!Next(_entries, ref _entriesAt, _entriesEnd, out _))
            {
                throw Short(_folder.Entries(bundle));
            }

            Next(_payloads, ref _payloadsAt, _payloadsEnd, out _);
        }
    }

    private static DecisionLogException Short(string path) => new(LogCodes.Corrupt, $"{path} is missing or too short.");
}
