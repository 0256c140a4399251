namespace Risk.Core.Log;

/// <summary>
/// The append-only decision log, the commit point of the engine: nothing is answered before <see cref="Commit"/> returned.
/// One thread appends and commits; <see cref="TryRead"/> may be called from any. Implementations pass one contract suite.
/// Every member may throw <see cref="DecisionLogException"/>; after a fatal one the log only reads.
/// </summary>
public interface IDecisionLog : IDisposable
{
    /// <summary>The log's identity, first line of its checkpoints, e.g. <c>risk/card-payments</c>.</summary>
    string Origin { get; }

    /// <summary>Entries appended, durable or not; the sequence of the next one.</summary>
    long Size { get; }

    /// <summary>Entries that survive a power cut.</summary>
    long DurableSize { get; }

    /// <summary>The position that the last appended group carried, after a restart the last durable one; empty in a new log.</summary>
    ReadOnlySpan<byte> LastPosition { get; }

    /// <summary>
    /// Takes a copy of the group, to be made durable by the next <see cref="Commit"/>. A group is recovered whole or not at
    /// all. It may hold no records (a batch of rejections) and still move the position.
    /// </summary>
    /// <exception cref="ArgumentException">The group doesn't start at <see cref="Size"/>, or a payload is missing.</exception>
    void Append(DecisionGroup group);

    /// <summary>Returns when everything appended so far is durable; many groups share one sync.</summary>
    void Commit();

    /// <summary>Reads any appended entry into a buffer the caller owns; false when there is no such sequence.</summary>
    bool TryRead(long sequence, LogEntry entry);

    /// <summary>Reads entries in order from <paramref name="from"/> to the size the log has now.</summary>
    IDecisionLogReader Read(long from);

    /// <summary>Merkle tree hash of all durable entries (RFC 6962, section 2.1), 32 bytes.</summary>
    byte[] RootHash();

    /// <summary>Signs and publishes a checkpoint of all durable entries, now.</summary>
    void PublishCheckpoint();
}

/// <summary>A reusable buffer for one entry and its private payload.</summary>
public sealed class LogEntry
{
    private byte[] _record = new byte[1024];
    private byte[] _payload = new byte[1024];
    private int _recordLength;
    private int _payloadLength;

    /// <summary>The entry's bytes, to be read by <see cref="DecisionRecordCodec"/>.</summary>
    public ReadOnlySpan<byte> Record => _record.AsSpan(0, _recordLength);

    /// <summary>The payload's bytes; empty when it was erased.</summary>
    public ReadOnlySpan<byte> Payload => _payload.AsSpan(0, _payloadLength);

    public void Set(ReadOnlySpan<byte> record, ReadOnlySpan<byte> payload)
    {
        _recordLength = Copy(record, ref _record);
        _payloadLength = Copy(payload, ref _payload);
    }

    private static int Copy(ReadOnlySpan<byte> from, ref byte[] to)
    {
        if (to.Length < from.Length)
        {
            to = new byte[Math.Max(from.Length, to.Length * 2)];
        }

        from.CopyTo(to);
        return from.Length;
    }
}

/// <summary>Stable codes of what can be wrong with a log.</summary>
public static class LogCodes
{
    /// <summary>Another process has the log open.</summary>
    public const string InUse = "LOG_IN_USE";

    /// <summary>The log is shorter than, or differs from, a checkpoint it has signed.</summary>
    public const string Rollback = "LOG_ROLLBACK";

    /// <summary>A write or sync failed; the log reads only until it is opened again.</summary>
    public const string ReadOnly = "LOG_READ_ONLY";

    /// <summary>Another owner has opened the log since; this one can write no more and must be opened again.</summary>
    public const string Fenced = "FENCED";

    /// <summary>The database does not answer; nothing is lost, the same call may succeed later.</summary>
    public const string Unavailable = "STORE_UNAVAILABLE";

    /// <summary>The database's reply to a commit was lost; the commit was read back, is durable, and was not written again.</summary>
    public const string CommitReread = "COMMIT_REREAD";

    /// <summary>The database's reply was lost before anything was durable; the same commit was sent again.</summary>
    public const string CommitResent = "COMMIT_RESENT";

    /// <summary>Deadlock or serialization failure: the database wrote nothing, and the same commit was sent again.</summary>
    public const string Conflict = "STORE_CONFLICT";

    /// <summary>The database lacks a migration that this program needs, or has one that was changed after it was applied.</summary>
    public const string Schema = "STORE_SCHEMA";

    /// <summary>Files, or rows, contradict themselves.</summary>
    public const string Corrupt = "LOG_CORRUPT";

    /// <summary>The directory holds another log, or its key is another one.</summary>
    public const string Other = "LOG_OTHER";

    /// <summary>A torn tail of the journal was cut back to the last whole group.</summary>
    public const string RecoveredTail = "RECOVERED_TAIL";
}

/// <summary>The outside world failed the log.</summary>
/// <param name="code">One of <see cref="LogCodes"/>.</param>
/// <param name="isRetriable">True when the same call may succeed later without anyone's help.</param>
public sealed class DecisionLogException(string code, string message, bool isRetriable = false, Exception? inner = null)
    : IOException($"{code}: {message}", inner)
{
    public string Code { get; } = code;

    public bool IsRetriable { get; } = isRetriable;
}
