using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Risk.Core;
using Risk.Core.Costs;
using Risk.Core.Devices;
using Risk.Core.Features;
using Risk.Core.Log;
using Risk.Core.Models;
using Risk.Core.Transactions;
using Risk.Inference;
using Risk.Inference.Devices;
using Risk.Service.Costs;
using Risk.Service.Engine;
using Risk.Service.Engine.Challengers;
using Risk.Service.Serving.Entities;
using Risk.Streams;
using Risk.Streams.Kafka;

namespace Risk.Service.Serving;

/// <summary>What a serving process is made of.</summary>
/// <param name="WarmUp">Opens some records for <see cref="ServingModel.WarmUp"/>, with a parser for them; null for none.</param>
public sealed record ServeOptions(
    ServeConfiguration Configuration, StreamDefinition Definition, ModelBundle Bundle, KeyRing Keys, IDecisionStore Store,
    KafkaSettings? Kafka, PriceBook Prices, MachinePrice Machine, Func<TransactionKeys, (ITransactionSource, TransactionParser)?>? WarmUp)
{
    /// <summary>
    /// Partitions of a stream of which someone else (a cluster) decides which are served here, and answers HTTP; null: Kafka
    /// decides, or there is one. With Kafka it has as many, and says only whose messages come here, <see cref="ServeHost.Consumed"/>.
    /// </summary>
    public int? ManagedPartitions { get; init; }

    /// <summary>The device profile of a name or a file; null where there is none that can be read.</summary>
    public Func<string, DeviceProfile?> Profile { get; init; } = static _ => null;

    /// <summary>What is wrong with <see cref="Prices"/>, or old: code and sentence, told and counted when the process starts.</summary>
    public IReadOnlyList<(string Code, string Sentence)> PriceFaults { get; init; } = [];

    /// <summary>See <see cref="RoutingOptions.Joules"/>; null: the devices' own counters.</summary>
    public Func<AcceleratorDevice, Func<double?>?>? Joules { get; init; }

    /// <summary>One for each of <see cref="ServeConfiguration.Challengers"/>, in that order.</summary>
    public IReadOnlyList<ChallengerOptions> Challengers { get; init; } = [];

    /// <summary>How the entity owner of a partition that is served elsewhere is asked; null: by HTTP at the address its owner gave.</summary>
    public Func<int, byte[], CancellationToken, Task<byte[]?>>? AskOwner { get; init; }

    /// <summary>Told of a managed partition that another owner has opened; it has been given away, and is not opened again by itself.</summary>
    public Action<int>? Fenced { get; init; }
}

/// <summary>
/// The embedded host of a live stream: the partitions that this process owns, one pipeline for all of them, HTTP, and Kafka
/// where it is configured. Several processes with one group and one store share the partitions; whichever opens a
/// partition's log has it.
/// </summary>
public sealed class ServeHost : IPipelineHost, IAsyncDisposable
{
    // A new owner takes at most so many decisions again (a twentieth of the log once that is more): a second of work.
    private const long SnapshotEvery = 50_000;
    // Batches beyond one open per partition: enough for every thread to have some in hand and some waiting.
    private const int BatchesInFlight = 24;

    private readonly ServeOptions _options;
    private readonly ServingModel _model;
    private readonly LiveCosts _costs;
    private readonly DeviceRoutes _routes;
    private readonly ScoringPipeline _pipeline;
    private readonly BatchPolicy _batches;
    private readonly KafkaFeed? _kafka;
    private readonly PartitionHost?[] _partitions;
    private readonly byte[] _keyField;
    private readonly EntityOwners? _entities;
    private readonly List<Challenger> _challengers = [];
    private readonly List<LiveCosts> _challengerCosts = [];
    private readonly Thread _ticker;
    private readonly CancellationTokenSource _stop = new();
    private HttpApi? _http;

