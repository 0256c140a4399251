using Risk.Cli.CommandLine;

namespace Risk.Cli.Benchmarks;

/// <summary>One benchmark of <c>risk bench</c>: something of ours beside the peer it is compared with, in one run.</summary>
internal interface IBenchmark
{
    /// <summary>As given on the command line: <c>tree-score</c>.</summary>
    string Name { get; }

    /// <summary>What is measured, in one line for people.</summary>
    string Measures { get; }

    /// <summary>
    /// Runs it. A peer that is not installed is no failure: say so with <see cref="BenchmarkResult.Skip"/>, and give our own
    /// figures all the same.
    /// </summary>
    /// <exception cref="OperationCanceledException">The run was interrupted.</exception>
    BenchmarkResult Run(BenchmarkContext context);
}

/// <summary>What a benchmark is given.</summary>
/// <param name="IsQuick">Seconds instead of minutes, to see that it works: figures are shown, but not to be quoted.</param>
/// <param name="Progress">Count pairs or steps in it; <see cref="ProgressReport.Note"/> says what is running.</param>
internal sealed record BenchmarkContext(bool IsQuick, ProgressReport Progress, CancellationToken Cancellation)
{
    /// <summary>Pairs of ours and peer: at least five, so that a median and a spread mean something.</summary>
    public int PairCount => IsQuick ? 3 : 7;
}
