using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Risk.Core;
using Risk.Core.Costs;
using Risk.Core.Log;
using Risk.Core.Models;
using Risk.Core.Transactions;

namespace Risk.Service.Engine;

/// <summary>What happens to a batch outside the pipeline.</summary>
internal interface IPipelineHost
{
    /// <summary>Makes durable what was appended to these logs; failures are added, one a log.</summary>
    void Commit(IReadOnlyList<IDecisionLog> logs, ICollection<(IDecisionLog Log, DecisionLogException Failure)> failures);

    /// <summary>The batch is durable, or dropped with its failed shard; after this it goes back to the pool. On the answering thread.</summary>
    void Answer(ShardBatch batch);

    /// <summary>The shard failed; its batches are dropped from here on. Called once a shard, on any of the threads.</summary>
    void Failed(Shard shard, Exception failure);
}

/// <summary>
/// Runs the batches of all shards of a process through the <see cref="ScoringPath"/> on four threads, in order: decide,
/// record, commit, answer. A thread hands a batch on and never touches it again; batches come back through a pool, so memory
/// is bounded and a slow stage slows the source. One round of the store covers every batch that is waiting for it (group
/// commit). A fault belongs to one shard: it fails, the others go on.
/// </summary>
internal sealed class ScoringPipeline : IDisposable
{
    // Most batches that one commit covers; with the others being decided meanwhile. Bench: decision-e2e.
    private const int GroupMax = 8;

    private readonly IPipelineHost _host;
    private readonly CostLedger _ledger;
    private readonly Lock _charging = new(); // the recording thread charges, others look
    private readonly EngineClock _clock;
    private readonly bool _isReproducible;
    private readonly BlockingCollection<ShardBatch> _free = [];
    private readonly BlockingCollection<ShardBatch> _toDecide = [];
    private readonly BlockingCollection<ShardBatch> _toRecord = [];
    private readonly BlockingCollection<ShardBatch> _toCommit = [];
    private readonly BlockingCollection<ShardBatch> _toAnswer = [];
    private readonly Thread[] _threads;
    private readonly Func<long>? _beside;
    private TimeSpan _cpuBefore;
    private long _wallBefore, _besideBefore;

    /// <param name="batches">How many there are in all: the bound of everything in flight.</param>
    /// <param name="beside">Processor time of this process that others bear, microseconds so far; null for none. On any thread.</param>
    /// <param name="isReproducible">Decisions are dated by their events, so that runs are equal to the byte.</param>
    public ScoringPipeline(int batches, Func<ScoringBatch> create, IPipelineHost host, CostLedger ledger, EngineClock clock, bool isReproducible, Func<long>? beside = null)
    {
        _beside = beside;
        _besideBefore = beside?.Invoke() ?? 0;
        _host = host;
        _ledger = ledger;
        _clock = clock;
        _isReproducible = isReproducible;
        for (int i = 0; i < batches; i++) { _free.Add(new ShardBatch(create())); }
        _cpuBefore = Environment.CpuUsage.TotalTime;
        _wallBefore = clock.NowMicros;
        _threads =
        [
            Start("decide", () => Each(_toDecide, Decide, _toRecord)),
            Start("record", () => Each(_toRecord, Record, _toCommit)),
            Start("commit", CommitAll),
            Start("answer", AnswerAll),
        ];
    }

    public StageLatencies Latencies { get; } = new();
    public long Decisions { get; private set; }
    public long LateCount { get; private set; }
    public long Duplicates { get; private set; }

    /// <summary>Batches on their way.</summary>
    public int Waiting => _toDecide.Count + _toRecord.Count + _toCommit.Count + _toAnswer.Count;

    /// <summary>Enough batches are free for a source that was held back to go on.</summary>
    public bool HasRoom => _free.Count >= GroupMax;

    /// <summary>An empty batch for the shard; waits for one.</summary>
    public ShardBatch Rent(Shard shard, CancellationToken cancellation) => Lend(_free.Take(cancellation), shard);

    /// <summary>An empty batch for the shard, if there is one within that time.</summary>
    public bool TryRent(Shard shard, TimeSpan wait, [NotNullWhen(true)] out ShardBatch? batch)
    {
        batch = _free.TryTake(out ShardBatch? free, wait) ? Lend(free, shard) : null;
        return batch is not null;
    }

