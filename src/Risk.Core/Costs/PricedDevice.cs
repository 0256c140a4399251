using Risk.Core.Devices;

namespace Risk.Core.Costs;

/// <summary>Cores of the host that an accelerator's path uses; none of a CPU, which is its own host.</summary>
/// <param name="Busy">Cores' worth of copying, checking and launching: batches a second × the profile's host time.</param>
/// <param name="Kept">Cores that the price book keeps for the devices, whether they are busy or not.</param>
/// <param name="More">Cores beyond those: where they would be busier than devices may be, and the rest of machines that are had whole.</param>
public readonly record struct HostUse(double Busy, double Kept, double More);

/// <summary>How a device is run at one load.</summary>
/// <param name="Batch">Rows of a batch.</param>
/// <param name="DeviceCount">Devices switched on; of cores, all of their machines', or with fractions where the rest of a core serves others.</param>
/// <param name="BusyCount">Devices' worth of computing.</param>
/// <param name="MoneyPerHour">In the book's currency, the host's cores included.</param>
/// <param name="Watts">At the meter, mean, the host's cores included.</param>
public readonly record struct OperatingPoint(int Batch, double DeviceCount, double BusyCount, HostUse Host, double MoneyPerHour, double Watts, BatchLatency Latency);

/// <summary>
/// A device with what it can do and what it costs, as a planner sees it: at a steady load, which batch, how many devices, how
/// long a row waits (<see cref="BatchLatency"/>) and how much money.
/// </summary>
/// <param name="isDivisible">Counted in fractions: cores, whose rest does other work. An accelerator is bought or rented whole.</param>
/// <param name="lot">Where not divisible, how many come together: the cores of a machine.</param>
public sealed class PricedDevice(DeviceProfile profile, ModelCurve curve, DeviceRates rates, bool isDivisible, int lot = 1)
{
    public DeviceProfile Profile => profile;
    public ModelCurve Curve => curve;
    public DeviceRates Rates => rates;
    public bool IsDivisible => isDivisible;
    public int Lot => lot;

    /// <summary>
    /// Of a load, what so many devices answer in time: batches that are too slow for the deadline, that the load fills too
    /// slowly, or that would queue too long do not count, however many rows a second they would do.
    /// </summary>
    /// <param name="perSecond">Rows; infinite for all that they can do.</param>
    public double Carried(double perSecond, double count, double deadlineMicros, double utilisationMax, Scenario scenario = Scenario.Expected)
    {
        double most = 0;
        foreach (CostPoint point in curve.Points)
        {
            double load = Math.Min(perSecond, count * utilisationMax * point.Batch / Micros(point, scenario) * 1e6);
            // Less load queues less and fills more slowly.
            for (; load > most; load *= 0.95)
            {
                BatchLatency latency = LatencyOf(point, load, count, utilisationMax, scenario);
                if (latency.P99 <= deadlineMicros)
                    most = load;
                if (latency.FillP99 + latency.RunP99 > deadlineMicros)
                    break;
            }
        }
        return most;
    }

    /// <summary>What the least that can be had carries in batches of each size, rows a second, whatever its deadline; nothing where it comes in fractions.</summary>
    public IEnumerable<double> LoadsOfOne(double utilisationMax, Scenario scenario) => isDivisible ? [] : curve.Points.Select(point => lot * utilisationMax * point.Batch / Micros(point, scenario) * 1e6);

    /// <summary>The cheapest way to carry a load; false when not even one row is answered in time.</summary>
    /// <param name="perSecond">Rows.</param>
    /// <param name="deadlineMicros">From arrival to score, for 99 rows of 100.</param>
    /// <param name="utilisationMax">Share of the time that a device may compute; the rest is room for what comes at once. In (0, 1].</param>
    public bool TryOperate(double perSecond, double deadlineMicros, double utilisationMax, Scenario scenario, out OperatingPoint best) =>
        TryOperate(perSecond, null, deadlineMicros, utilisationMax, scenario, out best);

    /// <summary>The same with a number of devices that is given; false also when they are too few.</summary>
    public bool TryOperate(double perSecond, double count, double deadlineMicros, double utilisationMax, Scenario scenario, out OperatingPoint best) =>
        TryOperate(perSecond, (double?)count, deadlineMicros, utilisationMax, scenario, out best);

