using System.Globalization;
using System.Text;
using System.Text.Json;
using Confluent.Kafka;
using Risk.Streams.Kafka;
using Risk.Streams.Tests.Kafka;

namespace Risk.EndToEnd.Tests.Serve;

/// <summary>The faults of Kafka's side, each on brokers and processes of its own; the numbers are those of the fault matrix.</summary>
public sealed class FaultTests
{
    private static readonly TimeSpan s_downAtLeast = TimeSpan.FromSeconds(Environment.GetEnvironmentVariable("RISK_SOAK") == "1" ? 180 : 0);

    [Fact]
    public async Task F2_F8_F10_EventsThatComeAgain_AreOnlyDuplicates()
    {
        using var topic = new ServedTopic(entityWaitMillis: 10_000);
        ServeProcess serve = topic.StartProcess();
        topic.Send(0, 300);
        topic.WaitForDecisions(300);
        serve.Kill();
        topic.Processes.Clear();
        // Kafka knows of nothing that was done, as if killed before any offset was committed, or all rewound since. The log knows.
        topic.ForgetOffsets();
        serve = topic.StartProcess();
        topic.Send(300, 350);
        topic.WaitForDecisions(350);
        Assert.Equal((50, 0), (await serve.Metric("risk_decisions_total"), await serve.Metric("risk_faults_total", "\"DUP_SAME\"")));

        // The producer sends what it has sent.
        topic.Send(0, 300);
        await topic.WaitUntil(async () => await serve.Metric("risk_faults_total", "\"DUP_SAME\"") == 300, "300 duplicates");
        Assert.Equal(50, await serve.Metric("risk_decisions_total"));
        Assert.Equal(0, serve.Stop());
        topic.AssertOneDecisionEach(350);
    }

    [Fact]
    public async Task F11_F12_PoisonAndConflicts_AreDeadLetters_AndThePartitionGoesOn()
    {
        using var topic = new ServedTopic();
        ServeProcess serve = topic.StartProcess();
        string key = Payments.Customer(0);
        int partition = ServedTopic.PartitionOf(key);
        long[] same = [.. Enumerable.Range(0, 4000).Select(n => (long)n).Where(n => Payments.Customer(n) == key).Take(6)];
        foreach (long n in same.Take(3)) { topic.Send(key, Payments.Json(n)); }
        topic.Send(key, "{ not json");
        topic.Send(key, Payments.Json(same[0], amount: 77.7));
        topic.Send(key, $$"""{"transaction_id":"x","time":"2026-11-01T00:00:00Z","customer_id":"{{Payments.CardNumber}}","terminal_id":"t","amount":1}""");
        foreach (long n in same.Skip(3)) { topic.Send(key, Payments.Json(n)); }
        topic.WaitForDecisions(6);
        await topic.WaitUntil(() => Task.FromResult(topic.DeadLetters.Count == 3), "three dead letters");
        Assert.Equal(["ID_CONFLICT", "PAN_FORBIDDEN", "PARSE_ERROR"], topic.DeadLetters.Select(d => d.Json.GetProperty("code").GetString()).Order());
        Assert.All(topic.DeadLetters, d =>
        {
            Assert.Equal((partition, topic.Topics.Transactions, partition), (d.Partition, d.Json.GetProperty("topic").GetString(), d.Json.GetProperty("partition").GetInt32()));
            Assert.InRange(d.Json.GetProperty("offset").GetInt64(), 3, 5);
            Assert.True(d.Json.TryGetProperty("payloadSha256", out _) || d.Json.TryGetProperty("payloadHmacSha256", out _));
        });
        foreach (string code in (string[])["ID_CONFLICT", "PAN_FORBIDDEN", "PARSE_ERROR"]) { Assert.Equal(1, await serve.Metric("risk_faults_total", $"\"{code}\"")); }
        Assert.Equal(0, serve.Stop());
        topic.AssertOneDecisionEach(6, deadLetters: 3);
    }

