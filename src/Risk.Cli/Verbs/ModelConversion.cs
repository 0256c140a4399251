using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Risk.Cli.CommandLine;
using Risk.Core.Models;
using Risk.Core.Models.Tensors;
using Risk.Inference;

namespace Risk.Cli.Verbs;

/// <summary>A bundle's forest as a tensor graph, compared with it, and what the bundle's folder gets when it is written.</summary>
/// <param name="ToGolden">The variant's golden run.</param>
/// <param name="Parity">The variant against the model, golden rows and probes.</param>
/// <param name="Strategy">How the trees became tensors, and why so.</param>
internal sealed record ModelConversion(ModelBundle Bundle, string Name, byte[] Onnx, TensorChoice Strategy, ConformanceReport ToGolden, ConformanceReport Parity)
{
    private static readonly JsonSerializerOptions s_indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public string File => $"{Name}.onnx";

    public string Sha256 => Convert.ToHexStringLower(SHA256.HashData(Onnx));

    public bool Conforms => ToGolden.Conforms && Parity.Conforms;

    /// <summary>Converts and compares on this machine's processor; writes nothing.</summary>
    /// <exception cref="CommandFailure">MODEL_UNSUPPORTED: the model is no forest that can be read, or too large for the strategy.</exception>
    public static ModelConversion Run(ModelBundle bundle, string name, TensorStrategy? strategy, TensorTarget target, int batchSizeMax)
    {
        if (!OnnxForestReader.TryRead(bundle.Onnx, out Forest? forest, out ModelRefusal? refusal))
        {
            throw CommandFailure.BadInput(refusal.Code, $"{bundle.Manifest.Name}@{bundle.Manifest.Version} cannot be converted: {refusal.Reason}");
        }

        TensorChoice choice = TensorForest.Choose(forest, target, batchSizeMax);
        choice = strategy is null || strategy == choice.Strategy ? choice : new TensorChoice(strategy.Value, "asked for");
        if (!TensorForest.TryWrite(forest, choice.Strategy, out byte[]? onnx, out refusal)
            || !OnnxSession.TryOpen(onnx, forest.FeatureCount, forest.OutputName, Math.Min(batchSizeMax, 256), out OnnxSession? session, out refusal))
        {
            throw CommandFailure.BadInput(refusal.Code, refusal.Reason);
        }

        using (session)
        using (var kernel = new ForestKernel(forest, 256))
        {
            return new ModelConversion(bundle, name, onnx, choice, bundle.Golden.Check(session), VariantComparison.Run(bundle.Golden, forest, kernel, session));
        }
    }

    /// <summary>Whether the bundle has this very variant already, by its bytes.</summary>
    public bool IsInBundle() => Bundle.TryLoadVariant(Name, out ModelBundle? variant, out _) && variant.Onnx.AsSpan().SequenceEqual(Onnx);

    /// <summary>Writes the variant's file, then the manifest that names it; each whole or not at all.</summary>
    public void Write(DateOnly date)
    {
        Replace(Path.Combine(Bundle.Directory, File), Onnx);
        string path = Path.Combine(Bundle.Directory, "model.json");
        JsonObject manifest = JsonNode.Parse(System.IO.File.ReadAllBytes(path))!.AsObject();
        JsonArray variants = manifest["variants"]?.AsArray() ?? [];
        if (variants.FirstOrDefault(v => (string?)v?["name"] == Name) is { } before) { variants.Remove(before); }
        variants.Add((JsonNode)new JsonObject
        {
            ["name"] = Name,
            ["model"] = File,
            ["digest"] = $"sha256:{Sha256}",
            ["form"] = TensorForest.Name(Strategy.Strategy),
            ["reason"] = Strategy.Reason,
            ["parity"] = new JsonObject
            {
                ["against"] = $"sha256:{Bundle.Manifest.Sha256}",
                ["rows"] = Parity.RowCount,
                ["maxAbsoluteDifference"] = double.Parse(Parity.MaxAbsoluteDifference.ToString("0.0e+0", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture),
                ["date"] = date.ToString("O", CultureInfo.InvariantCulture),
            },
        });
        manifest["variants"] = variants.DeepClone();
        Replace(path, Encoding.UTF8.GetBytes(manifest.ToJsonString(s_indented) + "\n"));
    }

    public void WriteJson(Utf8JsonWriter json)
    {
        json.WriteString("model", $"{Bundle.Manifest.Name}@{Bundle.Manifest.Version}");
        json.WriteString("variant", Name);
        json.WriteString("file", Path.Combine(Bundle.Directory, File));
        json.WriteNumber("bytes", Onnx.Length);
        json.WriteString("digest", $"sha256:{Sha256}");
        json.WriteString("form", TensorForest.Name(Strategy.Strategy));
        json.WriteString("reason", Strategy.Reason);
        foreach ((string member, ConformanceReport report) in (ReadOnlySpan<(string, ConformanceReport)>)[("golden", ToGolden), ("parity", Parity)])
        {
            json.WriteStartObject(member);
            json.WriteNumber("rows", report.RowCount);
            if (double.IsFinite(report.MaxAbsoluteDifference)) { json.WriteNumber("maxAbsoluteDifference", report.MaxAbsoluteDifference); }
            json.WriteBoolean("conforms", report.Conforms);
            json.WriteEndObject();
        }
    }

    private static void Replace(string path, byte[] bytes)
    {
        string unfinished = path + ".unfinished";
        System.IO.File.WriteAllBytes(unfinished, bytes);
        System.IO.File.Move(unfinished, path, overwrite: true);
    }
}
