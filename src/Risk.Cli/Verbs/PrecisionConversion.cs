using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Risk.Cli.Accelerators;
using Risk.Cli.CommandLine;
using Risk.Core.Models;
using Risk.Core.Models.Tensors;
using Risk.Core.Replay;
using Risk.Inference;
using Risk.Inference.Devices;

namespace Risk.Cli.Verbs;

/// <summary>
/// A model in fewer bits, as a model version of its own beside the one it is made from: its bytes, and what was measured of it on
/// recorded transactions that its scales were not made from.
/// </summary>
/// <param name="Golden">Against the golden scores of the model it is made from.</param>
/// <param name="Recorded">Against that model's scores of the recorded transactions.</param>
/// <param name="Skipped">Recorded transactions before those.</param>
/// <param name="Calibrated">Of the recorded transactions behind them, the first ones: the scales were made from them.</param>
internal sealed record PrecisionConversion(
    ModelBundle Bundle, Precision Precision, byte[] Onnx, string Stream, int Skipped, int Calibrated, ConformanceReport Golden, ScoreParity Recorded, int Flips, double? AucRoc, double? AucRocBefore, double? AveragePrecision, double? AveragePrecisionBefore)
{
    private const int BatchSize = 512;
    private static readonly JsonSerializerOptions s_indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public string Version => $"{Bundle.Manifest.Version}-{ReducedPrecision.Name(Precision)}";
    public string Reference => $"{Bundle.Manifest.Name}@{Version}";
    public string Folder => Path.Combine(Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Bundle.Directory))!, Version);
    public string Sha256 => Convert.ToHexStringLower(SHA256.HashData(Onnx));

    /// <summary>Twice what was measured, one digit, rounded up: other rows and other devices' sums are further off than those that were seen.</summary>
    public double DifferenceMax
    {
        get
        {
            double twice = 2 * Math.Max(Golden.MaxAbsoluteDifference, Recorded.Max), digit = Math.Pow(10, Math.Floor(Math.Log10(Math.Max(twice, 1e-6))));
            return Math.Min(1, Math.Round(Math.Ceiling(twice / digit) * digit, 9));
        }
    }

    /// <summary>Converts and compares on this machine's processor; writes nothing.</summary>
    /// <exception cref="CommandFailure">MODEL_UNSUPPORTED: the model has nothing to keep in fewer bits, or does not run so.</exception>
    public static PrecisionConversion Run(ModelBundle bundle, StreamFiles files, Precision precision, int skip, int transactions, Action<long> progress, CancellationToken cancellation)
    {
        ModelManifest manifest = bundle.Manifest;
        if (manifest.Precision is { } already) { throw CommandFailure.BadInput(ModelCodes.Unsupported, $"{manifest.Name}@{manifest.Version} is {already.Of} in {already.Form} already; convert that one"); }
        RecordedRows rows = RecordedRows.Read(files, bundle, transactions, progress, cancellation, skip);
        if (rows.Count < 100) { throw CommandFailure.BadInput("USAGE", $"{rows.Count} recorded transactions are too few behind the first {skip}; give a smaller --skip"); }
        int calibrated = precision == Precision.EightBits ? rows.Count / 10 : 0, count = rows.Count - calibrated;
        IReadOnlyDictionary<string, ValueRange>? ranges = calibrated > 0 ? ActivationRanges.Of(bundle.Onnx, rows.Inputs[..(calibrated * rows.Features)], rows.Features) : null;
        if (!ReducedPrecision.TryWrite(bundle.Onnx, precision, ranges, out byte[]? onnx, out ModelRefusal? refusal)
            || !OnnxSession.TryOpen(onnx, rows.Features, manifest.Output, BatchSize, out OnnxSession? session, out refusal))
        {
            throw CommandFailure.BadInput(refusal.Code, refusal.Reason);
        }
        using (session)
        {
            var scores = new float[count];
            if (!DeviceVerification.Run(session, rows.Inputs.AsSpan(calibrated * rows.Features), scores, BatchSize, cancellation)) { throw CommandFailure.BadInput(ModelCodes.OutputInvalid, $"{ReducedPrecision.Name(precision)} gives scores that are no numbers in [0, 1]"); }
            ReadOnlySpan<float> before = rows.Scores.AsSpan(calibrated);
            int flips = Enumerable.Range(0, count).Count(row => rows.Decide(calibrated + row, scores[row]) != rows.Outcomes[calibrated + row]);
            bool[] frauds = rows.Frauds?[calibrated..] ?? new bool[count];
            double[] wide = Array.ConvertAll(scores, s => (double)s), wideBefore = Array.ConvertAll(before.ToArray(), s => (double)s);
            return new PrecisionConversion(
                bundle, precision, onnx, files.Definition.Schema.Name, skip, calibrated, bundle.Golden.Check(session), ScoreParity.Of(scores, before), flips,
                RocAuc.Of(wide, frauds), RocAuc.Of(wideBefore, frauds), Core.Replay.AveragePrecision.Of(wide, frauds), Core.Replay.AveragePrecision.Of(wideBefore, frauds));
        }
    }

    /// <summary>Whether the registry has this very model already, by its bytes.</summary>
    public bool IsThere() => ModelBundle.TryLoad(Folder, out ModelBundle? there, out _) && there.Onnx.AsSpan().SequenceEqual(Onnx);

    /// <summary>Writes the bundle; its manifest last, without which a folder is none.</summary>
    public void Write(DateOnly date)
    {
        Directory.CreateDirectory(Folder);
        File.WriteAllBytes(Path.Combine(Folder, "model.onnx"), Onnx);
        File.Copy(Path.Combine(Bundle.Directory, "golden.csv"), Path.Combine(Folder, "golden.csv"), overwrite: true);
        JsonObject manifest = JsonNode.Parse(File.ReadAllBytes(Path.Combine(Bundle.Directory, "model.json")))!.AsObject();
        manifest["version"] = Version;
        manifest["model"] = "model.onnx";
        manifest["digest"] = $"sha256:{Sha256}";
        // What was found of the other model was not found of this one.
        foreach (string member in (string[])["variants", "metrics", "validation"]) { manifest.Remove(member); }
        manifest["precision"] = new JsonObject
        {
            ["form"] = ReducedPrecision.Name(Precision),
            ["of"] = $"{Bundle.Manifest.Name}@{Bundle.Manifest.Version}",
            ["against"] = $"sha256:{Bundle.Manifest.Sha256}",
            ["differenceMax"] = DifferenceMax,
            ["measured"] = JsonNode.Parse(Text(WriteMeasured)),
            ["date"] = date.ToString("O", CultureInfo.InvariantCulture),
        };
        File.WriteAllText(Path.Combine(Folder, "model.json"), manifest.ToJsonString(s_indented) + "\n");
    }

    public void WriteJson(Utf8JsonWriter json)
    {
        json.WriteString("model", Reference);
        json.WriteString("of", $"{Bundle.Manifest.Name}@{Bundle.Manifest.Version}");
        json.WriteString("folder", Folder);
        json.WriteNumber("bytes", Onnx.Length);
        json.WriteString("digest", $"sha256:{Sha256}");
        json.WriteNumber("differenceMax", DifferenceMax);
        WriteMeasured(json);
    }

    public void Show(Output output)
    {
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Reference}: {Onnx.Length / 1024.0:N0} KiB against {Bundle.Onnx.Length / 1024.0:N0} KiB, sha256:{Sha256[..16]}…"));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Away from golden: {Golden.MaxAbsoluteDifference:0.0e+0} at most in {Golden.RowCount:N0} rows; from {Bundle.Manifest.Name}@{Bundle.Manifest.Version} on {Recorded.RowCount:N0} recorded transactions: half below {Recorded.P50:0.0e+0}, 99 % below {Recorded.P99:0.0e+0}, 99.9 % below {Recorded.P999:0.0e+0}, at most {Recorded.Max:0.0e+0}."));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Outcomes that are other ones: {Flips:N0}. AUC ROC {AucRoc:0.00000} instead of {AucRocBefore:0.00000}, average precision {AveragePrecision:0.00000} instead of {AveragePrecisionBefore:0.00000}."));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"It serves only under a policy with \"scoreDifferenceMax\" of {DifferenceMax:0.######} or more."));
    }

    private void WriteMeasured(Utf8JsonWriter json)
    {
        json.WriteStartObject("golden");
        json.WriteNumber("rows", Golden.RowCount);
        json.WriteNumber("max", Short(Golden.MaxAbsoluteDifference));
        json.WriteEndObject();
        json.WriteStartObject("recorded");
        json.WriteString("stream", Stream);
        json.WriteNumber("skipped", Skipped);
        json.WriteNumber("calibratedOn", Calibrated);
        json.WriteNumber("rows", Recorded.RowCount);
        json.WriteNumber("max", Short(Recorded.Max));
        json.WriteNumber("p50", Short(Recorded.P50));
        json.WriteNumber("p99", Short(Recorded.P99));
        json.WriteNumber("p999", Short(Recorded.P999));
        json.WriteNumber("outcomeFlips", Flips);
        foreach ((string name, double? now, double? before) in (ReadOnlySpan<(string, double?, double?)>)[("aucRoc", AucRoc, AucRocBefore), ("averagePrecision", AveragePrecision, AveragePrecisionBefore)])
        {
            if (now is not { } value || before is not { } reference) { continue; }
            json.WriteNumber(name, Math.Round(value, 6));
            json.WriteNumber($"{name}Lift", Math.Round(value - reference, 6));
        }
        json.WriteEndObject();
    }

    private static double Short(double value) => double.IsFinite(value) ? double.Parse(value.ToString("0.00e+0", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture) : 1e9;

    private static string Text(Action<Utf8JsonWriter> write)
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(bytes.ToArray());
    }
}
