using System.Text.Json;
using Risk.Core.Decisions;
using Risk.Inference.Devices;

namespace Risk.Cli.Accelerators;

/// <summary>A recorded transaction whose outcome is another one on the device.</summary>
internal sealed record OutcomeFlip(string Id, float Reference, float Score, Outcome Expected, Outcome Found);

/// <summary>What <c>risk accelerators verify</c> found of one device and one model.</summary>
/// <param name="Refusal">Why it could not be checked; everything else is then empty.</param>
internal sealed record VerifiedDevice(string Device, string ExecutionProvider, string Description, string Model, string Variant, string Digest, string Driver, string ProviderVersion, DeviceRefusal? Refusal)
{
    public const int FlipsShown = 100;

    /// <summary>What a score may be away from the processor's.</summary>
    public double Tolerance { get; init; } = DeviceModel.ToleranceMax;
    public ScoreParity Parity { get; init; } = ScoreParity.Failed(0);
    public int FlipCount { get; init; }
    public IReadOnlyList<OutcomeFlip> Flips { get; init; } = [];
    public IReadOnlyList<BatchConformance> Batches { get; init; } = [];
    public DeviceMemory? Memory { get; init; }
    /// <summary>Null for a scorer that cannot be lost: the forest kernel.</summary>
    public LossConformance? Loss { get; init; }
    public double Seconds { get; init; }

    /// <summary>Everything that does not hold, each in one sentence; empty when the device conforms.</summary>
    public IReadOnlyList<string> Faults()
    {
        List<string> faults = [];
        if (Refusal is not null) { return [Refusal.ToString()]; }
        if (!(Parity.Max <= Tolerance)) { faults.Add($"parity: {Parity.Max:0.0e+0} away from the processor, {Tolerance:0e+0} is allowed"); }
        if (FlipCount > 0) { faults.Add($"{FlipCount} of {Parity.RowCount} outcomes are other ones"); }
        foreach (BatchConformance batch in Batches)
        {
            if (!(batch.Parity.Max <= Tolerance)) { faults.Add($"batches of {batch.BatchSize}: {batch.Parity.Max:0.0e+0} away from the processor"); }
            if (!(batch.InvarianceMax <= Tolerance)) { faults.Add($"batches of {batch.BatchSize}: {batch.InvarianceMax:0.0e+0} away from the same rows one by one"); }
            if (!batch.IsDeterministic) { faults.Add($"batches of {batch.BatchSize}: two runs differ"); }
        }
        if (Loss is { Conforms: false } loss) { faults.Add(!loss.FailsAsLost ? "loss: a killed session still gave scores" : loss.RecoverySeconds is null ? "loss: it did not come back" : "loss: other scores after it came back"); }
        return faults;
    }

    public bool Conforms => Faults().Count == 0;

    /// <summary>The answer for all of them in one line: how many conform, and which do not.</summary>
    public static string Verdict(IReadOnlyList<VerifiedDevice> devices)
    {
        string[] failed = [.. devices.Where(d => !d.Conforms).Select(d => d.Refusal is { } refusal ? $"{d.Device} (not checked: {refusal.Code})" : d.Device)];
        string count = devices.Count == 1 ? "The device conforms" : $"All {devices.Count} devices conform";
        return devices.Count == 0 ? "No device was checked." : failed.Length == 0 ? $"{count}." : $"{failed.Length} of {devices.Count} {(devices.Count == 1 ? "device" : "devices")} {(failed.Length == 1 ? "does" : "do")} not conform: {string.Join(", ", failed)}.";
    }

    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("device", Device);
        json.WriteString("executionProvider", ExecutionProvider);
        json.WriteString("description", Description);
        json.WriteString("model", Model);
        json.WriteString("variant", Variant);
        json.WriteString("digest", Digest.Length == 0 ? "" : $"sha256:{Digest}");
        json.WriteString("driver", Driver);
        json.WriteString("providerVersion", ProviderVersion);
        json.WriteBoolean("conforms", Conforms);
        json.WriteStartArray("faults");
        foreach (string fault in Faults()) { json.WriteStringValue(fault); }
        json.WriteEndArray();
        if (Refusal is null) { WriteFindings(json); }
        json.WriteEndObject();
    }

    private void WriteFindings(Utf8JsonWriter json)
    {
        json.WriteNumber("seconds", Math.Round(Seconds, 3));
        WriteParity(json, "parity", Parity);
        json.WriteNumber("outcomeFlips", FlipCount);
        json.WriteStartArray("flips");
        foreach (OutcomeFlip flip in Flips)
        {
            json.WriteStartObject();
            json.WriteString("id", flip.Id);
            json.WriteNumber("reference", flip.Reference);
            json.WriteNumber("score", flip.Score);
            json.WriteString("expected", flip.Expected.ToString().ToLowerInvariant());
            json.WriteString("found", flip.Found.ToString().ToLowerInvariant());
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartArray("batches");
        foreach (BatchConformance batch in Batches)
        {
            json.WriteStartObject();
            json.WriteNumber("batch", batch.BatchSize);
            WriteParity(json, "parity", batch.Parity);
            json.WriteNumber("invarianceMax", Finite(batch.InvarianceMax));
            json.WriteBoolean("deterministic", batch.IsDeterministic);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        if (Memory is { } memory)
        {
            json.WriteStartObject("memory");
            json.WriteNumber("hostBytes", memory.HostBytes);
            if (memory.DeviceBytes is { } device) { json.WriteNumber("deviceBytes", device); } else { json.WriteNull("deviceBytes"); }
            json.WriteEndObject();
        }
        if (Loss is { } loss)
        {
            json.WriteStartObject("loss");
            json.WriteBoolean("failsAsLost", loss.FailsAsLost);
            if (loss.RecoverySeconds is { } seconds) { json.WriteNumber("recoverySeconds", Math.Round(seconds, 3)); } else { json.WriteNull("recoverySeconds"); }
            json.WriteBoolean("sameAfter", loss.IsSameAfter);
            json.WriteEndObject();
        }
    }

    private static void WriteParity(Utf8JsonWriter json, string name, ScoreParity parity)
    {
        json.WriteStartObject(name);
        json.WriteNumber("rows", parity.RowCount);
        json.WriteNumber("max", Finite(parity.Max));
        json.WriteNumber("p50", Finite(parity.P50));
        json.WriteNumber("p99", Finite(parity.P99));
        json.WriteNumber("p999", Finite(parity.P999));
        json.WriteEndObject();
    }

    /// <summary>JSON has no infinity; a failed run is further away than any score can be.</summary>
    private static double Finite(double value) => double.IsFinite(value) ? value : 1e9;
}