    [Fact]
    public async Task F5_F6_Rebalances_WithWorkInFlight_DoubleNothing()
    {
        using var topic = new ServedTopic();
        topic.StartProcess();
        using var sending = new CancellationTokenSource();
        long sent = 0;
        Task load = Task.Run(() =>
        {
            while (!sending.IsCancellationRequested)
            {
                topic.Send(sent, sent + 50);
                sent += 50;
                Thread.Sleep(20);
            }
        });
        topic.SendForbidden();
        topic.WaitForDecisions(500);
        ServeProcess second = topic.StartProcess();
        int before = topic.Decisions.Count;
        topic.WaitForDecisions(before + 8000);
        Assert.True(await topic.Processes[0].Metric("risk_partition_changes_total", "revoked") >= 1 && await second.Metric("risk_partition_changes_total", "assigned") >= 1);
        Assert.Equal(0, second.Stop());
        before = topic.Decisions.Count;
        topic.WaitForDecisions(before + 5000);
        await sending.CancelAsync();
        await load;
        topic.Flush();
        topic.WaitForDecisions(sent);
        Assert.Equal(0, topic.Processes[0].Stop());
        topic.AssertOneDecisionEach(sent);
    }

    [MockFact]
    public async Task F9_AnOffsetThatIsGone_StopsItsPartition_AndSaysSo()
    {
        using var topic = new ServedTopic();
        ServeProcess serve = topic.StartProcess();
        topic.Send(0, 600);
        topic.WaitForDecisions(600);
        Assert.Equal(0, serve.Stop());
        topic.Processes.Clear();
        topic.Send(600, 1200);
        topic.Flush();
        int gone = ServedTopic.PartitionOf(Payments.Customer(600));
        long decided = topic.Decisions.Count(d => d.Partition == gone);
        long lost = Enumerable.Range(600, 600).Count(n => ServedTopic.PartitionOf(Payments.Customer(n)) == gone);
        topic.Broker.Mock.DeleteRecords(topic.Topics.Transactions, gone, decided + lost - 1);

        serve = topic.StartProcess();
        await topic.WaitUntil(async () => await serve.Metric("risk_faults_total", "OFFSET_GAP") == 1, "an OFFSET_GAP");
        topic.WaitForDecisions(1200 - lost);
        await Task.Delay(500);
        Assert.Equal(1200 - lost, topic.Decisions.Count);
        Assert.Equal(decided, topic.Decisions.Count(d => d.Partition == gone));
        (_, JsonElement health) = await serve.Get("/health/ready");
        Assert.Contains(health.GetProperty("reasons").EnumerateArray(), r => r.GetProperty("code").GetString() == "OFFSET_GAP");
        Assert.Equal(0, serve.Stop());
        topic.AssertOneDecisionEach(1200 - lost);
    }

    [Fact]
    public async Task F22_ATopicAheadOfItsLog_StopsThePartition()
    {
        using var topic = new ServedTopic();
        ServeProcess serve = topic.StartProcess();
        topic.Send(0, 300);
        topic.WaitForDecisions(300);
        Assert.Equal(0, serve.Stop());
        string log = Path.Combine(topic.StoreDirectory, "0004"), backup = log + ".backup";
        RiskProcess.Run("verify", log, "--json").Succeeded();
        CopyFolder(log, backup);

        topic.Processes.Clear();
        serve = topic.StartProcess();
        topic.Send(300, 600);
        topic.WaitForDecisions(600);
        Assert.Equal(0, serve.Stop());
        Directory.Delete(log, recursive: true);
        Directory.Move(backup, log);

        topic.Processes.Clear();
        serve = topic.StartProcess();
        await topic.WaitUntil(async () => (await serve.Get("/health/ready")).Json.GetProperty("reasons").EnumerateArray().Any(r => r.GetProperty("code").GetString() == "LOG_ROLLBACK"), "a LOG_ROLLBACK");
        Assert.Contains("partition 4", serve.Errors, StringComparison.Ordinal);
        topic.Send(600, 900);
        long others = Enumerable.Range(0, 900).Count(n => ServedTopic.PartitionOf(Payments.Customer(n)) != 4), here = topic.Decisions.Count(d => d.Partition == 4);
        topic.WaitForDecisions(others + here);
        Assert.Equal(here, topic.Decisions.Count(d => d.Partition == 4));
        Assert.True(await serve.Metric("risk_faults_total", "LOG_ROLLBACK") >= 1);
        // Nothing was decided a second time, not even in the log.
        Assert.Equal(0, serve.Stop());
        JsonElement restored = RiskProcess.Run("verify", log, "--json").Succeeded().Json;
        Assert.Equal(Enumerable.Range(0, 300).Count(n => ServedTopic.PartitionOf(Payments.Customer(n)) == 4), restored.GetProperty("size").GetInt64());
    }