    /// <summary>Hands a batch on; never waits.</summary>
    public void Submit(ShardBatch batch)
    {
        batch.Times.Closed = _clock.NowMicros;
        _toDecide.Add(batch);
    }

    /// <summary>Puts a batch back that holds nothing.</summary>
    public void Return(ShardBatch batch)
    {
        batch.Shard!.Leave();
        batch.Clear();
        _free.Add(batch);
    }

    /// <summary>Returns when everything that was submitted is answered.</summary>
    public void Complete()
    {
        _toDecide.CompleteAdding();
        foreach (Thread thread in _threads) { thread.Join(); }
    }

    public void Dispose()
    {
        Complete();
        _free.Dispose();
        _toDecide.Dispose();
        _toRecord.Dispose();
        _toCommit.Dispose();
        _toAnswer.Dispose();
    }

    private static ShardBatch Lend(ShardBatch batch, Shard shard)
    {
        batch.Shard = shard;
        shard.Enter();
        return batch;
    }

    // ---- 3, 4, 6, 7: one thread owns the histories ----

    private void Decide(ShardBatch batch)
    {
        Shard shard = batch.Shard!;
        if (batch.Watermark > 0) { shard.Path.Features.AdvanceWatermark(batch.Watermark); }
        if (batch.Labels.Count > 0 || shard.HasEarlyLabels) { shard.Learn(batch.Labels); }
        batch.Scoring.Demand = new ScoringDemand(_clock.NowMicros, batch.FirstArrival, batch.EarliestDeadline);
        if (shard.Links is { } links)
        {
            shard.Path.Admit(batch.Scoring);
            if (batch.GreetsOwners) { links.Greet(batch.Scoring.Group.FirstSequence); }
            links.Fetch(batch.Scoring);
            shard.Path.DecideAdmitted(batch.Scoring);
        }
        else { shard.Path.Decide(batch.Scoring); }
        foreach ((EntityKey key, _) in batch.Queries) { batch.Found.Add(shard.Path.Known.TryFind(key, out long sequence) ? sequence : -1); }
        shard.OfferSnapshot();
        batch.Times.DecideEnd = _clock.NowMicros;
    }

    // ---- 7, 8: reasons and records ----

    private void Record(ShardBatch batch)
    {
        ScoringBatch scoring = batch.Scoring;
        Shard shard = batch.Shard!;
        scoring.DecisionMicros = _isReproducible ? ScoringBatch.DatedByEvents : batch.Times.DecideEnd;
        scoring.Cost = Charge(scoring.Count);
        scoring.CostMethod = _ledger.MethodWord;
        shard.Path.Record(scoring);
        foreach ((int row, long _) in scoring.Conflicts) { batch.Rejections.Add(TransactionParser.Reject(scoring.Transactions, row, ErrorCode.IdConflict)); }
        SourcePosition before = shard.Position;
        shard.Position = batch.Position = before with
        {
            Line = batch.NextLine ?? before.Line,
            Transactions = before.Transactions + batch.Records,
            Decisions = before.Decisions + scoring.Count,
            DeadLetters = before.DeadLetters + batch.Rejections.Count,
            Duplicates = before.Duplicates + scoring.Duplicates.Count,
            Watermark = Math.Max(before.Watermark, batch.Watermark),
            LabelLine = batch.NextLabelLine ?? before.LabelLine,
        };
        scoring.Group.SetPosition(shard.Position.Encode());
        batch.Times.RecordEnd = _clock.NowMicros;
    }

    /// <summary>Looks at the ledger with everything charged up to now; what no decision bears yet is carried to the next. On any thread.</summary>
    public T ReadCosts<T>(Func<CostLedger, T> read)
    {
        lock (_charging)
        {
            ChargeTime(0);
            return read(_ledger);
        }
    }

    private Cost Charge(int decisions)
    {
        lock (_charging) { return ChargeTime(decisions); }
    }

    private Cost ChargeTime(int decisions)
    {
        if (_ledger.Method == CostMethod.Modelled) { return _ledger.Charge(decisions); }
        long beside = (_beside?.Invoke() ?? 0) - _besideBefore;
        TimeSpan cpu = Environment.CpuUsage.TotalTime;
        long now = _clock.NowMicros, micros = Math.Max(0, (long)(cpu - _cpuBefore).TotalMicroseconds);
        // The process' clock may tick more coarsely than a thread's: what is ahead of it is left out next time.
        beside = Math.Clamp(beside, 0, micros);
        Cost cost = _ledger.Charge(micros, Math.Max(0, now - _wallBefore), decisions, beside);
        (_cpuBefore, _wallBefore, _besideBefore) = (cpu, now, _besideBefore + beside);
        return cost;
    }

