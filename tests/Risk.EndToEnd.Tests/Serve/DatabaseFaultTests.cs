using System.Text.Json;
using Dapper;
using Npgsql;
using Risk.Storage.Tests.Postgres;
using Xunit.Abstractions;

namespace Risk.EndToEnd.Tests.Serve;

/// <summary>The faults of a database under processes that serve; the numbers are those of the fault matrix.</summary>
public sealed class DatabaseFaultTests(ITestOutputHelper output)
{
    private const int UnderLoadMax = 30;

    [PostgresFact]
    public async Task F20_WhileTheDatabaseIsDown_NothingIsDecided_AndThenEverythingIs()
    {
        using var store = new ServedPostgres();
        using var topic = new ServedTopic(store, new() { ["session.timeout.ms"] = "3000", ["heartbeat.interval.ms"] = "500" });
        for (int i = 0; i < 3; i++) { topic.StartProcess(); }
        topic.Send(0, 600);
        topic.WaitForDecisions(600);
        ServeProcess serve = topic.Processes[0];
        await topic.WaitUntil(async () => (await Task.WhenAll(topic.Processes.Select(p => p.OwnedPartitions()))).Sum(o => o.Length) == 12, "every partition served");

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
        foreach (ServeProcess process in topic.Processes) { Assert.True(await process.Metric("risk_faults_total", "\"STORE_UNAVAILABLE\"") >= 1); }

        store.Server.Restart();
        topic.WaitForDecisions(3000);
        await topic.WaitUntil(async () => (await serve.Get("/health/ready")).Status == 200, "ready again");
        for (int n = 3000; n < 3012; n++)
        {
            string payment = Payments.Json(n);
            // Its partition may be another process's, and that one still opening it.
            await topic.WaitUntil(async () => (await serve.Post(payment)).Status == 200, $"payment {n} decided");
        }
        topic.WaitForDecisions(3012);
        Assert.All(topic.Processes, p => Assert.Equal(0, p.Stop()));
        topic.AssertOneDecisionEach(3012);
    }

    [PostgresFact]
    public async Task F1_KilledBeforeTheCommit_WhatWasInIt_IsReadAgain_AndDecidedOnce()
    {
        using var store = new ServedPostgres(isProxied: true);
        using var topic = new ServedTopic(store);
        ServeProcess serve = topic.StartProcess();
        topic.Send(0, 300);
        topic.SendForbidden();
        topic.WaitForDecisions(300);
        Task inCommit = store.Proxy!.HoldAt(FaultProxy.ReplyToCopy);
        topic.Send(300, 900);
        await inCommit.WaitAsync(TimeSpan.FromSeconds(60));
        serve.Kill();
        store.Proxy.Release();
        long durable = store.Ask<long>("SELECT count(*) FROM risk.entry");
        Assert.InRange(durable, 300, 899);
        topic.Processes.Clear();
        serve = topic.StartProcess();
        topic.WaitForDecisions(900);
        Assert.Equal(900 - durable, await serve.Metric("risk_decisions_total"));
        Assert.Equal(durable, await serve.Metric("risk_decisions_reapplied_total"));
        Assert.Equal(0, serve.Stop());
        topic.AssertOneDecisionEach(900);
    }

    [PostgresFact]
    public async Task F21_TheReplyToACommitIsLost_ItIsReadBack_AndWrittenOnce()
    {
        using var store = new ServedPostgres(isProxied: true);
        using var topic = new ServedTopic(store);
        ServeProcess serve = topic.StartProcess();
        topic.SendNext(120);
        topic.SendForbidden();
        topic.WaitForDecisions(topic.Sent);

        int rounds = 0;
        while (await serve.Metric("risk_faults_total", "\"COMMIT_REREAD\"") < 3)
        {
            Assert.True(rounds++ < UnderLoadMax, $"no lost reply was read back:\n{serve.Errors}");
            store.Proxy!.DropAt(FaultProxy.ReplyToCommit);
            topic.SendNext(120);
            topic.WaitForDecisions(topic.Sent);
        }
        Assert.Contains("COMMIT_REREAD", serve.Errors, StringComparison.Ordinal);

        // Somebody waits for that commit: the answer is what was written, and stays so.
        double reread = await serve.Metric("risk_faults_total", "\"COMMIT_REREAD\"");
        store.Proxy!.DropAt(FaultProxy.ReplyToCommit);
        string payment = Payments.Json(topic.Sent);
        (int status, string decision) = await serve.Post(payment);
        Assert.True(status == 200, decision);
        Assert.Equal(reread + 1, await serve.Metric("risk_faults_total", "\"COMMIT_REREAD\""));
        Assert.Equal((200, decision), await serve.Post(payment));
        topic.Sent++;

        // Nobody reads the lost reply: the process dies with it. The next one finds the commit.
        var died = new TaskCompletionSource();
        store.Proxy.Dropped = () =>
        {
            serve.Kill();
            died.SetResult();
        };
        store.Proxy.DropAt(FaultProxy.ReplyToCommit);
        topic.SendNext(600);
        await died.Task.WaitAsync(TimeSpan.FromSeconds(60));
        long durable = store.Ask<long>("SELECT count(*) FROM risk.entry");
        topic.Processes.Clear();
        serve = topic.StartProcess();
        topic.WaitForDecisions(topic.Sent);
        Assert.Equal(0, serve.Stop());
        topic.AssertOneDecisionEach(topic.Sent);
        output.WriteLine($"{rounds} rounds, {reread} commits read back; {durable} of {topic.Sent} decisions durable when the process died");
    }

