using System.Numerics;

namespace Risk.Core.Replay;

/// <summary>
/// Counts of latencies in microseconds, log-linear as in HdrHistogram (https://hdrhistogram.github.io/HdrHistogram/):
/// exact below 256 µs, above that 128 steps an octave, so a reported percentile is never below the true one and at most
/// 0.79 % above it. 35 KiB, whatever is recorded. Recording allocates nothing. Not thread-safe: one for each thread,
/// merged at the end. Latency must be counted from the intended send, or the histogram hides the stalls (coordinated omission).
/// </summary>
public sealed class LatencyHistogram
{
    /// <summary>The largest value that is told apart, about 25 days; larger ones count as it, and in <see cref="Max"/> as they are.</summary>
    public const long TrackedMax = (1L << 41) - 1;

    private const int StepBits = 7;
    private const int Steps = 1 << StepBits;

    private readonly long[] _counts = new long[IndexOf(TrackedMax) + 1];
    private long _sum;

    public long Count { get; private set; }

    /// <summary>The largest latency recorded, exact; 0 when none.</summary>
    public long Max { get; private set; }

    /// <summary>Microseconds; 0 when none.</summary>
    public double Mean => Count == 0 ? 0 : (double)_sum / Count;

    /// <summary>A negative latency (a clock that stepped back) counts as 0.</summary>
    public void Record(long micros)
    {
        micros = Math.Max(micros, 0);
        _counts[IndexOf(Math.Min(micros, TrackedMax))]++;
        Count++;
        _sum += micros;
        if (micros > Max)
            Max = micros;
    }

    /// <summary>
    /// The latency that <paramref name="percent"/> of all are at or below, microseconds; 0 when nothing was recorded.
    /// </summary>
    /// <param name="percent">0 to 100, e.g. 99.99; 0 gives the smallest, 100 the largest.</param>
    public long Percentile(double percent)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(percent);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(percent, 100);
        if (Count == 0)
            return 0;
        // In decimal: 99.9 % of 1000 is rank 999, which binary fractions make 999.0000000000001, hence 1000.
        long rank = Math.Max(1, (long)decimal.Ceiling((decimal)percent * Count / 100));
        if (rank == Count)
            return Max;
        long seen = 0;
        for (int index = 0; index < _counts.Length; index++)
        {
            seen += _counts[index];
            if (seen >= rank)
                return Math.Min(HighestOf(index), Max);
        }
        return Max;
    }

    /// <summary>Adds what another one counted.</summary>
    public void Merge(LatencyHistogram other)
    {
        for (int index = 0; index < _counts.Length; index++)
            _counts[index] += other._counts[index];
        Count += other.Count;
        _sum += other._sum;
        Max = Math.Max(Max, other.Max);
    }

    public void Clear()
    {
        Array.Clear(_counts);
        Count = 0;
        _sum = 0;
        Max = 0;
    }

    // Below 2 · Steps the value itself; from there on `shift` drops the bits that are not told apart.
    private static int IndexOf(long value)
    {
        if (value < 2 * Steps)
            return (int)value;
        int shift = BitOperations.Log2((ulong)value) - StepBits;
        return (shift << StepBits) + (int)(value >> shift);
    }

    /// <summary>The largest value that falls on <paramref name="index"/>.</summary>
    private static long HighestOf(int index)
    {
        if (index < 2 * Steps)
            return index;
        int shift = (index >> StepBits) - 1;
        long step = (index & (Steps - 1)) + Steps;
        return ((step + 1) << shift) - 1;
    }
}
