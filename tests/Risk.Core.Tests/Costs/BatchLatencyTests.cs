using Risk.Core.Costs;

namespace Risk.Core.Tests.Costs;

public sealed class BatchLatencyTests
{
    [Theory]
    [InlineData(1, 1, 0.2)]
    [InlineData(1, 1, 0.5)]
    [InlineData(1, 1, 0.9)]
    [InlineData(1, 4, 0.7)]
    [InlineData(1, 30, 0.9)]
    [InlineData(2, 1, 0.5)]
    [InlineData(16, 1, 0.5)]
    [InlineData(16, 3, 0.8)]
    [InlineData(128, 2, 0.5)]
    public void Percentile99_IsNeverShorterThanSimulatedQueues_NorMuchLonger(int batch, int devices, double utilisation)
    {
        const double run = 1_000;
        double perSecond = utilisation * devices * batch / run * 1e6;
        double[] many = Simulated(batch, perSecond, devices, run, isOneBatcher: false), one = Simulated(batch, perSecond, devices, run, isOneBatcher: true);
        BatchLatency latency = BatchLatency.Of(batch, perSecond, devices, utilisation, run, run);

        double p99 = many[(int)(many.Length * 0.99)], p50 = many[many.Length / 2];
        Assert.InRange(latency.P99, p99 * 0.98, p99 * 1.6);
        // Of the median the parts' medians are an estimate, no bound.
        Assert.InRange(latency.P50, p50 * 0.7, p50 * 1.3);
        // One batcher alone sends its batches more evenly.
        Assert.True(latency.P99 >= one[(int)(one.Length * 0.99)] * 0.98);
    }

    [Fact]
    public void Latency_IsTheSumOfItsParts_AsADeskCalculatorHasThem()
    {
        // One device, half used: half of the batches wait, 1,000 µs ÷ (2 × 0.5) on average, so p99 ln(50) times that.
        BatchLatency one = BatchLatency.Of(1, 500, 1, 0.5, 1_000, 1_200);
        Assert.Equal((0, 0, 0, 1_000, 1_200), (one.FillP50, one.FillP99, one.QueueP50, one.RunP50, one.RunP99));
        Assert.Equal(1_000 * Math.Log(50), one.QueueP99, 1e-9);
        Assert.Equal(one.QueueP99 + 1_200, one.P99, 1e-9);
        // 16 rows at 1,000 a second: 15 gaps; the table of the Erlang distribution has 25.4 for the 99th percentile of 15.
        BatchLatency sixteen = BatchLatency.Of(16, 1_000, 1, 0.01, 100, 100);
        Assert.Equal(7_500, sixteen.FillP50, 1e-9);
        Assert.InRange(sixteen.FillP99, 25_400, 25_500);
        Assert.Equal(double.PositiveInfinity, BatchLatency.Of(1, 1_000, 1, 1, 1_000, 1_000).P99);
    }

    /// <summary>
    /// Poisson arrivals in full batches, first come first served; sorted times from arrival to score. Of many batchers, batches
    /// come by themselves as a Poisson process, whenever their rows came.
    /// </summary>
    private static double[] Simulated(int batch, double perSecond, int devices, double run, bool isOneBatcher)
    {
        Random random = new(7);
        double gap = 1e6 / perSecond, now = 0;
        int batches = Math.Max(10_000, 200_000 / batch);
        double[] free = new double[devices], latencies = new double[batches * batch], waited = new double[batch];
        for (int b = 0; b < batches; b++)
        {
            double filling = 0;
            for (int row = batch - 1; row >= 0; row--)
            {
                waited[row] = filling;
                filling += Exponential() * gap;
            }
            now += isOneBatcher ? filling : Exponential() * gap * batch;
            int device = Array.IndexOf(free, free.Min());
            free[device] = Math.Max(now, free[device]) + run;
            for (int row = 0; row < batch; row++)
                latencies[(b * batch) + row] = waited[row] + free[device] - now;
        }
        Array.Sort(latencies);
        return latencies;

        double Exponential() => -Math.Log(1 - random.NextDouble());
    }
}
