using System.Globalization;
using Risk.Core.Costs;
using Risk.Core.Devices;

namespace Risk.Cli.Costs;

/// <summary>
/// The arithmetic from the rates of a device to the cost, the energy and the latency at one load, in the order in which it is
/// done. The rates' own lines (<see cref="DeviceRates.Lines"/>) lead on to the price book.
/// </summary>
internal static class ComparisonSteps
{
    public static IEnumerable<(string What, string Arithmetic)> Of(PricedDevice device, double load, OperatingPoint at, double utilisation, string currency)
    {
        CostPoint point = device.Curve.Points.First(p => p.Batch == at.Batch);
        string unit = device.IsDivisible ? "cores" : "devices", file = $"{device.Curve.Variant}, {device.Profile.Name}.json";
        yield return ("time of a batch", device.Profile.Basis == FigureBasis.Measured
            ? $"{Of(point.MedianMicros)} µs for {point.Batch} rows, p99 {Of(point.P99Micros)} µs, measured ({file})"
            : $"{Of(point.MedianMicros)} µs for {point.Batch} rows, {Of(point.LowMicros)} to {Of(point.HighMicros)}, by the data-sheet model ({file})");
        yield return ("computing", $"{Of(load)} a second × {Of(point.MedianMicros)} µs ÷ {point.Batch} rows = {Of(at.BusyCount)} {unit}");
        yield return (unit, $"{Of(at.BusyCount)} ÷ utilisation {Of(utilisation)}{(device.IsDivisible ? "" : ", rounded up")} = {Of(at.DeviceCount)}");
        if (device.Rates.Host is { } host)
        {
            yield return ("host", $"{Of(load)} a second ÷ {point.Batch} rows × {Of(point.HostMicros)} µs = {Of(at.Host.Busy)} cores busy; kept {Of(at.DeviceCount)} × {Of(host.Cores.Value)} = {Of(at.Host.Kept)}, more {Of(at.Host.More)}");
        }

        foreach ((string, string) step in Money(device, load, at, utilisation, currency).Concat(Energy(device, load, at)).Concat(Latency(device, load, at, utilisation)))
        {
            yield return step;
        }
    }

    private static IEnumerable<(string, string)> Money(PricedDevice device, double load, OperatingPoint at, double utilisation, string currency)
    {
        DeviceRates rates = device.Rates;
        List<string> parts = [$"{Of(at.DeviceCount)} × {Of(rates.OnPerHour.Value)}", $"{Of(at.BusyCount)} × {Of(rates.BusyPerHour.Value)}"];
        if (rates.Host is { } host)
        {
            double paid = host.IsInPrice ? Math.Min(at.Host.Busy, at.Host.More * utilisation) : at.Host.Busy;
            parts.Add($"host {Of(at.Host.More)} × {Of(host.Core.OnPerHour.Value)}");
            parts.Add($"{Of(paid)} × {Of(host.Core.BusyPerHour.Value)}");
        }

        yield return ("an hour", $"{string.Join(" + ", parts)} = {Of(at.MoneyPerHour)} {currency}");
        yield return ("a thousand decisions", $"{Of(at.MoneyPerHour)} {currency} ÷ ({Of(load)} × 3.6) = {Of(at.MoneyPerHour / load / 3.6)} {currency}");
    }

    private static IEnumerable<(string, string)> Energy(PricedDevice device, double load, OperatingPoint at)
    {
        List<string> parts = [.. Watts(device.Rates, at.DeviceCount, at.BusyCount)];
        if (device.Rates.Host is { } host)
        {
            parts.AddRange(Watts(host.Core, at.Host.Kept + at.Host.More, at.Host.Busy).Select((part, i) => i == 0 ? $"host {part}" : part));
        }

        yield return ("watts at the meter", $"{string.Join(" + ", parts)} = {Of(at.Watts)} W; ÷ {Of(load)} × 1,000 = {Of(at.Watts / load * 1000)} J a thousand");
    }

    private static IEnumerable<string> Watts(DeviceRates rates, double on, double busy)
    {
        yield return $"{Of(on)} × {Of(rates.IdleWatts.Value)} W";
        yield return $"{Of(busy)} × {Of(Math.Max(0, rates.FullWatts.Value - rates.IdleWatts.Value))} W";
    }

    private static IEnumerable<(string, string)> Latency(PricedDevice device, double load, OperatingPoint at, double utilisation)
    {
        BatchLatency latency = at.Latency;
        int gaps = at.Batch - 1;
        yield return ("waiting for the batch", gaps == 0
            ? "none: a row leaves by itself"
            : $"{gaps.ToString("#,0", CultureInfo.InvariantCulture)} gaps of {Of(1e6 / load)} µs: half of them {Numbers.Micros(latency.FillP50)}, all of them at p99 (Erlang) {Numbers.Micros(latency.FillP99)}");
        double count = device.IsDivisible ? Math.Max(1, at.DeviceCount) : at.DeviceCount, busy = device.IsDivisible ? utilisation : at.BusyCount / at.DeviceCount, wait = BatchLatency.WaitProbability(count, busy);
        yield return ("waiting for a device", $"{Of(wait)} = {Of(busy)}^(√(2 × ({Of(count)} + 1)) − 1) of the batches wait; p99 {(latency.QueueP99 == 0 ? "0: fewer than one in a hundred" : $"{Of(latency.RunP50)} µs ÷ (2 × {Of(count)} × (1 − {Of(busy)})) × ln({Of(wait)} ÷ 0.01) = {Numbers.Micros(latency.QueueP99)}")}");
        yield return ("latency", $"p50 {Numbers.Micros(latency.FillP50)} + {Numbers.Micros(latency.QueueP50)} + {Numbers.Micros(latency.RunP50)} = {Numbers.Micros(latency.P50)}; p99 {Numbers.Micros(latency.FillP99)} + {Numbers.Micros(latency.QueueP99)} + {Numbers.Micros(latency.RunP99)} = {Numbers.Micros(latency.P99)}");
    }

    private static string Of(double value) => Numbers.Of(value);
}
