namespace Risk.Core.Costs;

/// <summary>Where the CPU time in a cost comes from; recorded with each decision.</summary>
public enum CostMethod : byte
{
    /// <summary>CPU time and reserved time were measured.</summary>
    Measured = 1,
    /// <summary>CPU time is a constant of the price book times the decisions; for runs that must be reproducible to the byte.</summary>
    Modelled = 2,
}

/// <summary>
/// Turns the time of one machine into money and joules, a batch at a time.
/// <para>Whoever reserves a machine pays for all of its cores all of the time, so a batch is charged the reserved time
/// since the charge before it, idle part included. Money: the hourly price, or when owned purchase over life plus power.
/// Energy: watts rise from idle to full with the busy cores (a linear model, no counter), times the site's PUE.</para>
/// <para>Costs are differences of totals that are computed from cumulated microseconds in whole numbers: rounding never
/// adds up, and the charges sum to <see cref="Total"/> exactly. A charge without decisions is carried to the next one
/// that has some; what is left at the end is <see cref="Unallocated"/>. Charging allocates nothing. One thread.</para>
/// </summary>
public sealed class CostMeter
{
    private const long MicrosPerHour = 3_600_000_000;
    private const double HoursPerYear = 365.25 * 24;
    private const long NanoJoulesPerKwh = 3_600_000_000_000_000;

    private readonly long _picoPerHour;       // rent or amortisation
    private readonly long _picoPerKwh;        // 0 when rented
    private readonly long _idleMilliwatts;    // at the site's meter
    private readonly long _dynamicMilliwatts; // full − idle
    private readonly long _nanosPerDecision;  // modelled CPU time
    private readonly double _utilisation;
    private long _cpuNanos;                   // cumulated
    private long _reservedCoreNanos;          // cumulated, never below _cpuNanos
    private WideCost _total;
    private Cost _carried;

    private CostMeter(PriceBook book, MachinePrice machine, CostMethod method)
    {
        Book = book;
        Machine = machine;
        Method = method;
        bool owned = machine.Tenure == Tenure.Owned;
        double hourly = owned ? machine.Purchase.Value / (machine.Life.Value * HoursPerYear) : machine.Hourly.Value;
        _picoPerHour = Whole(hourly * 1e12);
        _picoPerKwh = owned ? Whole(book.Power.Value * 1e12) : 0;
        double milliwattsAtSite = 1e3 * book.PowerUsageEffectiveness.Value;
        _idleMilliwatts = Whole(machine.Idle.Value * milliwattsAtSite);
        _dynamicMilliwatts = Whole((machine.Full.Value - machine.Idle.Value) * milliwattsAtSite);
        _nanosPerDecision = Whole(machine.CpuMicrosPerDecision.Value * 1e3);
        _utilisation = machine.Utilisation.Value;
    }

    public PriceBook Book { get; }
    public MachinePrice Machine { get; }
    public CostMethod Method { get; }

    /// <summary>Everything charged so far.</summary>
    public Cost Total => _total.Narrow();

    /// <summary>Of <see cref="Total"/>, what busy cores cost; the rest is idle time that was reserved.</summary>
    public Cost Active => At(_cpuNanos, _cpuNanos).Narrow();

    public Cost Idle => (_total - At(_cpuNanos, _cpuNanos)).Narrow();

    /// <summary>Charged without a decision to bear it yet.</summary>
    public Cost Unallocated => _carried;

    public long DecisionCount { get; private set; }

    /// <summary>CPU and reserved time are given with each charge.</summary>
    public static CostMeter Measured(PriceBook book, MachinePrice machine) => new(book, machine, CostMethod.Measured);

    /// <summary>CPU time is the price book's constant; nothing but the count of decisions enters.</summary>
    /// <param name="decisionsBefore">Decisions that are already in the log, of a run that goes on: their cost is in <see cref="Total"/>.</param>
    public static CostMeter Modelled(PriceBook book, MachinePrice machine, long decisionsBefore = 0)
    {
        CostMeter meter = new(book, machine, CostMethod.Modelled);
        meter._cpuNanos = checked(meter._nanosPerDecision * decisionsBefore);
        meter._reservedCoreNanos = Whole(meter._cpuNanos / meter._utilisation);
        meter._total = meter.At(meter._cpuNanos, meter._reservedCoreNanos);
        meter.DecisionCount = decisionsBefore;
        return meter;
    }

    /// <summary>Charges measured time.</summary>
    /// <param name="cpuMicros">CPU time of the process (all its threads) since the charge before.</param>
    /// <param name="reservedMicros">Wall time since the charge before. When less than what the CPU time needs on all cores, that counts.</param>
    /// <param name="decisions">Decisions that bear the cost; with 0 it is carried on.</param>
    /// <returns>The cost that these decisions share (<see cref="Cost.Share"/>), anything carried included.</returns>
    public Cost Charge(long cpuMicros, long reservedMicros, int decisions)
    {
        if (Method != CostMethod.Measured)
            throw new InvalidOperationException("a modelled meter is charged by the count of decisions");
        ArgumentOutOfRangeException.ThrowIfNegative(cpuMicros);
        ArgumentOutOfRangeException.ThrowIfNegative(reservedMicros);
        return Advance(checked(cpuMicros * 1000), checked(reservedMicros * 1000 * Machine.Cores), decisions);
    }

