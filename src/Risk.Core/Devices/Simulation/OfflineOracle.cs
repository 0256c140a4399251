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
/// start, one that is switched off nothing, each by itself; the batch goes to the CPU or to a device of S. O(rows × rows of a
/// deadline × devices × 2^accelerators).</para>
/// </summary>
public static class OfflineOracle
{
    /// <summary>Accelerators that are solved for.</summary>
    public const int AcceleratorsMax = 4;

    /// <summary>Money of the bound, in the currency.</summary>
    /// <param name="devices">One CPU, and up to <see cref="AcceleratorsMax"/> accelerators.</param>
    public static double Money(IReadOnlyList<RoutedDevice> devices, ReadOnlySpan<long> arrivals, long deadlineMicros, long guardMicros, CancellationToken cancellation = default)
    {
        RoutedDevice cpu = devices.Single(device => device.IsElastic);
        RoutedDevice[] accelerators = [.. devices.Where(device => !device.IsElastic)];
        ArgumentOutOfRangeException.ThrowIfGreaterThan(accelerators.Length, AcceleratorsMax, nameof(devices));
        int sets = 1 << accelerators.Length;
        long budget = deadlineMicros - guardMicros;
        int count = arrivals.Length;
        // By rows and set of accelerators that are on; before the first row everything is as it is best.
        double[] least = new double[(count + 1) * sets];
        Span<double> reached = stackalloc double[sets], batch = stackalloc double[sets];
        for (int j = 1; j <= count; j++)
        {
            if (j % 4096 == 0)
                cancellation.ThrowIfCancellationRequested();
            Span<double> best = least.AsSpan(j * sets, sets);
            best.Fill(double.PositiveInfinity);
            long leaves = arrivals[j - 1];
            for (int i = j - 1; i >= 0; i--)
            {
                int rows = j - i;
                long left = budget - (leaves - arrivals[i]);
                double byCpu = Money(cpu, rows, left, isLast: rows == 1);
                bool isPast = left < 0 || IsPast(cpu, rows, left);
                batch.Fill(byCpu);
                bool isInTime = double.IsFinite(byCpu);
                for (int d = 0; d < accelerators.Length; d++)
                {
                    double money = Money(accelerators[d], rows, left, isLast: false);
                    isInTime |= double.IsFinite(money);
                    isPast &= left < 0 || IsPast(accelerators[d], rows, left);
                    for (int set = 0; set < sets; set++)
                    {
                        if ((set >> d & 1) != 0 && money < batch[set])
                            batch[set] = money;
                    }
                }
                if (!isInTime)
                {
                    // Longer runs only have less time and more to do.
                    if (isPast)
                        break;
                    continue;
                }
                least.AsSpan(i * sets, sets).CopyTo(reached);
                Switch(accelerators, reached, i == 0 ? 0 : leaves - arrivals[i - 1]);
                for (int set = 0; set < sets; set++)
                    best[set] = Math.Min(best[set], reached[set] + batch[set]);
            }
        }
        double end = double.PositiveInfinity;
        foreach (double money in least.AsSpan(count * sets, sets))
            end = Math.Min(end, money);
        return end / 1e12;
    }

    /// <summary>What the sets cost after a gap in which each accelerator may have been switched.</summary>
    private static void Switch(RoutedDevice[] accelerators, Span<double> money, long gap)
    {
        for (int d = 0; d < accelerators.Length; d++)
        {
            double start = accelerators[d].StartPico, stay = Math.Min(accelerators[d].OnPicoPerMicro * gap, start);
            int bit = 1 << d;
            for (int set = 0; set < money.Length; set++)
            {
                if ((set & bit) != 0)
                    continue;
                (double off, double on) = (money[set], money[set | bit]);
                money[set] = Math.Min(off, on);
                money[set | bit] = Math.Min(on + stay, off + start);
            }
        }
    }

    /// <summary>Infinite when it is not in time; a single row on the CPU is taken as it comes.</summary>
    private static double Money(RoutedDevice device, int rows, long left, bool isLast) =>
        rows <= device.BatchMax && (isLast || device.Of(rows).P99Micros <= left) ? device.Of(rows).Money : double.PositiveInfinity;

    private static bool IsPast(RoutedDevice device, int rows, long left) => rows > device.BatchMax || device.Of(rows).P99Micros > left;
}
