using System.Globalization;
using Xunit.Abstractions;

namespace Risk.EndToEnd.Tests.Serve;

/// <summary>Processes that share twelve partitions and keep their decisions in one PostgreSQL.</summary>
public sealed class PostgresTests(ITestOutputHelper output)
{
    private static readonly Dictionary<string, string> s_sessions = new() { ["session.timeout.ms"] = "3000", ["heartbeat.interval.ms"] = "500" };

    [PostgresFact]
    public void F1_F2_ThreeProcesses_OneKilledEveryFewSeconds_OneDecisionAnEvent()
    {
        using var store = new ServedPostgres();
        using var topic = new ServedTopic(store, s_sessions);
        for (int i = 0; i < 3; i++) { topic.StartProcess(); }
        (long sent, int kills) = topic.SendAndKill(perSecond: 1_000, seconds: 25, killsMin: 3, killEvery: (2, 4));
        topic.WaitForDecisions(sent, TimeSpan.FromMinutes(2));
        Assert.All(topic.Processes.ToArray(), p => Assert.Equal(0, p.Stop()));
        topic.AssertOneDecisionEach(sent);
        Assert.Equal(sent, store.Ask<long>("SELECT count(*) FROM risk.entry"));
        Assert.Equal(sent, store.Ask<long>("SELECT count(DISTINCT event_key) FROM risk.entry"));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{sent:N0} events, {kills} kills, {store.Ask<long>("SELECT count(*) FROM risk.epoch")} owners of 12 logs"));
    }

    [PostgresFact]
    public async Task F7_F29_AFrozenOwner_IsFencedWhenItWakesUp_AndGoesOnAsAMember()
    {
        const int RoundsMax = 6;
        using var store = new ServedPostgres();
        using var topic = new ServedTopic(store, s_sessions);
        ServeProcess zombie = topic.StartProcess(), other = topic.StartProcess(), third = topic.StartProcess();
        long sent = 0;
        void Send(int count)
        {
            topic.Send(sent, sent + count);
            sent += count;
        }
        Send(300);
        topic.WaitForDecisions(300);

        // Frozen with work in flight. Whether a write of it, a question to an entity owner or the news of the lost partitions
        // comes first when it wakes up is chance: once one of the first two has, it must have been refused. (That the database
        // refuses every write of an older epoch is in the store's contract.)
        int rounds = 0;
        while (!IsFenced(zombie))
        {
            Assert.True(rounds++ < RoundsMax, $"nothing was refused in {RoundsMax} rounds:\n{zombie.Errors}");
            await topic.WaitUntil(() => IsShared(topic), "a share for each");
            long owners = store.Ask<long>("SELECT count(*) FROM risk.epoch");
            int before = topic.Decisions.Count;
            Send(6000);
            topic.WaitForDecisions(before + 200);
            zombie.Freeze();
            await topic.WaitUntil(async () => (await other.OwnedPartitions()).Length + (await third.OwnedPartitions()).Length == ServedTopic.PartitionCount, "all partitions with the others");
            Send(300);
            topic.Flush();
            await topic.WaitUntil(() => Task.FromResult(Decided(topic) == sent), "every event decided by the others");
            Assert.True(store.Ask<long>("SELECT count(*) FROM risk.epoch") > owners, "nothing was taken over");
            zombie.Thaw();
            // It goes on as a member: takes a share again, and decides. What it tells before that is of the time before.
            await topic.WaitUntil(() => IsShared(topic), "a share for each again");
        }
        Assert.True(await zombie.Metric("risk_faults_total", "FENCED") >= 1);
        double decided = await zombie.Metric("risk_decisions_total");
        Send(1200);
        await topic.WaitUntil(() => Task.FromResult(Decided(topic) == sent), "every event decided");
        Assert.True(await zombie.Metric("risk_decisions_total") > decided, "it decides nothing more");
        Assert.All(topic.Processes, p => Assert.Equal(0, p.Stop()));
        topic.AssertOneDecisionEach(sent, mayRepeat: true);
        output.WriteLine($"{rounds} rounds, {sent} events, {topic.Decisions.Count - sent} of them twice in the topic");
    }

    /// <summary>Every partition has one owner, and every process some.</summary>
    private static async Task<bool> IsShared(ServedTopic topic) =>
        await Task.WhenAll(topic.Processes.Select(p => p.OwnedPartitions())) is var shares && shares.All(o => o.Length > 0) && shares.Sum(o => o.Length) == ServedTopic.PartitionCount;

    private static bool IsFenced(ServeProcess process) =>
        process.Errors.Contains("Another owner has taken risk/card-payments/", StringComparison.Ordinal) || process.Errors.Contains("has another owner, an entity owner says", StringComparison.Ordinal);

    private static int Decided(ServedTopic topic) => topic.Decisions.Select(d => d.EventId).Distinct().Count();
}