    [PostgresFact]
    public async Task F23_SerializationFailures_AreTriedAgain_AFewTimes_AndWrittenOnce()
    {
        using var store = new ServedPostgres();
        using var topic = new ServedTopic(store);
        ServeProcess serve = topic.StartProcess();
        topic.Send(0, 300);
        topic.WaitForDecisions(300);
        using NpgsqlConnection owner = store.Connect();
        void FailWhen(string condition) => owner.Execute($"""
            CREATE OR REPLACE FUNCTION risk.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF {condition} THEN RAISE EXCEPTION 'could not serialize' USING ERRCODE = '40001'; END IF;
                RETURN NEW;
            END $$;
            """);
        owner.Execute("CREATE SEQUENCE risk.failure; GRANT USAGE ON SEQUENCE risk.failure TO risk_runtime");
        FailWhen("nextval('risk.failure') % 3 <> 0");
        owner.Execute("CREATE TRIGGER fail BEFORE INSERT ON risk.log_commit FOR EACH STATEMENT EXECUTE FUNCTION risk.fail()");
        topic.Send(300, 600);
        topic.WaitForDecisions(600);
        Assert.True(await serve.Metric("risk_faults_total", "\"STORE_CONFLICT\"") >= 2);
        Assert.Equal(0, await serve.Metric("risk_faults_total", "\"STORE_UNAVAILABLE\""));

        FailWhen("true");
        topic.Send(600, 900);
        await topic.WaitUntil(async () => await serve.Metric("risk_faults_total", "\"STORE_UNAVAILABLE\"") >= 1, "an end to trying again");
        using (var body = new StringContent(Payments.Json(900)))
        using (HttpResponseMessage reply = await serve.Http.PostAsync(new Uri("/v1/decisions", UriKind.Relative), body))
        {
            Assert.True((int)reply.StatusCode == 503 && reply.Headers.RetryAfter is not null, $"{(int)reply.StatusCode}: {await reply.Content.ReadAsStringAsync()}");
        }
        Assert.Equal(600, topic.Decisions.Count);
        FailWhen("false");
        await topic.WaitUntil(async () => (await serve.Post(Payments.Json(900))).Status == 200, "the payment decided");
        topic.WaitForDecisions(901);
        Assert.Equal(0, serve.Stop());
        topic.AssertOneDecisionEach(901);
    }

    [PostgresFact]
    public async Task F23_ADeadlock_IsTriedAgain_AndWrittenOnce()
    {
        using var store = new ServedPostgres();
        using var topic = new ServedTopic(store);
        ServeProcess serve = topic.StartProcess();
        topic.SendNext(600);
        topic.WaitForDecisions(topic.Sent);
        using NpgsqlConnection other = store.Connect();
        int[] logs = [.. other.Query<int>("SELECT log FROM risk.decision_log ORDER BY log")];
        Task WaitForACommitThatWaits(string on) => topic.WaitUntil(() => Task.FromResult(store.Ask<long>($"SELECT count(*) FROM pg_stat_activity WHERE wait_event = '{on}'") > 0), $"a commit that waits for a {on}");
        int rounds = 0;
        while (await serve.Metric("risk_faults_total", "\"STORE_CONFLICT\"") == 0)
        {
            Assert.True(rounds++ < UnderLoadMax, "no deadlock came about");
            using (NpgsqlTransaction transaction = other.BeginTransaction())
            {
                // The engine's session finds the deadlock first (1 s) if it comes about before that one has looked for it.
                other.Execute("SET LOCAL deadlock_timeout = '3s'");
                TakeNextNumber(other, logs[^1]);
                // Its first commit waits here, and what it decides meanwhile comes in one commit of many logs.
                other.Execute("SAVEPOINT gate; LOCK TABLE risk.log_commit IN SHARE MODE");
                topic.SendNext(600);
                await WaitForACommitThatWaits("relation");
                await topic.WaitUntil(async () => await serve.Metric("risk_batches_waiting") >= 4, "batches behind it");
                other.Execute("ROLLBACK TO SAVEPOINT gate");
                await WaitForACommitThatWaits("transactionid");
                try
                {
                    foreach (int log in logs[..^1]) { TakeNextNumber(other, log); }
                }
                catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.UniqueViolation)
                {
                    // This session had to give way.
                }
                transaction.Rollback();
            }
            topic.WaitForDecisions(topic.Sent);
        }
        Assert.Equal(0, serve.Stop());
        topic.AssertOneDecisionEach(topic.Sent);
        output.WriteLine($"{rounds} rounds");
    }

    /// <summary>Takes the number of the log's next commit; the engine's then waits for the end of this transaction, and this one for the end of the engine's.</summary>
    private static void TakeNextNumber(NpgsqlConnection connection, int log) => connection.Execute("""
        INSERT INTO risk.log_commit
        SELECT log, number + 1, end_sequence, end_sequence, epoch, source_position, root_hash FROM risk.log_commit WHERE log = @log ORDER BY number DESC LIMIT 1
        """, new { log });

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