    [Fact]
    public async Task AStoreBegunWithAnotherNumberOfPartitions_IsRefused()
    {
        using var topic = new ServedTopic();
        string alone = topic.ConfigurationFile + ".http";
        File.WriteAllText(alone, JsonSerializer.Serialize(new { store = new { directory = topic.StoreDirectory }, keys = Path.Combine(Path.GetDirectoryName(topic.StoreDirectory)!, "keys") }));
        using (ServeProcess http = ServeProcess.Start(alone))
        {
            await HttpTests.WaitReady(http);
            Assert.Equal(200, (await http.Post(Payments.Json(0))).Status);
            Assert.Equal(0, http.Stop());
        }
        RiskResult refused = RiskProcess.Run("serve", "--config", topic.ConfigurationFile, "--port", "0");
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains("PARTITIONS_DIFFER: card-payments was begun with 1 partitions", refused.Error, StringComparison.Ordinal);
    }

    private static void CopyFolder(string from, string to)
    {
        foreach (string path in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            string copy = Path.Combine(to, Path.GetRelativePath(from, path));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(path, copy);
        }
    }

    [MockFact]
    public async Task F13_WhileDeadLettersCannotBeWritten_ThePartitionWaits()
    {
        using var topic = new ServedTopic();
        ServeProcess serve = topic.StartProcess();
        topic.Send(0, 200);
        topic.WaitForDecisions(200);
        topic.Broker.Mock.SetTopicError(topic.Topics.DeadLetters, (short)Confluent.Kafka.ErrorCode.NotEnoughReplicas);
        string key = Payments.Customer(0);
        topic.Send(key, "{ not json");
        topic.Flush();
        await topic.WaitUntil(async () => await serve.Metric("risk_faults_total", "\"KAFKA_UNAVAILABLE\"") >= 1, "an alarm");
        topic.Send(200, 400);
        topic.Flush();
        int waiting = ServedTopic.PartitionOf(key);
        long others = Enumerable.Range(0, 400).Count(n => ServedTopic.PartitionOf(Payments.Customer(n)) != waiting);
        topic.WaitForDecisions(others + topic.Decisions.Count(d => d.Partition == waiting));
        Assert.True(topic.Decisions.Count < 400, "the partition did not wait");
        topic.Broker.Mock.SetTopicError(topic.Topics.DeadLetters, 0);
        topic.WaitForDecisions(400);
        await topic.WaitUntil(() => Task.FromResult(!topic.DeadLetters.IsEmpty), "a dead letter");
        Assert.Equal(0, serve.Stop());
        topic.AssertOneDecisionEach(400, deadLetters: 1);
    }

    [Fact]
    public async Task F17_AnIdlePartition_FollowsTheClock()
    {
        using var topic = new ServedTopic(idleAfterSeconds: 1);
        ServeProcess serve = topic.StartProcess();
        topic.Send(0, 100);
        topic.WaitForDecisions(100);
        double now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() / 1e3;
        await topic.WaitUntil(async () =>
        {
            for (int p = 0; p < ServedTopic.PartitionCount; p++)
            {
                if (await serve.Metric("risk_watermark_seconds", $"\"{p}\"") < now - 2) { return false; }
            }
            return true;
        }, "every watermark near the clock", 30);
        serve.Kill();
        topic.Processes.Clear();
        // It is part of the position: the next owner knows it before it decides.
        serve = topic.StartProcess();
        await HttpTests.WaitReady(serve);
        await topic.WaitUntil(async () => await serve.Metric("risk_watermark_seconds", "\"0\"") >= now - 2, "the watermark again", 30);
        Assert.Equal(0, serve.Stop());
        topic.AssertOneDecisionEach(100);
    }

