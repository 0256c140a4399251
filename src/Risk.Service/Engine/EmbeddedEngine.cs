using Risk.Core;
using Risk.Core.Costs;
using Risk.Core.Features;
using Risk.Core.Log;
using Risk.Core.Models;
using Risk.Core.Transactions;
using Risk.Inference;
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
    LabelFile? Labels, BatchPolicy Batches, PriceBook Prices, MachinePrice Machine, bool IsReproducible);

/// <summary>What recovery found and did when an engine was opened.</summary>
/// <param name="Snapshot">Decisions that the state snapshot covered; 0 = none.</param>
/// <param name="Reapplied">Decisions taken again from the log's tail.</param>
/// <param name="RecoveredTails">Torn ends of the journal that were cut back (RECOVERED_TAIL).</param>
public readonly record struct RecoveryReport(long Snapshot, long Reapplied, int RecoveredTails, TimeSpan Duration);

/// <summary>
/// The embedded host: one shard in this process, files for the log and the state, no servers. Opening recovers the state
/// (snapshot, then the tail of the log); <see cref="Run"/> takes a source from where its last durable decision left it.
/// </summary>
public sealed class EmbeddedEngine : IDisposable
{
    // Small batches, so that every method is called often enough to be compiled well. About a third of a second.
    private const int WarmUpRecords = 20_000, WarmUpBatch = 64;

    private readonly EngineOptions _options;
    private readonly EngineClock _clock = new();
    private readonly ServingModel _model;
    private readonly FileDecisionLog _log;
    private readonly DeadLetterFile _deadLetters;
    private readonly StateSnapshots _snapshots;
    private readonly ScoringPath _path;
    private readonly CostMeter _meter;
    private BatchPipeline? _pipeline;

    private EmbeddedEngine(EngineOptions options, ServingModel model, FileDecisionLog log, Action<long, long>? progress)
    {
        _options = options;
        _model = model;
        _log = log;
        Keys = new TransactionKeys(options.Definition.Schema.Name, options.Keys.Secret);
        ILabelSource? labels = options.Labels is null ? null : new FileLabels(options.Labels);
        _path = new ScoringPath(options.Definition, model.Champion, model.Ladder, model.Shap, labels, options.Keys.Secret, new RecordIdentity(options.SourceName, 0, "engine", ""));
        _meter = options.IsReproducible ? CostMeter.Modelled(options.Prices, options.Machine, log.Size) : CostMeter.Measured(options.Prices, options.Machine);
        _snapshots = new StateSnapshots(options.Directory, options.Definition, log);
        Recovery = Recover(progress);
        _deadLetters = DeadLetterFile.Open(Path.Combine(options.Directory, "dead-letters.jsonl"));
    }

    public ServingModel Model => _model;
    public TransactionKeys Keys { get; }
    public RecoveryReport Recovery { get; }
    public CostMeter Meter => _meter;
    public long LogSize => _log.Size;
    public byte[] RootHash() => _log.RootHash();
    public FeatureEngine Features => _path.Features;
    public long StateBytes => _path.Features.StateBytes + _path.Known.StateBytes;
    public IReadOnlyDictionary<ErrorCode, long> DeadLetterCounts => _deadLetters.Counts;

    /// <summary>Of the run in progress, or the last one: records taken from the source so far, in this and earlier runs of it.</summary>
    public SourcePosition Position => _pipeline?.Position ?? default;

