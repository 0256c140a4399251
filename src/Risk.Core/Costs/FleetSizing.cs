namespace Risk.Core.Costs;

/// <summary>A fleet of one scenario, and what its hours add up to.</summary>
/// <param name="UsedHours">In which an accelerator is on, scaled down.</param>
/// <param name="Peak">The longest in any hour's busiest minute, scaled down.</param>
internal readonly record struct SizedFleet(double Accelerators, double Cores, int UsedHours, BatchLatency Peak, double Money, double MoneyScaled, double WattHours, double WattHoursScaled)
{
    /// <summary>No number of devices is in time; nothing would read as free.</summary>
    public static SizedFleet Impossible { get; } = new(
        double.PositiveInfinity, double.PositiveInfinity, 0, default, double.PositiveInfinity, double.PositiveInfinity, double.PositiveInfinity, double.PositiveInfinity);
}

/// <summary>
/// <see cref="FleetPlan"/> with every figure at one end. Works from one table: of each hour and each number of accelerators
/// switched on, the cores that it takes besides and what the hour costs then. Cores come in whole machines: those that score,
/// and those that feed accelerators where no rent includes them.
/// </summary>
internal sealed class FleetSizing(
    IReadOnlyList<(double Mean, double Peak)> hours, PricedDevice core, PricedDevice? accelerator, int coresPerMachine, double deadlineMicros, double utilisationMax, Scenario scenario)
{
    // Cells of the table; beyond them numbers of accelerators are skipped: the valley of a large fleet's cost is wide.
    private const int CellsMax = 20_000;

    /// <summary>One hour with so many accelerators on.</summary>
    /// <param name="Cores">That are needed besides, in whole machines.</param>
    private readonly record struct Hour(int On, int Cores, double Money, double Watts);

    private double CoreOn => core.Rates.OnPerHour.At(scenario);
    private double CoreOff => core.Rates.OffPerHour.At(scenario);
    private double CoreIdle => core.Rates.IdleWatts.At(scenario);

    /// <summary>An owned card's host, idle; in <see cref="DeviceRates.OnPerHour"/>, and counted among the cores here.</summary>
    private double HostOn => accelerator?.Rates.Host is { IsInPrice: false } host ? (host.Core.OnPerHour * host.Cores).At(scenario) : 0;

    public SizedFleet? CpuOnly()
    {
        Hour[][] table = Table([0]);
        return table.Any(static hour => hour.Length == 0) ? null : Fleet(table, 0, table.Max(static hour => hour[0].Cores), isFinal: true);
    }

    public SizedFleet? Only()
    {
        if (CountForAll() is not { } count)
            return null;
        Hour[][] table = Table(Counts(count), mayUseCpu: false);
        return table.Any(static hour => hour.Length == 0) ? null : Fleet(table, count, table.Max(static hour => hour.Min(static row => row.Cores)), isFinal: true);
    }

    public SizedFleet? Mixed()
    {
        if (CountForAll() is not { } most)
            return null;
        int[] counts = Counts(most);
        Hour[][] table = Table(counts);
        SizedFleet? best = null;
        foreach (int count in counts.Where(count => count > 0))
        {
            // Not always in the busiest hour: less load fills batches more slowly, and smaller ones carry less.
            int least = 0;
            foreach (Hour[] hour in table)
                least = Math.Max(least, hour.Where(row => row.On <= count).Select(row => row.Cores).DefaultIfEmpty(int.MaxValue).Min());
            if (least == int.MaxValue)
                continue;
            foreach (int cores in table.SelectMany(hour => hour.Where(row => row.On == 0)).Select(row => row.Cores).Append(least).Where(cores => cores >= least && cores > 0).Distinct().Order())
            {
                if (Fleet(table, count, cores) is { } fleet && !(best?.MoneyScaled <= fleet.MoneyScaled * (1 + 1e-9)))
                    best = fleet;
            }
        }
        return best is { } found ? Fleet(table, (int)found.Accelerators, (int)found.Cores, isFinal: true) : null;
    }

    private SizedFleet? Fleet(Hour[][] table, int count, int cores, bool isFinal = false)
    {
        double on = (accelerator?.Rates.OnPerHour.At(scenario) ?? 0) - HostOn, off = accelerator?.Rates.OffPerHour.At(scenario) ?? 0, idle = accelerator?.Rates.IdleWatts.At(scenario) ?? 0;
        double money = 0, watts = 0, scaled = 0, scaledWatts = 0;
        Hour[] chosen = new Hour[table.Length];
        for (int h = 0; h < table.Length; h++)
        {
            Hour? least = null, always = null;
            double leastMoney = 0;
            foreach (Hour hour in table[h])
            {
                if (hour.On > count || hour.Cores > cores)
                    continue;
                double sum = hour.Money + ((count - hour.On) * off) + ((cores - hour.Cores) * CoreOff);
                if (least is null || sum < leastMoney)
                    (least, leastMoney) = (hour, sum);
                if (always is null || hour.On > always.Value.On)
                    always = hour;
            }
            if (least is not { } l || always is not { } a)
                return null;
            chosen[h] = l;
            scaled += leastMoney;
            scaledWatts += l.Watts;
            money += a.Money + ((count - a.On) * on) + ((cores - a.Cores) * CoreOn);
            watts += a.Watts + ((count - a.On) * idle) + ((cores - a.Cores) * CoreIdle);
        }
        scaled += Starts(chosen, on - off);
        // Starting all the time can cost more than being on.
        (scaled, scaledWatts) = scaled > money ? (money, watts) : (scaled, scaledWatts);
        return new SizedFleet(count, cores, chosen.Count(static hour => hour.On > 0), isFinal ? PeakLatency(chosen) : default, money, scaled, watts, scaledWatts);
    }

    /// <summary>What is switched on for an hour was of no use while it started; the day repeats.</summary>
    private double Starts(Hour[] chosen, double onOverOff)
    {
        double start = (accelerator?.Rates.StartMinutes.At(scenario) ?? 0) / 60 * onOverOff, coreStart = core.Rates.StartMinutes.At(scenario) / 60 * (CoreOn - CoreOff), sum = 0;
        for (int h = 0; h < chosen.Length; h++)
        {
            Hour before = chosen[h == 0 ? ^1 : h - 1];
            sum += (Math.Max(0, chosen[h].On - before.On) * start) + (Math.Max(0, chosen[h].Cores - before.Cores) * coreStart);
        }
        return sum;
    }

    /// <summary>Accelerators that carry every hour alone; null when they are not in time.</summary>
    private int? CountForAll()
    {
        double most = 1;
        foreach ((double mean, double peak) in hours)
        {
            foreach (double load in (ReadOnlySpan<double>)[mean, peak])
            {
                if (load <= 0)
                    continue;
                if (!accelerator!.TryOperate(load, deadlineMicros, utilisationMax, scenario, out OperatingPoint point))
                    return null;
                most = Math.Max(most, point.DeviceCount);
            }
        }
        return most < int.MaxValue ? (int)most : null;
    }

    /// <summary>0 to most; of a large fleet not every number.</summary>
    private int[] Counts(int most)
    {
        int step = Math.Max(1, (int)Math.Ceiling((double)most / Math.Clamp(CellsMax / hours.Count, 8, 200)));
        return [.. Enumerable.Range(0, (most + step - 1) / step).Select(i => i * step), most];
    }

    private Hour[][] Table(int[] counts, bool mayUseCpu = true)
    {
        Dictionary<(double, double), Hour[]> known = [];
        return [.. hours.Select(hour => known.TryGetValue(hour, out Hour[]? rows) ? rows : known[hour] = [.. counts.Select(on => Row(hour.Mean, hour.Peak, on, mayUseCpu)).OfType<Hour>()])];
    }

    /// <summary>Null where so many accelerators and the CPU are not in time.</summary>
    private Hour? Row(double mean, double peak, int on, bool mayUseCpu)
    {
        double byAccelerators = Carried(on, mean);
        (double restOfPeak, double restOfMean) = (Rest(peak, Carried(on, peak)), Rest(mean, byAccelerators));
        if (!mayUseCpu && (restOfPeak > 0 || restOfMean > 0))
            return null;
        if (CoresFor(restOfPeak) is not { } ofPeak || CoresFor(restOfMean) is not { } ofMean
            || HostCores(on, peak - restOfPeak) is not { } hostOfPeak || HostCores(on, byAccelerators) is not { } hostOfMean)
            return null;
        double machines = Math.Ceiling((Math.Max(ofPeak + hostOfPeak, ofMean + hostOfMean) / coresPerMachine) - 1e-9);
        if (on > 0 && accelerator!.Rates.Host is { IsInPrice: false } host)
            machines = Math.Max(machines, Math.Max(1, host.MachinesFor(on, scenario)));
        if (machines >= int.MaxValue / coresPerMachine)
            return null;
        int cores = (int)machines * coresPerMachine;
        // The host's cores are in what an accelerator costs, too.
        double money = (cores * CoreOn) - (hostOfMean * HostCoreOn), watts = (cores * CoreIdle) - (hostOfMean * HostCoreIdle);
        if (restOfMean > 0)
        {
            core.TryOperate(restOfMean, deadlineMicros, utilisationMax, scenario, out OperatingPoint point);
            money += point.BusyCount * core.Rates.BusyPerHour.At(scenario);
            watts += point.BusyCount * Math.Max(0, core.Rates.FullWatts.At(scenario) - CoreIdle);
        }
        if (on > 0 && byAccelerators > 0)
        {
            if (!accelerator!.TryOperate(byAccelerators, on, deadlineMicros, utilisationMax, scenario, out OperatingPoint point))
                return null;
            money += point.MoneyPerHour;
            watts += point.Watts;
        }
        else if (on > 0)
        {
            money += on * accelerator!.Rates.OnPerHour.At(scenario);
            watts += on * (accelerator.Rates.IdleWatts.At(scenario) + ((accelerator.Rates.Host?.Cores.At(scenario) ?? 0) * HostCoreIdle));
        }
        return new Hour(on, cores, money, watts);
    }

    private double HostCoreOn => accelerator?.Rates.Host?.Core.OnPerHour.At(scenario) ?? 0;
    private double HostCoreIdle => accelerator?.Rates.Host?.Core.IdleWatts.At(scenario) ?? 0;

    /// <summary>Cores that feed so many accelerators and are in no rent; null when they do not carry the load in time.</summary>
    private double? HostCores(int on, double perSecond)
    {
        if (on == 0 || accelerator!.Rates.Host is not { } host)
            return 0;
        HostUse use = new(0, on * host.Cores.At(scenario), 0);
        if (perSecond > 0)
        {
            if (!accelerator.TryOperate(perSecond, on, deadlineMicros, utilisationMax, scenario, out OperatingPoint point))
                return null;
            use = point.Host;
        }
        return use.More + (host.IsInPrice ? 0 : use.Kept);
    }

    private BatchLatency PeakLatency(Hour[] chosen)
    {
        BatchLatency longest = default;
        foreach (((_, double peak), Hour hour) in hours.Zip(chosen))
        {
            double byAccelerators = Carried(hour.On, peak), rest = hour.Cores == 0 ? 0 : Rest(peak, byAccelerators);
            if (byAccelerators > 0 && accelerator!.TryOperate(byAccelerators, hour.On, deadlineMicros, utilisationMax, scenario, out OperatingPoint there) && there.Latency.P99 > longest.P99)
                longest = there.Latency;
            if (rest > 0 && core.TryOperate(rest, deadlineMicros, utilisationMax, scenario, out OperatingPoint here) && here.Latency.P99 > longest.P99)
                longest = here.Latency;
        }
        return longest;
    }

    /// <summary>What remains, but for rounding.</summary>
    private static double Rest(double load, double carried) => load - carried > load * 1e-9 ? load - carried : 0;

    /// <summary>Of a load, what so many accelerators carry in time and with room to spare.</summary>
    private double Carried(int count, double perSecond) =>
        accelerator is null || count == 0 || perSecond <= 0 ? 0 : accelerator.Carried(perSecond, count, deadlineMicros, utilisationMax, scenario);

    /// <summary>Cores for a load; null when they cannot do it in time.</summary>
    private double? CoresFor(double perSecond)
    {
        if (perSecond <= 0)
            return 0;
        return core.TryOperate(perSecond, deadlineMicros, utilisationMax, scenario, out OperatingPoint point) ? point.DeviceCount : null;
    }
}
