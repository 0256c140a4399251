using Risk.Core;
using Risk.Core.Log;
using Risk.Core.Transactions;
using Risk.Service.Engine;

namespace Risk.Service.Serving;

/// <summary>Where a partition stands in this process.</summary>
internal enum PartitionState
{
    /// <summary>Its log is being opened and its state rebuilt; or it waits to try again, see <see cref="PartitionHost.Problem"/>.</summary>
    Opening,
    /// <summary>It takes transactions.</summary>
    Serving,
    /// <summary>Given away.</summary>
    Closed,
}

/// <summary>What became of a record that was offered.</summary>
internal enum Intake
{
    Taken,
    /// <summary>Every batch is on its way: offer it again later.</summary>
    Full,
    /// <summary>The partition is not being served here, now.</summary>
    NotServing,
}

/// <summary>
/// One partition in this process: opens its shard, puts records and calls into batches, and opens the shard again when it
/// failed. Records come from one thread, calls from any.
/// </summary>
internal sealed class PartitionHost
{
    private static readonly TimeSpan s_rentWait = TimeSpan.FromMilliseconds(100), s_drainMax = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan s_retryFirst = TimeSpan.FromMilliseconds(100), s_retryMax = TimeSpan.FromSeconds(5);

    private const long GreetEveryMicros = 1_000_000;

    private readonly Func<int, Shard> _openShard;
    private readonly Action<PartitionHost, Shard> _opened;
    private readonly ScoringPipeline _pipeline;
    private readonly BatchPolicy _policy;
    private readonly TransactionParser _parser;
    private readonly EngineClock _clock;
    private readonly ServeCounters _counters;
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _closing = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly long _since;
    private Task _opening;
    private Shard? _shard;
    private ShardBatch? _open;
    private bool _isSourceOpen;
    private long _greeted;

    /// <param name="openShard">Opens the log and rebuilds the state; may take seconds, may throw.</param>
    /// <param name="opened">Told when the shard takes records, and from which position.</param>
    public PartitionHost(int partition, Func<int, Shard> openShard, Action<PartitionHost, Shard> opened, ScoringPipeline pipeline, BatchPolicy policy, TransactionParser parser, EngineClock clock, ServeCounters counters)
    {
        Partition = partition;
        _openShard = openShard;
        _opened = opened;
        _pipeline = pipeline;
        _policy = policy;
        _parser = parser;
        _clock = clock;
        _counters = counters;
        _since = clock.NowMicros;
        _opening = Task.Run(OpenUntilItWorks);
    }

    public int Partition { get; }

    /// <summary>Told of a shard that is served no more: it is about to be closed.</summary>
    public Action<Shard>? Detached { get; init; }
    public PartitionState State { get; private set; }

    /// <summary>Code and sentence of what keeps the partition from being served; null while nothing does.</summary>
    public (string Code, string Sentence)? Problem { get; private set; }

    /// <summary>From assignment to readiness, seconds; null while it is not ready.</summary>
    public double? TakeoverSeconds { get; private set; }

    /// <summary>From assignment to the first durable decision, seconds.</summary>
    public double? FirstDecisionSeconds { get; private set; }

    public Shard? Shard => _shard;

    /// <summary>When the last record or call came, microseconds of the engine's clock.</summary>
    public long LastArrival { get; private set; }

    /// <summary>From now on records come from the shard's position on; false when it is not that shard that is served.</summary>
    public bool OpenSource(Shard shard)
    {
        lock (_gate) { return _isSourceOpen = _shard == shard && State == PartitionState.Serving; }
    }

    /// <summary>Offers a record of the source; <paramref name="offset"/> is its place there.</summary>
    public Intake Take(ReadOnlySpan<byte> record, long offset)
    {
        lock (_gate)
        {
            if (!_isSourceOpen) { return Intake.NotServing; }
            if (Ready(out Intake refusal) is not { } batch) { return refusal; }
            long now = Arrive(batch);
            batch.Records++;
            batch.NextLine = offset + 1;
            if (_parser.Parse(record, offset, now, batch.Scoring.Transactions, out Rejection rejection) != ErrorCode.None) { batch.Rejections.Add(rejection); }
            SendIfFull(batch);
            return Intake.Taken;
        }
    }

