namespace Risk.Core.Costs;

/// <summary>
/// What the machine that an engine runs on costs, without the accelerators in it. Whoever reserves a machine pays for all of
/// its cores all of the time, so reserved time is charged, idle or not. Money: the hourly price, or when owned purchase over
/// life plus power. Energy: watts rise from idle to full with the busy cores (a linear model, no counter), times the site's PUE.
/// <para>Costs are differences of totals that are computed from cumulated nanoseconds in whole numbers, so rounding never adds
/// up. It is charged by <see cref="CostLedger"/> alone.</para>
/// </summary>
public sealed class MachineMeter
{
    private const long NanosPerHour = 3_600_000_000_000;
    private const long NanoJoulesPerKwh = 3_600_000_000_000_000;

    private readonly double _powerUsageEffectiveness;
    private readonly long _picoPerHour;       // rent or amortisation
    private readonly long _picoPerKwh;        // 0 when rented
    private readonly long _idleMilliwatts;    // at the site's meter
    private readonly long _dynamicMilliwatts; // full − idle
    private long _cpuNanos;                   // cumulated
    private long _reservedCoreNanos;          // cumulated, never below _cpuNanos
    private WideCost _total;

    public MachineMeter(PriceBook book, MachinePrice machine)
    {
        Machine = machine;
        bool owned = machine.Tenure == Tenure.Owned;
        double price = book.InCurrency(machine.Price).Value, hourly = owned ? price / (machine.Life.Value * DeviceRates.HoursPerYear) : price;
        _powerUsageEffectiveness = book.PowerUsageEffectiveness.Value;
        _picoPerHour = Whole(hourly * 1e12);
        _picoPerKwh = owned ? Whole(book.Power.Value * 1e12) : 0;
        double milliwattsAtSite = 1e3 * _powerUsageEffectiveness;
        _idleMilliwatts = Whole(machine.Idle.Value * milliwattsAtSite);
        _dynamicMilliwatts = Whole((machine.Full.Value - machine.Idle.Value) * milliwattsAtSite);
    }

    public MachinePrice Machine { get; }

    /// <summary>Everything so far.</summary>
    public Cost Total => _total.Narrow();

    /// <summary>Of <see cref="Total"/>, what busy cores cost; the rest is idle time that was reserved.</summary>
    public Cost Active => At(_cpuNanos, _cpuNanos).Narrow();

    public Cost Idle => (_total - At(_cpuNanos, _cpuNanos)).Narrow();

    /// <summary>CPU time so far, all cores together.</summary>
    public double CpuSeconds => _cpuNanos / 1e9;

    internal long CpuNanos => _cpuNanos;
    internal long ReservedCoreNanos => _reservedCoreNanos;

    /// <summary>Time passed: CPU time of all cores, and reserved time times cores; when that is less than the CPU time, the CPU time counts.</summary>
    /// <returns>What it has cost.</returns>
    internal Cost Advance(long cpuNanos, long reservedCoreNanos)
    {
        _cpuNanos = checked(_cpuNanos + cpuNanos);
        _reservedCoreNanos = Math.Max(checked(_reservedCoreNanos + reservedCoreNanos), _cpuNanos);
        WideCost total = At(_cpuNanos, _reservedCoreNanos);
        Cost cost = (total - _total).Narrow();
        _total = total;
        return cost;
    }

    /// <summary>Joules so far at other watts than those expected.</summary>
    internal double JoulesBetween(double idleWatts, double fullWatts) =>
        ((idleWatts * _reservedCoreNanos) + ((fullWatts - idleWatts) * _cpuNanos)) * _powerUsageEffectiveness / Machine.Cores / 1e9;

    /// <summary>What so much busy and reserved core time costs in all: rounded down once, at the end.</summary>
    private WideCost At(long cpuNanos, long reservedCoreNanos)
    {
        // mW × ns = pJ; divided by cores (idle and full are of the whole machine) and by 1000 for nJ.
        Int128 nanoJoules = (((Int128)_idleMilliwatts * reservedCoreNanos) + ((Int128)_dynamicMilliwatts * cpuNanos)) / (1000L * Machine.Cores);
        Int128 hours = (Int128)_picoPerHour * reservedCoreNanos / ((Int128)NanosPerHour * Machine.Cores);
        Int128 power = (Int128)_picoPerKwh * nanoJoules / NanoJoulesPerKwh;
        return new WideCost(hours + power, nanoJoules);
    }

    private static long Whole(double value) => checked((long)Math.Round(value));
}
