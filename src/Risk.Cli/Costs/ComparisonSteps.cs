using System.Globalization;
using Risk.Core.Costs;

namespace Risk.Cli.Costs;

/// <summary>
/// The arithmetic from the rates of a device to the cost, the energy and the latency at one load, and to its break-even load, in
/// the order in which it is done (an hour: <see cref="HourSteps"/>). The rates' own lines (<see cref="DeviceRates.Lines"/>) lead on to the price book, those of
/// <see cref="TimeSteps"/> to the profile and the workload.
/// </summary>
internal static class ComparisonSteps
{
    public static IEnumerable<Step> All(Comparison comparison, Pairing pairing, ComparedDevice row)
    {
        string currency = comparison.Inputs.Book.Currency;
        IEnumerable<Step> at = row.At is { } point
            ? HourSteps.Of(comparison.Inputs, pairing, row.Device, comparison.Load, point, Scenario.Expected).Concat(At(comparison, row.Device, point, currency))
            : [new Step("at the load asked for", $"no batch answers within {Numbers.Micros(comparison.DeadlineMicros)}", "", [])];
        return at.Concat(BreakEvenSteps.Of(comparison, pairing, row));
    }

    private static IEnumerable<Step> At(Comparison comparison, PricedDevice device, OperatingPoint at, string currency)
    {
        double load = comparison.Load;
        FigureReference[] watts = HourSteps.Figures(comparison.Inputs, device.Rates, path => path.EndsWith("Watts", StringComparison.Ordinal) || path == "$.pue");
        yield return new Step("a thousand decisions", $"{Of(at.MoneyPerHour)} {currency} ÷ ({Of(load)} × 3.6)", $"{Of(at.MoneyPerHour / load / 3.6)} {currency}", HourSteps.MoneyFigures(comparison.Inputs, device.Rates));
        yield return Energy(device, load, at) with { Figures = watts };
        foreach (Step step in Latency(comparison.Inputs, device, load, at))
        {
            yield return step;
        }
    }

    private static Step Energy(PricedDevice device, double load, OperatingPoint at)
    {
        List<string> parts = [.. Watts(device.Rates, at.DeviceCount, at.BusyCount)];
        if (device.Rates.Host is { } host)
        {
            parts.AddRange(Watts(host.Core, at.Host.Kept + at.Host.More, at.Host.Busy).Select((part, i) => i == 0 ? $"host {part}" : part));
        }

        return Line("energy at the meter", $"{string.Join(" + ", parts)} = {Of(at.Watts)} W; ÷ {Of(load)} × 1,000", $"{Of(at.Watts / load * 1000)} J a thousand");
    }

    private static IEnumerable<string> Watts(DeviceRates rates, double on, double busy)
    {
        yield return $"{Of(on)} × {Of(rates.IdleWatts.Value)} W";
        yield return $"{Of(busy)} × {Of(Math.Max(0, rates.FullWatts.Value - rates.IdleWatts.Value))} W";
    }

    /// <summary>Of scoring alone, at one load.</summary>
    internal static IEnumerable<Step> Latency(CostInputs inputs, PricedDevice device, double load, OperatingPoint at)
    {
        FigureReference[] times = [.. TimeSteps.Of(device, inputs, at.Batch).SelectMany(step => step.Figures).Distinct()];
        BatchLatency latency = at.Latency;
        int gaps = at.Batch - 1;
        yield return gaps == 0
            ? Line("waiting for the batch", "a row leaves by itself", "0")
            : Line("waiting for the batch", $"{gaps.ToString("#,0", CultureInfo.InvariantCulture)} gaps of {Of(1e6 / load)} µs: half of them; all of them at p99 (Erlang)", $"{Numbers.Micros(latency.FillP50)}, {Numbers.Micros(latency.FillP99)}");
        double count = at.DeviceCount, busy = at.BusyCount / count, wait = BatchLatency.WaitProbability(count, busy);
        yield return Line("waiting for a device", $"{Of(wait)} = {Of(busy)}^(√(2 × ({Of(count)} + 1)) − 1) of the batches wait; p99 {(latency.QueueP99 == 0 ? "0: fewer than one in a hundred" : $"{Of(latency.RunP50)} µs ÷ (2 × {Of(count)} × (1 − {Of(busy)})) × ln({Of(wait)} ÷ 0.01)")}", Numbers.Micros(latency.QueueP99)) with { Figures = times };
        yield return Line("latency of scoring", $"p50 {Numbers.Micros(latency.FillP50)} + {Numbers.Micros(latency.QueueP50)} + {Numbers.Micros(latency.RunP50)}; p99 {Numbers.Micros(latency.FillP99)} + {Numbers.Micros(latency.QueueP99)} + {Numbers.Micros(latency.RunP99)}", $"{Numbers.Micros(latency.P50)}, {Numbers.Micros(latency.P99)}") with { Figures = times };
    }

    private static Step Line(string what, string arithmetic, string result) => new(what, arithmetic, result, []);

    private static string Of(double value) => Numbers.Exact(value);
}