    /// <summary>Opens or creates the engine of a directory. Null with a refusal when the model cannot serve.</summary>
    /// <param name="progress">Told while the log's tail is taken again: done, of how many.</param>
    /// <exception cref="Risk.Core.Log.DecisionLogException">The log cannot be opened.</exception>
    public static EmbeddedEngine? Open(EngineOptions options, out ModelRefusal? refusal, Action<long, long>? progress = null)
    {
        if (!ServingModel.TryOpen(options.Bundle, options.Definition, options.Batches.SizeMax, out ServingModel? model, out refusal)) { return null; }
        FileDecisionLog? log = null;
        try
        {
            Directory.CreateDirectory(options.Directory);
            log = FileDecisionLog.Open(options.Directory, new DecisionLogOptions { Origin = $"risk/{options.Definition.Schema.Name}", KeySeed = options.Keys.LogSeed });
            return new EmbeddedEngine(options, model, log, progress);
        }
        catch
        {
            log?.Dispose();
            model.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Takes some records through a path of its own that nothing comes of, so that the machine code is there before the first
    /// real one: without it the first half second of a run is slow, and at a steady load that is where p99 comes from.
    /// </summary>
    public void WarmUp(ITransactionSource source, TransactionParser parser)
    {
        var path = new ScoringPath(_options.Definition, _model.Champion, _model.Ladder, _model.Shap, null, _options.Keys.Secret, new RecordIdentity("", 0, "", ""));
        ScoringBatch batch = path.CreateBatch(WarmUpBatch);
        for (int n = 0; n < WarmUpRecords && source.TryRead(out SourceRecord record); n++)
        {
            if (record.Problem == ErrorCode.None) { parser.Parse(record.Bytes, record.LineNumber, _clock.NowMicros, batch.Transactions, out _); }
            if (!batch.Transactions.IsFull) { continue; }
            path.Decide(batch);
            path.Record(batch);
            batch.Clear();
        }
    }

    /// <summary>Where the source goes on: behind its last record that this log has taken, or at its beginning.</summary>
    public SourcePosition PositionOf(ITransactionSource source) => SourcePosition.Decode(_log.LastPosition, IdentityText(source.Identity));

    /// <summary>Runs the source to its end or limit; everything is durable and the state saved when it returns.</summary>
    /// <exception cref="SourceFailedException">The source broke off.</exception>
    public RunReport Run(ITransactionSource source, TransactionParser parser, RunOptions run, CancellationToken cancellation = default)
    {
        SourcePosition position = PositionOf(source);
        var letters = new DeadLetterSource(_options.SourceName, position.Source);
        _deadLetters.TruncateAfter(letters, position.Line);
        if (position.Line > 0 && !source.SkipTo(position.Line))
        {
            throw new SourceFailedException(new CodedError(ErrorCode.SourceChanged, $"{source.Identity.Name} ends before line {position.Line}, which the log in {_options.Directory} has taken from it already"));
        }
        run = run with { RecordsMax = Math.Max(0, run.RecordsMax - position.Transactions) };
        long startDecisions = _log.Size, startMicros = _clock.NowMicros;
        using var pipeline = new BatchPipeline(_path, _log, _meter, _deadLetters, letters, parser, _options.Batches, run, _clock, position, () => _snapshots.Offer(_path));
        _pipeline = pipeline;
        pipeline.Run(source, cancellation);
        var elapsed = TimeSpan.FromMicroseconds(_clock.NowMicros - startMicros);
        _log.PublishCheckpoint();
        if (_log.Size > startDecisions) { _snapshots.Save(_path); }
        cancellation.ThrowIfCancellationRequested();
        return new RunReport(position, pipeline.Position, _log.Size - startDecisions, pipeline.LateCount, elapsed, pipeline.Latencies, pipeline.Strict);
    }

    /// <summary>Reads the whole log once: outcomes, quality against the labels, money.</summary>
    public RunOutcome Measure(LabelFile? labels, Action<long, long>? progress = null)
    {
        using IDecisionLogReader reader = _log.Read(0);
        return RunOutcome.Read(reader, _options.Definition, Keys, labels, progress);
    }

    public void Dispose()
    {
        // Whatever fails to close, the log still publishes its checkpoint and gives its lock back.
        try
        {
            _snapshots.Dispose();
            _deadLetters.Dispose();
        }
        finally
        {
            _log.Dispose();
            _model.Dispose();
        }
    }

    private RecoveryReport Recover(Action<long, long>? progress)
    {
        long started = _clock.NowMicros;
        long covered = _snapshots.Load(_path);
        long size = _log.Size;
        var codec = new TransactionCodec(_options.Definition.Schema, Keys);
        ScoringBatch batch = _path.CreateBatch(_options.Batches.SizeMax);
        using (IDecisionLogReader reader = _log.Read(covered))
        {
            while (reader.Read())
            {
                LogTail.Append(reader.Record, reader.Payload, codec, Keys, batch, _path);
                if (batch.Transactions.IsFull)
                {
                    LogTail.Reapply(_path, batch);
                    progress?.Invoke(reader.Sequence + 1 - covered, size - covered);
                }
            }
        }
        LogTail.Reapply(_path, batch);
        return new RecoveryReport(covered, size - covered, _log.RecoveredTails, TimeSpan.FromMicroseconds(_clock.NowMicros - started));
    }

    private static string IdentityText(SourceIdentity identity) => $"{identity.Name}|{identity.Size}|{identity.Beginning}";
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
