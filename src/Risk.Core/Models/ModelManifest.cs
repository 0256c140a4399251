using System.Diagnostics.CodeAnalysis;
using System.Text.Json;

namespace Risk.Core.Models;

/// <summary>
/// <c>model.json</c> of a bundle: what a model is, what it takes and gives, and whose it is. Unknown fields are kept out of
/// here but stay in the file, which is shown as it is by <c>risk model</c>.
/// </summary>
public sealed class ModelManifest
{
    private ModelManifest(JsonElement root)
    {
        Name = Text(root, "name");
        Version = Text(root, "version");
        Purpose = Text(root, "purpose");
        Owner = Text(root, "owner");
        Licence = Text(root, "licence");
        Materiality = OptionalText(root, "materiality");
        ModelFile = FileName(OptionalText(root, "model") ?? "model.onnx");
        Sha256 = Digest(Text(root, "digest"));
        Inputs = Strings(root, "inputs");
        Output = Text(root, "output");
        Calibration = ReadCalibration(root);
        Metrics = ReadMetrics(root);
        ReasonTexts = ReadReasonTexts(root);
        Variants = ReadVariants(root);
        Precision = ReadPrecision(root);
    }

    public string Name { get; }

    public string Version { get; }

    /// <summary>What the score is an estimate of.</summary>
    public string Purpose { get; }

    public string Owner { get; }

    /// <summary>SPDX expression.</summary>
    public string Licence { get; }

    /// <summary>How much hangs on the model (model risk tier), or null.</summary>
    public string? Materiality { get; }

    /// <summary>Name of the ONNX file beside the manifest; never a path.</summary>
    public string ModelFile { get; }

    /// <summary>SHA-256 of the ONNX file: 64 lower-case hexadecimal digits. The model's identity in every record.</summary>
    public string Sha256 { get; }

    /// <summary>Feature names in the order of the model's columns; not empty, no name twice.</summary>
    public IReadOnlyList<string> Inputs { get; }

    /// <summary>Name of the graph output that is the score.</summary>
    public string Output { get; }

    public ModelCalibration Calibration { get; }

    /// <summary>Numbers of <c>metrics</c> by dotted path (<c>shipped.aucRoc</c>), as the bundle claims them.</summary>
    public IReadOnlyDictionary<string, double> Metrics { get; }

    /// <summary>A text a customer could be told, by feature name; empty when the bundle has none.</summary>
    public IReadOnlyDictionary<string, string> ReasonTexts { get; }

    /// <summary>The same model in other forms, no name twice; empty when the bundle has none.</summary>
    public IReadOnlyList<ModelVariant> Variants { get; }

    /// <summary>What was given up against the model that this one was made from; null for a model that was trained as it is.</summary>
    public ModelPrecision? Precision { get; }

    /// <summary>Reads <c>model.json</c>. A manifest that cannot be read cannot be trusted: <see cref="ModelCodes.Untrusted"/>.</summary>
    /// <param name="utf8">The file's bytes.</param>
    public static bool TryRead(ReadOnlyMemory<byte> utf8, [NotNullWhen(true)] out ModelManifest? manifest, [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        (manifest, refusal) = (null, null);
        try
        {
            using var document = JsonDocument.Parse(utf8, new JsonDocumentOptions { AllowDuplicateProperties = false, MaxDepth = ModelLimits.NestingMax });
            manifest = new ModelManifest(document.RootElement);
            return true;
        }
        catch (Exception e) when (e is JsonException or ManifestException)
        {
            refusal = new ModelRefusal(ModelCodes.Untrusted, $"model.json: {e.Message}");
            return false;
        }
    }

    /// <summary>Position of each model input in a feature catalog, or <see cref="ModelCodes.FeatureMismatch"/> naming the first that is not there.</summary>
    /// <param name="featureNames">The catalog's features in the order of a view.</param>
    /// <param name="columns">For each of <see cref="Inputs"/>, its 0-based index in <paramref name="featureNames"/>.</param>
    public ModelRefusal? MapInputs(IReadOnlyList<string> featureNames, out int[] columns)
    {
        var places = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = 0; i < featureNames.Count; i++)
        {
            places.TryAdd(featureNames[i], i);
        }

        columns = new int[Inputs.Count];
        for (var i = 0; i < columns.Length; i++)
        {
            if (!places.TryGetValue(Inputs[i], out columns[i]))
            {
                return new ModelRefusal(ModelCodes.FeatureMismatch, $"{Name}@{Version} wants the feature '{Inputs[i]}' (input {i}), which is none of the catalog's {featureNames.Count}");
            }
        }

        return null;
    }

    private static JsonElement Member(JsonElement root, string name, JsonValueKind kind)
    {
        if (root.ValueKind != JsonValueKind.Object)
        {
            throw new ManifestException($"an object was expected, found {root.ValueKind}");
        }

        if (!root.TryGetProperty(name, out var value))
        {
            throw new ManifestException($"the field '{name}' is missing");
        }

        return value.ValueKind == kind ? value : throw new ManifestException($"the field '{name}' must be of the kind {kind}, found {value.ValueKind}");
    }

    private static string Text(JsonElement root, string name)
    {
        var text = Member(root, name, JsonValueKind.String).GetString()!;
        return text.Length is > 0 and <= 1024 ? text : throw new ManifestException($"the field '{name}' must have 1 to 1024 characters, found {text.Length}");
    }

    private static string? OptionalText(JsonElement root, string name) => root.TryGetProperty(name, out _) ? Text(root, name) : null;