    /// <summary>Offers a transaction that was called in.</summary>
    /// <param name="deadline">When its answer is due, microseconds of the engine's clock.</param>
    public Intake Call(TransactionBatch transaction, IRowAnswer answer, long deadline)
    {
        lock (_gate)
        {
            if (Ready(out Intake refusal) is not { } batch) { return refusal; }
            Arrive(batch);
            batch.Records++;
            batch.EarliestDeadline = Math.Min(batch.EarliestDeadline, deadline);
            batch.Waiting.Add((batch.Scoring.Transactions.Count, answer));
            batch.Scoring.Transactions.AppendCopy(transaction, 0);
            SendIfFull(batch);
            return Intake.Taken;
        }
    }

    /// <summary>Asks for the decision on an event, behind everything that was offered before.</summary>
    public Intake Find(in EntityKey eventKey, IRowAnswer answer)
    {
        lock (_gate)
        {
            if (Ready(out Intake refusal) is not { } batch) { return refusal; }
            Arrive(batch);
            batch.Queries.Add((eventKey, answer));
            return Intake.Taken;
        }
    }

    /// <summary>Offers outcomes that became known, or one that was not accepted, and the place behind them in their source.</summary>
    public Intake Learn(IReadOnlyList<Label> labels, Rejection? rejection, long nextLabelLine)
    {
        lock (_gate)
        {
            if (Ready(out Intake refusal) is not { } batch) { return refusal; }
            Arrive(batch);
            batch.Labels.AddRange(labels);
            if (rejection is { } refused) { batch.LabelRejections.Add(refused); }
            batch.NextLabelLine = nextLabelLine;
            if (batch.Labels.Count >= _policy.SizeMax) { Send(batch); }
            return Intake.Taken;
        }
    }

    /// <summary>Sends the open batch when its time has come; moves the watermark of a source that has been idle for <paramref name="idleAfter"/> microseconds.</summary>
    public void Tick(long now, long idleAfter)
    {
        lock (_gate)
        {
            if (_open is { } open)
            {
                if (_policy.Next(open.Queue, now).Close) { Send(open); }
                return;
            }
            bool isIdle = now - LastArrival >= idleAfter, greets = _shard?.Links is not null && now - _greeted >= GreetEveryMicros;
            if (State != PartitionState.Serving || !(isIdle || greets) || !_pipeline.HasRoom || Ready(out _) is not { } batch) { return; }
            batch.GreetsOwners = greets;
            if (greets) { _greeted = now; }
            if (isIdle)
            {
                batch.Watermark = now - idleAfter;
                LastArrival = now;
            }
            Send(batch);
        }
    }

    /// <summary>The shard failed: it is closed and opened again, as often as it takes. On any thread; does not wait.</summary>
    public void Reopen(Shard failed, Exception failure)
    {
        lock (_gate)
        {
            if (_shard != failed || State == PartitionState.Closed) { return; }
            SetProblem(failure);
            Detach();
            _opening = Task.Run(async () =>
            {
                await Release(failed);
                await OpenUntilItWorks();
            });
        }
    }

    /// <summary>A durable batch of this partition was answered.</summary>
    public void Answered() => FirstDecisionSeconds ??= (_clock.NowMicros - _since) / 1e6;

