using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using Risk.Core;
using Risk.Core.Costs;
using Risk.Core.Log;
using Risk.Core.Transactions;
using Risk.Streams;

namespace Risk.Service.Engine;

/// <summary>What a run reads, how fast, and until when.</summary>
/// <param name="RatePerSecond">Open-loop load: records are due at this rate whatever the engine does, and latency counts from the due time; 0 = as fast as it goes.</param>
/// <param name="RecordsMax">How many of the source's records are taken in all, counted from its beginning, so that the same run again ends where it would have; <see cref="long.MaxValue"/> = all.</param>
/// <param name="IsReproducible">Batches are cut by count alone and decisions are dated by their events, so that runs are equal to the byte.</param>
/// <param name="IsStrict">The first rejected record ends the run.</param>
public sealed record RunOptions(double RatePerSecond, long RecordsMax, bool IsReproducible, bool IsStrict);

/// <summary>
/// Runs batches through the <see cref="ScoringPath"/> on four threads, in order: read and parse, decide, record, commit.
/// A thread hands a batch on and never touches it again; batches come back through a pool, so memory is bounded and a slow
/// stage slows the source. One sync of the log covers every batch that is waiting for it (group commit).
/// </summary>
internal sealed class BatchPipeline : IDisposable
{
    // Enough for every thread to have one in hand and one waiting, and for a few in one sync; more only adds latency. Bench: decision-e2e.
    private const int BatchesInFlight = 16;

    private sealed class Context
    {
        public BatchTimes Times;
        public readonly List<Rejection> Rejections = [];
        public long LastLine;
        public long Records;
    }

    private readonly ScoringPath _path;
    private readonly IDecisionLog _log;
    private readonly CostMeter _meter;
    private readonly DeadLetterFile _deadLetters;
    private readonly DeadLetterSource _source;
    private readonly TransactionParser _parser;
    private readonly BatchPolicy _policy;
    private readonly RunOptions _options;
    private readonly EngineClock _clock;
    private readonly Action? _decided;
    private readonly BlockingCollection<ScoringBatch> _free = new(BatchesInFlight);
    private readonly BlockingCollection<ScoringBatch> _toDecide = new(BatchesInFlight);
    private readonly BlockingCollection<ScoringBatch> _toRecord = new(BatchesInFlight);
    private readonly BlockingCollection<ScoringBatch> _toCommit = new(BatchesInFlight);
    private readonly CancellationTokenSource _stop = new();
    private readonly byte[] _costMethod;
    private ExceptionDispatchInfo? _failure;
    private TimeSpan _cpuBefore;
    private long _wallBefore;

    /// <param name="position">Where the source goes on; its totals continue.</param>
    /// <param name="decided">Called on the deciding thread after each batch (snapshots).</param>
    public BatchPipeline(ScoringPath path, IDecisionLog log, CostMeter meter, DeadLetterFile deadLetters, DeadLetterSource source, TransactionParser parser, BatchPolicy policy, RunOptions options, EngineClock clock, SourcePosition position, Action? decided)
    {
        _path = path;
        _log = log;
        _meter = meter;
        _deadLetters = deadLetters;
        _source = source;
        _parser = parser;
        _policy = policy;
        _options = options;
        _clock = clock;
        _decided = decided;
        Position = position;
        _costMethod = System.Text.Encoding.ASCII.GetBytes(meter.Method == CostMethod.Measured ? "measured" : "modelled");
        for (int i = 0; i < BatchesInFlight; i++)
        {
            ScoringBatch batch = path.CreateBatch(policy.SizeMax);
            batch.HostState = new Context();
            _free.Add(batch);
        }
    }

    /// <summary>How far the run is: the position behind the last batch whose records were written; committed when <see cref="Run"/> has returned.</summary>
    public SourcePosition Position { get; private set; }
    public StageLatencies Latencies { get; } = new();
    public long Decisions { get; private set; }
    public long LateCount { get; private set; }
    /// <summary>The first rejection, when a strict run ended at one.</summary>
    public Rejection? Strict { get; private set; }

