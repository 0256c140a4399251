using Risk.Core.Costs;
using Risk.Core.Devices;

namespace Risk.Cli.Costs;

/// <summary>From a load to what an hour of it costs on one device, each line with the figures that it is made of.</summary>
internal static class HourSteps
{
    /// <param name="device">At <paramref name="end"/>, where that is not the expected one: see <see cref="CostInputs.At"/>.</param>
    /// <param name="at">How it is run at that load and end.</param>
    public static IEnumerable<Step> Of(CostInputs inputs, Pairing pairing, PricedDevice device, double load, OperatingPoint at, Scenario end)
    {
        CostPoint point = device.Curve.Points.First(p => p.Batch == at.Batch);
        bool isCore = device.Rates.Host is null;
        string unit = isCore ? "cores" : "devices", currency = inputs.Book.Currency;
        Step[] time = [.. TimeSteps.Of(device, inputs, at.Batch, end)];
        FigureReference[] times = [.. time.SelectMany(step => step.Figures).Distinct()];
        foreach (Step step in time)
        {
            yield return step;
        }

        yield return new Step("computing", $"{Of(load)} a second × {Of(point.MedianMicros)} µs ÷ {point.Batch} rows", $"{Of(at.BusyCount)} {unit}", times);
        double least = device.Lot * Math.Max(1, Math.Ceiling((at.BusyCount / pairing.Utilisation / device.Lot) - 1e-9));
        string queue = at.DeviceCount > least ? $"; {Of(at.DeviceCount - least)} more, so that the queue is in time" : "";
        yield return new Step("needed", $"{Of(at.BusyCount)} ÷ utilisation {Of(pairing.Utilisation)}{(isCore ? $", in machines of {device.Lot} cores" : ", rounded up")}{queue}", $"{Of(at.DeviceCount)} {unit}", [pairing.UtilisationIn(inputs)]);
        if (device.Rates.Host is { } host)
        {
            yield return new Step(
                "host", $"{Of(load)} a second ÷ {point.Batch} rows × {Of(point.HostMicros)} µs = {Of(at.Host.Busy)} cores busy; kept {Of(at.DeviceCount)} × {Of(host.Cores.Value)} = {Of(at.Host.Kept)}, to whole machines {Of(at.Host.More)} more",
                $"{Of(at.Host.Kept + at.Host.More)} cores", [.. TimeSteps.HostFigures(device, inputs, at.Batch), .. Figures(inputs, device.Rates, path => path.EndsWith(".hostCores", StringComparison.Ordinal) || path.EndsWith(".slots", StringComparison.Ordinal)), pairing.UtilisationIn(inputs)]);
        }

        yield return new Step("an hour", Money(device, at, pairing.Utilisation, Scenario.Expected), $"{Of(at.MoneyPerHour)} {currency}", MoneyFigures(inputs, device.Rates));
    }

    /// <summary>What an hour is the sum of, at one end of the figures.</summary>
    public static string Money(PricedDevice device, OperatingPoint at, double utilisation, Scenario scenario)
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

    /// <summary>The lines that make what an hour costs; watts only where they are paid.</summary>
    public static IEnumerable<CostLine> MoneyLines(DeviceRates rates) =>
        rates.Lines.Where(line => rates.Tenure == Tenure.Owned || line.Unit != "W");

    public static FigureReference[] MoneyFigures(CostInputs inputs, DeviceRates rates) =>
        [.. MoneyLines(rates).SelectMany(line => line.Paths).Distinct().Select(path => InBook(inputs, path))];

    public static FigureReference[] Figures(CostInputs inputs, DeviceRates rates, Func<string, bool> isMeant) =>
        [.. rates.Lines.SelectMany(line => line.Paths).Distinct().Where(isMeant).Select(path => InBook(inputs, path))];

    public static FigureReference InBook(CostInputs inputs, string path) => new(Path.GetFileName(inputs.BookFile), path);

    private static string Of(double value) => Numbers.Exact(value);
}
