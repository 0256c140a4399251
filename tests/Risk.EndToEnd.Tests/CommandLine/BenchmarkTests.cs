using Risk.Cli.Benchmarks;
using Risk.Cli.CommandLine;

namespace Risk.EndToEnd.Tests.CommandLine;

public sealed class BenchmarkTests
{
    private static readonly BenchmarkContext s_quick = new(IsQuick: true, new ProgressReport("test", "runs"), CancellationToken.None);

    [Fact]
    public void Pairs_AreTakenInTurn_AfterOneThatIsNotCounted()
    {
        var order = new List<char>();
        double Take(char who)
        {
            order.Add(who);
            return order.Count;
        }

        PairedRuns runs = PairedRuns.Measure(s_quick, "test", () => Take('A'), () => Take('B'));

        Assert.Equal("ABABABAB", string.Concat(order));
        Assert.Equal([3.0, 5.0, 7.0], runs.Ours);
        Assert.Equal([4.0, 6.0, 8.0], runs.Peer);
    }

    [Fact]
    public void Ratio_IsTheMedianWithinPairs_AndAlwaysTheMoreTheBetter()
    {
        var result = new BenchmarkResult();
        var runs = new PairedRuns([100, 300, 200], [10, 10, 10]);
        result.Compare("rate", "1/s", Better.Higher, "peer", runs, ratioMin: 20);
        result.Compare("time", "ns", Better.Lower, "peer", runs, ratioMin: 1);
        result.Figure("bytes a call", "B", Better.Lower, 0, bar: 0);

        BenchmarkRow[] rows = [.. result.Rows];
        Assert.Equal((20.0, 10.0, 30.0, (bool?)true), (rows[0].Ratio, rows[0].RatioLow, rows[0].RatioHigh, rows[0].Reached));
        Assert.Equal((0.05, (bool?)false), (rows[1].Ratio, rows[1].Reached));
        Assert.True(rows[2].Reached);
    }

    [Fact]
    public void EveryBenchmark_HasANameOfItsOwn()
    {
        IBenchmark[] all = [.. BenchmarkRegistry.All.Select(create => create())];

        Assert.Equal(all.Length, all.Select(b => b.Name).Distinct().Count());
    }
}
