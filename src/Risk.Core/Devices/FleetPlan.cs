using Risk.Core.Costs;

namespace Risk.Core.Devices;

/// <summary>What a fleet costs in a month.</summary>
/// <param name="Money">With every device switched on all the time.</param>
/// <param name="MoneyScaled">With devices switched off in the hours that do not need them; what is owned is written off all the same.</param>
/// <param name="KilowattHours">At the meter, always on.</param>
/// <param name="KilowattHoursScaled">At the meter, scaled down.</param>
public readonly record struct MonthlyCost(Estimate Money, Estimate MoneyScaled, Estimate KilowattHours, Estimate KilowattHoursScaled)
{
    /// <summary>Not a number at an end where the fleet is not in time: its money is infinite there.</summary>
    public Estimate Saving => new(Money.Low - MoneyScaled.Low, Money.Value - MoneyScaled.Value, Money.High - MoneyScaled.High);
}

/// <summary>One way to carry a load.</summary>
/// <param name="AcceleratorCount">0 for the CPU alone.</param>
/// <param name="CoreCount">In whole machines.</param>
/// <param name="PeakLatencyMicros">At the highest load, of the row that waits longest.</param>
public sealed record FleetOption(PricedDevice? Accelerator, int AcceleratorCount, int CoreCount, double PeakLatencyMicros, MonthlyCost Cost);

/// <summary>
/// Sizes fleets for a day that repeats: hour by hour, as many devices as the hour's busiest minute needs with room to spare.
/// A mixed fleet's accelerators take what they can, the CPU the rest; each hour runs as many of them as are cheapest.
/// </summary>
/// <param name="hours">For each hour of the day, rows a second: mean, and in the busiest minute.</param>
/// <param name="coresPerMachine">CPUs come in machines of so many cores.</param>
public sealed class FleetPlan(IReadOnlyList<(double Mean, double Peak)> hours, PricedDevice core, int coresPerMachine, double deadlineMicros, double utilisationMax)
{
    public const double HoursPerMonth = DeviceRates.HoursPerYear / 12;

    /// <summary>The hours of a trace: counts by second, times <paramref name="scale"/>.</summary>
    public static IReadOnlyList<(double Mean, double Peak)> Hours(IReadOnlyList<int> counts, double scale) =>
        [.. counts.Chunk(3600).Select(hour => (hour.Sum() * scale / hour.Length, hour.Chunk(60).Max(minute => minute.Sum() * scale / minute.Length)))];

    /// <summary>The CPU alone; null when it cannot meet the deadline.</summary>
    public FleetOption? CpuOnly() => CoresFor(PeakLoad) is { } cores ? Option(null, 0, cores, mayUseCpu: true) : null;

    /// <summary>Accelerators alone, as many as the busiest minute needs; null when they cannot meet the deadline.</summary>
    public FleetOption? Only(PricedDevice accelerator) =>
        accelerator.TryOperate(Math.Max(1, PeakLoad), deadlineMicros, utilisationMax, Scenario.Expected, out OperatingPoint peak) ? Option(accelerator, (int)peak.DeviceCount, 0, mayUseCpu: false) : null;

    /// <summary>
    /// The cheapest mix of one kind of accelerator, at least one, with the CPU; null when either cannot meet the deadline. The
    /// CPU has at least the cores that the accelerators leave it in any hour, or more, to carry quieter hours alone.
    /// </summary>
    public FleetOption? Mixed(PricedDevice accelerator)
    {
        if (Only(accelerator) is not { } most)
            return null;
        (double Money, int Count, int Cores)? best = null;
        // Cost is nearly convex in the count; a step of a twentieth finds the valley of large fleets.
        for (int count = 1; count <= most.AcceleratorCount; count += Math.Max(1, most.AcceleratorCount / 20))
        {
            // Not always in the busiest hour: less load fills batches more slowly, and smaller ones carry less.
            int least = 0;
            foreach ((_, double peak) in hours)
            {
                if (CoresFor(peak - Carried(accelerator, count, peak)) is not { } cores)
                    return null;
                least = Math.Max(least, cores);
            }
            foreach (int cores in hours.Select(hour => CoresFor(hour.Peak)).OfType<int>().Append(least).Where(cores => cores >= least && cores > 0).Distinct().Order())
            {
                double money = Sums(accelerator, count, cores, mayUseCpu: true, Scenario.Expected).MoneyScaled;
                if (best is null || money < best.Value.Money * (1 - 1e-9))
                    best = (money, count, cores);
            }
        }
        return best is { } found ? Option(accelerator, found.Count, found.Cores, mayUseCpu: true) : null;
    }

