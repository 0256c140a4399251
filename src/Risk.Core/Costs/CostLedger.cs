namespace Risk.Core.Costs;

/// <summary>
/// The meter of one process: its machine and its accelerators. What a batch is charged is what all of them cost since the
/// charge before, so CPU time, device time and energy, idle time, padding, failed runs and lost hedges are all in it, and the
/// charges add up to <see cref="Total"/> to the last unit. A charge without decisions is carried to the next one that has some;
/// what is left at the end is <see cref="Unallocated"/>. Charging allocates nothing. One thread.
/// <code>
/// ledger.Devices[0].Ran(micros, rows, padded, RunFate.Used);   // for each run since the last charge
/// Cost cost = ledger.Charge(cpuMicros, wallMicros, decisions); // its decisions share it: cost.Share(index, count)
/// </code>
/// The cores that feed an accelerator are the machine's: meters made for a ledger have rates without the host,
/// <see cref="DeviceRates.OfCard"/>.
/// </summary>
public sealed class CostLedger
{
    private static readonly byte[] s_measured = [.. "measured"u8], s_counted = [.. "measured, energy by counter"u8], s_modelled = [.. "modelled"u8], s_unpriced = [.. Unpriced];

    private readonly DeviceMeter[] _devices;
    private readonly long _nanosPerDecision; // modelled CPU time
    private readonly double _utilisation;
    private readonly bool _isBeside;
    private Cost _carried;
    private Cost _ofDevices;

    private CostLedger(PriceBook book, MachinePrice machine, CostMethod method, IReadOnlyList<DeviceMeter> devices, bool isBeside = false)
    {
        _isBeside = isBeside;
        Book = book;
        Method = method;
        Machine = new MachineMeter(book, machine);
        _devices = [.. devices];
        _nanosPerDecision = checked((long)Math.Round(machine.CpuMicrosPerDecision.Value * 1e3));
        _utilisation = machine.Utilisation.Value;
    }

    /// <summary>The method that stands in records of decisions whose cost nobody knows, in place of money and joules.</summary>
    public static ReadOnlySpan<byte> Unpriced => "unpriced"u8;

    public PriceBook Book { get; }
    /// <summary>Where the times come from, priced or not.</summary>
    public CostMethod Method { get; }

    /// <summary>Its charges are money and joules; without prices they are zeros, which stand for nothing.</summary>
    public bool IsPriced => Book.WhyUnpriced is null;

    /// <summary>The method that stands in the records of its decisions now, UTF-8.</summary>
    public byte[] MethodWord => !IsPriced ? s_unpriced : Method == CostMethod.Modelled ? s_modelled : IsEnergyCounted ? s_counted : s_measured;

    /// <summary>The processor's part.</summary>
    public MachineMeter Machine { get; }

    public IReadOnlyList<DeviceMeter> Devices => _devices;

    /// <summary>Everything charged or carried so far.</summary>
    public Cost Total => Machine.Total + _ofDevices;

    /// <summary>Of <see cref="Total"/>, time that was reserved and did nothing.</summary>
    public Cost Idle => Sum(Machine.Idle, static device => device.Idle);

    /// <summary>Of <see cref="Total"/>, what accelerators computed for nothing.</summary>
    public Cost Waste => Sum(default, static device => device.Waste);

    /// <summary>Of <see cref="Total"/>, what computed scores that were used, and everything else that the CPU did.</summary>
    public Cost Active => Sum(Machine.Active, static device => device.Active);

    /// <summary>Charged without a decision to bear it yet.</summary>
    public Cost Unallocated => _carried;

    /// <summary>The energy of at least one accelerator is that of its own counter, at present; all other energy is that of stated watts.</summary>
    public bool IsEnergyCounted => Array.Exists(_devices, static device => device.IsEnergyCounted);

    public long DecisionCount { get; private set; }

    /// <summary>CPU time, reserved time and runs on devices are given.</summary>
    public static CostLedger Measured(PriceBook book, MachinePrice machine, params IReadOnlyList<DeviceMeter> devices) => new(book, machine, CostMethod.Measured, devices);

    /// <summary>
    /// Of work that runs beside an engine on the same machine: it is charged the CPU time it took and its own accelerators. The
    /// machine's idle time stays with the engine, whose ledger is told the same CPU time as somebody else's, so that both add up
    /// to the machine.
    /// </summary>
    public static CostLedger Beside(PriceBook book, MachinePrice machine, params IReadOnlyList<DeviceMeter> devices) => new(book, machine, CostMethod.Measured, devices, isBeside: true);

    /// <summary>CPU time is the price book's constant; nothing but the count of decisions enters. Accelerators are not charged: no two runs on them take the same time.</summary>
    /// <param name="decisionsBefore">Decisions that are already in the log, of a run that goes on: their cost is in <see cref="Total"/>.</param>
    public static CostLedger Modelled(PriceBook book, MachinePrice machine, long decisionsBefore = 0)
    {
        var ledger = new CostLedger(book, machine, CostMethod.Modelled, []);
        long cpuNanos = checked(ledger._nanosPerDecision * decisionsBefore);
        ledger.Machine.Advance(cpuNanos, ledger.Reserved(cpuNanos));
        ledger.DecisionCount = decisionsBefore;
        return ledger;
    }

