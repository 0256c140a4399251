using Microsoft.Win32.SafeHandles;
using Risk.Core.Log;

namespace Risk.Storage.Log;

/// <summary>
/// What the journal of a log holds beyond its last checkpoint, read beside its owner: whole commits only, in order, up to
/// the first that is not whole. A commit that is being written may be among them: whoever reads must bear that its entries
/// come again. A segment that is given back meanwhile ends the reading, see <see cref="HasGap"/>.
/// </summary>
internal sealed class JournalTail
{
    private const int HeadBytes = JournalFormat.CommitHeaderBytes + JournalFormat.FrameHeaderBytes;

    private readonly List<(byte[] Record, byte[] Payload)> _entries = [];

    private JournalTail(long from) => From = from;

    /// <summary>Sequence of the first entry.</summary>
    public long From { get; }

    /// <summary>Sequence after the last entry.</summary>
    public long End => From + _entries.Count;

    /// <summary>The journal goes on further than <see cref="End"/>, and what lies between is not in it.</summary>
    public bool HasGap { get; private set; }

    /// <summary>Reads what a folder's journal holds from a sequence on.</summary>
    public static JournalTail Read(string folder, long from)
    {
        var tail = new JournalTail(from);
        var segments = new List<(SafeFileHandle File, SegmentHeader Header)>();
        try
        {
            foreach (string path in Directory.GetFiles(folder, "segment-*.journal"))
            {
                SafeFileHandle file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
                segments.Add((file, HeaderOf(file)));
            }

            long oldest = segments.Select(s => s.Header).MaxBy(h => h.Id).OldestLiveId;
            foreach ((SafeFileHandle file, SegmentHeader header) in segments.Where(s => s.Header.Id > 0 && s.Header.Id >= oldest).OrderBy(s => s.Header.Id))
            {
                tail.ReadSegment(file, header.Id);
            }
        }
        finally
        {
            segments.ForEach(s => s.File.Dispose());
        }

        return tail;
    }

    public void Read(long sequence, LogEntry entry)
    {
        (byte[] record, byte[] payload) = _entries[(int)(sequence - From)];
        entry.Set(record, payload);
    }

    /// <summary>No segment, id 0, while its anchor is not whole.</summary>
    private static SegmentHeader HeaderOf(SafeFileHandle file)
    {
        byte[] start = new byte[JournalFormat.BlockBytes + JournalFormat.CommitHeaderBytes];
        if (RandomAccess.Read(file, start, 0) != start.Length || !JournalFormat.TryReadHeader(start, out SegmentHeader header) ||
            !JournalFormat.TryReadCommit(start.AsSpan(JournalFormat.BlockBytes), header.Id, out int bytes, out long number) || number != 0)
        {
            return default;
        }

        byte[] anchor = new byte[bytes];
        return RandomAccess.Read(file, anchor, JournalFormat.BlockBytes) == bytes && JournalFormat.TryReadFrame(anchor.AsSpan(JournalFormat.CommitHeaderBytes), out _) ? header : default;
    }

    private void ReadSegment(SafeFileHandle file, long id)
    {
        var commits = new List<(long Offset, int Bytes, long First)>();
        Span<byte> head = stackalloc byte[HeadBytes];
        for (long offset = JournalFormat.BlockBytes, number = 0; RandomAccess.Read(file, head, offset) == HeadBytes; number++)
        {
            if (!JournalFormat.TryReadCommit(head, id, out int bytes, out long found) || found != number)
            {
                break;
            }

            commits.Add((offset, bytes, JournalFormat.FirstSequenceOf(head[JournalFormat.CommitHeaderBytes..])));
            offset = JournalFormat.AlignBlock(offset + bytes);
        }

        // The last commit that begins before what is wanted may hold some of it.
        int at = Math.Max(0, commits.FindLastIndex(c => c.First <= End));
        byte[] commit = [];
        foreach ((long offset, int bytes, _) in commits.Skip(at))
        {
            if (commit.Length < bytes)
            {
                commit = new byte[bytes];
            }

            if (RandomAccess.Read(file, commit.AsSpan(0, bytes), offset) != bytes || !ReadCommit(commit.AsSpan(0, bytes)))
            {
                return;
            }
        }
    }

    /// <summary>False at a frame that is not whole, or does not follow.</summary>
    private bool ReadCommit(ReadOnlySpan<byte> commit)
    {
        for (int at = JournalFormat.CommitHeaderBytes; at < commit.Length;)
        {
            if (!JournalFormat.TryReadFrame(commit[at..], out JournalFrame frame))
            {
                return false;
            }

            if (frame.FirstSequence > End)
            {
                HasGap = true;
                return false;
            }

            ReadOnlySpan<byte> entries = frame.Entries, payloads = frame.Payloads;
            for (long sequence = frame.FirstSequence; sequence < frame.FirstSequence + frame.Count; sequence++)
            {
                BundleFile.TryNext(ref entries, out ReadOnlySpan<byte> record);
                BundleFile.TryNext(ref payloads, out ReadOnlySpan<byte> payload);
                if (sequence == End)
                {
                    _entries.Add((record.ToArray(), payload.ToArray()));
                }
            }

            at += frame.Bytes;
        }

        return true;
    }
}
