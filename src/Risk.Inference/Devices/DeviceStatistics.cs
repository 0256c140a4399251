using System.Diagnostics;
using System.Numerics;
using Risk.Core.Costs;

namespace Risk.Inference.Devices;

/// <summary>What a scorer has done so far: the one count that metrics, costs and reports look at. Any thread may read; a run is told of by one thread at a time.</summary>
public sealed class DeviceStatistics
{
    private static readonly long s_ticksPerMicro = Math.Max(1, Stopwatch.Frequency / 1_000_000);

    private readonly Lock _gate = new();
    private DeviceUse _use;
    private readonly long[] _batchesBySize = new long[BatchSizes.Count];
    private long _restTicks; // of the runs so far, what is less than a microsecond
    private long _batches, _rows, _failures, _failedRows, _losses, _hangs, _recoveries, _hedges, _hedgesLost, _setAsides, _requestMicros;
    private volatile int _lastBatch;
    private volatile bool _isUp = true, _isWarmingUp;

    /// <summary>Every run, with the time it took, by what became of it; for <see cref="DeviceMeter"/>.</summary>
    public DeviceUse Use
    {
        get
        {
            lock (_gate) { return _use; }
        }
    }

    /// <summary>Batches whose scores were used.</summary>
    public long Batches => Volatile.Read(ref _batches);

    /// <summary>Rows whose scores were used.</summary>
    public long Rows => Volatile.Read(ref _rows);

    /// <summary>Batches that came to nothing, for whatever reason; those offered while the device was down among them.</summary>
    public long Failures => Volatile.Read(ref _failures);

    /// <summary>Times that the device was lost, and that it came back.</summary>
    public long Losses => Volatile.Read(ref _losses);

    /// <summary>Of the losses, those where it neither answered nor failed.</summary>
    public long Hangs => Volatile.Read(ref _hangs);

    /// <inheritdoc cref="Losses"/>
    public long Recoveries => Volatile.Read(ref _recoveries);

    /// <summary>Batches that were run elsewhere too, because this device was late with them.</summary>
    public long Hedges => Volatile.Read(ref _hedges);

    /// <summary>Of the hedges, those where the other's answer was taken.</summary>
    public long HedgesLost => Volatile.Read(ref _hedgesLost);

    /// <summary>Times that it got no work for a while, because it was late with too many batches in a row.</summary>
    public long SetAsides => Volatile.Read(ref _setAsides);

    /// <summary>Rows of batches that the device was asked for and that came to nothing there.</summary>
    public long FailedRows => Volatile.Read(ref _failedRows);

    /// <summary>Rows up to which <see cref="BatchesUpTo"/> counts: powers of two, to the largest batch that there is.</summary>
    public static IReadOnlyList<int> BatchSizes { get; } = [.. Enumerable.Range(0, 14).Select(power => 1 << power)];

    /// <summary>Of <see cref="Batches"/>, those of at most so many rows, for each of <see cref="BatchSizes"/>.</summary>
    public long[] BatchesUpTo()
    {
        var counts = new long[BatchSizes.Count];
        lock (_gate) { _batchesBySize.CopyTo(counts, 0); }
        for (int i = 1; i < counts.Length; i++) { counts[i] += counts[i - 1]; }
        return counts;
    }

    /// <summary>Rows of the last batch.</summary>
    public int LastBatch => _lastBatch;

    public bool IsUp => _isUp;

    /// <summary>Set while the runs are nobody's batches: <see cref="RunFate.WarmUp"/>, and no batch or row is counted.</summary>
    public bool IsWarmingUp
    {
        get => _isWarmingUp;
        set => _isWarmingUp = value;
    }

    /// <summary>Time in calls whose scores were used.</summary>
    public double ComputeMicros => Use.UsedMicros + Use.PaddingMicros;

    /// <summary>The same, once for each row of a call: what all the rows together waited for the device.</summary>
    public double RequestMicros => Volatile.Read(ref _requestMicros);

    /// <summary>Time in calls that came to nothing: it passed, and was paid for, all the same.</summary>
    public double FailedMicros => Use.FailedMicros;

    /// <summary>One run that is over.</summary>
    /// <param name="startedAt"><see cref="Stopwatch.GetTimestamp"/>.</param>
    internal void Ran(long startedAt, int rows, int paddedRows, RunFate fate) => Took(Stopwatch.GetTimestamp() - startedAt, rows, paddedRows, fate);

    /// <param name="ticks">Of <see cref="Stopwatch"/>.</param>
    internal void Took(long ticks, int rows, int paddedRows, RunFate fate)
    {
        fate = fate == RunFate.Used && _isWarmingUp ? RunFate.WarmUp : fate;
        lock (_gate)
        {
            (long micros, _restTicks) = Math.DivRem(ticks + _restTicks, s_ticksPerMicro);
            _use = _use.With(micros, Math.Max(1, rows), Math.Max(1, paddedRows), fate);
            if (fate == RunFate.Used)
            {
                _requestMicros += micros * rows;
                _rows += rows;
                _batches++;
                _lastBatch = rows;
                _batchesBySize[Math.Min(BitOperations.Log2(((uint)Math.Max(1, rows) * 2) - 1), _batchesBySize.Length - 1)]++;
            }
            else if (fate == RunFate.Failed)
            {
                _failures++;
                _failedRows += rows;
            }
        }
    }

    /// <summary>A batch that the device was not even asked for.</summary>
    internal void Refused() => Interlocked.Increment(ref _failures);

    internal void Hedged() => Interlocked.Increment(ref _hedges);

    internal void Left() => Interlocked.Increment(ref _hedgesLost);

    internal void SetAside() => Interlocked.Increment(ref _setAsides);

    internal void Lost(bool isHung)
    {
        _isUp = false;
        if (isHung) { Interlocked.Increment(ref _hangs); }
        Interlocked.Increment(ref _losses);
    }

    internal void Recovered()
    {
        Interlocked.Increment(ref _recoveries);
        _isUp = true;
    }
}
