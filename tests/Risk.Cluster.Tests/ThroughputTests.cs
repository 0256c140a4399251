using System.Diagnostics;
using System.Globalization;
using Xunit.Abstractions;

namespace Risk.Cluster.Tests;

/// <summary>Two silos against one, with where the cores went. Figures, no bar: <c>RISK_SOAK=1</c>.</summary>
public sealed class ThroughputTests(ITestOutputHelper output)
{
    private const int Warm = 8_192, PerBatch = 512, AtOnce = 8, Customers = 2_000;
    private static readonly TimeSpan s_answerMax = TimeSpan.FromSeconds(120), s_time = TimeSpan.FromSeconds(10);

    [SoakFact]
    public async Task BatchesByCall()
    {
        foreach (int count in (int[])[1, 2])
        {
            using var cluster = new TestCluster();
            List<TestSilo> silos = [.. Enumerable.Range(0, count).Select(i => cluster.StartSilo($"{i}"))];
            RiskClusterClient client = cluster.Connect();
            int next = 0;
            await Load(client, () => next < Warm);
            int begun = next;
            using Process self = Process.GetCurrentProcess();
            TimeSpan own = self.TotalProcessorTime;
            TimeSpan[] before = [.. silos.Select(s => s.Process.Processor)];
            var clock = Stopwatch.StartNew();
            await Load(client, () => clock.Elapsed < s_time);
            double seconds = clock.Elapsed.TotalSeconds;
            self.Refresh();
            Say("by call", count, next - begun, seconds, silos.Zip(before, (s, b) => s.Process.Processor - b), self.TotalProcessorTime - own);
            cluster.AssertOneDecisionEach(next);

            Task Load(RiskClusterClient to, Func<bool> goesOn) => Task.WhenAll(Enumerable.Range(0, AtOnce).Select(async _ =>
            {
                while (goesOn())
                {
                    int first = Interlocked.Add(ref next, PerBatch) - PerBatch;
                    ShardAnswer[] answers = await to.Decide([.. Enumerable.Range(first, PerBatch).Select(i => Payments.Json(i, Customers))], s_answerMax);
                    Assert.All(answers, a => Assert.True(a.Code is "" or "DUP_SAME", a.Code));
                }
            }));
        }
    }

    [SoakFact]
    public void ByKafka()
    {
        const int Measured = 60_000;
        foreach (int count in (int[])[1, 2])
        {
            using var topics = new TestTopics();
            using var cluster = new TestCluster(topics.Broker.BootstrapServers);
            List<TestSilo> silos = [.. Enumerable.Range(0, count).Select(i => cluster.StartSilo($"{i}"))];
            topics.Send(0, Warm, Customers);
            topics.WaitForDecisions(Warm, cluster);
            using Process self = Process.GetCurrentProcess();
            TimeSpan own = self.TotalProcessorTime;
            TimeSpan[] before = [.. silos.Select(s => s.Process.Processor)];
            var clock = Stopwatch.StartNew();
            topics.Send(Warm, Warm + Measured, Customers);
            topics.WaitForDecisions(Warm + Measured, cluster);
            double seconds = clock.Elapsed.TotalSeconds;
            self.Refresh();
            Say("by Kafka", count, Measured, seconds, silos.Zip(before, (s, b) => s.Process.Processor - b), self.TotalProcessorTime - own);
            cluster.AssertOneDecisionEach(Warm + Measured);
        }
    }

    private void Say(string way, int silos, int decisions, double seconds, IEnumerable<TimeSpan> processors, TimeSpan own) => output.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"{way}, {silos} silos: {decisions / seconds:F0} decisions/s ({decisions} in {seconds:F1} s); cores: {string.Join(" + ", processors.Select(p => (p.TotalSeconds / seconds).ToString("F2", CultureInfo.InvariantCulture)))} silos, {own.TotalSeconds / seconds:F2} this process (client, and broker where there is one), of {Environment.ProcessorCount}; the rest is PostgreSQL's and other people's"));
}

/// <summary>Only with <c>RISK_SOAK=1</c>.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class SoakFactAttribute : FactAttribute
{
    public SoakFactAttribute() => Skip = TestCluster.Missing ?? (Environment.GetEnvironmentVariable("RISK_SOAK") == "1" ? null : "a measurement of a minute: RISK_SOAK=1");
}
