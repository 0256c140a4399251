using System.Globalization;
using Xunit.Abstractions;

namespace Risk.EndToEnd.Tests.Serve;

/// <summary>Processes that share twelve partitions, and die (faults 1 and 2): one decision an event.</summary>
public sealed class KillTests(ITestOutputHelper output)
{
    private static readonly bool s_soak = Environment.GetEnvironmentVariable("RISK_SOAK") == "1";

    [Fact]
    public async Task ThreeProcesses_OneKilledEveryFewSeconds_OneDecisionAnEvent()
    {
        using var topic = new ServedTopic(properties: new() { ["session.timeout.ms"] = "3000", ["heartbeat.interval.ms"] = "500" }, challengers: [ServedTopic.Challenger]);
        for (int i = 0; i < 3; i++) { topic.StartProcess(); }
        topic.SendForbidden();
        (long sent, int kills) = topic.SendAndKill(perSecond: 2_000, seconds: s_soak ? 300 : 60, killsMin: 5, killEvery: (3, 6));
        topic.WaitForDecisions(sent);
        await topic.WaitForChallengers();
        Assert.All(topic.Processes.ToArray(), p => Assert.Equal(0, p.Stop()));
        topic.AssertOneDecisionEach(sent);
        topic.AssertChallenged();
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{sent:N0} events, {kills} kills"));
    }
}
