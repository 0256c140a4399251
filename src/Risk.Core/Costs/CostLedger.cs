namespace Risk.Core.Costs;

/// <summary>
/// The meters of one process together: its CPU and its accelerators. What a batch is charged is what all of them cost since
/// the charge before, so the CPU's share, the device's time and energy, idle time, padding, failed runs and lost hedges are
/// all in it, and the charges add up to <see cref="Total"/> to the last unit. A charge without decisions is carried to the
/// next one that has some. Charging allocates nothing. One thread.
/// <code>
/// ledger.Devices[0].Ran(micros, rows, padded, RunFate.Used);   // for each run since the last charge
/// Cost cost = ledger.Charge(cpuMicros, wallMicros, decisions); // its decisions share it: cost.Share(index, count)
/// </code>
/// </summary>
/// <param name="cpu">Charged through the ledger from here on, and not by itself.</param>
public sealed class CostLedger(CostMeter cpu, params IReadOnlyList<DeviceMeter> devices)
{
    private readonly DeviceMeter[] _devices = [.. devices];
    private Cost _carried;
    private Cost _ofDevices;

    public CostMeter Cpu => cpu;
    public IReadOnlyList<DeviceMeter> Devices => _devices;

    /// <summary>Everything charged or carried so far.</summary>
    public Cost Total => cpu.Total + _ofDevices;

    /// <summary>Of <see cref="Total"/>, time that was reserved and did nothing.</summary>
    public Cost Idle => Sum(cpu.Idle, static device => device.Idle);

    /// <summary>Of <see cref="Total"/>, what accelerators computed for nothing.</summary>
    public Cost Waste => Sum(default, static device => device.Waste);

    /// <summary>Of <see cref="Total"/>, what computed scores that were used, and everything else that the CPU did.</summary>
    public Cost Active => Sum(cpu.Active, static device => device.Active);

    /// <summary>Charged without a decision to bear it yet.</summary>
    public Cost Unallocated => _carried + cpu.Unallocated;

    /// <summary>Charges measured time; see <see cref="CostMeter.Charge(long, long, int)"/>.</summary>
    /// <param name="reservedMicros">Wall time since the charge before; it passes for every device too.</param>
    public Cost Charge(long cpuMicros, long reservedMicros, int decisions) => Add(cpu.Charge(cpuMicros, reservedMicros, decisions), reservedMicros, decisions);

    /// <summary>Charges the price book's CPU time for each decision (<see cref="CostMeter.Charge(int)"/>); no time passes for devices but what they ran.</summary>
    public Cost Charge(int decisions) => Add(cpu.Charge(decisions), 0, decisions);

    private Cost Add(Cost charged, long reservedMicros, int decisions)
    {
        Cost ofDevices = default;
        foreach (DeviceMeter device in _devices)
            ofDevices += device.Advance(reservedMicros);
        _ofDevices += ofDevices;
        ofDevices += _carried;
        _carried = decisions == 0 ? ofDevices : default;
        return decisions == 0 ? default : charged + ofDevices;
    }

    private Cost Sum(Cost first, Func<DeviceMeter, Cost> part)
    {
        foreach (DeviceMeter device in _devices)
            first += part(device);
        return first;
    }
}