    private ServeHost(ServeOptions options, ServingModel model, KafkaFeed? kafka, int partitionCount)
    {
        _options = options;
        _model = model;
        _kafka = kafka;
        _keyField = Encoding.UTF8.GetBytes(options.Definition.Schema.KeyFields[0].Name);
        Keys = new TransactionKeys(options.Definition.Schema.Name, options.Keys.Secret);
        BatchConfiguration batch = options.Configuration.Batch;
        RoutingOptions routing = options.Configuration.RoutingOptions(options.Profile);
        routing = routing with { Joules = options.Joules ?? routing.Joules };
        _batches = new BatchPolicy(batch.SizeMax, batch.DelayMaxMillis is { } millis ? (long)(millis * 1000) : BatchPolicy.DelayMaxOf(routing.Grade, routing.Router, routing.DeadlineMicros), RowDeadlineMicros: routing.DeadlineMicros);
        _routes = DeviceRoutes.Create(model, routing, options.Prices, options.Machine, _batches.SizeMax, DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime), () => Clock.NowMicros);
        model.Ladder.Dispatch = _routes.Dispatch;
        _partitions = new PartitionHost?[partitionCount];
        Owners = new OwnerDirectory(options.Store, () => OwnAddress, Clock);
        if (partitionCount > 1 && new RemoteColumns(options.Definition.Catalog).Count > 0) { _entities = new EntityOwners(this, options, Math.Max(_batches.SizeMax, 512)); }
        _pipeline = new ScoringPipeline(partitionCount + BatchesInFlight, () => ScoringPath.CreateBatch(options.Definition, model.Champion, _batches.SizeMax), this, CostLedger.Measured(options.Prices, options.Machine, _routes.Meters), Clock, isReproducible: false, Challenger.TimeOf(_challengers));
        _costs = new LiveCosts(options.Configuration.Store.Directory, Costs, Clock, Tell);
        options.Store.Overcame = Tell;
        foreach (string code in ServeFaults.Codes) { Counters.Declare("risk_faults_total", $"code=\"{code}\""); }
        foreach (string outcome in s_outcomes) { Counters.Declare("risk_decisions_total", outcome); }
        foreach (string name in (ReadOnlySpan<string>)["risk_transactions_total", "risk_labels_total", "risk_published_total", "risk_backpressure_total", "risk_decisions_incomplete_total"]) { Counters.Declare(name); }
        _ticker = new Thread(Tick) { Name = "risk tick", IsBackground = true };
    }

    public StreamDefinition Definition => _options.Definition;
    public int PartitionCount => _partitions.Length;

    /// <summary>Where HTTP is answered, with the real port.</summary>
    public string Address => _http?.Address ?? "";
    public string ExecutionProvider => _model.ExecutionProvider;

    /// <summary>Where the other processes reach this one.</summary>
    internal string OwnAddress => _options.Configuration.Advertise ?? Address;

    /// <summary>Who owns the partitions of other processes.</summary>
    internal OwnerDirectory Owners { get; }
    internal TransactionKeys Keys { get; }
    internal EngineClock Clock { get; } = new();
    internal ServeCounters Counters { get; } = new();
    internal ScoringPipeline Pipeline => _pipeline;

    /// <summary>What this process has cost so far.</summary>
    internal MeteredRun Costs() => _pipeline.ReadCosts(ledger => MeteredRun.Of(ledger, 0, ledger.DecisionCount, Model.ProcessorBatches));
    internal KafkaFeed? Kafka => _kafka;

    /// <summary>Someone else decides which partitions are served here.</summary>
    internal bool IsManaged => _options.ManagedPartitions is not null;

    /// <summary>Partitions whose messages Kafka gives to this process.</summary>
    internal IEnumerable<int> Consumed => _kafka?.Assigned ?? [];
    internal IEnumerable<PartitionHost> Partitions => _partitions.OfType<PartitionHost>();

    /// <summary>Starts serving; null with a refusal when the model cannot serve the stream.</summary>
    /// <exception cref="IOException">The port is taken, or Kafka refuses; the message begins with the code.</exception>
    public static async Task<(ServeHost? Host, ModelRefusal? Refusal)> Start(ServeOptions options, CancellationToken cancellation)
    {
        var events = new ConcurrentQueue<DeviceRefusal>();
        ServeHost? started = null;
        var devices = new ServingDevices(options.Configuration.Accelerators, told =>
        {
            events.Enqueue(told);
            started?.Tell(events);
        });
        ServingDevices ofChampion = devices.Without([.. options.Configuration.Challengers.SelectMany(c => c.Accelerators)]);
        if (!ServingModel.TryOpen(options.Bundle, options.Definition, options.Configuration.Batch.SizeMax, ofChampion, out ServingModel? model, out ModelRefusal? refusal)) { return (null, refusal); }
        KafkaFeed? kafka = options.Kafka is null ? null : await KafkaFeed.Connect(options.Kafka, options.Configuration.Kafka!, options.Definition, cancellation);
        if (kafka is not null && options.ManagedPartitions is { } managed && managed != kafka.PartitionCount)
        {
            kafka.Dispose();
            model.Dispose();
            throw new IOException($"PARTITIONS_DIFFER: topic {kafka.Topics.Transactions} has {kafka.PartitionCount} partitions, the cluster was told of {managed}: both must be the same, everywhere and for ever");
        }
        int partitions = kafka?.PartitionCount ?? options.ManagedPartitions ?? 1;
        if (PartitionsOf(options.Store, partitions) is var kept && kept != partitions)
        {
            kafka?.Dispose();
            model.Dispose();
            string stream = options.Definition.Schema.Name;
            throw new IOException(options.ManagedPartitions is not null
                ? $"CLUSTER_DIFFERS: {stream} was begun with {kept} partitions in this store, and this silo was told of {partitions}: start it with --partitions {kept}, or it would look for histories where they are not"
                : $"PARTITIONS_DIFFER: {stream} was begun with {kept} partitions in this store, and {kafka?.Topics.Transactions ?? "HTTP alone"} has {partitions}, so histories would be looked for where they are not: name another store, or a topic with {kept}");
        }
        var host = new ServeHost(options, model, kafka, partitions);
        started = host;
        if (!host.OpenChallengers(devices, out refusal))
        {
            host._challengers.ForEach(c => c.Dispose());
            host._pipeline.Dispose();
            kafka?.Dispose();
            model.Dispose();
            return (null, refusal);
        }
        foreach ((string code, string sentence) in options.PriceFaults) { host.Tell(code, sentence); }
        foreach (DeviceRefusal refused in host._routes.Refusals) { events.Enqueue(refused); }
        host.Tell(events);
        foreach (string note in host._routes.Notes) { ServeLog.Write("info", "DEVICE_ROUTING", note); }
        if (options.WarmUp?.Invoke(host.Keys) is var (source, parser))
        {
            using (source) { model.WarmUp(options.Definition, source, parser); }
        }
        if (options.ManagedPartitions is null) { host._http = await HttpApi.Start(new LocalDecisions(host), options.Configuration.Listen); }
        host._ticker.Start();
        host._costs.Start();
        host._challengerCosts.ForEach(costs => costs.Start());
        if (kafka is null && options.ManagedPartitions is null) { host.Take(0); }
        kafka?.Run(host);
        return (host, null);
    }

    private bool OpenChallengers(ServingDevices devices, [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        refusal = null;
        RoutingOptions routing = _options.Configuration.RoutingOptions(_options.Profile) with { Grade = StreamGrade.Bulk, DeadlineMicros = long.MaxValue, ProcessorProfile = null };
        for (int i = 0; i < _options.Challengers.Count; i++)
        {
            ChallengerOptions options = _options.Challengers[i] with { Devices = devices.Only([.. _options.Configuration.Challengers[i].Accelerators]), Routing = routing };
            if (!Challenger.TryOpen(options, Definition, PartitionCount > 1, _options.Keys, _options.Prices, _options.Machine, Clock, isReproducible: false, Tell, out Challenger? challenger, out refusal)) { return false; }
            _challengers.Add(challenger);
            _challengerCosts.Add(new LiveCosts(options.Directory, challenger.Costs, Clock, Tell));
            ServeLog.Write("info", "CHALLENGER", $"{challenger.Name} ({challenger.Model.Champion.Reference}, {challenger.Model.Reason}) scores beside {_model.Champion.Reference}, with {challenger.BuiltColumns} columns of its own; its log is in {options.Directory}");
        }
        return true;
    }

    /// <summary>How many partitions the stream was begun with; <paramref name="told"/> when it begins now.</summary>
    private static int PartitionsOf(IDecisionStore store, int told)
    {
        // Of a store from before it kept the number.
        int owned = store.Owners().Select(o => o.Partition + 1).DefaultIfEmpty().Max();
        return owned > told ? owned : store.KeepPartitionCount(told);
    }

    internal ServingModel Model => _model;

    /// <summary>Models that score beside the champion.</summary>
    internal IReadOnlyList<Challenger> Challengers => _challengers;
    internal DeviceRoutes Routes => _routes;

    /// <summary>One line in the log and one count an event of a device.</summary>
    private void Tell(ConcurrentQueue<DeviceRefusal> events)
    {
        while (events.TryDequeue(out DeviceRefusal? told))
        {
            bool isFault = told.Code != DeviceCodes.Recovered;
            if (isFault) { Counters.Fault(told.Code); }
            ServeLog.Write(isFault ? "warning" : "info", told.Code, $"accelerator {told.Device}: {told.Reason}");
        }
    }

    private void Tell(string code, string sentence)
    {
        Counters.Fault(code);
        ServeLog.Write("warning", code, sentence);
    }

    /// <summary>Leaves the consumer group; what was taken stays taken.</summary>
    internal Task StopConsuming() => _kafka?.Stop() ?? Task.CompletedTask;

    /// <summary>Ends when the process can do nothing more for its stream and should be started again: the brokers will not have it.</summary>
    /// <exception cref="IOException">Why; the message begins with the code.</exception>
    public Task Ended => _kafka?.Ended ?? Task.Delay(Timeout.Infinite);

    /// <summary>Stops taking, drains what was taken, gives every partition away.</summary>
    public async ValueTask DisposeAsync()
    {
        await StopConsuming();
        // At once: each waits for the store and the brokers, in vain perhaps.
        await Task.WhenAll(Partitions.ToArray().Select(p => Task.Factory.StartNew(() => Give(p.Partition, drain: true), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
        if (_http is not null) { await _http.DisposeAsync(); }
        _stop.Cancel();
        if (_ticker.IsAlive) { _ticker.Join(); }
        _pipeline.Dispose();
        await _costs.DisposeAsync();
        // What a challenger has not read yet is left to the next process.
        _challengers.ForEach(c => c.Dispose());
        foreach (LiveCosts costs in _challengerCosts) { await costs.DisposeAsync(); }
        _kafka?.Dispose();
        _model.Dispose();
        _entities?.Dispose();
        _stop.Dispose();
    }

    // ---- partitions ----

    internal PartitionHost? Partition(int partition) => (uint)partition < (uint)_partitions.Length ? _partitions[partition] : null;

    /// <summary>This process owns the partition from now on.</summary>
    internal void Take(int partition) =>
        _partitions[partition] = new PartitionHost(partition, Open, Opened, _pipeline, _batches, CreateParser(), Clock, Counters) { Detached = shard => _challengers.ForEach(c => c.Leave(shard)) };

    internal void Give(int partition, bool drain)
    {
        PartitionHost? host = _partitions[partition];
        _partitions[partition] = null;
        if (host is null) { return; }
        host.Close(drain, shard =>
        {
            _kafka?.Drain(shard);
            shard.SaveSnapshotIf(SnapshotEvery / 10);
        });
        _kafka?.Release(partition);
    }

    /// <summary>The reply of an entity owner that lives here; null when it does not, or is not ready.</summary>
    internal byte[]? AnswerOwner(int owner, ReadOnlySpan<byte> request) => Partition(owner)?.Shard is { Failure: null, Owner: { } entities } ? entities.Handle(request) : null;

    internal JsonTransactionParser CreateParser() => new(_options.Definition.Schema, Keys);

    private Shard Open(int partition)
    {
        IDecisionLog log = _options.Store.Open(partition, OwnAddress);
        IDeadLetters? letters = null;
        try
        {
            var labels = new LiveLabels(_options.Store.Labels(partition));
            var identity = new RecordIdentity(_kafka?.Topics.Transactions ?? "http", partition, "engine", "");
            var path = new ScoringPath(_options.Definition, _model.Champion, _model.Ladder, _model.Shap, labels, _options.Keys.Secret, identity, _entities is not null ? FeatureScope.Own : FeatureScope.All);
            long epoch = _options.Store.Owners().First(o => o.Partition == partition).Epoch;
            EntityOwner? owner = _entities?.Create(partition, epoch);
            var snapshots = new StateSnapshots(_options.Store.Snapshots(partition), _options.Definition, log, SnapshotEvery) { Entities = owner };
            letters = _kafka?.DeadLetters(partition) ?? DeadLetterFile.Open(Path.Combine(_options.Configuration.Store.Directory, _options.ManagedPartitions is null ? "dead-letters.jsonl" : $"dead-letters.{partition}.jsonl"));
            var shard = new Shard(partition, path, log, snapshots, letters, Keys, _batches.SizeMax, Clock, labels);
            if (_entities is { } entities) { shard.Links = new EntityLinks(shard, entities, Keys, epoch, TimeSpan.FromMilliseconds(_options.Configuration.Entities.WaitMillis), Counters.Fault); }
            string source = _kafka?.SourceOf(partition) ?? "http";
            shard.LetterSource = new DeadLetterSource(identity.Source, source);
            shard.LabelSource = new DeadLetterSource(_kafka?.Topics.Labels ?? "", $"labels|{source}");
            shard.Position = SourcePosition.Decode(log.LastPosition, source);
            if (shard.Position.Watermark > 0) { path.Features.AdvanceWatermark(shard.Position.Watermark); }
            _kafka?.Prepare(shard);
            return shard;
        }
        catch
        {
            letters?.Dispose();
            log.Dispose();
            throw;
        }
    }

    private void Opened(PartitionHost partition, Shard shard)
    {
        Counters.Add("risk_decisions_reapplied_total", "", shard.Recovery.Reapplied);
        ServeLog.Write("info", "PARTITION_OPEN", $"partition {partition.Partition}: {shard.Log.Size} decisions, {shard.Recovery.Snapshot} from the snapshot, {shard.Recovery.Reapplied} taken again, {shard.Path.Features.EntityCount} entities, {partition.TakeoverSeconds:F3} s");
        if (shard.Owner is not null) { _ = Task.Run(() => _entities!.Rebuild(partition, shard, _stop.Token)); }
        _kafka?.Begin(shard, _options.Store);
        _challengers.ForEach(c => c.Follow(shard));
        // Detached meanwhile, before they followed it.
        if (partition.Shard != shard) { _challengers.ForEach(c => c.Leave(shard)); }
    }

    private void Tick()
    {
        long idleAfter = (long)(_options.Configuration.IdleAfterSeconds * 1e6);
        while (!_stop.IsCancellationRequested)
        {
            long now = Clock.NowMicros;
            foreach (PartitionHost? partition in _partitions) { partition?.Tick(now, idleAfter); }
            Thread.Sleep(1);
        }
    }

    // ---- the pipeline's host ----

    void IPipelineHost.Commit(IReadOnlyList<IDecisionLog> logs, ICollection<(IDecisionLog Log, DecisionLogException Failure)> failures)
    {
        _options.Store.Commit(logs, failures);
        // Counted and told here: the partition may have been given away by now, and then nobody asks why its shard failed.
        foreach ((IDecisionLog _, DecisionLogException failure) in failures)
        {
            if (failure.Code == LogCodes.Fenced) { Tell(failure.Code, ServeFaults.Explain(failure).Sentence); }
        }
    }

    /// <summary>Something outside the pipeline went wrong that only opening the shard again can mend.</summary>
    internal void Fail(Shard shard, Exception failure)
    {
        if (shard.TryFail(failure)) { ((IPipelineHost)this).Failed(shard, failure); }
    }

    void IPipelineHost.Failed(Shard shard, Exception failure)
    {
        _kafka?.Hold(shard.Partition);
        // Two activations that open a managed partition in turn would fence each other for ever: the one that lost goes.
        if (_options.Fenced is { } fenced && failure is DecisionLogException { Code: LogCodes.Fenced })
        {
            Task.Run(() =>
            {
                // Unless it was given away meanwhile, and came back.
                if (Partition(shard.Partition)?.Shard is { } current && current != shard) { return; }
                ServeLog.Write("warning", LogCodes.Fenced, $"partition {shard.Partition}: another owner has opened it; it is given away");
                Give(shard.Partition, drain: false);
                fenced(shard.Partition);
            });
            return;
        }
        Partition(shard.Partition)?.Reopen(shard, failure);
    }

    void IPipelineHost.Answer(ShardBatch batch)
    {
        if (batch.IsDropped)
        {
            Exception failure = batch.Shard!.Failure!;
            foreach ((_, IRowAnswer answer) in batch.Waiting) { answer.Failed(failure); }
            foreach ((_, IRowAnswer answer) in batch.Queries) { answer.Failed(failure); }
            return;
        }
        Reply(batch);
        Count(batch);
        if (batch.Scoring.Count > 0) { Partition(batch.Shard!.Partition)?.Answered(); }
        _kafka?.Publish(batch);
    }

    private static void Reply(ShardBatch batch)
    {
        ScoringBatch scoring = batch.Scoring;
        IDecisionLog log = batch.Shard!.Log;
        LogEntry? entry = null;
        foreach ((int row, IRowAnswer answer) in batch.Waiting)
        {
            int k = scoring.Admitted.BinarySearch(row);
            if (k >= 0) { answer.Decided(scoring.Group.Record(k), ErrorCode.None); }
            else if (scoring.Conflicts.Exists(c => c.Row == row)) { answer.Decided([], ErrorCode.IdConflict); }
            else
            {
                log.TryRead(scoring.Duplicates.Find(d => d.Row == row).Sequence, entry ??= new LogEntry());
                answer.Decided(entry.Record, ErrorCode.DupSame);
            }
        }
        for (int i = 0; i < batch.Queries.Count; i++)
        {
            bool found = batch.Found[i] >= 0 && log.TryRead(batch.Found[i], entry ??= new LogEntry());
            batch.Queries[i].Answer.Decided(found ? entry!.Record : [], ErrorCode.None);
        }
    }

    private void Count(ShardBatch batch)
    {
        ScoringBatch scoring = batch.Scoring;
        Counters.Add("risk_transactions_total", "", batch.Records);
        Counters.Add("risk_labels_total", "", batch.Labels.Count);
        Span<long> outcomes = stackalloc long[4];
        for (int k = 0; k < scoring.Count; k++) { outcomes[(int)scoring.Outcome(k)]++; }
        for (int i = 0; i < outcomes.Length; i++) { Counters.Add("risk_decisions_total", s_outcomes[i], outcomes[i]); }
        Counters.Fault("DUP_SAME", scoring.Duplicates.Count);
        Counters.Fault("LATE", scoring.LateCount);
        Counters.Add("risk_decisions_incomplete_total", "", scoring.IncompleteCount);
        foreach (Rejection rejection in batch.Rejections.Concat(batch.LabelRejections))
        {
            Counters.Fault(rejection.Code.Text());
            Counters.Add("risk_dead_letters_total", $"code=\"{rejection.Code.Text()}\"", 1);
        }
    }

    private static readonly string[] s_outcomes = [.. Enum.GetValues<Core.Decisions.Outcome>().Select(o => $"outcome=\"{o.ToString().ToLowerInvariant()}\"")];

    // ---- for HTTP ----

    /// <summary>The partition of a transaction, by the text of its first key field, as its producer computes it.</summary>
    internal int PartitionOf(ReadOnlySpan<byte> json)
    {
        if (_partitions.Length == 1) { return 0; }
        Span<byte> scratch = stackalloc byte[MessageKey.ScratchSize];
        ReadOnlySpan<byte> key = MessageKey.Of(json, _keyField, scratch);
        return key.IsEmpty ? 0 : KafkaPartitioner.Of(key, _partitions.Length);
    }

    internal byte[]? FindInStore(in EntityKey eventKey)
    {
        var entry = new LogEntry();
        return _options.Store.TryFind(eventKey, entry) ? DecisionRecordJson.ToUtf8(entry.Record) : null;
    }

    internal ServeHealth Health() => ServeHealth.Of(this);
}
