using Risk.Core.Costs;

namespace Risk.Core.Devices;

/// <summary>
/// A device as the router sees it: for every number of rows, the time, the money and the joules of a batch, made once from
/// its curve and its rates so that a decision looks them up. Immutable.
/// <para>Money is in 10⁻¹² of the currency (<see cref="Cost.PicoUnits"/>). An elastic device (cores that do other work when
/// there is none here) costs its hourly rate for the time it computes and nothing else. A reserved one (an accelerator) costs
/// its rate as long as it is switched on, and a batch adds only the power above idle.</para>
/// </summary>
public sealed class RoutedDevice
{
    private const double PicoPerHourToMicro = 1e12 / 3.6e9;

    private readonly BatchFigures[] _byRows; // 0 .. BatchMax

    /// <param name="slots">Batches at the same time; 1 for an accelerator, the cores of a CPU.</param>
    /// <param name="isElastic">See above.</param>
    /// <param name="hostCore">What a core of the host costs, where it is not in <paramref name="rates"/>: a batch then pays for the time that one is busy with it.</param>
    public RoutedDevice(string name, CostCurve curve, DeviceRates rates, bool isElastic, int slots = 1, DeviceRates? hostCore = null)
    {
        Name = name;
        IsElastic = isElastic;
        Slots = slots;
        BatchMax = curve.BatchMax;
        OnPicoPerMicro = isElastic ? 0 : (rates.OnPerHour.Value - rates.OffPerHour.Value) * PicoPerHourToMicro;
        IdleWatts = isElastic ? 0 : rates.IdleWatts.Value;
        StartMicros = isElastic ? 0 : (long)(rates.StartMinutes.Value * 60e6);
        double busyPico = (rates.BusyPerHour.Value + (isElastic ? rates.OnPerHour.Value : 0)) * PicoPerHourToMicro;
        double hostPico = hostCore is null ? 0 : (hostCore.OnPerHour.Value + hostCore.BusyPerHour.Value) * PicoPerHourToMicro;
        double busyWatts = rates.FullWatts.Value - IdleWatts;
        _byRows = new BatchFigures[BatchMax + 1];
        IsPadded = curve.IsPadded;
        int below = 0;
        float p99 = 0;
        for (int rows = 1; rows <= BatchMax; rows++)
        {
            CostPoint point = curve.At(rows);
            int padded = curve.Padded(rows);
            if (padded == rows)
                below = rows;
            // A larger batch that was measured faster at p99 was lucky: a deadline is not held against luck.
            p99 = Math.Max(p99, (float)point.P99Micros);
            double money = (busyPico * point.MedianMicros) + (hostPico * point.HostMicros);
            // Counted at the device; idle watts are at the meter.
            double joules = point.JoulesPerBatch is { } counted ? Math.Max(0, (counted * rates.PowerUsageEffectiveness.Value) - (IdleWatts * point.MedianMicros / 1e6)) : busyWatts * point.MedianMicros / 1e6;
            _byRows[rows] = new BatchFigures((float)money, (float)joules, (float)point.MedianMicros, p99, padded, below);
        }
    }

    public string Name { get; }
    public bool IsElastic { get; }
    public int Slots { get; }
    public int BatchMax { get; }
    public bool IsPadded { get; }

    /// <summary>Money for each microsecond switched on.</summary>
    public double OnPicoPerMicro { get; }

    /// <summary>Watts at the meter while switched on.</summary>
    public double IdleWatts { get; }

    /// <summary>From switching on to the first batch.</summary>
    public long StartMicros { get; init; }

    /// <summary>What switching it on costs before it does anything.</summary>
    public double StartPico => StartMicros * OnPicoPerMicro;

    /// <summary>The most rows that are done, at p99, in so much time; 0 when not even one is.</summary>
    public int RowsWithin(long micros)
    {
        int from = 0, to = BatchMax;
        while (from < to)
        {
            int middle = (from + to + 1) / 2;
            if (_byRows[middle].P99Micros <= micros)
                from = middle;
            else
                to = middle - 1;
        }
        return from;
    }

    /// <param name="rows">0 (which is nothing) to <see cref="BatchMax"/>.</param>
    public ref readonly BatchFigures Of(int rows) => ref _byRows[rows];
}

/// <summary>One batch on one device.</summary>
/// <param name="Money">10⁻¹² of the currency, on top of what it costs to be switched on.</param>
/// <param name="Joules">On top of idle.</param>
/// <param name="P99Micros">What a deadline is held against.</param>
/// <param name="Padded">Rows that are computed.</param>
/// <param name="Below">The largest size that pads nothing and takes no more rows; 0 when there is none.</param>
public readonly record struct BatchFigures(float Money, float Joules, float MedianMicros, float P99Micros, int Padded, int Below);
