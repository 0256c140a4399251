namespace Risk.Core.Costs;

/// <summary>
/// What one accelerator costs, from the time that it is switched on, off and computes. As in <see cref="MachineMeter"/>: totals
/// are computed from cumulated whole microseconds and costs are their differences, so nothing is lost to rounding.
/// </summary>
public sealed class DeviceMeter
{
    private const long MicrosPerHour = 3_600_000_000;

    private readonly long _onPicoPerHour;
    private readonly long _offPicoPerHour;
    private readonly long _busyPicoPerHour;
    private readonly long _idleMilliwatts;
    private readonly long _dynamicMilliwatts;
    private readonly Func<DeviceUse>? _read;
    private DeviceUse _use;
    private long _onMicros;
    private long _offMicros;
    private long _toldBusyMicros;             // of _use, when it was told of time last
    private WideCost _charged;

    /// <param name="name">As records and metrics call the device; the rates' own when left out.</param>
    /// <param name="use">Who counts its runs, asked with every charge, on the thread that charges; null: <see cref="Ran"/> is told of each.</param>
    public DeviceMeter(DeviceRates rates, bool isOn = true, string? name = null, Func<DeviceUse>? use = null)
    {
        _read = use;
        Rates = rates;
        Name = name ?? rates.Name;
        IsOn = isOn;
        _onPicoPerHour = Whole(rates.OnPerHour.Value * 1e12);
        _offPicoPerHour = Whole(rates.OffPerHour.Value * 1e12);
        _busyPicoPerHour = Whole(rates.BusyPerHour.Value * 1e12);
        _idleMilliwatts = Whole(rates.IdleWatts.Value * 1e3);
        _dynamicMilliwatts = Math.Max(0, Whole(rates.FullWatts.Value * 1e3) - _idleMilliwatts);
    }

    public DeviceRates Rates { get; }
    public string Name { get; }

    /// <summary>Set it when the device is switched, right after <see cref="CostLedger.Charge(long, long, int)"/>.</summary>
    public bool IsOn { get; set; }

    public long RunCount => _use.RunCount;
    public long OnMicros => _onMicros;
    public long BusyMicros => _use.BusyMicros;

    /// <summary>Everything so far.</summary>
    public Cost Total => At(_onMicros, _offMicros, BusyMicros).Narrow();

    /// <summary>Time that computed scores which were used, padding apart.</summary>
    public Cost Active => At(Used, 0, Used).Narrow();

    // The parts lie one behind the other on the time that it was busy, so they add up to the last unit.
    /// <summary>Computing rows that only filled up a batch.</summary>
    public Cost Padding => Between(Used, Used + _use.PaddingMicros);

    /// <summary>Runs that failed.</summary>
    public Cost Failed => Between(Used + _use.PaddingMicros, BusyMicros - _use.WarmUpMicros - _use.HedgeMicros);

    /// <summary>Runs before the first batch.</summary>
    public Cost WarmUp => Between(BusyMicros - _use.WarmUpMicros - _use.HedgeMicros, BusyMicros - _use.HedgeMicros);

    /// <summary>Runs whose answer came second.</summary>
    public Cost HedgesLost => Between(BusyMicros - _use.HedgeMicros, BusyMicros);

    /// <summary>Computed for nothing.</summary>
    public Cost Waste => Padding + Failed + WarmUp + HedgesLost;

    /// <summary>Switched on with nothing to do, and owned while off.</summary>
    public Cost Idle => (At(_onMicros, _offMicros, BusyMicros) - At(BusyMicros, 0, BusyMicros)).Narrow();

    private long Used => _use.UsedMicros;

    /// <summary>One run, of a device that nobody counts; see <see cref="DeviceUse.With"/>.</summary>
    public void Ran(long micros, int rows, int paddedRows, RunFate fate)
    {
        if (_read is not null)
            throw new InvalidOperationException($"the runs of {Name} are counted already");
        _use = _use.With(micros, rows, paddedRows, fate);
    }

    /// <summary>
    /// Wall time passed since it was told last. Over all times, less than it computed counts as that: a run is told of at its
    /// end, when the time that it took was mostly told of before.
    /// </summary>
    /// <returns>What it has cost since.</returns>
    internal Cost Advance(long micros)
    {
        if (_read is not null)
            _use = _read();
        if (IsOn || BusyMicros > _toldBusyMicros)
            _onMicros = checked(_onMicros + micros);
        else
            _offMicros = checked(_offMicros + micros);
        _onMicros = Math.Max(_onMicros, BusyMicros);
        _toldBusyMicros = BusyMicros;
        WideCost total = At(_onMicros, _offMicros, BusyMicros);
        Cost cost = (total - _charged).Narrow();
        _charged = total;
        return cost;
    }

    /// <summary>Joules so far at the least or the most that the watts might be.</summary>
    internal double JoulesAt(Scenario scenario)
    {
        double idle = Rates.IdleWatts.At(scenario);
        return ((idle * _onMicros) + (Math.Max(0, Rates.FullWatts.At(scenario) - idle) * BusyMicros)) / 1e6;
    }

    private Cost Between(long busyBefore, long busyAfter) => (At(busyAfter, 0, busyAfter) - At(busyBefore, 0, busyBefore)).Narrow();

    private WideCost At(long onMicros, long offMicros, long busyMicros)
    {
        Int128 pico = (((Int128)_onPicoPerHour * onMicros) + ((Int128)_offPicoPerHour * offMicros) + ((Int128)_busyPicoPerHour * busyMicros)) / MicrosPerHour;
        Int128 nanoJoules = ((Int128)_idleMilliwatts * onMicros) + ((Int128)_dynamicMilliwatts * busyMicros); // mW × µs
        return new WideCost(pico, nanoJoules);
    }

    private static long Whole(double value) => checked((long)Math.Round(value));
}
