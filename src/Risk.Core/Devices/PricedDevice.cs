using Risk.Core.Costs;

namespace Risk.Core.Devices;

/// <summary>How a device is run at one load.</summary>
/// <param name="Batch">Rows of a batch.</param>
/// <param name="DeviceCount">Devices switched on; of cores, with their fractions (the rest of a core serves others).</param>
/// <param name="BusyCount">Devices' worth of computing.</param>
/// <param name="MoneyPerHour">In the book's currency.</param>
/// <param name="Watts">At the meter, mean.</param>
/// <param name="LatencyMicros">Of the row that waits longest: for its batch to fill, and for the batch.</param>
public readonly record struct OperatingPoint(int Batch, double DeviceCount, double BusyCount, double MoneyPerHour, double Watts, double LatencyMicros);

/// <summary>
/// A device with what it can do and what it costs, as a planner sees it: at a steady load, which batch, how many devices and
/// how much money. Queueing is not modelled; room for it is left by <c>utilisationMax</c>.
/// </summary>
/// <param name="isDivisible">Counted in fractions: cores, whose rest does other work. An accelerator is bought or rented whole.</param>
public sealed class PricedDevice(DeviceProfile profile, ModelCurve curve, DeviceRates rates, bool isDivisible)
{
    public DeviceProfile Profile => profile;
    public ModelCurve Curve => curve;
    public DeviceRates Rates => rates;
    public bool IsDivisible => isDivisible;

    /// <summary>
    /// Of a load, what so many devices answer in time: batches that are too slow for the deadline, or that the load fills too
    /// slowly, do not count, however many rows a second they would do.
    /// </summary>
    /// <param name="perSecond">Rows; infinite for all that they can do.</param>
    public double Carried(double perSecond, int count, double deadlineMicros, double utilisationMax)
    {
        double most = 0;
        foreach (CostPoint point in curve.Points)
        {
            double load = Math.Min(perSecond, count * utilisationMax * point.Batch / point.MedianMicros * 1e6 * (1 + 1e-9));
            if (load > most && LatencyMicros(point, load, Scenario.Expected) <= deadlineMicros)
                most = load;
        }
        return most;
    }

    /// <summary>The cheapest way to carry a load; false when not even one row is answered in time.</summary>
    /// <param name="perSecond">Rows.</param>
    /// <param name="utilisationMax">Share of the time that a device may compute; the rest is room for what comes at once. In (0, 1].</param>
    public bool TryOperate(double perSecond, double deadlineMicros, double utilisationMax, Scenario scenario, out OperatingPoint best)
    {
        best = default;
        bool isFound = false;
        foreach (CostPoint point in curve.Points)
        {
            double micros = Micros(point, scenario);
            double latency = LatencyMicros(point, perSecond, scenario);
            if (latency > deadlineMicros)
                continue;
            double busy = perSecond * micros / point.Batch / 1e6;
            double devices = isDivisible ? busy / utilisationMax : Math.Max(1, Math.Ceiling((busy / utilisationMax) - 1e-9));
            double money = (devices * rates.OnPerHour.At(scenario)) + (busy * rates.BusyPerHour.At(scenario));
            if (isFound && money >= best.MoneyPerHour)
                continue;
            double idle = rates.IdleWatts.At(scenario);
            best = new OperatingPoint(point.Batch, devices, busy, money, (devices * idle) + (busy * Math.Max(0, rates.FullWatts.At(scenario) - idle)), latency);
            isFound = true;
        }
        return isFound;
    }

    /// <summary>For the batch to fill, and for the batch at its p99, for which a data sheet has its high end.</summary>
    private static double LatencyMicros(in CostPoint point, double perSecond, Scenario scenario) =>
        ((point.Batch - 1) / perSecond * 1e6) + Math.Max(point.P99Micros, Micros(point, scenario));

    private static double Micros(in CostPoint point, Scenario scenario) => scenario switch { Scenario.Low => point.LowMicros, Scenario.High => point.HighMicros, _ => point.MedianMicros };
}
