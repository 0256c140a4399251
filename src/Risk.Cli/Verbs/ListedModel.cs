using System.Globalization;
using System.Text.Json;
using Risk.Core.Models;
using Risk.Inference;

namespace Risk.Cli.Verbs;

/// <summary>One bundle as <c>risk model list</c> shows it; a refusal instead of a manifest when it cannot be trusted.</summary>
internal sealed record ListedModel(string Reference, string Folder, ModelManifest? Manifest, Forest? Forest, ModelRefusal? Refusal)
{
    public string Form => Forest is null ? "" : string.Create(CultureInfo.InvariantCulture, $"{Forest.TreeCount} trees, {Forest.FeatureCount} features");

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
            return new VerifiedModel(reference, selection.Conformance, selection.Reason, null);
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
