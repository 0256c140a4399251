using System.Globalization;
using Risk.Core.Costs;

namespace Risk.Cli.Costs;

/// <summary>Figures as people read them: three or four digits, whatever the size.</summary>
internal static class Numbers
{
    public static string Of(double value) => Math.Abs(value) switch
    {
        0 => "0",
        double.PositiveInfinity => "∞",
        >= 1e15 or < 1e-3 => value.ToString("0.##e+0", CultureInfo.InvariantCulture),
        >= 1000 => value.ToString("#,0", CultureInfo.InvariantCulture),
        >= 10 => value.ToString("0.#", CultureInfo.InvariantCulture),
        >= 0.1 => value.ToString("0.###", CultureInfo.InvariantCulture),
        _ => value.ToString("0.#####", CultureInfo.InvariantCulture),
    };

    /// <summary>With six digits, for arithmetic that somebody does again.</summary>
    public static string Exact(double value) => Math.Abs(value) switch
    {
        0 => "0",
        >= 1e15 or < 1e-6 => value.ToString("0.#####e+0", CultureInfo.InvariantCulture),
        >= 100_000 => value.ToString("#,0", CultureInfo.InvariantCulture),
        var size => value.ToString("#,0." + new string('#', Math.Clamp(5 - (int)Math.Floor(Math.Log10(size)), 0, 11)), CultureInfo.InvariantCulture),
    };

    public static string Range(Estimate? estimate) => estimate is { } e ? $"{Of(e.Value)} ({Of(e.Low)} – {Of(e.High)})" : "too slow";

    /// <summary>A load, or that there is none.</summary>
    public static string Load(double? perSecond) => perSecond is { } load ? load <= BreakEven.LoadMin ? "any" : Short(load) : "never";

    /// <summary>Three digits and k, M or G.</summary>
    public static string Short(double value) => value switch
    {
        >= 999.5e6 => $"{Digits(value / 1e9)} G",
        >= 999.5e3 => $"{Digits(value / 1e6)} M",
        >= 999.5 => $"{Digits(value / 1e3)} k",
        _ => Digits(value),
    };

    /// <summary>The load from which something holds for good, expected (low – high).</summary>
    public static string Lasting(BreakEven even) => $"{Load(even.Expected.Lasting)} ({Load(even.Low.Lasting)} – {Load(even.High.Lasting)})";

    /// <summary>Money of a thousand decisions in millionths, expected (low – high).</summary>
    public static string Millionths(Estimate? estimate) => Range(estimate * 1e6);

    private static string Digits(double value) => value.ToString(value switch { >= 99.95 => "0", >= 9.995 => "0.#", _ => "0.##" }, CultureInfo.InvariantCulture);

    /// <summary>Loads between which something holds: <c>54 k – 81 k, from 96 k</c>; of many the first and the last.</summary>
    public static string Intervals(CheaperLoads loads)
    {
        const int shown = 3;
        string[] all = [.. loads.Intervals.Select(i => double.IsInfinity(i.To)
            ? i.From <= BreakEven.LoadMin ? "any" : $"from {Short(i.From)}"
            : $"{Short(i.From)} – {Short(i.To)}")];
        return all.Length == 0 ? "never" : string.Join(", ", all.Length <= shown ? all : [.. all[..(shown - 1)], "…", all[^1]]);
    }

    /// <summary>Median and 99th percentile.</summary>
    public static string Latency(BatchLatency latency) => $"{Micros(latency.P50)}, {Micros(latency.P99)}";

    public static string Micros(double micros) => micros >= 1000 ? $"{Of(micros / 1000)} ms" : $"{Of(micros)} µs";

    public static string Word(Tenure tenure) => tenure == Tenure.Owned ? "owned" : "rented";

    public static string Basis(FigureBasis basis) => basis switch { FigureBasis.Measured => "measured", FigureBasis.Published => "published", FigureBasis.Derived => "derived", _ => "assumed" };
}
