using Risk.Core;
using Risk.Core.Transactions;
using Risk.Streams;

namespace Risk.Service.Engine;

/// <summary>What a run reads, how fast, and until when.</summary>
/// <param name="RatePerSecond">Open-loop load: records are due at this rate whatever the engine does, and latency counts from the due time; 0 = as fast as it goes.</param>
/// <param name="RecordsMax">How many of the source's records are taken in all, counted from its beginning, so that the same run again ends where it would have; <see cref="long.MaxValue"/> = all.</param>
/// <param name="IsReproducible">Batches are cut by count alone and decisions are dated by their events, so that runs are equal to the byte.</param>
/// <param name="IsStrict">The first rejected record ends the run.</param>
public sealed record RunOptions(double RatePerSecond, long RecordsMax, bool IsReproducible, bool IsStrict);

/// <summary>Reads a source into batches for one shard, at the run's pace: ingest, parse, cut (1, 2, 5). One thread.</summary>
/// <param name="stop">Cancelled when the shard failed; <see cref="Read"/> then throws <see cref="OperationCanceledException"/>.</param>
internal sealed class SourceReader(Shard shard, ScoringPipeline pipeline, TransactionParser parser, BatchPolicy policy, RunOptions options, EngineClock clock, CancellationToken stop)
{
    /// <summary>The rejection that ended a strict run.</summary>
    public Rejection? Strict { get; private set; }

    /// <summary>Reads to the end of the source or of the run; what was read is submitted when it returns.</summary>
    /// <param name="cancellation">Stops reading.</param>
    /// <exception cref="SourceFailedException">The source broke off.</exception>
    public void Read(ITransactionSource source, CancellationToken cancellation)
    {
        ShardBatch batch = pipeline.Rent(shard, stop);
        long start = clock.NowMicros, records = 0;
        double microsEach = options.RatePerSecond > 0 ? 1e6 / options.RatePerSecond : 0;
        while (records < options.RecordsMax && !cancellation.IsCancellationRequested && Strict is null)
        {
            long due = start + (long)(records * microsEach);
            if (microsEach > 0) { batch = WaitUntil(due, batch); }
            else if (batch.Records > 0 && !options.IsReproducible && source.WouldWait) { batch = Send(batch); }
            if (!source.TryRead(out SourceRecord record)) { break; }
            long now = microsEach > 0 ? due : clock.NowMicros;
            if (batch.Records == 0) { batch.FirstArrival = now; }
            records++;
            batch.Records++;
            batch.NextLine = record.LineNumber;
            if (!TryParse(record, now, batch, out Rejection rejection))
            {
                batch.Rejections.Add(rejection);
                if (options.IsStrict) { Strict = rejection; }
            }
            if (batch.Records >= policy.SizeMax || batch.Scoring.Transactions.IsFull) { batch = Send(batch); }
        }
        if (batch.Records > 0) { pipeline.Submit(batch); } else { pipeline.Return(batch); }
        if (source.Failure is { } failure) { throw new SourceFailedException(failure); }
    }

    private ShardBatch WaitUntil(long due, ShardBatch batch)
    {
        while (clock.NowMicros < due)
        {
            stop.ThrowIfCancellationRequested();
            BatchStep step = policy.Next(batch.Queue, clock.NowMicros);
            if (step.Close && !options.IsReproducible) { batch = Send(batch); }
            else { clock.SleepUntil(options.IsReproducible ? due : Math.Min(due, step.WakeAtMicros)); }
        }
        return batch;
    }

    private bool TryParse(in SourceRecord record, long now, ShardBatch batch, out Rejection rejection)
    {
        if (record.Problem != ErrorCode.None)
        {
            rejection = parser.Reject(record.Bytes, record.LineNumber, record.Problem);
            return false;
        }
        return parser.Parse(record.Bytes, record.LineNumber, now, batch.Scoring.Transactions, out rejection) == ErrorCode.None;
    }

    private ShardBatch Send(ShardBatch batch)
    {
        stop.ThrowIfCancellationRequested();
        pipeline.Submit(batch);
        return pipeline.Rent(shard, stop);
    }
}

/// <summary>The source ended before its end.</summary>
public sealed class SourceFailedException(CodedError error) : IOException(error.ToString())
{
    public CodedError Error { get; } = error;
}
