using Risk.Core;
using Risk.Core.Log;
using Risk.Core.Transactions;
using Risk.Service.Serving;
using Risk.Service.Serving.Entities;
using Risk.Streams;

namespace Risk.Service.Engine;

/// <summary>What recovery found and did when a shard was opened.</summary>
/// <param name="Snapshot">Decisions that the state snapshot covered; 0 = none.</param>
/// <param name="Reapplied">Decisions taken again from the log's tail.</param>
/// <param name="Duration">Of both.</param>
public readonly record struct RecoveryReport(long Snapshot, long Reapplied, TimeSpan Duration);

/// <summary>
/// The owner of one partition: its history, its place in the log, its dead letters. One writer: the stages of the
/// <see cref="ScoringPipeline"/> touch it one after the other, never two at once the same part. Opening recovers the state
/// from snapshot and log; a shard that failed is closed and opened again, which is the one way back.
/// </summary>
internal sealed class Shard : IDisposable
{
    private readonly StateSnapshots _snapshots;
    private readonly LiveLabels? _labels;
    private readonly TransactionCodec _codec;
    private readonly TransactionBatch _labelled;
    private readonly LogEntry _entry = new();
    private readonly List<Label> _early = [];
    private Exception? _failure;
    private int _inFlight;

    /// <param name="log">Opened by the caller, owned from here on; so are the letters.</param>
    /// <param name="progress">Told while the log's tail is taken again: done, of how many.</param>
    /// <param name="labels">Outcomes as they become known, those of the store in it already; null where they come from a file.</param>
    public Shard(int partition, ScoringPath path, IDecisionLog log, StateSnapshots snapshots, IDeadLetters letters, TransactionKeys keys, int batchSize, EngineClock clock, LiveLabels? labels = null, Action<long, long>? progress = null)
    {
        _labels = labels;
        _codec = new TransactionCodec(path.Definition.Schema, keys);
        _labelled = new TransactionBatch(path.Definition.Schema, 1);
        Partition = partition;
        Path = path;
        Log = log;
        Letters = letters;
        _snapshots = snapshots;
        Recovery = Recover(keys, batchSize, clock, progress);
    }

    public int Partition { get; }
    public ScoringPath Path { get; }
    public IDecisionLog Log { get; }
    public IDeadLetters Letters { get; }
    public RecoveryReport Recovery { get; }

    /// <summary>The source as it stands in dead letters.</summary>
    public DeadLetterSource LetterSource { get; set; } = new("", "");

    /// <summary>Behind the last batch whose records were written; committed once that batch is answered.</summary>
    public SourcePosition Position { get; set; }

    /// <summary>Why the shard takes nothing more; null while it is well.</summary>
    public Exception? Failure => Volatile.Read(ref _failure);

    /// <summary>Batches in the pipeline.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    public long StateBytes => Path.Features.StateBytes + Path.Known.StateBytes;

    /// <summary>Marks the shard as failed; true for the first who says so.</summary>
    public bool TryFail(Exception failure) => Interlocked.CompareExchange(ref _failure, failure, null) is null;

    public void Enter() => Interlocked.Increment(ref _inFlight);

    public void Leave() => Interlocked.Decrement(ref _inFlight);

    /// <summary>Outcomes as they become known; null where they come from a file.</summary>
    public LiveLabels? Labels => _labels;

    /// <summary>Links to the owners of entities that are not the shard's own; null where all are.</summary>
    public EntityLinks? Links { get; set; }

    /// <summary>The shared entities that are kept beside this shard; null where there are none.</summary>
    public EntityOwner? Owner => _snapshots.Entities;

    /// <summary>Source of the labels as it stands in dead letters.</summary>
    public DeadLetterSource LabelSource { get; set; } = new("", "");