    /// <summary>Reads the source to its end (or to the limit) and returns when everything is committed. Rethrows the first failure of any thread.</summary>
    /// <param name="cancellation">Stops reading; what was read is still decided and committed.</param>
    public void Run(ITransactionSource source, CancellationToken cancellation)
    {
        _cpuBefore = Environment.CpuUsage.TotalTime;
        _wallBefore = _clock.NowMicros;
        Thread[] threads =
        [
            Start("decide", () => Each(_toDecide, Decide, _toRecord)),
            Start("record", () => Each(_toRecord, Record, _toCommit)),
            Start("commit", CommitAll),
        ];
        try
        {
            Read(source, cancellation);
        }
        catch (Exception e) when (_failure is not null && e is OperationCanceledException or InvalidOperationException)
        {
            // Another thread failed first; its failure is thrown below.
        }
        finally
        {
            _toDecide.CompleteAdding();
            foreach (Thread thread in threads) { thread.Join(); }
        }
        _failure?.Throw();
    }

    public void Dispose()
    {
        _free.Dispose();
        _toDecide.Dispose();
        _toRecord.Dispose();
        _toCommit.Dispose();
        _stop.Dispose();
    }

    // ---- 1, 2, 5: read, parse, cut into batches ----

    private void Read(ITransactionSource source, CancellationToken cancellation)
    {
        ScoringBatch batch = _free.Take(_stop.Token);
        var context = (Context)batch.HostState!;
        long start = _clock.NowMicros, line = Position.Line, records = 0;
        double microsEach = _options.RatePerSecond > 0 ? 1e6 / _options.RatePerSecond : 0;
        long firstDue = 0;
        while (records < _options.RecordsMax && !cancellation.IsCancellationRequested && Strict is null)
        {
            long due = start + (long)(records * microsEach);
            if (microsEach > 0)
            {
                while (_clock.NowMicros < due)
                {
                    _stop.Token.ThrowIfCancellationRequested();
                    BatchStep step = _policy.Next(new BatchQueue((int)context.Records, false, firstDue, long.MaxValue), _clock.NowMicros);
                    if (step.Close && !_options.IsReproducible) { (batch, context) = Send(batch, context, line); }
                    else { _clock.SleepUntil(_options.IsReproducible ? due : Math.Min(due, step.WakeAtMicros)); }
                }
            }
            else if (context.Records > 0 && !_options.IsReproducible && source.WouldWait)
            {
                (batch, context) = Send(batch, context, line);
            }
            if (!source.TryRead(out SourceRecord record)) { break; }
            long now = microsEach > 0 ? due : _clock.NowMicros;
            if (context.Records == 0) { firstDue = now; }
            line = record.LineNumber;
            records++;
            context.Records++;
            Rejection rejection;
            if (record.Problem != ErrorCode.None) { rejection = _parser.Reject(record.Bytes, line, record.Problem); }
            else if (_parser.Parse(record.Bytes, line, now, batch.Transactions, out rejection) == ErrorCode.None) { rejection = default; }
            if (rejection.Code != ErrorCode.None)
            {
                context.Rejections.Add(rejection);
                if (_options.IsStrict) { Strict ??= rejection; }
            }
            if (context.Records >= _policy.SizeMax || batch.Transactions.IsFull) { (batch, context) = Send(batch, context, line); }
        }
        if (context.Records > 0) { Send(batch, context, line); }
        if (source.Failure is { } failure) { throw new SourceFailedException(failure); }
    }

    private (ScoringBatch, Context) Send(ScoringBatch batch, Context context, long line)
    {
        context.LastLine = line;
        context.Times.Closed = _clock.NowMicros;
        _toDecide.Add(batch, _stop.Token);
        ScoringBatch next = _free.Take(_stop.Token);
        return (next, (Context)next.HostState!);
    }

    // ---- 3, 4, 6, 7: one thread owns the history ----

    private void Decide(ScoringBatch batch, Context context)
    {
        _path.Decide(batch);
        _decided?.Invoke();
        context.Times.DecideEnd = _clock.NowMicros;
    }

    // ---- 7, 8: reasons and records ----

