using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;
using Risk.Core;
using Risk.Core.Costs;
using Risk.Core.Features;
using Risk.Core.Log;
using Risk.Core.Models;
using Risk.Core.Transactions;
using Risk.Inference;
using Risk.Service.Engine.Challengers;
using Risk.Storage;
using Risk.Storage.Log;
using Risk.Streams;

namespace Risk.Service.Engine;

/// <summary>What an embedded engine is made of.</summary>
/// <param name="Directory">Holds everything the engine keeps: <c>log/</c>, <c>private/</c>, <c>journal/</c>, <c>keys/</c>, <c>snapshots/</c>, <c>dead-letters.jsonl</c>.</param>
/// <param name="SourceName">Topic or file name as it stands in records and dead letters.</param>
/// <param name="Labels">Outcomes that become known while the stream runs; null for none.</param>
/// <param name="IsReproducible">Keys that everyone knows and a cost that is modelled, so that two runs are equal to the byte.</param>
public sealed record EngineOptions(
    string Directory, StreamDefinition Definition, ModelBundle Bundle, KeyRing Keys, string SourceName,
    LabelFile? Labels, BatchPolicy Batches, PriceBook Prices, MachinePrice Machine, bool IsReproducible)
{
    /// <summary>Accelerators that score before the processor does.</summary>
    public ServingDevices Devices { get; init; } = ServingDevices.None;

    /// <summary>How batches find their device. Runs that must be equal to the byte try devices in order whatever it says: what is cheapest depends on times that no two runs share.</summary>
    public RoutingOptions Routing { get; init; } = new();

    /// <summary>Models that score beside the champion.</summary>
    public IReadOnlyList<ChallengerOptions> Challengers { get; init; } = [];

    /// <summary>Told code and sentence of what goes wrong beside the decisions; on any thread.</summary>
    public Action<string, string> Tell { get; init; } = static (_, _) => { };
}

/// <summary>
/// The embedded host of one recorded stream: one shard in this process, files for the log and the state, no servers. Opening
/// recovers the state (snapshot, then the tail of the log); <see cref="Run"/> takes a source from where its last durable
/// decision left it.
/// </summary>
public sealed class EmbeddedEngine : IDisposable
{
    // Enough for every thread to have one in hand and one waiting, and for a few in one sync; more only adds latency. Bench: decision-e2e.
    private const int BatchesInFlight = 16;
    // A restart takes at most so many decisions again, under ten seconds of work; a copy at every 500,000 was what p99 showed at 50,000 a second.
    private const long SnapshotEvery = 2_000_000;

    private readonly EngineOptions _options;
    private readonly EngineClock _clock = new();
    private readonly ServingModel _model;
    private readonly FileDecisionLog _log;
    private readonly DeadLetterFile _deadLetters;
    private readonly Shard _shard;
    private readonly CostLedger _ledger;
    private readonly DeviceRoutes _routes;
    private readonly List<Challenger> _challengers = [];

