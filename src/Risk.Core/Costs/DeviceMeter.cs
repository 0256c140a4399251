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
/// What one accelerator costs, from the time that it is switched on, off and computes. As in <see cref="CostMeter"/>: totals
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
    private long _runSinceAdvance;

    public DeviceMeter(DeviceRates rates, bool isOn = true)
    {
        Rates = rates;
        IsOn = isOn;
        _onPicoPerHour = Whole(rates.OnPerHour.Value * 1e12);
        _offPicoPerHour = Whole(rates.OffPerHour.Value * 1e12);
        _busyPicoPerHour = Whole(rates.BusyPerHour.Value * 1e12);
        _idleMilliwatts = Whole(rates.IdleWatts.Value * 1e3);
        _dynamicMilliwatts = Math.Max(0, Whole(rates.FullWatts.Value * 1e3) - _idleMilliwatts);
    }

    public DeviceRates Rates { get; }

    /// <summary>Set it when the device is switched, right after <see cref="CostLedger.Charge(long, long, int)"/>.</summary>
    public bool IsOn { get; set; }

    public long RunCount { get; private set; }
    public long OnMicros => _onMicros;
    public long BusyMicros => _busyMicros;

    /// <summary>Everything so far.</summary>
    public Cost Total => At(_onMicros, _offMicros, _busyMicros);

    /// <summary>Time that computed scores which were used, padding apart.</summary>
    public Cost Active => At(Used, 0, Used);

    /// <summary>Computing rows that only filled up a batch.</summary>
    public Cost Padding => At(Used + _paddingMicros, 0, Used + _paddingMicros) - Active;

    /// <summary>Runs that failed.</summary>
    public Cost Failed => At(Used + _paddingMicros + _failedMicros, 0, Used + _paddingMicros + _failedMicros) - Active - Padding;

    /// <summary>Runs whose answer came second.</summary>
    public Cost HedgesLost => At(_busyMicros, 0, _busyMicros) - Active - Padding - Failed;

    /// <summary>Computed for nothing.</summary>
    public Cost Waste => Padding + Failed + HedgesLost;

    /// <summary>Switched on with nothing to do, and owned while off.</summary>
    public Cost Idle => Total - At(_busyMicros, 0, _busyMicros);

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
        _runSinceAdvance += micros;
        switch (fate)
        {
            case RunFate.Used: _paddingMicros += (long)((Int128)micros * (paddedRows - rows) / paddedRows); break;
            case RunFate.Failed: _failedMicros += micros; break;
            default: _hedgeMicros += micros; break;
        }
    }

    /// <summary>Wall time passed since it was told last. Less than it computed counts as that.</summary>
    internal void Advance(long micros)
    {
        if (IsOn || _runSinceAdvance > 0)
            _onMicros = checked(_onMicros + Math.Max(micros, _runSinceAdvance));
        else
            _offMicros = checked(_offMicros + micros);
        _runSinceAdvance = 0;
    }

    private Cost At(long onMicros, long offMicros, long busyMicros)
    {
        Int128 pico = (((Int128)_onPicoPerHour * onMicros) + ((Int128)_offPicoPerHour * offMicros) + ((Int128)_busyPicoPerHour * busyMicros)) / MicrosPerHour;
        Int128 nanoJoules = ((Int128)_idleMilliwatts * onMicros) + ((Int128)_dynamicMilliwatts * busyMicros); // mW × µs
        return new Cost(checked((long)pico), checked((long)nanoJoules));
    }

    private static long Whole(double value) => checked((long)Math.Round(value));
}
