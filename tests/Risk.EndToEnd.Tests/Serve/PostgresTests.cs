using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Xunit.Abstractions;

namespace Risk.EndToEnd.Tests.Serve;

/// <summary>Processes that share twelve partitions and keep their decisions in one PostgreSQL.</summary>
public sealed class PostgresTests(ITestOutputHelper output)
{
    private static readonly Dictionary<string, string> s_sessions = new() { ["session.timeout.ms"] = "3000", ["heartbeat.interval.ms"] = "500" };

    [PostgresFact]
    public void F1_F2_ThreeProcesses_OneKilledEveryFewSeconds_OneDecisionAnEvent()
    {
        const int PerSecond = 1_000;
        var random = new Random(20261122);
        using var store = new ServedPostgres();
        using var topic = new ServedTopic(store, s_sessions);
        for (int i = 0; i < 3; i++) { topic.StartProcess(); }
        topic.Send(0, 500);
        topic.WaitForDecisions(500);

        long sent = 500;
        int kills = 0;
        var clock = Stopwatch.StartNew();
        TimeSpan nextKill = TimeSpan.FromSeconds(1);
        while (clock.Elapsed < TimeSpan.FromSeconds(25))
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
                nextKill = clock.Elapsed + TimeSpan.FromSeconds(2 + random.NextDouble() * 2);
            }
            Thread.Sleep(5);
        }
        topic.Flush();
        topic.WaitForDecisions(sent, TimeSpan.FromMinutes(2));
        Assert.All(topic.Processes.ToArray(), p => Assert.Equal(0, p.Stop()));
        topic.AssertOneDecisionEach(sent);
        Assert.Equal(sent, store.Ask<long>("SELECT count(*) FROM risk.entry"));
        Assert.Equal(sent, store.Ask<long>("SELECT count(DISTINCT event_key) FROM risk.entry"));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{sent:N0} events, {kills} kills, {store.Ask<long>("SELECT count(*) FROM risk.epoch")} owners of 12 logs"));
        Assert.True(kills >= 3, $"only {kills} kills");
    }

    [PostgresFact]
    public async Task F7_F29_AFrozenOwner_IsFencedWhenItWakesUp_AndGoesOnAsAMember()
    {
        using var store = new ServedPostgres();
        using var topic = new ServedTopic(store, s_sessions);
        ServeProcess zombie = topic.StartProcess();
        topic.Send(0, 300);
        topic.WaitForDecisions(300);
        ServeProcess other = topic.StartProcess(), third = topic.StartProcess();
        await topic.WaitUntil(async () => await OwnedBy(zombie) is { Length: > 0 and < 12 } && await OwnedBy(other) is { Length: > 0 } && await OwnedBy(third) is { Length: > 0 }, "a share for each");
        int[] owned = await OwnedBy(zombie);

        zombie.Freeze();
        // Calls that reach it while it is frozen: it answers them first of all when it wakes up, as the owner it was.
        long[] called = [.. Enumerable.Range(300, 600).Select(n => (long)n).Where(n => owned.Contains(ServedTopic.PartitionOf(Payments.Customer(n)))).Take(20)];
        Task<(int Status, string Body)>[] calls = [.. called.Select(n => zombie.Post(Payments.Json(n)))];
        await topic.WaitUntil(async () => (await OwnedBy(other)).Length + (await OwnedBy(third)).Length == 12, "all partitions with the others");
        for (long n = 300; n < 900; n++)
        {
            if (!called.Contains(n)) { topic.Send(Payments.Customer(n), Payments.Json(n)); }
        }
        topic.WaitForDecisions(900 - called.Length);
        Assert.All(owned, partition => Assert.True(store.Ask<long>($"SELECT max(epoch) FROM risk.epoch JOIN risk.decision_log USING (log) WHERE partition = {partition}") >= 2));

        zombie.Thaw();
        (int Status, string Body)[] replies = await Task.WhenAll(calls);
        string[] codes = [.. replies.Where(r => r.Status != 200).Select(r => JsonDocument.Parse(r.Body).RootElement.GetProperty("code").GetString()!)];
        output.WriteLine($"{string.Join(' ', codes)}; {replies.Count(r => r.Status == 200)} answered");
        Assert.Contains("FENCED", codes);
        Assert.True(await zombie.Metric("risk_faults_total", "FENCED") >= 1);
        Assert.Contains("Another owner has taken risk/card-payments/", zombie.Errors, StringComparison.Ordinal);

        // It goes on as a member: takes a share again, decides, and hands on what is not its own.
        await topic.WaitUntil(async () => (await OwnedBy(zombie)).Length > 0, "partitions of its own again");
        foreach (long n in called)
        {
            await topic.WaitUntil(async () => (await zombie.Post(Payments.Json(n))).Status == 200, $"payment {n} answered");
        }
        double before = await zombie.Metric("risk_decisions_total");
        topic.Send(900, 1500);
        topic.WaitForDecisions(1500);
        await topic.WaitUntil(() => Task.FromResult(topic.Decisions.Select(d => d.EventId).Distinct().Count() == 1500), "every event decided");
        await topic.WaitUntil(async () => await zombie.Metric("risk_decisions_total") > before, "decisions of its own");
        Assert.All(topic.Processes, p => Assert.Equal(0, p.Stop()));
        topic.AssertOneDecisionEach(1500, mayRepeat: true);
    }

    [PostgresFact]
    public async Task F20_WhileTheDatabaseIsDown_NothingIsDecided_AndThenEverythingIs()
    {
        using var store = new ServedPostgres();
        using var topic = new ServedTopic(store, s_sessions);
        for (int i = 0; i < 3; i++) { topic.StartProcess(); }
        topic.Send(0, 600);
        topic.WaitForDecisions(600);
        ServeProcess serve = topic.Processes[0];
        await topic.WaitUntil(async () => (await Task.WhenAll(topic.Processes.Select(OwnedBy))).Sum(o => o.Length) == 12, "every partition served");

        store.Server.Stop();
        topic.Send(600, 3000);
        await topic.WaitUntil(async () => await AllTell(topic, "STORE_UNAVAILABLE"), "not ready with STORE_UNAVAILABLE everywhere", 30);
        foreach (ServeProcess process in topic.Processes)
        {
            for (int n = 3000; n < 3012; n++)
            {
                using var body = new StringContent(Payments.Json(n));
                using HttpResponseMessage reply = await process.Http.PostAsync(new Uri("/v1/decisions", UriKind.Relative), body);
                Assert.True((int)reply.StatusCode == 503 && reply.Headers.RetryAfter is not null, $"{(int)reply.StatusCode}: {await reply.Content.ReadAsStringAsync()}");
            }
        }
        Assert.Equal(600, topic.Decisions.Count);
        Assert.All(topic.Processes, p => Assert.False(p.HasExited));

        store.Server.Restart();
        topic.WaitForDecisions(3000);
        await topic.WaitUntil(async () => (await serve.Get("/health/ready")).Status == 200, "ready again");
        for (int n = 3000; n < 3012; n++) { Assert.Equal(200, (await serve.Post(Payments.Json(n))).Status); }
        topic.WaitForDecisions(3012);
        Assert.All(topic.Processes, p => Assert.Equal(0, p.Stop()));
        topic.AssertOneDecisionEach(3012);
    }

    private static async Task<int[]> OwnedBy(ServeProcess process)
    {
        (int status, JsonElement health) = await process.Get("/health/ready");
        return status == 200 ? [.. health.GetProperty("partitions").EnumerateArray().Select(p => p.GetInt32())] : [];
    }

    private static async Task<bool> AllTell(ServedTopic topic, string code)
    {
        foreach (ServeProcess process in topic.Processes)
        {
            (int status, JsonElement health) = await process.Get("/health/ready");
            if (status != 503 || !health.GetProperty("reasons").EnumerateArray().Any(r => r.GetProperty("code").GetString() == code)) { return false; }
        }
        return true;
    }
}