    /// <summary>Charges measured time.</summary>
    /// <param name="cpuMicros">CPU time of the process (all its threads) since the charge before.</param>
    /// <param name="reservedMicros">Wall time since the charge before; it passes for every device too. When less than what the CPU time needs on all cores, that counts.</param>
    /// <param name="decisions">Decisions that bear the cost; with 0 it is carried on.</param>
    /// <param name="besideMicros">Of <paramref name="cpuMicros"/>, what ledgers beside this one bear (<see cref="Beside"/>).</param>
    /// <returns>The cost that these decisions share (<see cref="Cost.Share"/>), anything carried included.</returns>
    public Cost Charge(long cpuMicros, long reservedMicros, int decisions, long besideMicros = 0)
    {
        if (Method != CostMethod.Measured)
            throw new InvalidOperationException("a modelled ledger is charged by the count of decisions");
        ArgumentOutOfRangeException.ThrowIfNegative(cpuMicros);
        ArgumentOutOfRangeException.ThrowIfNegative(reservedMicros);
        ArgumentOutOfRangeException.ThrowIfNegative(besideMicros);
        long cpuNanos = Math.Max(0, checked((cpuMicros - besideMicros) * 1000));
        long reservedCoreNanos = _isBeside ? 0 : Math.Max(0, checked((reservedMicros * Machine.Machine.Cores - besideMicros) * 1000));
        return Add(Machine.Advance(cpuNanos, reservedCoreNanos), reservedMicros, decisions);
    }

    /// <summary>
    /// Charges the price book's CPU time for each decision, and reserved time in proportion (<see cref="MachinePrice.Utilisation"/>).
    /// Charged one at a time, a decision's cost depends on its number alone and not on how decisions fell into batches.
    /// </summary>
    public Cost Charge(int decisions)
    {
        if (Method != CostMethod.Modelled)
            throw new InvalidOperationException("a measuring ledger is charged the time that was measured");
        long cpuNanos = checked(_nanosPerDecision * decisions);
        long reserved = Math.Max(0, Reserved(Machine.CpuNanos + cpuNanos) - Machine.ReservedCoreNanos);
        return Add(Machine.Advance(cpuNanos, reserved), 0, decisions);
    }

    /// <summary>Cost of a thousand decisions over all charges, idle time included; zero before the first decision.</summary>
    public CostPerThousand PerThousand()
    {
        if (DecisionCount == 0)
            return new CostPerThousand(0, 0, 0, 0, Book.Currency, Describe());
        MachinePrice machine = Machine.Machine;
        (double low, double high) = (Machine.JoulesBetween(machine.Idle.Low, machine.Full.Low), Machine.JoulesBetween(machine.Idle.High, machine.Full.High));
        foreach (DeviceMeter device in _devices)
            (low, high) = (low + device.JoulesAt(Scenario.Low), high + device.JoulesAt(Scenario.High));
        return new CostPerThousand(
            Total.Money * 1000 / DecisionCount, Total.Joules * 1000 / DecisionCount, low * 1000 / DecisionCount, high * 1000 / DecisionCount, Book.Currency, Describe());
    }

    /// <summary>The method in one sentence, for reports.</summary>
    public string Describe()
    {
        if (Book.WhyUnpriced is { } why)
            return $"unpriced: {why}";
        MachinePrice machine = Machine.Machine;
        string time = Method == CostMethod.Measured
            ? "measured CPU time and reserved time"
            : $"modelled: {machine.CpuMicrosPerDecision.Value:R} µs of CPU a decision at {machine.Utilisation.Value:P0} utilisation ({Name(machine.CpuMicrosPerDecision.Basis)}), not measured";
        string asked = $"{machine.Price.Value:R} {machine.Price.Unit}", basis = $"({Name(machine.Price.Basis)}{(Book.RateOf(machine.Price) is { } rate ? $", at {rate.Rate.Value:R} {rate.Rate.Unit}" : "")})";
        string price = machine.Tenure == Tenure.Owned
            ? $"owned, {asked} over {machine.Life.Value:R} years {basis} and {Book.Power.Value:R} {Book.Currency}/kWh ({Name(Book.Power.Basis)})"
            : $"rented at {asked} {basis}";
        string cards = string.Concat(_devices.Select(device => $"; {device.Name}, {(device.Rates.Tenure == Tenure.Owned ? "owned" : "rented")} as {device.Rates.Name}, measured run time, {device.Rates.OnPerHour.Value:0.####} {Book.Currency}/h while on without the host's cores, {(device.IsEnergyCounted ? "energy by its own counter, shared out by " : "")}{device.Rates.IdleWatts.Value:0.##} to {device.Rates.FullWatts.Value:0.##} W at the meter"));
        return $"{time}; {machine.Name}, {price}, {(_isBeside ? "its idle time borne by the engine that this ran beside" : "idle time while reserved included")}; energy by a linear model {machine.Idle.Value:R} to {machine.Full.Value:R} W ({Name(machine.Full.Basis)}), PUE {Book.PowerUsageEffectiveness.Value:R}{cards}; price book {Book.Name} {Book.Version}";
    }

    private Cost Add(Cost charged, long reservedMicros, int decisions)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(decisions);
        Cost ofDevices = default;
        foreach (DeviceMeter device in _devices)
            ofDevices += device.Advance(reservedMicros);
        _ofDevices += ofDevices;
        charged += ofDevices + _carried;
        DecisionCount += decisions;
        _carried = decisions == 0 ? charged : default;
        return decisions == 0 ? default : charged;
    }

    private long Reserved(long cpuNanos) => checked((long)Math.Round(cpuNanos / _utilisation));

    private Cost Sum(Cost first, Func<DeviceMeter, Cost> part)
    {
        foreach (DeviceMeter device in _devices)
            first += part(device);
        return first;
    }

    private static string Name(FigureBasis basis) => basis switch { FigureBasis.Measured => "measured", FigureBasis.Published => "published", FigureBasis.Derived => "derived", _ => "assumed" };
}
