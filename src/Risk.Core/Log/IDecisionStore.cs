using System.Diagnostics.CodeAnalysis;
using Risk.Core.Transactions;

namespace Risk.Core.Log;

/// <summary>
/// Where the logs of one stream's partitions are kept, with what belongs to them: files of one directory, or PostgreSQL.
/// Thread-safe, but for each log itself (<see cref="IDecisionLog"/>). Implementations pass one contract suite.
/// </summary>
public interface IDecisionStore : IDisposable
{
    /// <summary>Told of each fault that a commit overcame by itself, in the committing thread: its code of <see cref="LogCodes"/> and a sentence.</summary>
    Action<string, string>? Overcame { get; set; }

    /// <summary>
    /// Opens a partition's log for writing, makes it when there is none, and takes ownership: every earlier opening of it, in
    /// whatever process, can write no more and gets <c>FENCED</c> (or, where a lock is the fence, this one waits its turn:
    /// <c>LOG_IN_USE</c>, retriable).
    /// </summary>
    /// <param name="partition">0-based.</param>
    /// <param name="owner">Where the owner is reached, for <see cref="Owners"/>: an address such as <c>http://10.0.0.7:8080</c>; may be empty.</param>
    /// <exception cref="DecisionLogException"><c>LOG_IN_USE</c>, <c>STORE_UNAVAILABLE</c> (both retriable), <c>LOG_ROLLBACK</c>, <c>LOG_CORRUPT</c>, <c>LOG_OTHER</c>.</exception>
    IDecisionLog Open(int partition, string owner);

    /// <summary>
    /// Makes durable what was appended to any of these logs of this store, in one round where the store can; the logs must not
    /// be used meanwhile. A log that fails does not keep the others from it: its failure is added to the list.
    /// </summary>
    void Commit(IReadOnlyList<IDecisionLog> logs, ICollection<(IDecisionLog Log, DecisionLogException Failure)> failures);

    /// <summary>Reads what is durable of a partition's log without owning it, as far as anyone but the owner can see it; null where there is none.</summary>
    IDecisionLogReader? Read(int partition, long from);

    /// <summary>The newest owner of each partition that has a log. A hint: it may have gone.</summary>
    IReadOnlyList<PartitionOwner> Owners();

    /// <summary>Keeps how many partitions the stream has, unless that is kept already, and returns what is kept: the number whoever came first was told.</summary>
    /// <param name="told">At least 1.</param>
    int KeepPartitionCount(int told);

    /// <summary>Finds a durable decision of any partition by its event's key, without its owner; false where the store keeps no index of that.</summary>
    bool TryFind(in EntityKey eventKey, LogEntry entry);

    /// <summary>The partition's state snapshots.</summary>
    ISnapshotStore Snapshots(int partition);

    /// <summary>Keeps outcomes that became known, in order; durable on return. The same label again does no harm.</summary>
    void AddLabels(int partition, IReadOnlyList<Label> labels);

    /// <summary>All outcomes of the partition that were kept, in order.</summary>
    IReadOnlyList<Label> Labels(int partition);
}

/// <summary>Who wrote a partition last, and where it can be reached.</summary>
/// <param name="Epoch">Counts the partition's owners.</param>
public readonly record struct PartitionOwner(int Partition, long Epoch, string Owner);

/// <summary>
/// Snapshots of a partition's state, so that an owner replays only the log's tail. A snapshot is a cache: one that is damaged,
/// or was made by another feature catalog, is passed over, and nothing is lost but time.
/// </summary>
public interface ISnapshotStore
{
    /// <summary>Saves a snapshot, whole or not at all; durable on return. The last two stay.</summary>
    /// <param name="sequence">Entries of the decision log it includes; all of them must be durable.</param>
    /// <param name="catalogDigest">32 bytes: by what the content was made.</param>
    /// <param name="content">Opaque.</param>
    /// <exception cref="IOException">It could not be saved; the earlier snapshots are still there.</exception>
    void Save(long sequence, ReadOnlySpan<byte> catalogDigest, ReadOnlySpan<byte> content);

    /// <summary>Loads the newest whole snapshot by that catalog that includes no more of the log than there is; false when there is none.</summary>
    /// <param name="catalogDigest">32 bytes.</param>
    /// <param name="logSize">Entries of the log.</param>
    /// <param name="sequence">Entries of the log it includes: replay goes on from this sequence.</param>
    /// <param name="content">What was saved.</param>
    bool TryLoad(ReadOnlySpan<byte> catalogDigest, long logSize, out long sequence, [NotNullWhen(true)] out byte[]? content);
}

/// <summary>Reads entries of a log in order, with their payloads. <code>while (reader.Read()) { use(reader.Record, reader.Payload); }</code></summary>
public interface IDecisionLogReader : IDisposable
{
    /// <summary>Sequence of the current entry.</summary>
    long Sequence { get; }

    /// <summary>The end: sequence after the last entry that will be read.</summary>
    long End { get; }

    /// <summary>The current entry; valid until the next <see cref="Read"/>.</summary>
    ReadOnlySpan<byte> Record { get; }

    /// <summary>The current payload; empty when it was erased; valid until the next <see cref="Read"/>.</summary>
    ReadOnlySpan<byte> Payload { get; }

    /// <summary>Goes to the next entry; false at the end.</summary>
    bool Read();
}
