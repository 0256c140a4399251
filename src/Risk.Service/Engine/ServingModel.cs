using System.Diagnostics.CodeAnalysis;
using Risk.Core;
using Risk.Core.Explanations;
using Risk.Core.Log;
using Risk.Core.Models;
using Risk.Core.Transactions;
using Risk.Inference;
using Risk.Inference.Devices;
using Risk.Streams;

namespace Risk.Service.Engine;

/// <summary>
/// A bundle ready to score the views of one stream: inputs mapped by name, the scorer that conforms, ONNX Runtime as its
/// stand-in, and what explains it. For the engine and for whoever derives decisions again.
/// </summary>
public sealed class ServingModel : IDisposable
{
    // Small batches, so that every method is called often enough to be compiled well. About a third of a second.
    private const int WarmUpRecords = 20_000, WarmUpBatch = 64;

    private readonly ScorerSelection _selection;
    private readonly OnnxSession? _standIn;
    private readonly MeteredScorer[] _processors;

    private ServingModel(ModelBundle bundle, ScorerSelection selection, OnnxSession? standIn, IReadOnlyList<DeviceSession> devices, ChampionModel champion, TreeShap? shap, ModelRefusal? unexplained)
    {
        Bundle = bundle;
        _selection = selection;
        _standIn = standIn;
        Champion = champion;
        Shap = shap;
        Unexplained = unexplained;
        Devices = devices;
        _processors = standIn is null ? [new MeteredScorer(selection.Scorer)] : [new MeteredScorer(selection.Scorer), new MeteredScorer(standIn)];
        Ladder = new ModelLadder([.. devices, .. _processors]);
    }

    public ModelBundle Bundle { get; }
    public ChampionModel Champion { get; }
    public ModelLadder Ladder { get; }
    /// <summary>Who computes on the ladder's first rung.</summary>
    public string ExecutionProvider => Devices.Count > 0 ? Devices[0].ExecutionProvider : _selection.Scorer.ExecutionProvider;
    /// <summary>The accelerators, in the order they are tried; before the processor.</summary>
    public IReadOnlyList<DeviceSession> Devices { get; }
    /// <summary>Everything that scores, by the names that records carry, with what it has done so far.</summary>
    public IEnumerable<(string Device, string ExecutionProvider, DeviceStatistics Statistics)> Scorers =>
        Devices.Select(d => (d.Device, d.ExecutionProvider, d.Statistics)).Concat(_processors.Select(p => (p.Device, p.ExecutionProvider, p.Statistics)));
    /// <summary>Batches that the processor has scored; those of warm-up are none.</summary>
    public long ProcessorBatches => _processors.Sum(static p => p.Statistics.Batches);
    /// <summary>Which scorer serves, and why.</summary>
    public string Reason => Devices.Count > 0
        ? $"{string.Join(", ", Devices.Select(d => $"{d.Device} ({d.ExecutionProvider}, {d.Model.Variant})"))} first; behind it on the processor: {_selection.Reason}"
        : _selection.Reason;
    /// <summary>Null when the model's form cannot be explained; <see cref="Unexplained"/> says why.</summary>
    public TreeShap? Shap { get; }
    public ModelRefusal? Unexplained { get; }

    /// <summary>Selects and opens the scorers, golden run included; false with a refusal when the model cannot serve this stream.</summary>
    public static bool TryOpen(ModelBundle bundle, StreamDefinition definition, int batchSizeMax, [NotNullWhen(true)] out ServingModel? model, [NotNullWhen(false)] out ModelRefusal? refusal) =>
        TryOpen(bundle, definition, batchSizeMax, ServingDevices.None, out model, out refusal);

    /// <inheritdoc cref="TryOpen(ModelBundle, StreamDefinition, int, out ServingModel?, out ModelRefusal?)"/>
    /// <param name="devices">Accelerators that are tried before the processor.</param>
    public static bool TryOpen(ModelBundle bundle, StreamDefinition definition, int batchSizeMax, ServingDevices devices, [NotNullWhen(true)] out ServingModel? model, [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        model = null;
        ModelManifest manifest = bundle.Manifest;
        refusal = manifest.MapInputs([.. definition.Catalog.Features.Select(f => f.Name)], out int[] columns) ?? ModelPrecision.Check(manifest, definition.Policy);
        if (refusal is not null || !ScorerSelection.TrySelect(bundle, batchSizeMax, out ScorerSelection? selection, out refusal)) { return false; }

        TreeShap? shap = null;
        ModelRefusal? unexplained = new(ModelCodes.Unsupported, $"{manifest.Name}@{manifest.Version} is no forest that can be read, and contributions are computed for forests");
        if (selection.Forest is { } forest) { TreeShap.TryCreate(forest, out shap, out unexplained); }

        var champion = new ChampionModel($"{manifest.Name}@{manifest.Version}", Sha256Digest.From(Convert.FromHexString(manifest.Sha256)), columns, manifest.Calibration);
        model = new ServingModel(bundle, selection, OpenStandIn(bundle, selection, columns.Length, batchSizeMax), devices.Open(bundle, batchSizeMax), champion, shap, unexplained);
        return true;
    }

    /// <summary>
    /// Takes some records through a path of its own that nothing comes of, so that the machine code is there before the first
    /// real one: without it the first half second of a run is slow, and at a steady load that is where p99 comes from.
    /// </summary>
    public void WarmUp(StreamDefinition definition, ITransactionSource source, TransactionParser parser)
    {
        var path = new ScoringPath(definition, Champion, Ladder, Shap, null, new KeyedHash(new byte[KeyedHash.KeySize]), new RecordIdentity("", 0, "", ""));
        ScoringBatch batch = path.CreateBatch(WarmUpBatch);
        using IDisposable warmingUp = WarmingUp();
        for (int n = 0; n < WarmUpRecords && source.TryRead(out SourceRecord record); n++)
        {
            if (record.Problem == ErrorCode.None) { parser.Parse(record.Bytes, record.LineNumber, Limits.EventTimeMax, batch.Transactions, out _); }
            if (!batch.Transactions.IsFull) { continue; }
            path.Decide(batch);
            path.Record(batch);
            batch.Clear();
        }
    }

    /// <summary>Until it is disposed of, what scorers do is nobody's decision: it costs, as warm-up, and is no batch in the metrics.</summary>
    internal IDisposable WarmingUp() => new WarmUpScope([.. Scorers.Select(scorer => scorer.Statistics)]);

    public void Dispose()
    {
        foreach (DeviceSession device in Devices) { device.Dispose(); }
        _selection.Dispose();
        _standIn?.Dispose();
    }

    /// <summary>ONNX Runtime behind the forest kernel; null where it serves already or does not conform.</summary>
    private static OnnxSession? OpenStandIn(ModelBundle bundle, ScorerSelection selection, int inputs, int batchSizeMax)
    {
        if (selection.Scorer is OnnxSession || !OnnxSession.TryOpen(bundle.Onnx, inputs, bundle.Manifest.Output, batchSizeMax, out OnnxSession? session, out _)) { return null; }
        if (bundle.Golden.Check(session).Conforms) { return session; }
        session.Dispose();
        return null;
    }

    private sealed class WarmUpScope : IDisposable
    {
        private readonly DeviceStatistics[] _of;

        public WarmUpScope(DeviceStatistics[] of)
        {
            _of = of;
            Array.ForEach(_of, statistics => statistics.IsWarmingUp = true);
        }

        public void Dispose() => Array.ForEach(_of, statistics => statistics.IsWarmingUp = false);
    }
}
