using System.Diagnostics.CodeAnalysis;
using Risk.Core;
using Risk.Core.Costs;
using Risk.Core.Decisions;
using Risk.Core.Features;
using Risk.Core.Log;
using Risk.Core.Models;
using Risk.Service.Costs;

namespace Risk.Service.Engine.Challengers;

/// <summary>
/// One challenger of a process: its model on a thread of its own, of low priority, behind the logs of the shards that
/// are here. It shares nothing with the champion's path: no queue, no lock that is held while it computes, no device. Whatever
/// goes wrong with it is told, tried again, and is nobody else's trouble.
/// </summary>
public sealed class Challenger : IDisposable
{
    /// <summary>The code of a challenger that something keeps from following; the sentence says what, with its own code.</summary>
    public const string Stopped = "CHALLENGER_STOPPED";

    private const int IdleMillis = 20;
    private const long RetryFirstMicros = 1_000_000, RetryMaxMicros = 60_000_000;
    private static readonly int s_outcomes = Enum.GetValues<Outcome>().Length;

    private readonly StreamDefinition _champion;
    private readonly GivenColumns _given;
    private readonly KeyRing _keys;
    private readonly EngineClock _clock;
    private readonly bool _isReproducible;
    private readonly Action<string, string> _tell;
    private CostLedger _ledger;
    private readonly Lock _charging = new();
    private readonly BackgroundThread _time = new();
    private readonly Lock _gate = new();
    private volatile Followed[] _followed = []; // replaced under the gate, never changed
    private readonly CancellationTokenSource _stop = new();
    private readonly long[,] _pairs = new long[s_outcomes, s_outcomes];
    private readonly Thread _thread;
    private long _cpuCharged, _wallCharged;
    private volatile bool _isFinishing;