    private EmbeddedEngine(EngineOptions options, ServingModel model, FileDecisionLog log, Action<long, long>? progress)
    {
        _options = options;
        _model = model;
        _log = log;
        Keys = new TransactionKeys(options.Definition.Schema.Name, options.Keys.Secret);
        ILabelSource? labels = options.Labels is null ? null : new FileLabels(options.Labels);
        var path = new ScoringPath(options.Definition, model.Champion, model.Ladder, model.Shap, labels, options.Keys.Secret, new RecordIdentity(options.SourceName, 0, "engine", ""));
        RoutingOptions routing = options.IsReproducible ? options.Routing with { IsInOrder = true } : options.Routing;
        _routes = DeviceRoutes.Create(model, routing, options.Prices, options.Machine, options.Batches.SizeMax, DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime), () => _clock.NowMicros);
        model.Ladder.Dispatch = _routes.Dispatch;
        _ledger = options.IsReproducible ? CostLedger.Modelled(options.Prices, options.Machine, log.Size) : CostLedger.Measured(options.Prices, options.Machine, _routes.Meters);
        var snapshots = new StateSnapshots(OpenSnapshots(options.Directory, log), options.Definition, log, SnapshotEvery);
        _deadLetters = DeadLetterFile.Open(Path.Combine(options.Directory, "dead-letters.jsonl"));
        _shard = new Shard(0, path, log, snapshots, _deadLetters, Keys, options.Batches.SizeMax, _clock, labels: null, progress);
    }

    public ServingModel Model => _model;
    public TransactionKeys Keys { get; }
    public RecoveryReport Recovery => _shard.Recovery;
    /// <summary>Torn ends of the journal that were cut back on opening (RECOVERED_TAIL).</summary>
    public int RecoveredTails => _log.RecoveredTails;
    public CostLedger Costs => _ledger;

    /// <summary>The models that score beside the champion.</summary>
    public IReadOnlyList<Challenger> Challengers => _challengers;

    /// <summary>What devices are routed by, and what of them cannot be used.</summary>
    public DeviceRoutes Routes => _routes;
    public long LogSize => _log.Size;
    public byte[] RootHash() => _log.RootHash();
    public FeatureEngine Features => _shard.Path.Features;
    public long StateBytes => _shard.StateBytes;
    public IReadOnlyDictionary<ErrorCode, long> DeadLetterCounts => _deadLetters.Counts;

    /// <summary>Of the run in progress, or the last one: records taken from the source so far, in this and earlier runs of it.</summary>
    public SourcePosition Position => _shard.Position;

    /// <summary>Opens or creates the engine of a directory. Null with a refusal when the model cannot serve.</summary>
    /// <param name="progress">Told while the log's tail is taken again: done, of how many.</param>
    /// <exception cref="Risk.Core.Log.DecisionLogException">The log cannot be opened.</exception>
    public static EmbeddedEngine? Open(EngineOptions options, out ModelRefusal? refusal, Action<long, long>? progress = null)
    {
        if (!ServingModel.TryOpen(options.Bundle, options.Definition, options.Batches.SizeMax, options.Devices, out ServingModel? model, out refusal)) { return null; }
        FileDecisionLog? log = null;
        EmbeddedEngine? engine = null;
        try
        {
            Directory.CreateDirectory(options.Directory);
            log = FileDecisionLog.Open(options.Directory, new DecisionLogOptions { Origin = $"risk/{options.Definition.Schema.Name}", KeySeed = options.Keys.LogSeed });
            engine = new EmbeddedEngine(options, model, log, progress);
            if (engine.OpenChallengers(out refusal)) { return engine; }
            engine.Dispose();
            return null;
        }
        catch
        {
            if (engine is not null) { engine.Dispose(); }
            else
            {
                log?.Dispose();
                model.Dispose();
            }
            throw;
        }
    }

    private bool OpenChallengers([NotNullWhen(false)] out ModelRefusal? refusal)
    {
        refusal = null;
        foreach (ChallengerOptions options in _options.Challengers)
        {
            if (!Challenger.TryOpen(options, _options.Definition, isPartitioned: false, _options.Keys, _options.Prices, _options.Machine, _clock, _options.IsReproducible, _options.Tell, out Challenger? challenger, out refusal)) { return false; }
            _challengers.Add(challenger);
            challenger.Follow(_shard);
        }
        return true;
    }

    /// <summary>Takes some records through a path that nothing comes of, see <see cref="ServingModel.WarmUp"/>.</summary>
    public void WarmUp(ITransactionSource source, TransactionParser parser) => _model.WarmUp(_options.Definition, source, parser);

    /// <summary>Where the source goes on: behind its last record that this log has taken, or at its beginning.</summary>
    public SourcePosition PositionOf(ITransactionSource source) => SourcePosition.Decode(_log.LastPosition, IdentityText(source.Identity));

    /// <summary>Runs the source to its end or limit; everything is durable and the state saved when it returns.</summary>
    /// <exception cref="SourceFailedException">The source broke off.</exception>
    public RunReport Run(ITransactionSource source, TransactionParser parser, RunOptions run, CancellationToken cancellation = default)
    {
        SourcePosition position = PositionOf(source);
        _shard.LetterSource = new DeadLetterSource(_options.SourceName, position.Source);
        _shard.Position = position;
        _deadLetters.TruncateAfter(_shard.LetterSource, position.Line);
        if (position.Line > 0 && !source.SkipTo(position.Line))
        {
            throw new SourceFailedException(new CodedError(ErrorCode.SourceChanged, $"{source.Identity.Name} ends before line {position.Line}, which the log in {_options.Directory} has taken from it already"));
        }
        run = run with { RecordsMax = Math.Max(0, run.RecordsMax - position.Transactions) };
        long startDecisions = _log.Size, startMicros = _clock.NowMicros;
        using var host = new Host(run.IsStrict, cancellation);
        using var pipeline = new ScoringPipeline(BatchesInFlight, () => _shard.Path.CreateBatch(_options.Batches.SizeMax), host, _ledger, _clock, run.IsReproducible, Challenger.TimeOf(_challengers));
        var reader = new SourceReader(_shard, pipeline, parser, _options.Batches, run, _clock, host.ShardFailed);
        try
        {
            reader.Read(source, host.Over);
        }
        catch (OperationCanceledException) when (_shard.Failure is not null)
        {
            // The shard failed first; its failure is thrown below.
        }
        finally
        {
            pipeline.Complete();
        }
        if (_shard.Failure is { } failure) { ExceptionDispatchInfo.Throw(failure); }
        var elapsed = TimeSpan.FromMicroseconds(_clock.NowMicros - startMicros);
        _log.PublishCheckpoint();
        if (_log.Size > startDecisions) { _shard.SaveSnapshot(); }
        cancellation.ThrowIfCancellationRequested();
        return new RunReport(position, _shard.Position, _log.Size - startDecisions, pipeline.LateCount, elapsed, pipeline.Latencies, reader.Strict ?? host.Conflict);
    }

    /// <summary>Reads the whole log once: outcomes, quality against the labels, money.</summary>
    public RunOutcome Measure(LabelFile? labels, Action<long, long>? progress = null)
    {
        using IDecisionLogReader reader = _log.Read(0);
        return RunOutcome.Read(reader, _options.Definition, Keys, labels, progress);
    }

    /// <summary>The same of a challenger: what would have come of its decisions.</summary>
    public RunOutcome? Measure(Challenger challenger, LabelFile? labels, Action<long, long>? progress = null)
    {
        using IDecisionLogReader? reader = challenger.Read(0);
        return reader is null ? null : RunOutcome.Read(reader, challenger.Options.Definition, Keys, labels, progress);
    }

    public void Dispose()
    {
        foreach (Challenger challenger in _challengers) { challenger.Dispose(); }
        try
        {
            _shard.Dispose();
        }
        finally
        {
            _model.Dispose();
        }
    }

    // A new log in an old directory must not meet the state of another one.
    private static SnapshotStore OpenSnapshots(string directory, FileDecisionLog log)
    {
        string folder = Path.Combine(directory, "snapshots");
        if (log.Size == 0 && Directory.Exists(folder)) { Directory.Delete(folder, recursive: true); }
        return new SnapshotStore(folder);
    }

    private static string IdentityText(SourceIdentity identity) => $"{identity.Name}|{identity.Size}|{identity.Beginning}";

    /// <summary>One log to commit, nobody to answer; a failure ends the run, and so does a conflict in a strict one.</summary>
    private sealed class Host(bool isStrict, CancellationToken cancellation) : IPipelineHost, IDisposable
    {
        private readonly CancellationTokenSource _failed = new();
        private readonly CancellationTokenSource _over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);

        public CancellationToken ShardFailed => _failed.Token;
        public CancellationToken Over => _over.Token;
        public Rejection? Conflict { get; private set; }

        public void Commit(IReadOnlyList<IDecisionLog> logs, ICollection<(IDecisionLog Log, DecisionLogException Failure)> failures)
        {
            foreach (IDecisionLog log in logs) { log.Commit(); }
        }

        public void Answer(ShardBatch batch)
        {
            if (!isStrict || batch.Scoring.Conflicts.Count == 0) { return; }
            Conflict ??= batch.Rejections[^batch.Scoring.Conflicts.Count];
            _over.Cancel();
        }

        public void Failed(Shard shard, Exception failure) => _failed.Cancel();

        public void Dispose()
        {
            _failed.Dispose();
            _over.Dispose();
        }
    }
}

/// <summary>What a run did.</summary>
/// <param name="Before">The source's position and totals when the run began; <paramref name="After"/>: when it ended.</param>
/// <param name="Decisions">Made in this run.</param>
/// <param name="Strict">The rejection that ended a strict run.</param>
public sealed record RunReport(SourcePosition Before, SourcePosition After, long Decisions, long LateCount, TimeSpan Elapsed, StageLatencies Latencies, Rejection? Strict)
{
    public long Transactions => After.Transactions - Before.Transactions;
    public double PerSecond => Elapsed.TotalSeconds > 0 ? Transactions / Elapsed.TotalSeconds : 0;
}
