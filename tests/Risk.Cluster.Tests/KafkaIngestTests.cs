using System.Diagnostics;
using System.Text;
using System.Text.Json;

namespace Risk.Cluster.Tests;

/// <summary>Kafka's messages and calls by key meet in one shard.</summary>
public sealed class KafkaIngestTests
{
    private const int ByKafka = 3000, FirstCall = 100_000;
    private static readonly TimeSpan s_answerMax = TimeSpan.FromSeconds(120);

    [ClusterFact]
    public async Task ByKafkaAndByCall_ASiloKilledUnderLoad_OneDecisionAnEvent()
    {
        using var topics = new TestTopics();
        using var cluster = new TestCluster(topics.Broker.BootstrapServers);
        List<TestSilo> silos = [cluster.StartSilo("0"), cluster.StartSilo("1")];
        RiskClusterClient client = cluster.Connect();
        topics.Send(0, 1000);
        topics.WaitForDecisions(1000, cluster);

        using var stop = new CancellationTokenSource();
        int called = 0;
        Task calls = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                int first = FirstCall + called;
                ShardAnswer[] answers = await client.Decide([.. Enumerable.Range(first, 20).Select(i => Payments.Json(i))], s_answerMax);
                Assert.All(answers, a => Assert.True(a.Code is "" or "DUP_SAME", a.Code));
                called += 20;
            }
        });
        topics.Send(1000, 2000);
        topics.WaitForDecisions(1100, cluster);
        // Where its messages go the shard is: each silo gets some, once the group has heard of the second.
        ShardPlace[] places = [];
        for (var waited = Stopwatch.StartNew(); places.Select(p => p.Silo).Distinct().Count() != 2; await Task.Delay(200))
        {
            Assert.True(waited.Elapsed < s_answerMax, $"{string.Join(' ', places)}\n{cluster.Errors}");
            places = await Task.WhenAll(Enumerable.Range(0, TestCluster.Partitions).Select(p => client.Shard(p).Place()));
        }
        TestSilo victim = silos.Find(s => places[0].Silo.Contains($":{s.SiloPort}", StringComparison.Ordinal))!;
        victim.Kill();
        topics.Send(2000, ByKafka);
        topics.WaitForDecisions(ByKafka, cluster);
        await stop.CancelAsync();
        await calls;

        // The same event by the other way gets the decision that stands.
        ShardAnswer[] again = await client.Decide([.. Enumerable.Range(0, 100).Select(i => Payments.Json(i))], s_answerMax);
        Assert.All(again, a => Assert.Equal("DUP_SAME", a.Code));
        topics.WaitForDecisions(ByKafka + called, cluster);
        Assert.Equal(ByKafka + called, topics.Decisions.Select(d => d.EventId).Distinct().Count());
        Assert.Equal(ByKafka + called, topics.Decisions.Count);
        Dictionary<string, string> published = topics.Decisions.ToDictionary(d => d.EventId, d => d.Json);
        for (int i = 0; i < again.Length; i++) { Assert.Equal(published[Payments.Id(i)], Encoding.UTF8.GetString(again[i].Decision)); }
        Assert.Empty(topics.DeadLetters);
        cluster.AssertOneDecisionEach(ByKafka + called);
    }

    [ClusterFact]
    public async Task AStoppedSilo_DrainsItsPartitions_AndEndsWell()
    {
        using var topics = new TestTopics();
        using var cluster = new TestCluster(topics.Broker.BootstrapServers);
        List<TestSilo> silos = [cluster.StartSilo("0"), cluster.StartSilo("1")];
        TestProcess front = cluster.StartFront();
        topics.Send(0, 600);
        topics.WaitForDecisions(300, cluster);
        Assert.Equal(0, silos[0].Process.Stop());
        topics.Send(600, 1200);
        topics.WaitForDecisions(1200, cluster);
        Assert.Equal(1200, topics.Decisions.Select(d => d.EventId).Distinct().Count());

        // The front finds them wherever they are, and behaves as `risk serve` does.
        using HttpResponseMessage found = await front.Http.GetAsync(new Uri($"/v1/decisions/{Payments.Id(7)}", UriKind.Relative));
        Assert.Equal(topics.Decisions.First(d => d.EventId == Payments.Id(7)).Json, await found.Content.ReadAsStringAsync());
        Assert.Equal((404, "DECISION_NOT_FOUND"), await Code(await front.Http.GetAsync(new Uri("/v1/decisions/none", UriKind.Relative))));
        Assert.Equal((200, ""), await Post(front, Payments.Json(5000)));
        Assert.Equal((200, ""), await Post(front, Payments.Json(7)));
        Assert.Equal((409, "ID_CONFLICT"), await Post(front, Payments.Json(7, amount: 999)));
        Assert.Equal((400, "PARSE_ERROR"), await Post(front, "{ not json"u8.ToArray()));
        Assert.Equal((400, "VALUE_RANGE"), await Post(front, Payments.Json(5001, amount: -1)));
        Assert.Equal((200, ""), await Post(silos[1].Process, Payments.Json(5002)));
        using HttpResponseMessage ready = await front.Http.GetAsync(new Uri("/health/ready", UriKind.Relative));
        Assert.Equal(200, (int)ready.StatusCode);
        Assert.Contains("risk_faults_total{code=\"VALUE_RANGE\"} 1", await front.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative)), StringComparison.Ordinal);
        Assert.Equal(0, front.Stop());
        Assert.Equal(0, silos[1].Process.Stop());
        cluster.AssertOneDecisionEach(1202);
    }

    private static async Task<(int Status, string Code)> Post(TestProcess process, byte[] body)
    {
        using var content = new ByteArrayContent(body);
        return await Code(await process.Http.PostAsync(new Uri("/v1/decisions", UriKind.Relative), content));
    }

    private static async Task<(int Status, string Code)> Code(HttpResponseMessage reply)
    {
        using (reply)
        {
            using JsonDocument json = JsonDocument.Parse(await reply.Content.ReadAsStringAsync());
            return ((int)reply.StatusCode, json.RootElement.TryGetProperty("code", out JsonElement code) ? code.GetString()! : "");
        }
    }
}
