using Risk.Core;
using Risk.Core.Log;
using Risk.Core.Transactions;
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
    private Exception? _failure;
    private int _inFlight;

    /// <param name="log">Opened by the caller, owned from here on; so are the letters.</param>
    /// <param name="progress">Told while the log's tail is taken again: done, of how many.</param>
    public Shard(int partition, ScoringPath path, IDecisionLog log, StateSnapshots snapshots, IDeadLetters letters, TransactionKeys keys, int batchSize, EngineClock clock, Action<long, long>? progress = null)
    {
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

    /// <summary>Outcomes as they become known; null where they come from a file.</summary>
    public Serving.LiveLabels? Labels { get; init; }

    public long StateBytes => Path.Features.StateBytes + Path.Known.StateBytes;

    /// <summary>Marks the shard as failed; true for the first who says so.</summary>
    public bool TryFail(Exception failure) => Interlocked.CompareExchange(ref _failure, failure, null) is null;

    public void Enter() => Interlocked.Increment(ref _inFlight);

    public void Leave() => Interlocked.Decrement(ref _inFlight);

    /// <summary>Takes a snapshot when it is time for one. On the deciding thread, between batches.</summary>
    public void OfferSnapshot() => _snapshots.Offer(Path);

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
        var codec = new TransactionCodec(Path.Definition.Schema, keys);
        ScoringBatch batch = Path.CreateBatch(batchSize);
        using (IDecisionLogReader reader = Log.Read(covered))
        {
            while (reader.Read())
            {
                LogTail.Append(reader.Record, reader.Payload, codec, keys, batch, Path);
                if (!batch.Transactions.IsFull) { continue; }
                LogTail.Reapply(Path, batch);
                progress?.Invoke(reader.Sequence + 1 - covered, size - covered);
            }
        }
        LogTail.Reapply(Path, batch);
        return new RecoveryReport(covered, size - covered, TimeSpan.FromMicroseconds(clock.NowMicros - started));
    }
}