    public double PeakLoad => hours.Max(hour => hour.Peak);

    private FleetOption Option(PricedDevice? accelerator, int count, int cores, bool mayUseCpu)
    {
        DaySums expected = Sums(accelerator, count, cores, mayUseCpu, Scenario.Expected), low = Sums(accelerator, count, cores, mayUseCpu, Scenario.Low), high = Sums(accelerator, count, cores, mayUseCpu, Scenario.High);
        double month = HoursPerMonth / hours.Count, latency = 0;
        double load = Math.Max(1, accelerator is null ? PeakLoad : Carried(accelerator, count, PeakLoad));
        if ((accelerator ?? core).TryOperate(load, deadlineMicros, utilisationMax, Scenario.Expected, out OperatingPoint busiest))
            latency = busiest.LatencyMicros;
        Estimate of(Func<DaySums, double> part, double factor) => new Estimate(part(low), part(expected), part(high)) * factor;
        return new FleetOption(accelerator, count, cores, latency, new MonthlyCost(
            of(static day => day.Money, month), of(static day => day.MoneyScaled, month), of(static day => day.WattHours, month / 1000), of(static day => day.WattHoursScaled, month / 1000)));
    }

    private readonly record struct DaySums(double Money, double MoneyScaled, double WattHours, double WattHoursScaled);

    private DaySums Sums(PricedDevice? accelerator, int count, int cores, bool mayUseCpu, Scenario scenario)
    {
        DaySums sums = default;
        foreach ((double mean, double peak) in hours)
        {
            Hour always = OfHour(accelerator, count, count, cores, cores, mean, scenario), least = always;
            for (int on = mayUseCpu ? 0 : 1; on <= count; on++)
            {
                double rest = peak - Carried(accelerator, on, peak);
                int? needed = mayUseCpu ? CoresFor(rest) : rest <= 0 || on == count ? 0 : null;
                if (needed is null || needed > cores)
                    continue;
                Hour hour = OfHour(accelerator, on, count, needed.Value, cores, mean, scenario);
                if (hour.Money < least.Money)
                    least = hour;
            }
            sums = new DaySums(sums.Money + always.Money, sums.MoneyScaled + least.Money, sums.WattHours + always.Watts, sums.WattHoursScaled + least.Watts);
        }
        return sums;
    }

    /// <summary>Of a load, what so many accelerators carry in time and with room to spare.</summary>
    private double Carried(PricedDevice? accelerator, int count, double perSecond) => accelerator?.Carried(perSecond, count, deadlineMicros, utilisationMax) ?? 0;

    /// <summary>Cores for a load, in whole machines; null when they cannot do it in time.</summary>
    private int? CoresFor(double perSecond)
    {
        if (perSecond <= 0)
            return 0;
        return core.TryOperate(perSecond, deadlineMicros, utilisationMax, Scenario.Expected, out OperatingPoint point)
            ? (int)Math.Ceiling((point.DeviceCount / coresPerMachine) - 1e-9) * coresPerMachine
            : null;
    }

    private readonly record struct Hour(double Money, double Watts);

    private Hour OfHour(PricedDevice? accelerator, int on, int owned, int coresOn, int coresOwned, double mean, Scenario scenario)
    {
        double money = (coresOn * core.Rates.OnPerHour.At(scenario)) + ((coresOwned - coresOn) * core.Rates.OffPerHour.At(scenario));
        double watts = coresOn * core.Rates.IdleWatts.At(scenario);
        // With no core switched on there is nobody else.
        double byAccelerators = on > 0 && coresOn == 0 ? mean : Carried(accelerator, on, mean);
        Add(core, mean - byAccelerators, ref money, ref watts);
        if (accelerator is not null)
        {
            money += (on * accelerator.Rates.OnPerHour.At(scenario)) + ((owned - on) * accelerator.Rates.OffPerHour.At(scenario));
            watts += on * accelerator.Rates.IdleWatts.At(scenario);
            Add(accelerator, byAccelerators, ref money, ref watts);
        }
        return new Hour(money, watts);

        void Add(PricedDevice device, double load, ref double moneySum, ref double wattSum)
        {
            if (load <= 0)
                return;
            if (!device.TryOperate(load, deadlineMicros, utilisationMax, scenario, out OperatingPoint point))
            {
                // Not in time at any price; nothing would read as free.
                moneySum = wattSum = double.PositiveInfinity;
                return;
            }
            moneySum += point.BusyCount * device.Rates.BusyPerHour.At(scenario);
            wattSum += point.BusyCount * Math.Max(0, device.Rates.FullWatts.At(scenario) - device.Rates.IdleWatts.At(scenario));
        }
    }
}
