using Risk.Core.Log;

namespace Risk.Storage.Log;

/// <summary>A segment file as it lay there at opening.</summary>
/// <param name="Path">Full path.</param>
/// <param name="File">Open; the journal takes it over.</param>
/// <param name="Header">Valid only when <paramref name="IsLive"/>.</param>
/// <param name="IsLive">It may hold entries that are in no durable tile.</param>
internal readonly record struct FoundSegment(string Path, IJournalFile File, SegmentHeader Header, bool IsLive);

/// <summary>Takes recovered frames in order.</summary>
internal delegate void FrameTaker(in JournalFrame frame);

/// <summary>
/// Reads a journal after a stop, clean or not. What was acknowledged is in whole commits; of the last commit, which may be
/// torn, the whole frames before the tear count. A bad commit that a whole later one follows is damage, not a tear.
/// </summary>
internal sealed class JournalRecovery
{
    private readonly List<FoundSegment> _found = [];

    public IReadOnlyList<FoundSegment> Found => _found;

    /// <summary>The newest segment's id; 0 when there is none.</summary>
    public long LastId { get; private set; }

    /// <summary>Sequence of the first entry the journal still holds; 0 in a new log.</summary>
    public long FirstSequence { get; private set; }

    /// <summary>Sequence after the last recovered entry, known after <see cref="Read"/>.</summary>
    public long EndSequence { get; private set; }

    /// <summary>1 when the tail was torn and cut back (<c>RECOVERED_TAIL</c>).</summary>
    public int RecoveredTails { get; private set; }

    /// <summary>True when there is no journal at all.</summary>
    public bool IsEmpty => LastId == 0;

    /// <summary>Opens the segment files of a folder and finds out which of them count.</summary>
    public void Open(ILogDisk disk, string folder)
    {
        var all = new List<FoundSegment>();
        byte[] start = new byte[2 * JournalFormat.BlockBytes];
        foreach (string path in Directory.GetFiles(folder, "segment-*.journal").Order(StringComparer.Ordinal))
        {
            IJournalFile file = disk.OpenJournal(path, 0);
            bool whole = file.Bytes >= start.Length && HasAnchor(file, start, out SegmentHeader header);
            all.Add(new FoundSegment(path, file, whole ? ReadHeader(start) : default, whole));
        }

        FoundSegment newest = all.Where(s => s.IsLive).OrderBy(s => s.Header.Id).LastOrDefault();
        LastId = newest.Header.Id;
        foreach (FoundSegment segment in all.OrderBy(s => s.Header.Id))
        {
            _found.Add(segment with { IsLive = segment.IsLive && segment.Header.Id >= newest.Header.OldestLiveId });
        }

        FirstSequence = _found.FirstOrDefault(s => s.IsLive).Header.FirstSequence;
    }

    /// <summary>Hands out all frames in order.</summary>
    /// <exception cref="DecisionLogException"><c>LOG_CORRUPT</c>: damage that no crash explains.</exception>
    public void Read(FrameTaker take)
    {
        FoundSegment[] live = [.. _found.Where(s => s.IsLive)];
        long next = FirstSequence;
        for (int i = 0; i < live.Length; i++)
        {
            bool isLast = i == live.Length - 1;
            next = ReadSegment(live[i], next, isLast, take);
            EndSequence = next;
            if (!isLast && live[i + 1].Header.FirstSequence != next)
            {
                throw Corrupt(live[i].Path, $"it ends at {next}, the next segment begins at {live[i + 1].Header.FirstSequence}");
            }
        }
    }

    private static SegmentHeader ReadHeader(ReadOnlySpan<byte> start) =>
        JournalFormat.TryReadHeader(start, out SegmentHeader header) ? header : default;

    /// <summary>The anchor is the first commit; only with it whole does the segment exist.</summary>
    private static bool HasAnchor(IJournalFile file, byte[] start, out SegmentHeader header)
    {
        file.Read(0, start);
        if (!JournalFormat.TryReadHeader(start, out header) ||
            !JournalFormat.TryReadCommit(start.AsSpan(JournalFormat.BlockBytes), header.Id, out int bytes, out long number) ||
            number != 0 || JournalFormat.BlockBytes + (long)bytes > file.Bytes)
        {
            return false;
        }

        byte[] commit = new byte[bytes];
        file.Read(JournalFormat.BlockBytes, commit);
        return JournalFormat.TryReadFrame(commit.AsSpan(JournalFormat.CommitHeaderBytes), out JournalFrame frame) &&
            frame.FirstSequence == header.FirstSequence;
    }

    private long ReadSegment(in FoundSegment segment, long next, bool isLast, FrameTaker take)
    {
        byte[] bytes = new byte[segment.File.Bytes];
        segment.File.Read(0, bytes);
        long id = segment.Header.Id;
        long offset = JournalFormat.BlockBytes;
        for (long number = 0; ; number++)
        {
            ReadOnlySpan<byte> rest = bytes.AsSpan((int)Math.Min(offset, bytes.Length));
            bool hasHeader = JournalFormat.TryReadCommit(rest, id, out int commitBytes, out long found) && found == number;
            bool whole = hasHeader && ReadCommit(rest, commitBytes, ref next, take);
            if (!whole)
            {
                bool anythingAfter = FollowsWholeCommit(bytes, offset + JournalFormat.BlockBytes, id, number);
                if (anythingAfter || (hasHeader && !isLast))
                {
                    throw Corrupt(segment.Path, $"its commit {number} at byte {offset} is damaged after it was acknowledged; entries from {next} on");
                }

                if (hasHeader)
                {
                    RecoveredTails++;
                }

                return next;
            }

            offset = JournalFormat.AlignBlock(offset + commitBytes);
        }
    }

    /// <summary>True when every frame is whole; takes those before the tear in any case.</summary>
    private static bool ReadCommit(ReadOnlySpan<byte> from, int commitBytes, ref long next, FrameTaker take)
    {
        int at = JournalFormat.CommitHeaderBytes;
        while (at < commitBytes)
        {
            if (commitBytes > from.Length || !JournalFormat.TryReadFrame(from[at..commitBytes], out JournalFrame frame) || frame.FirstSequence != next)
            {
                return false;
            }

            take(frame);
            next += frame.Count;
            at += frame.Bytes;
        }

        return true;
    }

    /// <summary>A commit begins only after the one before it was synced: one with a greater number proves that this one was whole.</summary>
    private static bool FollowsWholeCommit(ReadOnlySpan<byte> bytes, long from, long id, long number)
    {
        for (long at = from; at < bytes.Length; at += JournalFormat.BlockBytes)
        {
            if (JournalFormat.TryReadCommit(bytes[(int)at..], id, out _, out long later) && later > number)
            {
                return true;
            }
        }

        return false;
    }

    private static DecisionLogException Corrupt(string path, string what) =>
        new(LogCodes.Corrupt, $"Journal segment {path} contradicts itself: {what}.");
}
