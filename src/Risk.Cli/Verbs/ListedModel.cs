using System.Globalization;
using System.Text.Json;
using Risk.Core.Models;
using Risk.Inference;

namespace Risk.Cli.Verbs;

/// <summary>One bundle as <c>risk model list</c> shows it; a refusal instead of a manifest when it cannot be trusted.</summary>
internal sealed record ListedModel(string Reference, string Folder, ModelManifest? Manifest, Forest? Forest, ModelRefusal? Refusal)
{
    public string Form
    {
        get
        {
            string form = Forest is not null ? string.Create(CultureInfo.InvariantCulture, $"{Forest.TreeCount} trees, {Forest.FeatureCount} features")
                : Manifest is not null ? string.Create(CultureInfo.InvariantCulture, $"{Manifest.Inputs.Count} features") : "";
            return Manifest is { Variants.Count: > 0 } ? $"{form}; also as {string.Join(", ", Manifest.Variants.Select(v => v.Name))}" : form;
        }
    }

    /// <summary>The figures of the shipped model, or all when it names none so.</summary>
    public string MetricsText
    {
        get
        {
            IEnumerable<KeyValuePair<string, double>> metrics = Manifest?.Metrics ?? new Dictionary<string, double>();
            List<KeyValuePair<string, double>> shipped = [.. metrics.Where(m => m.Key.StartsWith("shipped.", StringComparison.Ordinal))];
            return string.Join(", ", (shipped.Count > 0 ? shipped : metrics).Select(m => string.Create(CultureInfo.InvariantCulture, $"{m.Key[(m.Key.LastIndexOf('.') + 1)..]} {m.Value:0.####}")).Take(4));
        }
    }

    public static ListedModel Read(string folder)
    {
        string reference = ModelFiles.Reference(folder);
        if (!ModelBundle.TryLoad(folder, out ModelBundle? bundle, out ModelRefusal? refusal))
        {
            return new ListedModel(reference, folder, null, null, refusal);
        }

        OnnxForestReader.TryRead(bundle.Onnx, out Forest? forest, out _);
        return new ListedModel(reference, folder, bundle.Manifest, forest, null);
    }

    /// <summary>What the engine knows, and the manifest as it is.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteString("model", Reference);
        json.WriteBoolean("digestOk", Refusal is null);
        if (Manifest is null)
        {
            json.WriteString("code", Refusal!.Code);
            json.WriteString("reason", Refusal.Reason);
            return;
        }

        json.WriteString("name", Manifest.Name);
        json.WriteString("version", Manifest.Version);
        json.WriteString("purpose", Manifest.Purpose);
        json.WriteString("owner", Manifest.Owner);
        json.WriteString("digest", $"sha256:{Manifest.Sha256}");
        json.WriteNumber("features", Manifest.Inputs.Count);
        if (Forest is not null)
        {
            json.WriteNumber("trees", Forest.TreeCount);
        }

        json.WriteStartObject("metrics");
        foreach ((string name, double value) in Manifest.Metrics)
        {
            json.WriteNumber(name, value);
        }

        json.WriteEndObject();
        json.WritePropertyName("manifest");
        using JsonDocument manifest = ModelFiles.ReadManifest(Folder);
        manifest.RootElement.WriteTo(json);
    }
}

/// <summary>One bundle's golden runs, as <c>risk model verify</c> shows them.</summary>
/// <param name="Runs">One a scorer that could be opened, and the kernel's distance to ONNX Runtime.</param>
/// <param name="Serving">Who would serve, and why; null when nobody may.</param>
internal sealed record VerifiedModel(string Reference, IReadOnlyList<ConformanceReport> Runs, string? Serving, ModelRefusal? Refusal)
{
    public static VerifiedModel Run(string folder, int batchSizeMax)
    {
        string reference = ModelFiles.Reference(folder);
        if (!ModelBundle.TryLoad(folder, out ModelBundle? bundle, out ModelRefusal? refusal) || !ScorerSelection.TrySelect(bundle, batchSizeMax, out ScorerSelection? selection, out refusal))
        {
            return new VerifiedModel(reference, [], null, refusal);
        }

        using (selection)
        {
            var runs = new List<ConformanceReport>(selection.Conformance);
            foreach (ModelVariant variant in bundle.Manifest.Variants)
            {
                refusal = Run(bundle, variant, selection.Scorer, selection.Forest, runs);
                if (refusal is not null)
                {
                    return new VerifiedModel(reference, runs, selection.Reason, refusal);
                }
            }

            return new VerifiedModel(reference, runs, selection.Reason, null);
        }
    }

    /// <summary>A variant's golden run, and its distance to the model that serves.</summary>
    private static ModelRefusal? Run(ModelBundle model, ModelVariant variant, IScorer serving, Forest? forest, List<ConformanceReport> runs)
    {
        if (!model.TryLoadVariant(variant.Name, out ModelBundle? bundle, out ModelRefusal? refusal)
            || !OnnxSession.TryOpen(bundle.Onnx, model.Manifest.Inputs.Count, model.Manifest.Output, serving.BatchSizeMax, out OnnxSession? session, out refusal))
        {
            return refusal;
        }

        using (session)
        {
            ConformanceReport golden = model.Golden.Check(session), parity = VariantComparison.Run(model.Golden, forest, serving, session);
            runs.Add(golden with { ExecutionProvider = $"{golden.ExecutionProvider}, variant {variant.Name}" });
            runs.Add(parity with { ExecutionProvider = $"variant {variant.Name}: {parity.ExecutionProvider}" });
            return golden.Conforms && parity.Conforms ? null : new ModelRefusal(
                ModelCodes.NotConforming, $"the variant '{variant.Name}' is {golden.MaxAbsoluteDifference:0.0e+0} away from the golden scores and {parity.MaxAbsoluteDifference:0.0e+0} from the model");
        }
    }

    public void Write(Utf8JsonWriter json)
    {
        json.WriteString("model", Reference);
        json.WriteBoolean("ok", Refusal is null);
        if (Refusal is not null)
        {
            json.WriteString("code", Refusal.Code);
            json.WriteString("reason", Refusal.Reason);
        }

        json.WriteString("serving", Serving);
        json.WriteStartArray("goldenRuns");
        foreach (ConformanceReport run in Runs)
        {
            json.WriteStartObject();
            json.WriteString("scorer", run.ExecutionProvider);
            json.WriteNumber("rows", run.RowCount);
            if (double.IsFinite(run.MaxAbsoluteDifference))
            {
                json.WriteNumber("maxAbsoluteDifference", run.MaxAbsoluteDifference);
            }

            json.WriteBoolean("conforms", run.Conforms);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}
