using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Risk.Core.Costs;

namespace Risk.Core.Devices;

/// <summary>Writes what <see cref="DeviceProfileReader"/> reads.</summary>
internal static class DeviceProfileWriter
{
    // Profiles are read by people: µ stays µ. They are never put into a page unescaped.
    private static readonly JsonWriterOptions s_options = new() { Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static byte[] Write(DeviceProfile profile)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter json = new(buffer, s_options))
        {
            json.WriteStartObject();
            json.WriteString("name", profile.Name);
            json.WriteString("kind", DeviceProfileWords.Of(DeviceProfileWords.Kinds, profile.Kind));
            json.WriteString("executionProvider", profile.ExecutionProvider);
            json.WriteString("device", profile.Device);
            json.WriteString("basis", DeviceProfileWords.Of(DeviceProfileWords.Bases, profile.Basis));
            if (profile.Note is not null)
                json.WriteString("note", profile.Note);
            json.WriteString("machine", profile.Machine);
            json.WriteString("driver", profile.Driver);
            json.WriteStartObject("versions");
            json.WriteString("runtime", profile.RuntimeVersion);
            json.WriteString("provider", profile.ProviderVersion);
            json.WriteEndObject();
            json.WriteString("date", Day(profile.Date));
            json.WriteBoolean("padded", profile.IsPadded);
            if (profile.Power is { } power)
            {
                json.WriteStartObject("power");
                Figure(json, "idleWatts", power.Idle);
                Figure(json, "fullWatts", power.Full);
                json.WriteString("method", DeviceProfileWords.Of(DeviceProfileWords.Methods, power.Method));
                json.WriteEndObject();
            }
            if (profile.Sheet is { } sheet)
                Sheet(json, sheet);
            json.WriteStartArray("models");
            foreach (ModelCurve curve in profile.Models)
                Curve(json, curve);
            json.WriteEndArray();
            json.WriteEndObject();
        }
        return [.. buffer.WrittenSpan, (byte)'\n'];
    }

    private static void Sheet(Utf8JsonWriter json, DataSheet sheet)
    {
        json.WriteStartObject("dataSheet");
        json.WriteString("precision", sheet.Precision);
        Figure(json, "operations", sheet.Operations);
        Figure(json, "memory", sheet.Memory);
        Figure(json, "link", sheet.Link);
        Figure(json, "launch", sheet.Launch);
        Figure(json, "kernel", sheet.Kernel);
        Figure(json, "efficiency", sheet.Efficiency);
        json.WriteNumber("batchMax", sheet.BatchMax);
        json.WriteEndObject();
    }

    private static void Curve(Utf8JsonWriter json, ModelCurve curve)
    {
        json.WriteStartObject();
        json.WriteString("model", curve.Model);
        json.WriteString("version", curve.Version);
        json.WriteString("variant", curve.Variant);
        if (curve.Digest is { } digest)
            json.WriteString("digest", $"sha256:{digest}");
        json.WriteStartArray("points");
        foreach (CostPoint point in curve.Points)
        {
            json.WriteStartObject();
            json.WriteNumber("batch", point.Batch);
            json.WriteNumber("medianMicros", point.MedianMicros);
            json.WriteNumber("p99Micros", point.P99Micros);
            json.WriteNumber("spreadMicros", point.SpreadMicros);
            json.WriteNumber("hostMicros", point.HostMicros);
            if (point.JoulesPerBatch is { } joules)
                json.WriteNumber("joulesPerBatch", joules);
            if (point.LowMicros != point.MedianMicros)
                json.WriteNumber("lowMicros", point.LowMicros);
            if (point.HighMicros != point.MedianMicros)
                json.WriteNumber("highMicros", point.HighMicros);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void Figure(Utf8JsonWriter json, string name, in PriceFigure figure)
    {
        json.WriteStartObject(name);
        json.WriteNumber("value", figure.Value);
        if (figure.Low != figure.Value || figure.High != figure.Value)
        {
            json.WriteNumber("low", figure.Low);
            json.WriteNumber("high", figure.High);
        }
        json.WriteString("unit", figure.Unit);
        json.WriteString("source", figure.Source);
        json.WriteString("date", Day(figure.Date));
        json.WriteString("basis", DeviceProfileWords.Of(DeviceProfileWords.Bases, figure.Basis));
        json.WriteEndObject();
    }

    private static string Day(DateOnly day) => day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
}