    [MockFact]
    public async Task F18_AllBrokersDown_HttpGoesOn_AndEverythingIsPublishedLater()
    {
        // Longer than the test: past it the group would have given the partitions to others.
        using var topic = new ServedTopic(properties: new() { ["session.timeout.ms"] = "60000", ["heartbeat.interval.ms"] = "1000" });
        ServeProcess serve = topic.StartProcess();
        topic.Send(0, 300);
        topic.WaitForDecisions(300);
        topic.Flush();
        topic.Broker.Mock.AllDown();
        await topic.WaitUntil(async () => (await serve.Get("/health/ready")).Json is var health && health.GetProperty("status").GetString() == "degraded"
            && health.GetProperty("reasons").EnumerateArray().Any(r => r.GetProperty("code").GetString() == "KAFKA_UNAVAILABLE"), "degraded");
        Assert.Equal(1, await serve.Metric("risk_faults_total", "\"KAFKA_UNAVAILABLE\""));
        using var process = System.Diagnostics.Process.GetProcessById(serve.Id);
        long memory = 0, next = 300;
        for (var down = System.Diagnostics.Stopwatch.StartNew(); next < 800 || down.Elapsed < s_downAtLeast; next++)
        {
            (int status, string body) = await serve.Post(Payments.Json(next));
            Assert.True(status == 200, body);
            // From when it is warm on.
            if (next == 550) { memory = Memory(process); }
        }
        Assert.True(Memory(process) < memory + (64 << 20), $"{memory >> 20} MiB became {Memory(process) >> 20}");
        Assert.Equal(300, topic.Decisions.Count);
        topic.Broker.Mock.AllUp();
        topic.Send(next, next + 200);
        topic.WaitForDecisions(next + 200);
        await topic.WaitUntil(async () => (await serve.Get("/health/ready")).Json.GetProperty("status").GetString() == "ready", "ready");
        Assert.Equal(0, serve.Stop());
        topic.AssertOneDecisionEach(next + 200);
    }

    private static long Memory(System.Diagnostics.Process process)
    {
        process.Refresh();
        return process.WorkingSet64;
    }

    [Fact]
    public async Task F19_AGapInTheSourcesNumbers_IsAlarmed_AndNothingSkipped()
    {
        using var topic = new ServedTopic();
        ServeProcess serve = topic.StartProcess();
        long[] numbers = [1, 2, 5, 6];
        string key = Payments.Customer(0);
        long[] same = [.. Enumerable.Range(0, 4000).Select(n => (long)n).Where(n => Payments.Customer(n) == key).Take(4)];
        for (int i = 0; i < numbers.Length; i++) { topic.Send(key, Payments.Json(same[i]), new Headers { { CloudEvents.SequenceHeader, Encoding.ASCII.GetBytes(numbers[i].ToString(CultureInfo.InvariantCulture)) } }); }
        topic.WaitForDecisions(4);
        Assert.Equal(1, await serve.Metric("risk_faults_total", "SOURCE_GAP"));
        Assert.Contains("SOURCE_GAP", serve.Errors, StringComparison.Ordinal);
        Assert.Equal(0, serve.Stop());
        topic.AssertOneDecisionEach(4);
    }

    [Fact]
    public async Task Labels_AreLearned_AndSurviveAKill()
    {
        double[] without = await ScoreAfter(labels: false, kill: false), with = await ScoreAfter(labels: true, kill: false), killed = await ScoreAfter(labels: true, kill: true);
        Assert.Equal(with, killed);
        Assert.True(with[^1] > without[^1], $"{with[^1]} is not above {without[^1]}");
    }

    /// <summary>Payments at one terminal, some of them told to be frauds, and then payments there when that counts.</summary>
    private static async Task<double[]> ScoreAfter(bool labels, bool kill)
    {
        static string Json(int n, double day) => string.Create(CultureInfo.InvariantCulture, $$"""{"transaction_id":"q{{n}}","time":"{{Payments.Start.AddDays(day - 20):yyyy-MM-ddTHH:mm:ss.fffZ}}","customer_id":"c1","terminal_id":"t1","amount":{{20 + n}}}""");
        using var topic = new ServedTopic(entityWaitMillis: 10_000);
        ServeProcess serve = topic.StartProcess();
        for (int n = 0; n < 10; n++) { topic.Send("c1", Json(n, n * 0.1)); }
        topic.WaitForDecisions(10);
        if (labels)
        {
            for (int n = 0; n < 10; n += 2) { topic.SendTo(topic.Topics.Labels, "c1", $$"""{"transaction_id":"q{{n}}","fraud":1}"""); }
            topic.SendTo(topic.Topics.Labels, "c1", """{"transaction_id":"q0","fraud":1}""");
            await topic.WaitUntil(async () => await serve.Metric("risk_labels_total") == 5, "five labels");
        }
        if (kill)
        {
            serve.Kill();
            topic.Processes.Clear();
            serve = topic.StartProcess();
        }
        for (int n = 10; n < 13; n++) { topic.Send("c1", Json(n, 8.5 + n * 0.01)); }
        topic.WaitForDecisions(13);
        return [.. topic.Decisions.Select(d => JsonDocument.Parse(d.Json).RootElement).Where(d => d.GetProperty("eventTime").GetDateTime() > Payments.Start.AddDays(-12)).Select(d => d.GetProperty("score").GetDouble())];
    }
}
