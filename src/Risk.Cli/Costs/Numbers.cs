using System.Globalization;
using Risk.Core.Costs;
using Risk.Core.Devices;

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

    public static string Range(Estimate? estimate) => estimate is { } e ? $"{Of(e.Value)} ({Of(e.Low)} – {Of(e.High)})" : "too slow";

    /// <summary>A load, or that there is none.</summary>
    public static string Load(double? perSecond) => perSecond is { } load ? load <= BreakEven.LoadMin ? "any" : Of(load) : "never";

    public static string Micros(double micros) => micros >= 1000 ? $"{Of(micros / 1000)} ms" : $"{Of(micros)} µs";

    public static string Basis(FigureBasis basis) => basis switch { FigureBasis.Measured => "measured", FigureBasis.Published => "published", _ => "assumed" };
}
