namespace Risk.Core.Costs;

/// <summary>
/// From a row's arrival to its score, in microseconds, and what it is made of: waiting for the batch to fill, waiting for a
/// device, and the run. A plan's model, not a measurement; what it leaves out (hand-over, features, commit) is small beside it
/// or the same for every device.
/// <para><b>Fill.</b> Rows arrive as a Poisson process and leave in full batches. The row in the middle waits for half of the
/// gaps; the first row waits for all of them, Erlang-distributed, and its 99th percentile (by Wilson and Hilferty, 1931,
/// https://doi.org/10.1073/pnas.17.12.684) is taken for the 99th of all rows.</para>
/// <para><b>Queue.</b> Batches come to the devices as a Poisson process (many partitions fill theirs independently; one alone
/// comes more evenly), and every run takes the same time: M/D/c. The probability of waiting is Sakasegawa's approximation
/// (1977, https://doi.org/10.1007/BF02532775), ρ^(√(2(c+1)) − 1), exact for one device; the wait of those who wait is taken
/// for exponential, with the mean run ÷ (2·c·(1 − ρ)), half of M/M/c's, which errs on the long side.</para>
/// <para>The 99th percentiles of the three are added up: more than the 99th percentile of their sum.</para>
/// </summary>
public readonly record struct BatchLatency(double FillP50, double FillP99, double QueueP50, double QueueP99, double RunP50, double RunP99)
{
    /// <summary>The model in one sentence, for reports.</summary>
    public const string Sentence =
        "latency is from arrival to score by a stated model: rows arrive as a Poisson process and leave in full batches; batches queue before the devices as in M/D/c; the 99th percentiles of filling, queueing and running are added up; features, record and commit are not in it";

    /// <summary>Standard normal quantile of 0.99.</summary>
    private const double Normal99 = 2.3263478740408408;

    public double P50 => FillP50 + QueueP50 + RunP50;

    public double P99 => FillP99 + QueueP99 + RunP99;

    /// <param name="batch">Rows of a batch.</param>
    /// <param name="perSecond">Rows that arrive.</param>
    /// <param name="devices">That share one queue, at least 1; fractions are taken as they are.</param>
    /// <param name="utilisation">Share of the time that they compute; at 1 or more the queue never ends.</param>
    /// <param name="runMicros">Of a batch: median, and 99th percentile.</param>
    public static BatchLatency Of(int batch, double perSecond, double devices, double utilisation, double runMicros, double runP99Micros)
    {
        double gap = 1e6 / perSecond, gaps = batch - 1;
        double longest = gaps == 0 ? 0 : gaps * Math.Pow(1 - (1 / (9 * gaps)) + (Normal99 / (3 * Math.Sqrt(gaps))), 3);
        return new BatchLatency(
            gaps / 2 * gap, longest * gap, WaitMicros(0.5, devices, utilisation, runMicros), WaitMicros(0.99, devices, utilisation, runMicros), runMicros, runP99Micros);
    }

    /// <summary>Share of the batches that find every device busy.</summary>
    public static double WaitProbability(double devices, double utilisation) => utilisation >= 1 ? 1 : Math.Pow(utilisation, Math.Sqrt(2 * (devices + 1)) - 1);

    private static double WaitMicros(double quantile, double devices, double utilisation, double runMicros)
    {
        if (utilisation >= 1)
            return double.PositiveInfinity;
        double probability = WaitProbability(devices, utilisation);
        return probability <= 1 - quantile ? 0 : runMicros / (2 * devices * (1 - utilisation)) * Math.Log(probability / (1 - quantile));
    }
}
