using System.Globalization;
using Risk.Core.Costs;
using Risk.Core.Devices;

namespace Risk.Cli.Costs;

/// <summary>
/// The arithmetic from the rates of a device to the cost, the energy and the latency at one load, and to its break-even load, in
/// the order in which it is done. The rates' own lines (<see cref="DeviceRates.Lines"/>) lead on to the price book, those of
/// <see cref="TimeSteps"/> to the profile and the workload.
/// </summary>
internal static class ComparisonSteps
{
    public static IEnumerable<Step> All(Comparison comparison, Pairing pairing, ComparedDevice row)
    {
        string currency = comparison.Inputs.Book.Currency;
        IEnumerable<Step> at = row.At is { } point
            ? TimeSteps.Of(row.Device, comparison.Inputs, point.Batch).Concat(At(row.Device, comparison.Load, point, pairing.Utilisation, currency))
            : [new Step("at the load asked for", $"no batch answers within {Numbers.Micros(comparison.DeadlineMicros)}", "", [])];
        return at.Concat(BreakEvenSteps.Of(comparison, pairing, row));
    }

    private static IEnumerable<Step> At(PricedDevice device, double load, OperatingPoint at, double utilisation, string currency)
    {
        CostPoint point = device.Curve.Points.First(p => p.Batch == at.Batch);
        bool isCore = device.Rates.Host is null;
        string unit = isCore ? "cores" : "devices";
        yield return Line("computing", $"{Of(load)} a second × {Of(point.MedianMicros)} µs ÷ {point.Batch} rows", $"{Of(at.BusyCount)} {unit}");
        yield return Line("needed", $"{Of(at.BusyCount)} ÷ utilisation {Of(utilisation)}{(isCore ? $", in machines of {device.Lot} cores" : ", rounded up")}", $"{Of(at.DeviceCount)} {unit}");
        if (device.Rates.Host is { } host)
        {
            yield return Line("host", $"{Of(load)} a second ÷ {point.Batch} rows × {Of(point.HostMicros)} µs = {Of(at.Host.Busy)} cores busy; kept {Of(at.DeviceCount)} × {Of(host.Cores.Value)} = {Of(at.Host.Kept)}, to whole machines {Of(at.Host.More)} more", $"{Of(at.Host.Kept + at.Host.More)} cores");
        }

        yield return Line("an hour", Money(device, at, utilisation, Scenario.Expected), $"{Of(at.MoneyPerHour)} {currency}");
        yield return Line("a thousand decisions", $"{Of(at.MoneyPerHour)} {currency} ÷ ({Of(load)} × 3.6)", $"{Of(at.MoneyPerHour / load / 3.6)} {currency}");
        yield return Energy(device, load, at);
        foreach (Step step in Latency(load, at))
        {
            yield return step;
        }
    }

    /// <summary>What an hour is the sum of, at one end of the figures.</summary>
    internal static string Money(PricedDevice device, OperatingPoint at, double utilisation, Scenario scenario)
    {
        DeviceRates rates = device.Rates;
        string unit = rates.Host is null ? "cores" : "devices";
        List<string> parts = [$"{Of(at.DeviceCount)} {unit} × {Of(rates.OnPerHour.At(scenario))}"];
        Add(at.BusyCount, rates.BusyPerHour.At(scenario), "busy");
        if (rates.Host is { } host)
        {
            double beyond = Math.Max(0, (at.Host.Busy / utilisation) - at.Host.Kept);
            Add(at.Host.More, host.Core.OnPerHour.At(scenario), "host cores");
            Add(host.IsInPrice ? Math.Min(at.Host.Busy, beyond * utilisation) : at.Host.Busy, host.Core.BusyPerHour.At(scenario), "busy host cores");
        }

        return string.Join(" + ", parts);

        void Add(double count, double rate, string what)
        {
            if (count * rate > 0)
            {
                parts.Add($"{Of(count)} {what} × {Of(rate)}");
            }
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

    private static IEnumerable<Step> Latency(double load, OperatingPoint at)
    {
        BatchLatency latency = at.Latency;
        int gaps = at.Batch - 1;
        yield return gaps == 0
            ? Line("waiting for the batch", "a row leaves by itself", "0")
            : Line("waiting for the batch", $"{gaps.ToString("#,0", CultureInfo.InvariantCulture)} gaps of {Of(1e6 / load)} µs: half of them; all of them at p99 (Erlang)", $"{Numbers.Micros(latency.FillP50)}, {Numbers.Micros(latency.FillP99)}");
        double count = at.DeviceCount, busy = at.BusyCount / count, wait = BatchLatency.WaitProbability(count, busy);
        yield return Line("waiting for a device", $"{Of(wait)} = {Of(busy)}^(√(2 × ({Of(count)} + 1)) − 1) of the batches wait; p99 {(latency.QueueP99 == 0 ? "0: fewer than one in a hundred" : $"{Of(latency.RunP50)} µs ÷ (2 × {Of(count)} × (1 − {Of(busy)})) × ln({Of(wait)} ÷ 0.01)")}", Numbers.Micros(latency.QueueP99));
        yield return Line("latency", $"p50 {Numbers.Micros(latency.FillP50)} + {Numbers.Micros(latency.QueueP50)} + {Numbers.Micros(latency.RunP50)}; p99 {Numbers.Micros(latency.FillP99)} + {Numbers.Micros(latency.QueueP99)} + {Numbers.Micros(latency.RunP99)}", $"{Numbers.Micros(latency.P50)}, {Numbers.Micros(latency.P99)}");
    }

    private static Step Line(string what, string arithmetic, string result) => new(what, arithmetic, result, []);

    private static string Of(double value) => Numbers.Of(value);
}
