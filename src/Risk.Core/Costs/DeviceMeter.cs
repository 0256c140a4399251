namespace Risk.Core.Costs;

/// <summary>
/// What one accelerator costs, from the time that it is switched on, off and computes. As in <see cref="MachineMeter"/>: totals
/// are computed from cumulated whole microseconds and costs are their differences, so nothing is lost to rounding.
/// </summary>
public sealed class DeviceMeter
{
    private const long MicrosPerHour = 3_600_000_000;

    // Computing lies on the device's time in this order, idle time behind it: what lies between two marks is a part, and the parts add up.
    private enum Mark { Used, Padding, Failed, WarmUp, Hedges }

    private readonly long _onPicoPerHour;
    private readonly long _offPicoPerHour;
    private readonly long _busyPicoPerHour;
    private readonly long _idleMilliwatts;
    private readonly long _dynamicMilliwatts;
    private readonly Func<DeviceUse>? _read;
    private readonly CountedEnergy? _counter;
    private readonly Int128[] _counted = new Int128[5]; // nJ by Mark, of computing
    private Int128 _countedTotal, _modelledTotal;
    private DeviceUse _use;
    private DeviceUse _told;                  // of _use, when it was told of time last
    private long _onMicros;
    private long _offMicros;
    private WideCost _charged;

    /// <param name="name">As records and metrics call the device; the rates' own when left out.</param>
    /// <param name="use">Who counts its runs, asked with every charge, on the thread that charges; null: <see cref="Ran"/> is told of each.</param>
    /// <param name="joules">The device's own counter, asked now and then in the same way: joules so far, null when it cannot be read. Null: energy is the stated watts.</param>
    public DeviceMeter(DeviceRates rates, bool isOn = true, string? name = null, Func<DeviceUse>? use = null, Func<double?>? joules = null)
    {
        _read = use;
        _counter = joules is null ? null : new CountedEnergy(joules, rates.PowerUsageEffectiveness.Value);
        Rates = rates;
        Name = name ?? rates.Name;
        IsOn = isOn;
        _onPicoPerHour = Rounded(rates.OnPerHour.Value * 1e12);
        _offPicoPerHour = Rounded(rates.OffPerHour.Value * 1e12);
        _busyPicoPerHour = Rounded(rates.BusyPerHour.Value * 1e12);
        _idleMilliwatts = Rounded(rates.IdleWatts.Value * 1e3);
        _dynamicMilliwatts = Math.Max(0, Rounded(rates.FullWatts.Value * 1e3) - _idleMilliwatts);
    }

    public DeviceRates Rates { get; }
    public string Name { get; }

    /// <summary>Set it when the device is switched, right after <see cref="CostLedger.Charge(long, long, int, long)"/>.</summary>
    public bool IsOn { get; set; }

    /// <summary>Its energy is that of its counter, at present; otherwise that of the stated watts.</summary>
    public bool IsEnergyCounted => _counter is { IsCounting: true };

    public long RunCount => _use.RunCount;
    public long OnMicros => _onMicros;
    public long BusyMicros => _use.BusyMicros;

    /// <summary>Everything so far.</summary>
    public Cost Total => Whole().Narrow();

    /// <summary>Time that computed scores which were used, padding apart.</summary>
    public Cost Active => UpTo(Mark.Used).Narrow();

    /// <summary>Computing rows that only filled up a batch.</summary>
    public Cost Padding => Part(Mark.Padding);

    /// <summary>Runs that failed.</summary>
    public Cost Failed => Part(Mark.Failed);

    /// <summary>Runs before the first batch.</summary>
    public Cost WarmUp => Part(Mark.WarmUp);

    /// <summary>Runs whose answer came second.</summary>
    public Cost HedgesLost => Part(Mark.Hedges);

    /// <summary>Computed for nothing.</summary>
    public Cost Waste => Padding + Failed + WarmUp + HedgesLost;