    private bool TryOperate(double perSecond, double? count, double deadlineMicros, double utilisationMax, Scenario scenario, out OperatingPoint best)
    {
        best = default;
        bool isFound = false;
        foreach (CostPoint point in curve.Points)
        {
            double busy = Busy(point, perSecond, scenario);
            double needed = isDivisible ? busy / utilisationMax : lot * Math.Max(1, Math.Ceiling((busy / utilisationMax / lot) - 1e-9));
            if (count < needed * (1 - 1e-9) || !TryCount(point, perSecond, count ?? needed, isGiven: count is not null, deadlineMicros, utilisationMax, scenario, out double devices))
                continue;
            OperatingPoint candidate = Operated(point, perSecond, devices, utilisationMax, scenario);
            if (isFound && candidate.MoneyPerHour >= best.MoneyPerHour)
                continue;
            best = candidate;
            isFound = true;
        }
        return isFound;
    }

    /// <summary>As many devices as are in time: where the queue alone is too long, more than their utilisation needs.</summary>
    private bool TryCount(in CostPoint point, double perSecond, double least, bool isGiven, double deadlineMicros, double utilisationMax, Scenario scenario, out double devices)
    {
        devices = least;
        if (LatencyOf(point, perSecond, least, utilisationMax, scenario).P99 <= deadlineMicros)
            return true;
        // Twice as many wait next to never, so that more would not help.
        double most = (least * 2) + (4 * lot);
        if (isGiven || isDivisible || LatencyOf(point, perSecond, most, utilisationMax, scenario).P99 > deadlineMicros)
            return false;
        while (most - least > lot)
        {
            double middle = Math.Floor((least + most) / 2 / lot) * lot;
            if (LatencyOf(point, perSecond, middle, utilisationMax, scenario).P99 <= deadlineMicros)
                most = middle;
            else
                least = middle;
        }
        devices = most;
        return true;
    }

    private OperatingPoint Operated(in CostPoint point, double perSecond, double devices, double utilisationMax, Scenario scenario)
    {
        double busy = Busy(point, perSecond, scenario), idle = rates.IdleWatts.At(scenario);
        double money = (devices * rates.OnPerHour.At(scenario)) + (busy * rates.BusyPerHour.At(scenario));
        double watts = (devices * idle) + (busy * Math.Max(0, rates.FullWatts.At(scenario) - idle));
        HostUse use = default;
        if (rates.Host is { } host)
        {
            double hostBusy = perSecond / point.Batch * point.HostMicros / 1e6, kept = devices * host.Cores.At(scenario), beyond = Math.Max(0, (hostBusy / utilisationMax) - kept);
            use = new HostUse(hostBusy, kept, host.More(kept, beyond, devices, scenario));
            // Kept cores are in the price of an hour already, their power too when that is a rent.
            double paidBusy = host.IsInPrice ? Math.Min(hostBusy, beyond * utilisationMax) : hostBusy;
            money += (use.More * host.Core.OnPerHour.At(scenario)) + (paidBusy * host.Core.BusyPerHour.At(scenario));
            double coreIdle = host.Core.IdleWatts.At(scenario);
            watts += ((kept + use.More) * coreIdle) + (hostBusy * Math.Max(0, host.Core.FullWatts.At(scenario) - coreIdle));
        }
        return new OperatingPoint(point.Batch, devices, busy, use, money, watts, LatencyOf(point, perSecond, devices, utilisationMax, scenario));
    }

    /// <summary>
    /// The run at its p99, for which a data sheet has its high end. A core's rest does other work, up to what devices may
    /// compute: whoever comes waits for that too.
    /// </summary>
    private BatchLatency LatencyOf(in CostPoint point, double perSecond, double devices, double utilisationMax, Scenario scenario)
    {
        double micros = Micros(point, scenario);
        double count = isDivisible ? Math.Max(1, devices) : devices;
        double utilisation = isDivisible ? utilisationMax : Busy(point, perSecond, scenario) / devices;
        return BatchLatency.Of(point.Batch, perSecond, count, utilisation, micros, Math.Max(point.P99Micros, micros));
    }

    private static double Busy(in CostPoint point, double perSecond, Scenario scenario) => perSecond * Micros(point, scenario) / point.Batch / 1e6;

    private static double Micros(in CostPoint point, Scenario scenario) => point.MicrosAt(scenario);
}
