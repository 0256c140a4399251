using System.Globalization;
using System.Text.Json;
using Risk.Cli.CommandLine;
using Risk.Core.Costs;
using Risk.Core.Devices;
using Spectre.Console;

namespace Risk.Cli.Accelerators;

/// <summary>A profile's curves for people, and what the answer in JSON says beside the profiles: energy with low and high.</summary>
internal static class CurveTable
{
    /// <param name="mark">Behind the name: recorded, or from a data sheet; empty for what was measured now.</param>
    public static void Show(Output output, DeviceProfile profile, string mark)
    {
        bool isSheet = profile.Basis != FigureBasis.Measured;
        foreach (ModelCurve curve in profile.Models)
        {
            output.WriteLine($"{profile.Name}{mark}: {curve.Model}@{curve.Version} as {curve.Variant}, {profile.ExecutionProvider}");
            Table table = isSheet
                ? output.CreateTable("batch", "expected", "low", "high", "host", "device", "rows/s", "µJ a row")
                : output.CreateTable("batch", "median", "p99", "spread", "host", "device", "rows/s", "µJ a row");
            foreach (CostPoint point in curve.Points)
            {
                (double second, double third) = isSheet ? (point.LowMicros, point.HighMicros) : (point.P99Micros, point.SpreadMicros);
                table.AddRow(
                    N(point.Batch, "0"), Micros(point.MedianMicros), Micros(second), Micros(third), Micros(point.HostMicros), Micros(Math.Max(0, point.MedianMicros - point.HostMicros)),
                    N(point.Batch * 1e6 / point.MedianMicros, "N0"), Energy(profile.Power, point));
            }
            output.People.Write(table);
        }
        if (profile.Note is { } note) { output.WriteLine(note); }
    }

    /// <summary>The member <c>energy</c>: microjoules a row of each point.</summary>
    public static void WriteEnergy(Utf8JsonWriter json, IReadOnlyList<DeviceProfile> profiles)
    {
        json.WriteStartArray("energy");
        foreach ((DeviceProfile profile, ModelCurve curve) in profiles.SelectMany(profile => profile.Models.Select(curve => (profile, curve))))
        {
            json.WriteStartObject();
            json.WriteString("profile", profile.Name);
            json.WriteString("model", $"{curve.Model}@{curve.Version}");
            json.WriteString("variant", curve.Variant);
            json.WriteStartArray("points");
            foreach (CostPoint point in curve.Points)
            {
                json.WriteStartObject();
                json.WriteNumber("batch", point.Batch);
                json.WriteString("method", RowEnergy.Word(profile.Power, point));
                if (RowEnergy.Micros(profile.Power, point) is { } energy)
                {
                    json.WriteStartObject("microjoulesPerRow");
                    json.WriteNumber("low", Math.Round(energy.Low, 6));
                    json.WriteNumber("value", Math.Round(energy.Value, 6));
                    json.WriteNumber("high", Math.Round(energy.High, 6));
                    json.WriteEndObject();
                }
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static string Energy(DevicePower? power, in CostPoint point) => RowEnergy.Micros(power, point) is not { } energy ? "unknown"
        : energy.Low == energy.High ? Digits(energy.Value) : $"{Digits(energy.Value)} ({Digits(energy.Low)} – {Digits(energy.High)})";

    private static string Micros(double micros) => $"{N(micros, "N1")} µs";

    private static string Digits(double value) => N(value, value < 10 ? "0.##" : "N0");

    private static string N(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
