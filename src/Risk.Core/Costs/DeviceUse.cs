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
    /// <summary>Nobody's rows: compiling, checking and measuring before the first batch, and before the first one after a loss.</summary>
    WarmUp = 3,
}

/// <summary>
/// The runs of one device so far, and how long it was busy with them. It only grows, so whoever meters the device takes the
/// difference to what it saw before, whenever it looks, and misses no run whoever asked for it.
/// </summary>
/// <param name="BusyMicros">All runs together.</param>
/// <param name="PaddingMicros">Of runs that were used, the share of the rows that only filled up the batch.</param>
public readonly record struct DeviceUse(long RunCount, long BusyMicros, long PaddingMicros, long FailedMicros, long HedgeMicros, long WarmUpMicros)
{
    /// <summary>Computing rows whose scores were used.</summary>
    public long UsedMicros => BusyMicros - PaddingMicros - FailedMicros - HedgeMicros - WarmUpMicros;

    /// <summary>With one more run.</summary>
    /// <param name="micros">The device was busy for.</param>
    /// <param name="rows">Of the batch; 1 or more.</param>
    /// <param name="paddedRows">That were computed.</param>
    public DeviceUse With(long micros, int rows, int paddedRows, RunFate fate)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(micros);
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(paddedRows, rows);
        DeviceUse use = this with { RunCount = RunCount + 1, BusyMicros = checked(BusyMicros + micros) };
        return fate switch
        {
            RunFate.Used => use with { PaddingMicros = PaddingMicros + (long)((Int128)micros * (paddedRows - rows) / paddedRows) },
            RunFate.Failed => use with { FailedMicros = FailedMicros + micros },
            RunFate.HedgeLost => use with { HedgeMicros = HedgeMicros + micros },
            _ => use with { WarmUpMicros = WarmUpMicros + micros },
        };
    }
}