    /// <summary>
    /// Takes in outcomes that became known. One whose transaction is still to come is met when it comes; one whose transaction
    /// was decided a moment ago, and is not in the log yet, is learned with the next batch. On the deciding thread.
    /// </summary>
    public void Learn(List<Label> labels)
    {
        foreach (Label label in labels)
        {
            if (_labels!.Add(label)) { _early.Add(label); }
        }
        _early.RemoveAll(label => TryLearn(label));
        _snapshots.LabelCount = _labels!.Count;
    }

    /// <summary>There are outcomes that wait for the log.</summary>
    public bool HasEarlyLabels => _early.Count > 0;

    /// <summary>Takes a snapshot when it is time for one. On the deciding thread, between batches.</summary>
    public void OfferSnapshot()
    {
        if (_early.Count == 0) { _snapshots.Offer(Path); }
    }

    /// <summary>Takes a snapshot now, with nothing in flight and the log durable.</summary>
    public void SaveSnapshot() => _snapshots.Save(Path);

    /// <summary>The same, when at least so many decisions came since the last.</summary>
    public void SaveSnapshotIf(long decisions)
    {
        if (_snapshots.Behind(Path) >= decisions) { _snapshots.Save(Path); }
    }

    public void Dispose()
    {
        // Whatever fails to close, the log still publishes its checkpoint and gives its lock back.
        try
        {
            _snapshots.Dispose();
            Letters.Dispose();
        }
        finally
        {
            Log.Dispose();
        }
    }

    private RecoveryReport Recover(TransactionKeys keys, int batchSize, EngineClock clock, Action<long, long>? progress)
    {
        long started = clock.NowMicros, covered = _snapshots.Load(Path), size = Log.Size;
        ScoringBatch batch = Path.CreateBatch(batchSize);
        using (IDecisionLogReader reader = Log.Read(covered))
        {
            while (reader.Read())
            {
                LogTail.Append(reader.Record, reader.Payload, _codec, keys, batch, Path);
                if (!batch.Transactions.IsFull) { continue; }
                LogTail.Reapply(Path, batch);
                progress?.Invoke(reader.Sequence + 1 - covered, size - covered);
            }
        }
        LogTail.Reapply(Path, batch);
        // Transactions of the tail met their labels as they came; those of the snapshot lack what was learned after it.
        for (int i = _snapshots.LabelCount; i < (_labels?.Count ?? 0); i++)
        {
            if (Path.Known.TryFind(_labels![i].EventKey, out long sequence) && sequence < covered) { LearnFromLog(_labels[i], sequence); }
        }
        _snapshots.LabelCount = _labels?.Count ?? 0;
        return new RecoveryReport(covered, size - covered, TimeSpan.FromMicroseconds(clock.NowMicros - started));
    }

    /// <summary>False when the transaction was decided and is not in the log yet.</summary>
    private bool TryLearn(in Label label)
    {
        if (!Path.Known.TryFind(label.EventKey, out long sequence)) { return true; }
        if (sequence >= Log.Size) { return false; }
        LearnFromLog(label, sequence);
        return true;
    }

    private void LearnFromLog(in Label label, long sequence)
    {
        if (!Log.TryRead(sequence, _entry)) { throw new DecisionLogException(LogCodes.Corrupt, $"entry {sequence} of partition {Partition} cannot be read"); }
        bool isReadable = DecisionRecordCodec.Read(_entry.Record, out DecisionRecord record) == RecordFault.None && PrivatePayloadCodec.Read(_entry.Payload, out PrivatePayload payload) == RecordFault.None
            && AppendTo(payload.Transaction, record);
        // An erased transaction has no history to correct, and a late one never entered it.
        if (isReadable && !record.Flags.HasFlag(RecordFlags.Late))
        {
            Path.Learn(_labelled, 0, label.KnownAt);
            Links?.Learn(_labelled, label.KnownAt);
        }
    }

    private bool AppendTo(ReadOnlySpan<byte> canonical, in DecisionRecord record)
    {
        _labelled.Clear();
        return _codec.Append(canonical, record.SourceOffset, record.EventTimeMicros, _labelled);
    }
}
