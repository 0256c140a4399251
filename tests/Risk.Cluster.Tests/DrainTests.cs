using System.Diagnostics;
using System.Globalization;
using Xunit.Abstractions;

namespace Risk.Cluster.Tests;

/// <summary>A silo is asked to stop (SIGTERM) while all partitions are called.</summary>
public sealed class DrainTests(ITestOutputHelper output)
{
    private const int PerCall = 20;
    private static readonly TimeSpan s_answerMax = TimeSpan.FromSeconds(90), s_before = TimeSpan.FromSeconds(2);
    // What was lost on the way to a silo that went without a word would be found out after three probes.
    private const int ProbeSeconds = 60;
    private static readonly TimeSpan s_gapMax = TimeSpan.FromSeconds(60);

    [ClusterFact]
    public async Task UnderLoad_NothingIsLostOrDoubled_AndNobodyWaitsForFailureDetection()
    {
        using var cluster = new TestCluster();
        TestSilo leaving = cluster.StartSilo("0", probeSeconds: ProbeSeconds), staying = cluster.StartSilo("1", probeSeconds: ProbeSeconds);
        RiskClusterClient client = cluster.Connect();
        await Warm(client);
        using var stop = new CancellationTokenSource();
        Task<(int Decided, TimeSpan Gap)>[] load = [.. Enumerable.Range(0, TestCluster.Partitions).Select(p => Task.Run(() => Load(client, p, stop.Token)))];
        await Task.Delay(s_before);
        var clock = Stopwatch.StartNew();
        Assert.Equal(0, await Task.Run(leaving.Process.Stop));
        TimeSpan stopping = clock.Elapsed;
        await Task.Delay(s_before);
        await stop.CancelAsync();
        (int Decided, TimeSpan Gap)[] told = await Task.WhenAll(load);

        cluster.AssertOneDecisionEach(told.Sum(t => t.Decided) + Warmed);
        Assert.All(await Task.WhenAll(Enumerable.Range(0, TestCluster.Partitions).Select(p => client.Shard(p).Place())), place => Assert.Contains($":{staying.SiloPort}", place.Silo, StringComparison.Ordinal));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"stopped in {stopping.TotalSeconds:F1} s; longest wait for a decision, by partition: {string.Join(' ', told.Select(t => t.Gap.TotalSeconds.ToString("F2", CultureInfo.InvariantCulture)))} s; {told.Sum(t => t.Decided)} decisions"));
        Assert.All(told, t => Assert.True(t.Gap < s_gapMax, $"{t.Gap} without a decision"));
    }

    private const int Warmed = 400;

    private static async Task Warm(RiskClusterClient client) => Assert.All(await client.Decide([.. Enumerable.Range(0, Warmed).Select(i => Payments.Json(i))], s_answerMax), a => Assert.True(a.Code is "" or "DUP_SAME", a.Code));

    private static async Task<(int Decided, TimeSpan Gap)> Load(RiskClusterClient client, int partition, CancellationToken stop)
    {
        int decided = 0;
        TimeSpan gap = TimeSpan.Zero;
        long next = (partition + 1) * 10_000_000L;
        while (!stop.IsCancellationRequested)
        {
            var batch = new List<byte[]>();
            for (; batch.Count < PerCall; next++)
            {
                byte[] json = Payments.Json(next);
                if (client.PartitionOf(json) == partition) { batch.Add(json); }
            }
            var asked = Stopwatch.StartNew();
            ShardAnswer[] answers = await client.Decide(batch, s_answerMax, CancellationToken.None);
            Assert.All(answers, a => Assert.True(a.Code is "" or "DUP_SAME", a.Code));
            if (asked.Elapsed > gap) { gap = asked.Elapsed; }
            decided += PerCall;
        }
        return (decided, gap);
    }
}