    /// <summary>Switched on with nothing to do, and owned while off.</summary>
    public Cost Idle => (Whole() - UpTo(Mark.Hedges)).Narrow();

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
        if (IsOn || BusyMicros > _told.BusyMicros)
            _onMicros = checked(_onMicros + micros);
        else
            _offMicros = checked(_offMicros + micros);
        _onMicros = Math.Max(_onMicros, BusyMicros);
        if (_counter is not null)
            Count(_counter, micros);
        _told = _use;
        WideCost total = Whole();
        Cost cost = (total - _charged).Narrow();
        _charged = total;
        return cost;
    }

    /// <summary>Joules so far at the least or the most that the watts might be; what was counted is what it is.</summary>
    internal double JoulesAt(Scenario scenario)
    {
        if (_counter is not null)
            return (double)_countedTotal / 1e9;
        double idle = Rates.IdleWatts.At(scenario);
        return ((idle * _onMicros) + (Math.Max(0, Rates.FullWatts.At(scenario) - idle) * BusyMicros)) / 1e6;
    }

    /// <summary>A counter knows one sum; what computed and what idled share it as the watts say they do.</summary>
    private void Count(CountedEnergy counter, long micros)
    {
        Int128 modelled = Modelled(_onMicros, BusyMicros), before = _countedTotal;
        _countedTotal = counter.Advance(modelled, micros);
        double expected = (double)(modelled - _modelledTotal), ratio = expected > 0 ? (double)(_countedTotal - before) / expected : 0;
        for (Mark mark = 0; mark <= Mark.Hedges; mark++)
        {
            long more = Micros(_use, mark) - Micros(_told, mark);
            _counted[(int)mark] += (Int128)(ratio * (double)Modelled(more, more));
        }
        _modelledTotal = modelled;
    }

    private Cost Part(Mark mark) => (UpTo(mark) - UpTo(mark - 1)).Narrow();

    /// <summary>The cost of the computing up to the end of a part.</summary>
    private WideCost UpTo(Mark last)
    {
        long micros = 0;
        Int128 counted = 0;
        for (Mark mark = 0; mark <= last; mark++)
        {
            micros += Micros(_use, mark);
            counted += _counted[(int)mark];
        }
        return At(micros, 0, micros, counted);
    }

    private WideCost Whole() => At(_onMicros, _offMicros, BusyMicros, _countedTotal);

    private WideCost At(long onMicros, long offMicros, long busyMicros, Int128 counted)
    {
        if (_counter is null)
        {
            Int128 stated = (((Int128)_onPicoPerHour * onMicros) + ((Int128)_offPicoPerHour * offMicros) + ((Int128)_busyPicoPerHour * busyMicros)) / MicrosPerHour;
            return new WideCost(stated, Modelled(onMicros, busyMicros));
        }
        // Owned, its power is paid by the joule, at the price that is in the rate of computing; rented, that is 0.
        double picoPerHourAndMilliwatt = _dynamicMilliwatts == 0 ? 0 : (double)_busyPicoPerHour / _dynamicMilliwatts;
        Int128 withoutPower = (((Int128)(_onPicoPerHour - Rounded(picoPerHourAndMilliwatt * _idleMilliwatts)) * onMicros) + ((Int128)_offPicoPerHour * offMicros)) / MicrosPerHour;
        return new WideCost(withoutPower + (Int128)(picoPerHourAndMilliwatt / MicrosPerHour * (double)counted), counted);
    }

    private Int128 Modelled(long onMicros, long busyMicros) => ((Int128)_idleMilliwatts * onMicros) + ((Int128)_dynamicMilliwatts * busyMicros); // mW × µs = nJ

    private static long Micros(in DeviceUse use, Mark mark) => mark switch
    {
        Mark.Used => use.UsedMicros,
        Mark.Padding => use.PaddingMicros,
        Mark.Failed => use.FailedMicros,
        Mark.WarmUp => use.WarmUpMicros,
        _ => use.HedgeMicros,
    };

    private static long Rounded(double value) => checked((long)Math.Round(value));
}