    /// <summary>Gives the partition away.</summary>
    /// <param name="drain">True: what was taken is committed first, within a bounded time. False: it belongs to someone else already, and nothing more is written.</param>
    /// <param name="beforeClose">Called when everything is durable, before the log is closed.</param>
    public void Close(bool drain, Action<Shard>? beforeClose = null)
    {
        Shard? shard;
        lock (_gate)
        {
            _closing.TrySetResult();
            shard = _shard;
            if (!drain) { shard?.TryFail(new DecisionLogException(LogCodes.Fenced, $"partition {Partition} was taken away")); }
            Detach();
            State = PartitionState.Closed;
        }
        // A shard that is being opened closes itself when it is done.
        _opening.Wait(s_drainMax);
        if (shard is null) { return; }
        bool drained = SpinWait.SpinUntil(() => shard.InFlight == 0, s_drainMax);
        if (drained && shard.Failure is null)
        {
            beforeClose?.Invoke(shard);
            Dispose(shard);
            return;
        }
        shard.TryFail(new DecisionLogException(LogCodes.Fenced, $"partition {Partition} could not be drained in time"));
        Task.Run(() => Release(shard));
    }

    // ---- opening ----

    private async Task OpenUntilItWorks()
    {
        long started = _clock.NowMicros;
        for (TimeSpan wait = s_retryFirst; !_closing.Task.IsCompleted; wait = wait * 2 < s_retryMax ? wait * 2 : s_retryMax)
        {
            try
            {
                Shard shard = _openShard(Partition);
                lock (_gate)
                {
                    if (_closing.Task.IsCompleted)
                    {
                        Dispose(shard);
                        return;
                    }
                    _shard = shard;
                    TakeoverSeconds = (_clock.NowMicros - started) / 1e6;
                    Problem = null;
                    LastArrival = _clock.NowMicros;
                    State = PartitionState.Serving;
                }
                _opened(this, shard);
                return;
            }
            catch (Exception failure)
            {
                SetProblem(failure);
            }
            await Task.WhenAny(Task.Delay(wait), _closing.Task);
        }
    }

    private void SetProblem(Exception failure)
    {
        (string code, string sentence) = ServeFaults.Explain(failure);
        Problem = (code, sentence);
        // Where a write or a question was refused, it was counted.
        if (code != LogCodes.Fenced) { _counters.Fault(code); }
        ServeLog.Write("warning", code, $"partition {Partition}: {sentence}");
    }

    /// <summary>Takes nothing more. What is in the open batch is sent on; a failed shard's batches come back dropped. Under the gate.</summary>
    private void Detach()
    {
        if (_open is { } open) { Send(open); }
        Shard? shard = _shard;
        _shard = null;
        _isSourceOpen = false;
        TakeoverSeconds = null;
        State = PartitionState.Opening;
        if (shard is not null) { Detached?.Invoke(shard); }
    }

    private static async Task Release(Shard shard)
    {
        while (shard.InFlight > 0) { await Task.Delay(2); }
        Dispose(shard);
    }

    private static void Dispose(Shard shard)
    {
        try
        {
            shard.Dispose();
        }
        catch (Exception failure)
        {
            (string code, string sentence) = ServeFaults.Explain(failure);
            ServeLog.Write("warning", code, $"closing partition {shard.Partition}: {sentence}");
        }
    }

    // ---- batches, under the gate ----

    private ShardBatch? Ready(out Intake refusal)
    {
        refusal = Intake.NotServing;
        if (State != PartitionState.Serving || _shard is not { Failure: null } shard) { return null; }
        if (_open is null)
        {
            refusal = Intake.Full;
            if (!_pipeline.TryRent(shard, s_rentWait, out _open)) { return null; }
        }
        return _open;
    }

    private long Arrive(ShardBatch batch)
    {
        LastArrival = _clock.NowMicros;
        if (batch.IsEmpty) { batch.FirstArrival = LastArrival; }
        return LastArrival;
    }

    private void SendIfFull(ShardBatch batch)
    {
        if (batch.Records >= _policy.SizeMax || batch.Scoring.Transactions.IsFull) { Send(batch); }
    }

    private void Send(ShardBatch batch)
    {
        _open = null;
        _pipeline.Submit(batch);
    }
}
