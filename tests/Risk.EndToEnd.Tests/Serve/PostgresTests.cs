using System.Globalization;
using Risk.Storage.Tests.Postgres;
using Xunit.Abstractions;

namespace Risk.EndToEnd.Tests.Serve;

/// <summary>Processes that share twelve partitions and keep their decisions in one PostgreSQL.</summary>
public sealed class PostgresTests(ITestOutputHelper output)
{
    private static readonly Dictionary<string, string> s_sessions = new() { ["session.timeout.ms"] = "3000", ["heartbeat.interval.ms"] = "500" };

    [PostgresFact]
    public async Task F1_F2_ThreeProcesses_OneKilledEveryFewSeconds_OneDecisionAnEvent()
    {
        using var store = new ServedPostgres();
        using var topic = new ServedTopic(store, s_sessions, challengers: [ServedTopic.Challenger]);
        for (int i = 0; i < 3; i++) { topic.StartProcess(); }
        topic.SendForbidden();
        (long sent, int kills) = topic.SendAndKill(perSecond: 1_000, seconds: 25, killsMin: 3, killEvery: (2, 4));
        topic.WaitForDecisions(sent, TimeSpan.FromMinutes(2));
        await topic.WaitForChallengers();
        Assert.All(topic.Processes.ToArray(), p => Assert.Equal(0, p.Stop()));
        topic.AssertOneDecisionEach(sent);
        foreach (string stream in (string[])["card-payments", $"card-payments/challengers/{ServedTopic.Challenger}"])
        {
            Assert.Equal(sent, store.Ask<long>($"SELECT count(*) FROM risk.entry JOIN risk.decision_log USING (log) WHERE stream = '{stream}'"));
            Assert.Equal(sent, store.Ask<long>($"SELECT count(DISTINCT event_key) FROM risk.entry JOIN risk.decision_log USING (log) WHERE stream = '{stream}'"));
        }
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{sent:N0} events, {kills} kills, {store.Ask<long>("SELECT count(*) FROM risk.epoch")} owners of 12 logs"));
    }

    [PostgresFact]
    public async Task F7_F29_AFrozenOwner_IsFencedWhenItWakesUp_AndGoesOnAsAMember()
    {
        using var store = new ServedPostgres(isProxied: true);
        using var topic = new ServedTopic(store, s_sessions);
        ServeProcess zombie = topic.StartProcess();
        topic.SendNext(300);
        topic.SendForbidden();
        topic.WaitForDecisions(300);
        long owners = store.Ask<long>("SELECT count(*) FROM risk.epoch");

        // Frozen in the middle of a commit, whose transaction is open. The others take everything over and decide it.
        Task inCommit = store.Proxy!.HoldAt(FaultProxy.ReplyToCopy);
        topic.SendNext(600);
        await inCommit.WaitAsync(TimeSpan.FromSeconds(60));
        zombie.Freeze();
        ServeProcess other = topic.StartProcess(), third = topic.StartProcess();
        await topic.WaitUntil(async () => (await other.OwnedPartitions()).Length + (await third.OwnedPartitions()).Length == ServedTopic.PartitionCount, "all partitions with the others");
        topic.SendNext(300);
        topic.Flush();
        await topic.WaitUntil(() => Task.FromResult(Decided(topic) == topic.Sent), "every event decided by the others");
        Assert.True(store.Ask<long>("SELECT count(*) FROM risk.epoch") > owners, "nothing was taken over");
        Assert.Equal(0, await other.Metric("risk_faults_total", "\"FENCED\"") + await third.Metric("risk_faults_total", "\"FENCED\""));

        // It wakes up and goes on with its commit, which the database refuses.
        zombie.Thaw();
        store.Proxy.Release();
        await topic.WaitUntil(async () => await zombie.Metric("risk_faults_total", "\"FENCED\"") >= 1, "its write refused");
        Assert.Contains("Another owner has taken risk/card-payments/", zombie.Errors, StringComparison.Ordinal);
        await topic.WaitUntil(() => IsShared(topic), "a share for each again");
        double decided = await zombie.Metric("risk_decisions_total");
        topic.SendNext(1200);
        await topic.WaitUntil(() => Task.FromResult(Decided(topic) == topic.Sent), "every event decided");
        Assert.True(await zombie.Metric("risk_decisions_total") > decided, "it decides nothing more");
        Assert.All(topic.Processes, p => Assert.Equal(0, p.Stop()));
        topic.AssertOneDecisionEach(topic.Sent, mayRepeat: true);
        output.WriteLine($"{topic.Sent} events, {topic.Decisions.Count - topic.Sent} of them twice in the topic");
    }

    /// <summary>Every partition has one owner, and every process some.</summary>
    private static async Task<bool> IsShared(ServedTopic topic) =>
        await Task.WhenAll(topic.Processes.Select(p => p.OwnedPartitions())) is var shares && shares.All(o => o.Length > 0) && shares.Sum(o => o.Length) == ServedTopic.PartitionCount;

    private static int Decided(ServedTopic topic) => topic.Decisions.Select(d => d.EventId).Distinct().Count();
}
