namespace Risk.Core.Costs;

/// <summary>What became of one run on a device.</summary>
public enum RunFate : byte
{
    /// <summary>Its scores were used.</summary>
    Used = 0,
    /// <summary>The device failed, or its scores were refused; the rows went elsewhere.</summary>
    Failed = 1,
    /// <summary>A hedge, or what was hedged: the other answer came first.</summary>
    HedgeLost = 2,
}

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
    private long _onMicros;
    private long _offMicros;
    private long _busyMicros;
    private long _paddingMicros;
    private long _failedMicros;
    private long _hedgeMicros;
    private bool _hasRun;                     // since it was told of time last
    private WideCost _charged;

    /// <param name="name">As records and metrics call the device; the rates' own when left out.</param>
    public DeviceMeter(DeviceRates rates, bool isOn = true, string? name = null)
    {
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

    public long RunCount { get; private set; }
    public long OnMicros => _onMicros;
    public long BusyMicros => _busyMicros;

    /// <summary>Everything so far.</summary>
    public Cost Total => At(_onMicros, _offMicros, _busyMicros).Narrow();

    /// <summary>Time that computed scores which were used, padding apart.</summary>
    public Cost Active => At(Used, 0, Used).Narrow();

    /// <summary>Computing rows that only filled up a batch.</summary>
    public Cost Padding => Between(Used, Used + _paddingMicros);

    /// <summary>Runs that failed.</summary>
    public Cost Failed => Between(Used + _paddingMicros, Used + _paddingMicros + _failedMicros);

    /// <summary>Runs whose answer came second.</summary>
    public Cost HedgesLost => Between(Used + _paddingMicros + _failedMicros, _busyMicros);

    /// <summary>Computed for nothing.</summary>
    public Cost Waste => Padding + Failed + HedgesLost;

    /// <summary>Switched on with nothing to do, and owned while off.</summary>
    public Cost Idle => (At(_onMicros, _offMicros, _busyMicros) - At(_busyMicros, 0, _busyMicros)).Narrow();

    private long Used => _busyMicros - _paddingMicros - _failedMicros - _hedgeMicros;

    /// <summary>One run.</summary>
    /// <param name="micros">The device was busy for.</param>
    /// <param name="rows">Of the batch; 1 or more.</param>
    /// <param name="paddedRows">That were computed.</param>
    public void Ran(long micros, int rows, int paddedRows, RunFate fate)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(micros);
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(paddedRows, rows);
        RunCount++;
        _busyMicros = checked(_busyMicros + micros);
        _hasRun = true;
        switch (fate)
        {
            case RunFate.Used: _paddingMicros += (long)((Int128)micros * (paddedRows - rows) / paddedRows); break;
            case RunFate.Failed: _failedMicros += micros; break;
            default: _hedgeMicros += micros; break;
        }
    }

    /// <summary>
    /// Wall time passed since it was told last. Over all times, less than it computed counts as that: a run is told of at its
    /// end, when the time that it took was mostly told of before.
    /// </summary>
    /// <returns>What it has cost since.</returns>
    internal Cost Advance(long micros)
    {
        if (IsOn || _hasRun)
            _onMicros = checked(_onMicros + micros);
        else
            _offMicros = checked(_offMicros + micros);
        _onMicros = Math.Max(_onMicros, _busyMicros);
        _hasRun = false;
        WideCost total = At(_onMicros, _offMicros, _busyMicros);
        Cost cost = (total - _charged).Narrow();
        _charged = total;
        return cost;
    }

    /// <summary>Joules so far at the least or the most that the watts might be.</summary>
    internal double JoulesAt(Scenario scenario)
    {
        double idle = Rates.IdleWatts.At(scenario);
        return ((idle * _onMicros) + (Math.Max(0, Rates.FullWatts.At(scenario) - idle) * _busyMicros)) / 1e6;
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