    private void Record(ScoringBatch batch, Context context)
    {
        batch.DecisionMicros = _options.IsReproducible ? ScoringBatch.DatedByEvents : context.Times.DecideEnd;
        batch.Cost = Charge(batch.Count);
        batch.CostMethod = _costMethod;
        _path.Record(batch);
        foreach ((int row, long _) in batch.Conflicts)
        {
            Rejection conflict = TransactionParser.Reject(batch.Transactions, row, ErrorCode.IdConflict);
            context.Rejections.Add(conflict);
            if (_options.IsStrict) { Strict ??= conflict; }
        }
        Position = Position with
        {
            Line = context.LastLine,
            Transactions = Position.Transactions + context.Records,
            Decisions = Position.Decisions + batch.Count,
            DeadLetters = Position.DeadLetters + context.Rejections.Count,
            Duplicates = Position.Duplicates + batch.Duplicates,
        };
        batch.Group.SetPosition(Position.Encode());
        context.Times.RecordEnd = _clock.NowMicros;
    }

    private Cost Charge(int decisions)
    {
        if (_meter.Method == CostMethod.Modelled) { return _meter.Charge(decisions); }
        TimeSpan cpu = Environment.CpuUsage.TotalTime;
        long now = _clock.NowMicros;
        Cost cost = _meter.Charge(Math.Max(0, (long)(cpu - _cpuBefore).TotalMicroseconds), Math.Max(0, now - _wallBefore), decisions);
        (_cpuBefore, _wallBefore) = (cpu, now);
        return cost;
    }

    // ---- 8, 9: the commit point, then the answer ----

    private void CommitAll()
    {
        var group = new List<ScoringBatch>(BatchesInFlight);
        foreach (ScoringBatch first in _toCommit.GetConsumingEnumerable(_stop.Token))
        {
            group.Clear();
            for (ScoringBatch? batch = first; batch is not null; batch = _toCommit.TryTake(out ScoringBatch? next) ? next : null)
            {
                group.Add(batch);
                if (group.Count == BatchesInFlight / 2) { break; }
            }
            // Dead letters first, before any of the group's positions can become durable: a record that the position has
            // passed is never without its decision or its letter. Only this thread touches their file.
            WriteDeadLetters(group);
            foreach (ScoringBatch batch in group) { _log.Append(batch.Group); }
            _log.Commit();
            long now = _clock.NowMicros;
            foreach (ScoringBatch batch in group) { Answer(batch, now); }
        }
    }

    private void WriteDeadLetters(List<ScoringBatch> group)
    {
        bool any = false;
        foreach (ScoringBatch batch in group)
        {
            foreach (Rejection rejection in ((Context)batch.HostState!).Rejections)
            {
                _deadLetters.Append(rejection, _source);
                any = true;
            }
        }
        if (any) { _deadLetters.Flush(durable: true); }
    }

    private void Answer(ScoringBatch batch, long committed)
    {
        var context = (Context)batch.HostState!;
        context.Times.Committed = committed;
        Latencies.Record(context.Times, batch.Transactions.IngestTimes);
        Decisions += batch.Count;
        LateCount += batch.LateCount;
        context.Rejections.Clear();
        context.Records = 0;
        batch.Clear();
        _free.Add(batch);
    }

    // ---- threads ----

    private static void Each(BlockingCollection<ScoringBatch> from, Action<ScoringBatch, Context> stage, BlockingCollection<ScoringBatch> to)
    {
        foreach (ScoringBatch batch in from.GetConsumingEnumerable())
        {
            stage(batch, (Context)batch.HostState!);
            to.Add(batch);
        }
        to.CompleteAdding();
    }

    private Thread Start(string name, Action work)
    {
        var thread = new Thread(() =>
        {
            try
            {
                work();
            }
            catch (Exception failure)
            {
                Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(failure), null);
                _stop.Cancel();
                _toDecide.CompleteAdding();
                _toRecord.CompleteAdding();
                _toCommit.CompleteAdding();
            }
        })
        { Name = $"risk {name}", IsBackground = true };
        thread.Start();
        return thread;
    }
}

/// <summary>The source ended before its end.</summary>
public sealed class SourceFailedException(CodedError error) : IOException(error.ToString())
{
    public CodedError Error { get; } = error;
}