    /// <summary>
    /// Charges the price book's CPU time for each decision, and reserved time in proportion (<see cref="MachinePrice.Utilisation"/>).
    /// Charged one at a time, a decision's cost depends on its number alone and not on how decisions fell into batches.
    /// </summary>
    public Cost Charge(int decisions)
    {
        if (Method != CostMethod.Modelled)
            throw new InvalidOperationException("a measuring meter is charged the time that was measured");
        long cpuNanos = checked(_nanosPerDecision * decisions);
        long reservedTotal = Whole((_cpuNanos + cpuNanos) / _utilisation);
        return Advance(cpuNanos, Math.Max(0, reservedTotal - _reservedCoreNanos), decisions);
    }

    /// <summary>Cost of a thousand decisions over all charges, idle time included; zero before the first decision.</summary>
    public CostPerThousand PerThousand() => DecisionCount == 0
        ? new CostPerThousand(0, 0, 0, 0, Book.Currency, Describe())
        : new CostPerThousand(
            Total.Money * 1000 / DecisionCount, Total.Joules * 1000 / DecisionCount,
            JoulesBetween(Machine.Idle.Low, Machine.Full.Low) * 1000 / DecisionCount, JoulesBetween(Machine.Idle.High, Machine.Full.High) * 1000 / DecisionCount,
            Book.Currency, Describe());

    /// <summary>The method in one sentence, for reports.</summary>
    public string Describe()
    {
        string time = Method == CostMethod.Measured
            ? "measured CPU time and reserved time"
            : $"modelled: {Machine.CpuMicrosPerDecision.Value:R} µs of CPU a decision at {Machine.Utilisation.Value:P0} utilisation ({Name(Machine.CpuMicrosPerDecision.Basis)}), not measured";
        string price = Machine.Tenure == Tenure.Owned
            ? $"owned, {Machine.Purchase.Value:R} {Book.Currency} over {Machine.Life.Value:R} years and {Book.Power.Value:R} {Book.Currency}/kWh"
            : $"rented at {Machine.Hourly.Value:R} {Book.Currency}/h ({Name(Machine.Hourly.Basis)})";
        return $"{time}; {Machine.Name}, {price}, idle time while reserved included; energy by a linear model {Machine.Idle.Value:R} to {Machine.Full.Value:R} W ({Name(Machine.Full.Basis)}), PUE {Book.PowerUsageEffectiveness.Value:R}; price book {Book.Name} {Book.Version}";
    }

    private Cost Advance(long cpuNanos, long reservedCoreNanos, int decisions)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(decisions);
        _cpuNanos = checked(_cpuNanos + cpuNanos);
        _reservedCoreNanos = Math.Max(checked(_reservedCoreNanos + reservedCoreNanos), _cpuNanos);
        WideCost total = At(_cpuNanos, _reservedCoreNanos);
        Cost charged = (total - _total).Narrow() + _carried;
        _total = total;
        DecisionCount += decisions;
        _carried = decisions == 0 ? charged : default;
        return decisions == 0 ? default : charged;
    }

    /// <summary>What so much busy and reserved core time costs in all: rounded down once, at the end.</summary>
    private WideCost At(long cpuNanos, long reservedCoreNanos)
    {
        // mW × ns = pJ; divided by cores (idle and full are of the whole machine) and by 1000 for nJ.
        Int128 nanoJoules = (((Int128)_idleMilliwatts * reservedCoreNanos) + ((Int128)_dynamicMilliwatts * cpuNanos)) / (1000L * Machine.Cores);
        Int128 hours = (Int128)_picoPerHour * reservedCoreNanos / ((Int128)MicrosPerHour * 1000 * Machine.Cores);
        Int128 power = (Int128)_picoPerKwh * nanoJoules / NanoJoulesPerKwh;
        return new WideCost(hours + power, nanoJoules);
    }

    private double JoulesBetween(double idleWatts, double fullWatts) =>
        ((idleWatts * _reservedCoreNanos) + ((fullWatts - idleWatts) * _cpuNanos)) * Book.PowerUsageEffectiveness.Value / Machine.Cores / 1e9;

    private static long Whole(double value) => checked((long)Math.Round(value));

    private static string Name(FigureBasis basis) => basis switch { FigureBasis.Measured => "measured", FigureBasis.Published => "published", _ => "assumed" };
}

/// <summary>What a thousand decisions cost.</summary>
/// <param name="Money">In <paramref name="Currency"/>.</param>
/// <param name="JoulesLow">With the price book's low watts.</param>
/// <param name="JoulesHigh">With its high watts.</param>
/// <param name="Method">One sentence: measured or modelled, on what, at which prices.</param>
public sealed record CostPerThousand(decimal Money, double Joules, double JoulesLow, double JoulesHigh, string Currency, string Method);
