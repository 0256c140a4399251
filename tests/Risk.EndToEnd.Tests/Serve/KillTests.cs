using System.Diagnostics;
using System.Globalization;
using Xunit.Abstractions;

namespace Risk.EndToEnd.Tests.Serve;

/// <summary>Processes that share twelve partitions, and die (faults 1 and 2): one decision an event.</summary>
public sealed class KillTests(ITestOutputHelper output)
{
    private static readonly bool s_soak = Environment.GetEnvironmentVariable("RISK_SOAK") == "1";

    [Fact]
    public void ThreeProcesses_OneKilledEveryFewSeconds_OneDecisionAnEvent()
    {
        const int PerSecond = 2_000;
        var random = new Random(20261122);
        using var topic = new ServedTopic(properties: new() { ["session.timeout.ms"] = "3000", ["heartbeat.interval.ms"] = "500" });
        for (int i = 0; i < 3; i++) { topic.StartProcess(); }
        topic.Send(0, 500);
        topic.WaitForDecisions(500);

        long sent = 500;
        int kills = 0;
        var gaps = new List<double>();
        var clock = Stopwatch.StartNew();
        TimeSpan nextKill = TimeSpan.FromSeconds(2), end = TimeSpan.FromSeconds(s_soak ? 300 : 60);
        while (clock.Elapsed < end)
        {
            long due = 500 + (long)(clock.Elapsed.TotalSeconds * PerSecond);
            topic.Send(sent, due);
            sent = Math.Max(sent, due);
            if (clock.Elapsed >= nextKill)
            {
                ServeProcess victim = topic.Processes[random.Next(topic.Processes.Count)];
                victim.Kill();
                topic.Processes.Remove(victim);
                topic.StartProcess();
                kills++;
                nextKill = clock.Elapsed + TimeSpan.FromSeconds(3 + random.NextDouble() * 3);
            }
            Thread.Sleep(5);
        }
        topic.Flush();
        topic.WaitForDecisions(sent);
        Assert.All(topic.Processes.ToArray(), p => Assert.Equal(0, p.Stop()));
        topic.AssertOneDecisionEach(sent);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{sent:N0} events, {kills} kills"));
        Assert.True(kills >= 5, $"only {kills} kills");
    }
}
