using FsCheck;
using FsCheck.Fluent;
using Risk.Core.Replay;

namespace Risk.Core.Tests.Replay;

public sealed class LatencyHistogramTests
{
    private static readonly double[] s_percents = [0, 1, 25, 50, 90, 99, 99.9, 99.99, 100];

    [Fact]
    public void Percentile_IsNeverBelowTheTrueOne_AndAtMostOnePercentAbove() =>
        Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
        {
            Random random = new(seed);
            LatencyHistogram histogram = new();
            long[] values = [.. Enumerable.Range(0, random.Next(1, 3000)).Select(_ => random.NextInt64(1L << random.Next(1, 41)))];
            foreach (long value in values)
                histogram.Record(value);
            Array.Sort(values);
            return s_percents.All(percent =>
            {
                long exact = values[Math.Max(0, (int)decimal.Ceiling((decimal)percent * values.Length / 100) - 1)];
                long reported = histogram.Percentile(percent);
                return reported >= exact && reported <= exact * 1.01 && reported <= histogram.Max;
            }) && histogram.Max == values[^1] && histogram.Count == values.Length && Math.Abs(histogram.Mean - values.Average()) <= 1e-6 * values.Average();
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(200));

    [Fact]
    public void SmallLatencies_AreExact()
    {
        for (long value = 0; value < 256; value++)
        {
            LatencyHistogram histogram = new();
            histogram.Record(value);
            histogram.Record(TrackedPlus(0));
            Assert.Equal(value, histogram.Percentile(50));
        }
    }

    [Fact]
    public void Rank_DoesNotSufferFromBinaryFractions()
    {
        LatencyHistogram histogram = new();
        for (int value = 0; value < 999; value++)
            histogram.Record(1);
        histogram.Record(200);
        Assert.Equal(1, histogram.Percentile(99.9));
        Assert.Equal(200, histogram.Percentile(99.91));
    }

    [Fact]
    public void ValuesOutsideOfTheRange_AreKeptAtItsEdge()
    {
        LatencyHistogram histogram = new();
        histogram.Record(-5);
        histogram.Record(TrackedPlus(1));
        histogram.Record(long.MaxValue / 4);
        Assert.Equal(0, histogram.Percentile(0));
        Assert.Equal(long.MaxValue / 4, histogram.Max);
        Assert.Equal(LatencyHistogram.TrackedMax, histogram.Percentile(60));
    }

    [Fact]
    public void EmptyHistogram_SaysZero() => Assert.Equal((0L, 0L, 0.0), (new LatencyHistogram().Percentile(99), new LatencyHistogram().Max, new LatencyHistogram().Mean));

    [Fact]
    public void Merge_EqualsRecordingEverythingInOne()
    {
        Random random = new(7);
        LatencyHistogram all = new(), left = new(), right = new();
        for (int i = 0; i < 5000; i++)
        {
            long value = random.NextInt64(1L << random.Next(1, 30));
            all.Record(value);
            (i % 3 == 0 ? left : right).Record(value);
        }
        left.Merge(right);
        Assert.Equal(s_percents.Select(all.Percentile), s_percents.Select(left.Percentile));
        Assert.Equal((all.Count, all.Max, all.Mean), (left.Count, left.Max, left.Mean));
        left.Clear();
        Assert.Equal((0L, 0L), (left.Count, left.Percentile(50)));
    }

    [Fact]
    public void Record_AllocatesNothing()
    {
        LatencyHistogram histogram = new();
        histogram.Record(1);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (long value = 0; value < 100_000; value++)
            histogram.Record(value * 37);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(100_001, histogram.Count);
    }

    private static long TrackedPlus(long more) => LatencyHistogram.TrackedMax + more;
}
