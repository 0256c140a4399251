using Risk.Cli.CommandLine;

namespace Risk.Cli.Benchmarks;

/// <summary>
/// Two things measured in turn, ours, peer, ours, peer, so that what else happens on the machine hits both. A pair is two
/// neighbours in time; ratios are taken within pairs, and their median is what is quoted.
/// </summary>
/// <param name="Ours">One figure a pair.</param>
/// <param name="Peer">One figure a pair, in the same unit.</param>
internal sealed record PairedRuns(double[] Ours, double[] Peer)
{
    /// <summary>Measures pairs after one run of each that is not counted.</summary>
    /// <param name="ours">Runs once and returns its figure (a time or a rate).</param>
    public static PairedRuns Measure(BenchmarkContext context, string name, Func<double> ours, Func<double> peer)
    {
        int pairs = context.PairCount;
        var (our, their) = (new double[pairs], new double[pairs]);
        ProgressReport progress = context.Progress;
        for (int i = -1; i < pairs; i++)
        {
            context.Cancellation.ThrowIfCancellationRequested();
            progress.Note = i < 0 ? $"{name}, warming up" : $"{name}, pair {i + 1} of {pairs}";
            double a = ours();
            double b = peer();
            if (i >= 0)
            {
                (our[i], their[i]) = (a, b);
            }

            progress.Done++;
        }

        return new PairedRuns(our, their);
    }

    /// <summary>How many times as good as the peer we are in each pair, ascending.</summary>
    public double[] Ratios(Better better)
    {
        double[] ratios = [.. Ours.Zip(Peer, (our, their) => better == Better.Higher ? our / their : their / our)];
        Array.Sort(ratios);
        return ratios;
    }

    /// <summary>The middle value, or the mean of the two in the middle; NaN of nothing.</summary>
    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length == 0 ? double.NaN : (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}

/// <summary>Which way a figure is good.</summary>
internal enum Better
{
    /// <summary>Rates.</summary>
    Higher,

    /// <summary>Times, bytes, money.</summary>
    Lower,
}
