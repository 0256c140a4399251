using System.Diagnostics;

namespace Risk.Inference.Devices;

/// <summary>What a scorer has done so far. One thread writes, any thread reads.</summary>
public sealed class DeviceStatistics
{
    private static readonly double s_microsPerTick = 1e6 / Stopwatch.Frequency;

    private long _batches, _rows, _failures, _losses, _hangs, _recoveries, _ticks, _requestTicks, _failedTicks;
    private volatile int _lastBatch;
    private volatile bool _isUp = true;

    /// <summary>Batches that were scored.</summary>
    public long Batches => Volatile.Read(ref _batches);

    /// <summary>Rows that were scored.</summary>
    public long Rows => Volatile.Read(ref _rows);

    /// <summary>Batches that came to nothing, for whatever reason; those offered while the device was down among them.</summary>
    public long Failures => Volatile.Read(ref _failures);

    /// <summary>Times that the device was lost, and that it came back.</summary>
    public long Losses => Volatile.Read(ref _losses);

    /// <summary>Of the losses, those where it neither answered nor failed.</summary>
    public long Hangs => Volatile.Read(ref _hangs);

    /// <inheritdoc cref="Losses"/>
    public long Recoveries => Volatile.Read(ref _recoveries);

    /// <summary>Rows of the last batch.</summary>
    public int LastBatch => _lastBatch;

    public bool IsUp => _isUp;

    /// <summary>Time in calls that were scored.</summary>
    public double ComputeMicros => Volatile.Read(ref _ticks) * s_microsPerTick;

    /// <summary>The same, once for each row of a call: what all the rows together waited for the device.</summary>
    public double RequestMicros => Volatile.Read(ref _requestTicks) * s_microsPerTick;

    /// <summary>Time in calls that came to nothing: it passed, and was paid for, all the same.</summary>
    public double FailedMicros => Volatile.Read(ref _failedTicks) * s_microsPerTick;

    /// <summary>Time in all calls.</summary>
    public double BusyMicros => (Volatile.Read(ref _ticks) + Volatile.Read(ref _failedTicks)) * s_microsPerTick;

    internal void Scored(long startedAt, int rows)
    {
        long ticks = Stopwatch.GetTimestamp() - startedAt;
        Volatile.Write(ref _ticks, _ticks + ticks);
        Volatile.Write(ref _requestTicks, _requestTicks + (ticks * rows));
        Volatile.Write(ref _rows, _rows + rows);
        Volatile.Write(ref _batches, _batches + 1);
        _lastBatch = rows;
    }

    /// <param name="startedAt">Of the call, <see cref="Stopwatch.GetTimestamp"/>; null where the device was not even asked.</param>
    internal void Failed(long? startedAt)
    {
        if (startedAt is { } start) { Volatile.Write(ref _failedTicks, _failedTicks + Stopwatch.GetTimestamp() - start); }
        Volatile.Write(ref _failures, _failures + 1);
    }

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