    private static string FileName(string text) => text.AsSpan().IndexOfAny("/\\:\0") < 0 && text is not ("." or "..")
        ? text
        : throw new ManifestException("the field 'model' must be a file's name beside the manifest, not a path");

    private static string Digest(string text)
    {
        const string prefix = "sha256:";
        var hex = text.StartsWith(prefix, StringComparison.Ordinal) ? text[prefix.Length..] : "";
        return hex.Length == 64 && hex.All(char.IsAsciiHexDigitLower)
            ? hex
            : throw new ManifestException("the field 'digest' must be 'sha256:' and 64 lower-case hexadecimal digits");
    }

    private static string[] Strings(JsonElement root, string name)
    {
        var values = Member(root, name, JsonValueKind.Array).EnumerateArray()
            .Select(e => e.ValueKind == JsonValueKind.String ? e.GetString()! : throw new ManifestException($"the field '{name}' holds a {e.ValueKind}"))
            .ToArray();
        if (values.Length is < 1 or > ModelLimits.FeatureCountMax || values.Any(string.IsNullOrWhiteSpace))
        {
            throw new ManifestException($"the field '{name}' must hold 1 to {ModelLimits.FeatureCountMax} names, none of them empty; found {values.Length}");
        }

        var twice = values.GroupBy(v => v, StringComparer.Ordinal).FirstOrDefault(g => g.Count() > 1);
        return twice is null ? values : throw new ManifestException($"the field '{name}' holds '{twice.Key}' twice");
    }

    private static ModelCalibration ReadCalibration(JsonElement root)
    {
        if (!root.TryGetProperty("calibration", out var value))
        {
            return ModelCalibration.None;
        }

        var method = Text(value, "method");
        var (a, b) = method switch
        {
            "none" => (1.0, 0.0),
            "platt" => (Member(value, "a", JsonValueKind.Number).GetDouble(), Member(value, "b", JsonValueKind.Number).GetDouble()),
            _ => throw new ManifestException($"calibration by '{method}' is not known; platt and none are"),
        };
        return double.IsFinite(a) && a > 0 && double.IsFinite(b)
            ? new ModelCalibration(a, b)
            : throw new ManifestException($"calibration wants a > 0 and a finite b, found {a} and {b}");
    }

    private static Dictionary<string, double> ReadMetrics(JsonElement root)
    {
        var found = new Dictionary<string, double>(StringComparer.Ordinal);
        if (root.TryGetProperty("metrics", out var metrics))
        {
            Collect(metrics, "", found);
        }

        return found;
    }

    private static void Collect(JsonElement element, string path, Dictionary<string, double> found)
    {
        if (element.ValueKind == JsonValueKind.Object)
        {
            foreach (var member in element.EnumerateObject())
            {
                Collect(member.Value, path.Length == 0 ? member.Name : $"{path}.{member.Name}", found);
            }
        }
        else if (element.ValueKind == JsonValueKind.Number)
        {
            found[path] = element.GetDouble();
        }
    }

    private ModelVariant[] ReadVariants(JsonElement root)
    {
        if (!root.TryGetProperty("variants", out _))
        {
            return [];
        }

        var variants = Member(root, "variants", JsonValueKind.Array).EnumerateArray().Select(ReadVariant).ToArray();
        var twice = variants.GroupBy(v => v.Name, StringComparer.Ordinal).FirstOrDefault(g => g.Count() > 1);
        return twice is null ? variants : throw new ManifestException($"there are two variants '{twice.Key}'");
    }

    private ModelVariant ReadVariant(JsonElement variant)
    {
        var parity = Member(variant, "parity", JsonValueKind.Object);
        var read = new ModelVariant(
            Text(variant, "name"),
            FileName(Text(variant, "model")),
            Digest(Text(variant, "digest")),
            Text(variant, "form"),
            new VariantParity(
                Digest(Text(parity, "against")), (int)Number(parity, "rows", 1, int.MaxValue), Number(parity, "maxAbsoluteDifference", 0, double.MaxValue), Text(parity, "date")));
        return read.Parity.Against == Sha256
            ? read
            : throw new ManifestException($"the variant '{read.Name}' was compared with the model sha256:{read.Parity.Against}, not with this one: convert again");
    }

    private static ModelPrecision? ReadPrecision(JsonElement root)
    {
        if (!root.TryGetProperty("precision", out _))
        {
            return null;
        }

        var precision = Member(root, "precision", JsonValueKind.Object);
        return new ModelPrecision(Text(precision, "form"), Text(precision, "of"), Digest(Text(precision, "against")), Number(precision, "differenceMax", 0, 1));
    }

    private static double Number(JsonElement root, string name, double least, double most)
    {
        var value = Member(root, name, JsonValueKind.Number).GetDouble();
        return value >= least && value <= most ? value : throw new ManifestException($"the field '{name}' must be {least} {(most <= 1 ? "to 1" : "or more")}, found {value}");
    }

    private static Dictionary<string, string> ReadReasonTexts(JsonElement root) =>
        root.TryGetProperty("reasons", out var reasons) && reasons.ValueKind == JsonValueKind.Object
            ? reasons.EnumerateObject().Where(r => r.Value.ValueKind == JsonValueKind.String).ToDictionary(r => r.Name, r => r.Value.GetString()!, StringComparer.Ordinal)
            : [];

    /// <summary>Leaves the constructor with the sentence for the person; never leaves this class.</summary>
    private sealed class ManifestException(string message) : Exception(message);
}
