using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Risk.Core.Log;
using Risk.Storage.Log;

namespace Risk.Cluster.Tests;

/// <summary>
/// Terminals meet cards of every partition, and their history lives with one of them: asked by grain calls. Silos must see of a
/// terminal what one engine sees that has the whole stream, labels included, and also after one was killed.
/// </summary>
public sealed class SharedEntityTests
{
    private const int Count = 300, Labelled = 60, LabelsAt = 70, KillAt = 180;
    private static readonly TimeSpan s_waitMax = TimeSpan.FromSeconds(120);

    [ClusterFact]
    public async Task TwoSilos_ScoreAsOneEngineDoes_AlsoAfterAKill()
    {
        using var topics = new TestTopics();
        using var cluster = new TestCluster(topics.Broker.BootstrapServers, entityWaitMillis: 10_000);
        Dictionary<string, double> expected = ScoresOfOneEngine(cluster);
        TestSilo first = cluster.StartSilo("0"), second = cluster.StartSilo("1");
        RiskClusterClient client = cluster.Connect();
        await WaitComplete(first, second);
        var scores = new Dictionary<string, double>();
        for (int n = 0; n < Count; n++)
        {
            if (n == LabelsAt)
            {
                for (int l = 0; l < Labelled; l += 2) { topics.SendLabel(Customer(l), $$"""{"transaction_id":"s{{l}}","fraud":1}"""); }
                await WaitUntil(async () => await Metric(first, "risk_labels_total") + await Metric(second, "risk_labels_total") == Labelled / 2, "labels learned");
            }
            if (n == KillAt)
            {
                second.Kill();
                await WaitComplete(first);
                await Task.Delay(2500); // what the new owners could not read in the logs is told them within a second or so
            }
            ShardAnswer answer = (await client.Decide([Json(n)], s_waitMax))[0];
            Assert.True(answer.Code is "" or "DUP_SAME", answer.Code);
            string decision = Encoding.UTF8.GetString(answer.Decision);
            Assert.False(decision.Contains("\"INCOMPLETE\"", StringComparison.Ordinal), $"{decision}\n{cluster.Errors}");
            scores[$"s{n}"] = JsonDocument.Parse(decision).RootElement.GetProperty("score").GetDouble();
        }
        foreach ((string id, double score) in scores) { Assert.True(expected[id] == score, $"{id}: one engine says {expected[id]:R}, the silos {score:R}"); }
        Assert.True(expected.Values.Distinct().Count() > Count / 3, "the scores hardly depend on anything");
    }

    private static string Customer(int n) => string.Create(CultureInfo.InvariantCulture, $"c{n * 7 % 30}");

    private static double Amount(int n) => 1 + n * 37 % 120;

    private static string Time(int n) => new DateTime(2018, 4, 1, 0, 0, 0, DateTimeKind.Utc).AddHours(n * 2).ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);

    private static byte[] Json(int n) => Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $$"""{"transaction_id":"s{{n}}","time":"{{Time(n)}}","customer_id":"{{Customer(n)}}","terminal_id":"t{{n % 4}}","amount":{{Amount(n)}}}"""));

    /// <summary>Every partition is at one of the silos, each has some, and their shared entities are ready.</summary>
    private static Task WaitComplete(params TestSilo[] silos) => WaitUntil(async () =>
    {
        int owned = 0;
        foreach (TestSilo silo in silos)
        {
            using HttpResponseMessage reply = await silo.Process.Http.GetAsync(new Uri("/health/ready", UriKind.Relative));
            JsonElement health = JsonDocument.Parse(await reply.Content.ReadAsStringAsync()).RootElement;
            if (health.GetProperty("status").GetString() != "ready" || health.GetProperty("partitions").GetArrayLength() == 0) { return false; }
            owned += health.GetProperty("partitions").GetArrayLength();
        }
        return owned == TestCluster.Partitions;
    }, "all partitions and shared entities ready");

    private static async Task<long> Metric(TestSilo silo, string name)
    {
        string metrics = await silo.Process.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative));
        return long.Parse(metrics.Split('\n').First(l => l.StartsWith(name + " ", StringComparison.Ordinal))[(name.Length + 1)..], CultureInfo.InvariantCulture);
    }

    private static async Task WaitUntil(Func<Task<bool>> condition, string what)
    {
        for (var waited = Stopwatch.StartNew(); !await condition(); await Task.Delay(100)) { Assert.True(waited.Elapsed < s_waitMax, $"not {what} after {waited.Elapsed}"); }
    }

    private static Dictionary<string, double> ScoresOfOneEngine(TestCluster cluster)
    {
        var rows = new StringBuilder("transaction_id,time,customer_id,terminal_id,amount\n");
        for (int n = 0; n < Count; n++) { rows.Append(CultureInfo.InvariantCulture, $"s{n},{Time(n)},{Customer(n)},t{n % 4},{Amount(n)}\n"); }
        var labels = new StringBuilder("transaction_id,fraud\n");
        for (int l = 0; l < Labelled; l += 2) { labels.Append(CultureInfo.InvariantCulture, $"s{l},1\n"); }
        string log = cluster.RunDemo(rows.ToString(), labels.ToString());
        var scores = new Dictionary<string, double>();
        using var reader = DecisionLogReader.Open(log);
        while (reader.Read())
        {
            DecisionRecordCodec.Read(reader.Record, out DecisionRecord record);
            scores.Add(Encoding.UTF8.GetString(record.EventId), record.CalibratedScore);
        }
        return scores;
    }
}