    private Challenger(ChallengerOptions options, StreamDefinition champion, ServingModel model, GivenColumns given, KeyRing keys, PriceBook prices, MachinePrice machine, EngineClock clock, bool isReproducible, Action<string, string> tell)
    {
        Options = options;
        Model = model;
        _champion = champion;
        _given = given;
        _keys = keys;
        _clock = clock;
        _isReproducible = isReproducible;
        _tell = tell;
        Routes = DeviceRoutes.Create(model, options.Routing with { IsInOrder = isReproducible || options.Routing.IsInOrder }, prices, machine, ChallengerShard.BatchRows, DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime), () => clock.NowMicros);
        model.Ladder.Dispatch = Routes.Dispatch;
        _ledger = isReproducible ? CostLedger.Modelled(prices, machine) : CostLedger.Beside(prices, machine, Routes.Meters);
        _wallCharged = clock.NowMicros;
        _thread = new Thread(Follow) { Name = $"risk {options.Name}", IsBackground = true };
        _thread.Start();
    }

    public ChallengerOptions Options { get; }
    public ServingModel Model { get; }
    public DeviceRoutes Routes { get; }
    public string Name => Options.Name;

    /// <summary>Decisions scored since the process started; those whose commit failed count again.</summary>
    public long Decisions => _pairs.Cast<long>().Sum();

    /// <summary>Of them, those of which the champion said the one and it the other.</summary>
    public long Count(Outcome champion, Outcome challenger) => Interlocked.Read(ref _pairs[(int)champion, (int)challenger]);

    /// <summary>Of them, those where it said something else than the champion.</summary>
    public long OtherOutcomes => Decisions - Enumerable.Range(0, s_outcomes).Sum(o => _pairs[o, o]);

    /// <summary>Columns that it builds itself; the others are the champion's.</summary>
    public int BuiltColumns => _given.BuiltCount;

    /// <summary>Processor time of the threads of all in a list, however long it will be, microseconds: the champion's ledger leaves it out.</summary>
    internal static Func<long> TimeOf(List<Challenger> challengers) => () =>
    {
        long micros = 0;
        foreach (Challenger challenger in challengers) { micros += challenger._time.CpuMicros; }
        return micros;
    };

    /// <summary>Where it stands, by partition: durable decisions of the champion that it has not scored, and the code of what keeps it from them.</summary>
    public IReadOnlyList<(int Partition, long Behind, string? Problem)> State =>
        [.. _followed.Where(f => !f.IsLeft).Select(f => (f.Champion.Partition, f.Shard?.Behind ?? f.Champion.Log.DurableSize, f.Problem))];

    /// <summary>Opens the model; false with a refusal when it cannot be a challenger of that stream.</summary>
    /// <param name="isPartitioned">The champion's stream is cut into partitions.</param>
    /// <param name="tell">Told code and sentence of what goes wrong later; on the challenger's thread.</param>
    internal static bool TryOpen(ChallengerOptions options, StreamDefinition champion, bool isPartitioned, KeyRing keys, PriceBook prices, MachinePrice machine, EngineClock clock, bool isReproducible, Action<string, string> tell, [NotNullWhen(true)] out Challenger? challenger, [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        challenger = null;
        List<DefinitionError> errors = [];
        if (options.Definition.Challenges(champion, isPartitioned, errors) is not { } given)
        {
            refusal = new ModelRefusal(errors[0].Code, string.Join("; ", errors.Select(e => $"{e.File} {e.Path}: {e.Sentence}")));
            return false;
        }
        if (!ServingModel.TryOpen(options.Bundle, options.Definition, ChallengerShard.BatchRows, options.Devices, out ServingModel? model, out refusal)) { return false; }
        challenger = new Challenger(options, champion, model, given, keys, prices, machine, clock, isReproducible, tell);
        return true;
    }

    /// <summary>From now on it follows that shard. Any thread; returns at once.</summary>
    internal void Follow(Shard shard)
    {
        lock (_gate) { _followed = [.. _followed, new Followed(shard)]; }
    }

    /// <summary>The shard is being given away: its log may be closed at any moment. Any thread; returns at once.</summary>
    internal void Leave(Shard shard)
    {
        foreach (Followed one in _followed.Where(f => f.Champion == shard)) { one.Leaving.Cancel(); }
    }

    /// <summary>Waits until it has scored everything that is durable in the champion's logs, or cannot go on; nothing must be added to them any more.</summary>
    /// <param name="progress">Told how many decisions there are left.</param>
    /// <returns>The code of what keeps it; null when it is done.</returns>
    public string? Finish(Action<long> progress, CancellationToken cancellation)
    {
        _isFinishing = true;
        while (true)
        {
            IReadOnlyList<(int Partition, long Behind, string? Problem)> state = State;
            progress(state.Sum(s => s.Behind));
            if (state.FirstOrDefault(s => s.Problem is not null).Problem is { } problem) { return problem; }
            if (state.All(s => s.Behind == 0) && IsAtRest()) { return null; }
            cancellation.ThrowIfCancellationRequested();
            Thread.Sleep(IdleMillis);
        }
    }

    /// <summary>What it said of a partition's decisions, in their order; null while its log is not open.</summary>
    internal IDecisionLogReader? Read(int partition) => Array.Find(_followed, f => f.Champion.Partition == partition)?.Shard?.Log.Read(0);

    /// <summary>What it has cost so far.</summary>
    public MeteredRun Costs()
    {
        lock (_charging)
        {
            Charge(0);
            return MeteredRun.Of(_ledger, 0, _ledger.DecisionCount, Model.ProcessorBatches);
        }
    }

    /// <summary>Writes the costs of a run in one partition that has come to its end.</summary>
    public void AddCosts()
    {
        if (_followed is not [{ Shard: { } shard }]) { return; }
        lock (_charging)
        {
            Charge(0);
            CostsFile.Add(Options.Directory, _ledger, shard.From, shard.Log.Size, Model.ProcessorBatches);
        }
    }

    /// <summary>The same for a thousand decisions.</summary>
    public CostPerThousand PerThousand()
    {
        lock (_charging) { return _ledger.PerThousand(); }
    }

    public void Dispose()
    {
        _stop.Cancel();
        foreach (Followed one in _followed.Where(f => f.Shard is null)) { one.Leaving.Cancel(); }
        _thread.Join();
        _stop.Dispose();
        Model.Dispose();
    }

    // ---- its thread ----

    private void Follow()
    {
        _time.Begin();
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                bool any = false;
                foreach (Followed one in _followed) { any |= Step(one); }
                if (!any) { _stop.Token.WaitHandle.WaitOne(IdleMillis); }
            }
            foreach (Followed one in _followed) { Close(one, save: true); }
        }
        catch (Exception bug)
        {
            // Whatever it is, it is not the champion's.
            foreach (Followed one in _followed) { one.Problem = "BUG"; }
            _tell(Stopped, $"{Name}: BUG: {bug}");
        }
        _time.End();
    }

    private bool Step(Followed one)
    {
        if (one.IsLeft)
        {
            Close(one, save: true);
            lock (_gate) { _followed = [.. _followed.Where(f => f != one)]; }
            return true;
        }
        if (one.Shard is null && (one.Champion.Log.DurableSize == 0 || _clock.NowMicros < one.RetryAt)) { return false; }
        try
        {
            one.Shard ??= Open(one);
            bool any = one.Shard.Step(_isFinishing, _isReproducible && !_isFinishing, _isReproducible, ChargeBatch);
            (one.Problem, one.RetryMicros) = (null, RetryFirstMicros);
            return any;
        }
        catch (Exception failure)
        {
            Fail(one, failure);
            return false;
        }
    }

    private ChallengerShard Open(Followed one)
    {
        var shard = new ChallengerShard(one.Champion.Partition, one.Champion.Log, _champion, Options, Model, _given, _keys, _clock, _pairs, one.Leaving.Token);
        if (_isReproducible)
        {
            lock (_charging) { _ledger = CostLedger.Modelled(_ledger.Book, _ledger.Machine.Machine, shard.Log.Size); }
        }
        return shard;
    }

    private void Fail(Followed one, Exception failure)
    {
        Close(one, save: false);
        // A log that was closed under it is no fault: the shard was given away, or failed and will be followed again.
        if (one.IsLeft || one.Champion.Failure is not null) { return; }
        (string code, string sentence) = Serving.ServeFaults.Explain(failure);
        bool isNew = one.Problem != code;
        one.Problem = code;
        one.RetryAt = _clock.NowMicros + one.RetryMicros;
        one.RetryMicros = Math.Min(one.RetryMicros * 2, RetryMaxMicros);
        // A log that another process is about to give back is soon free.
        bool isPassing = failure is DecisionLogException { IsRetriable: true } && one.RetryMicros <= RetryFirstMicros * 4;
        if (isPassing) { one.Problem = null; }
        else if (isNew) { _tell(Stopped, $"{Name}, partition {one.Champion.Partition}: {code}: {sentence}; it tries again, and no decision waits for it"); }
    }

    private static void Close(Followed one, bool save)
    {
        ChallengerShard? shard = one.Shard;
        one.Shard = null;
        if (shard is null) { return; }
        try
        {
            using (shard)
            {
                if (!save) { return; }
                shard.Commit();
                shard.Save();
            }
        }
        catch (Exception)
        {
            // It is opened again from what is durable.
        }
    }

    private bool IsAtRest() => _followed.All(f => f.Shard is { } shard ? shard.Log.DurableSize == shard.Log.Size : f.Champion.Log.DurableSize == 0);

    private (Cost, byte[]) ChargeBatch(int decisions)
    {
        lock (_charging) { return (Charge(decisions), _ledger.MethodWord); }
    }

    private Cost Charge(int decisions)
    {
        if (_ledger.Method == CostMethod.Modelled) { return _ledger.Charge(decisions); }
        long cpu = _time.CpuMicros, wall = _clock.NowMicros;
        Cost cost = _ledger.Charge(Math.Max(0, cpu - _cpuCharged), Math.Max(0, wall - _wallCharged), decisions);
        (_cpuCharged, _wallCharged) = (cpu, wall);
        return cost;
    }

    /// <summary>A shard of the champion, and where the challenger stands with it.</summary>
    private sealed class Followed(Shard champion)
    {
        public Shard Champion { get; } = champion;
        public ChallengerShard? Shard { get; set; }
        public bool IsLeft => Leaving.IsCancellationRequested;

        /// <summary>Set when the shard is given away, or the process ends. Of no timer, so there is nothing to dispose of.</summary>
        public CancellationTokenSource Leaving { get; } = new();
        public string? Problem { get; set; }
        public long RetryAt { get; set; }
        public long RetryMicros { get; set; } = RetryFirstMicros;
    }
}