    // ---- 8: the commit point ----

    private void CommitAll()
    {
        var group = new List<ShardBatch>(GroupMax);
        var logs = new List<IDecisionLog>();
        var failures = new List<(IDecisionLog Log, DecisionLogException Failure)>();
        foreach (ShardBatch first in _toCommit.GetConsumingEnumerable())
        {
            group.Clear();
            for (ShardBatch? batch = first; batch is not null; batch = group.Count < GroupMax && _toCommit.TryTake(out ShardBatch? next) ? next : null) { group.Add(batch); }
            Commit(group, logs, failures);
            long now = _clock.NowMicros;
            foreach (ShardBatch batch in group)
            {
                batch.Times.Committed = now;
                batch.IsDropped = batch.Shard!.Failure is not null;
                _toAnswer.Add(batch);
            }
        }
        _toAnswer.CompleteAdding();
    }

    private void Commit(List<ShardBatch> group, List<IDecisionLog> logs, List<(IDecisionLog Log, DecisionLogException Failure)> failures)
    {
        logs.Clear();
        failures.Clear();
        foreach (ShardBatch batch in group)
        {
            Guarded(batch, Append);
            if (batch.Shard!.Failure is null && !logs.Contains(batch.Shard.Log)) { logs.Add(batch.Shard.Log); }
        }
        try
        {
            _host.Commit(logs, failures);
        }
        catch (Exception failure)
        {
            foreach (ShardBatch batch in group) { Fail(batch.Shard!, failure); }
        }
        foreach ((IDecisionLog log, DecisionLogException failure) in failures)
        {
            foreach (ShardBatch batch in group)
            {
                if (batch.Shard!.Log == log) { Fail(batch.Shard, failure); }
            }
        }
    }

    /// <summary>
    /// Dead letters first, before the position can become durable: a record that the position has passed is never without its
    /// decision or its letter.
    /// </summary>
    private static void Append(ShardBatch batch)
    {
        Shard shard = batch.Shard!;
        foreach (Rejection rejection in batch.Rejections) { shard.Letters.Append(rejection, shard.LetterSource); }
        foreach (Rejection rejection in batch.LabelRejections) { shard.Letters.Append(rejection, shard.LabelSource); }
        if (batch.Rejections.Count + batch.LabelRejections.Count > 0) { shard.Letters.Flush(durable: true); }
        if (!batch.MovesNothing) { shard.Log.Append(batch.Scoring.Group); }
    }

    // ---- 9: answers; all of them can be made again from the log ----

    private void AnswerAll()
    {
        foreach (ShardBatch batch in _toAnswer.GetConsumingEnumerable())
        {
            Shard shard = batch.Shard!;
            if (!batch.IsDropped)
            {
                Latencies.Record(batch.Times, batch.Scoring.Transactions.IngestTimes);
                Decisions += batch.Scoring.Count;
                LateCount += batch.Scoring.LateCount;
                Duplicates += batch.Scoring.Duplicates.Count;
            }
            try
            {
                _host.Answer(batch);
            }
            catch (Exception failure)
            {
                Fail(shard, failure);
            }
            Return(batch);
        }
    }

    // ---- threads ----

    private void Each(BlockingCollection<ShardBatch> from, Action<ShardBatch> stage, BlockingCollection<ShardBatch> to)
    {
        foreach (ShardBatch batch in from.GetConsumingEnumerable())
        {
            Guarded(batch, stage);
            to.Add(batch);
        }
        to.CompleteAdding();
    }

    private void Guarded(ShardBatch batch, Action<ShardBatch> stage)
    {
        if (batch.Shard!.Failure is not null) { return; }
        try
        {
            stage(batch);
        }
        catch (Exception failure)
        {
            Fail(batch.Shard, failure);
        }
    }

    private void Fail(Shard shard, Exception failure)
    {
        if (shard.TryFail(failure)) { _host.Failed(shard, failure); }
    }

    private static Thread Start(string name, Action work)
    {
        var thread = new Thread(() => work()) { Name = $"risk {name}", IsBackground = true };
        thread.Start();
        return thread;
    }
}
