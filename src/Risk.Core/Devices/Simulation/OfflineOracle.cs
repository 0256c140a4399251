namespace Risk.Core.Devices.Simulation;

/// <summary>
/// The least money that any policy could have spent on a trace, knowing all arrivals beforehand: a lower bound, proved by
/// relaxation and solved exactly by dynamic programming.
/// <para><b>Who it bounds.</b> Every policy that sends rows from the front of the queue (in order of arrival), misses no
/// deadline, and switches accelerators on and off as it likes. Its batches cut the trace into runs i … j−1, each on one
/// device, each leaving at or after its last arrival a(j−1).</para>
/// <para><b>Relaxed.</b> Devices take any number of batches at once, so a batch may as well leave at a(j−1), when its last row
/// arrives, and is in time if a(j−1) + p99 ≤ a(i) + deadline. An accelerator is paid only between leavings of batches, not
/// to the end of the last one, starts at once (the start is paid), and is on or off before the first batch, whichever is better. Each of these only makes things cheaper, so no such
/// policy on real devices spends less.</para>
/// <para><b>Solved.</b> V(j, S) is the least cost of rows before j with the accelerators S on at a(j−1). From (i, R): between
/// the two leavings an accelerator that is on at both ends costs min(rate × gap, start), one that is switched on costs its
/// start, one that is switched off nothing; the batch goes to the CPU or to a device of S. O(rows × rows of a deadline ×
/// devices) for one accelerator.</para>
/// </summary>
public static class OfflineOracle
{
    /// <summary>Money of the bound, in the currency. One CPU and at most one accelerator.</summary>
    public static double Money(IReadOnlyList<RoutedDevice> devices, ReadOnlySpan<long> arrivals, long deadlineMicros, long guardMicros, CancellationToken cancellation = default)
    {
        RoutedDevice cpu = devices.Single(device => device.IsElastic);
        RoutedDevice? accelerator = devices.SingleOrDefault(device => !device.IsElastic);
        double start = accelerator?.StartPico ?? 0, rate = accelerator?.OnPicoPerMicro ?? 0;
        long budget = deadlineMicros - guardMicros;
        int count = arrivals.Length;
        double[] on = new double[count + 1], off = new double[count + 1];
        on[0] = accelerator is null ? double.PositiveInfinity : 0;
        for (int j = 1; j <= count; j++)
        {
            if (j % 4096 == 0)
                cancellation.ThrowIfCancellationRequested();
            double bestOn = double.PositiveInfinity, bestOff = double.PositiveInfinity;
            long leaves = arrivals[j - 1];
            for (int i = j - 1; i >= 0; i--)
            {
                int rows = j - i;
                long left = budget - (leaves - arrivals[i]);
                bool byCpu = rows <= cpu.BatchMax && (cpu.Of(rows).P99Micros <= left || rows == 1);
                bool byAccelerator = accelerator is not null && rows <= accelerator.BatchMax && accelerator.Of(rows).P99Micros <= left;
                if (!byCpu && !byAccelerator)
                {
                    // Longer runs only have less time and more to do.
                    if (left < 0 || (rows > cpu.BatchMax && (accelerator is null || rows > accelerator.BatchMax)) || IsPast(cpu, rows, left) && (accelerator is null || IsPast(accelerator, rows, left)))
                        break;
                    continue;
                }
                long gap = i == 0 ? 0 : leaves - arrivals[i - 1];
                double cpuMoney = byCpu ? cpu.Of(rows).Money : double.PositiveInfinity;
                double least = byAccelerator ? Math.Min(cpuMoney, accelerator!.Of(rows).Money) : cpuMoney;
                double reach = Math.Min(on[i] + Math.Min(rate * gap, start), off[i] + start);
                bestOn = Math.Min(bestOn, reach + least);
                bestOff = Math.Min(bestOff, Math.Min(on[i], off[i]) + cpuMoney);
            }
            on[j] = bestOn;
            off[j] = bestOff;
        }
        return Math.Min(on[count], off[count]) / 1e12;
    }

    private static bool IsPast(RoutedDevice device, int rows, long left) => rows > device.BatchMax || device.Of(rows).P99Micros > left;
}
