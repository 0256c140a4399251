using System.Globalization;
using System.Text;
using System.Text.Json;
using Risk.Core.Log;
using Risk.Storage.Log;

namespace Risk.EndToEnd.Tests.Serve;

/// <summary>
/// Terminals meet cards of every partition. Twelve partitions in three processes must see of a terminal what one engine sees
/// that has the whole stream, labels included, and also after a process was killed. Alone, because its sessions are so short that
/// a busy machine loses them.
/// </summary>
[Collection(nameof(Alone))]
public sealed class SharedEntityTests : IDisposable
{
    private const int Count = 360, Labelled = 60, LabelsAt = 70;
    private readonly TestFolder _folder = new();

    [Fact]
    public async Task TwelvePartitions_ScoreAsOneEngineDoes_AlsoAfterAKill()
    {
        Dictionary<string, double> expected = ScoresOfOneEngine();
        using var topic = new ServedTopic(entityWaitMillis: 10_000);
        for (int i = 0; i < 3; i++) { topic.StartProcess(); }
        await WaitComplete(topic, 3);
        for (int n = 0; n < Count; n++)
        {
            if (n == LabelsAt)
            {
                for (int l = 0; l < Labelled; l += 2) { topic.SendTo(topic.Topics.Labels, Customer(l), $$"""{"transaction_id":"s{{l}}","fraud":1}"""); }
                await topic.WaitUntil(async () => (await Task.WhenAll(topic.Processes.Select(p => p.Metric("risk_labels_total")))).Sum() == Labelled / 2, "labels learned");
            }
            if (n == 200)
            {
                topic.Processes[1].Kill();
                topic.Processes.RemoveAt(1);
                topic.StartProcess();
                await WaitComplete(topic, 3);
            }
            topic.Send(Customer(n), Json(n));
            topic.WaitForDecisions(n + 1);
        }
        int incomplete = topic.Decisions.Count(d => d.Json.Contains("\"INCOMPLETE\"", StringComparison.Ordinal));
        Assert.True(incomplete == 0, $"{incomplete} incomplete, the first {topic.Decisions.Index().FirstOrDefault(d => d.Item.Json.Contains("INCOMPLETE", StringComparison.Ordinal)).Index}:\n{string.Join("\n---\n", topic.Processes.Select(p => p.Errors))}");
        foreach (PublishedDecision decision in topic.Decisions)
        {
            Assert.True(expected[decision.EventId] == JsonDocument.Parse(decision.Json).RootElement.GetProperty("score").GetDouble(), $"{decision.EventId}: expected {expected[decision.EventId]:R}, got {decision.Json}");
        }
        Assert.True(expected.Values.Distinct().Count() > Count / 3, "the scores hardly depend on anything");
    }

    [Fact]
    public async Task AnyProcess_AnswersForEveryPartition()
    {
        using var topic = new ServedTopic();
        topic.StartProcess();
        topic.StartProcess();
        await WaitComplete(topic, 2);
        for (int n = 0; n < 40; n++)
        {
            (int status, string body) = await Served(topic, () => topic.Processes[n % 2].Post(Json(n)));
            Assert.True(status == 200, body);
            Assert.Equal((200, body), await Served(topic, () => topic.Processes[(n + 1) % 2].Post(Json(n))));
            Assert.Equal((200, body), await Served(topic, async () => await topic.Processes[(n + 1) % 2].Get($"/v1/decisions/s{n}") is var (found, decision) ? (found, decision.GetRawText()) : default));
        }
        topic.WaitForDecisions(40);
    }

    [Fact]
    public async Task AnOwnerThatIsGone_HoldsNobodyUp_AndTheRecordsSaySo()
    {
        using var topic = new ServedTopic();
        topic.StartProcess();
        topic.StartProcess();
        await WaitComplete(topic, 2);
        for (int n = 0; n < 60; n++) { topic.Send(Customer(n), Json(n, 50)); }
        topic.WaitForDecisions(60);
        topic.Processes[1].Freeze(); // its owners answer nothing, and its partitions are not given away yet
        JsonElement owned = (await topic.Processes[0].Get("/health/ready")).Json.GetProperty("partitions");
        HashSet<int> here = [.. owned.EnumerateArray().Select(p => p.GetInt32())];
        int sent = 0;
        for (int n = 60; n < 160; n++)
        {
            if (!here.Contains(ServedTopic.PartitionOf(Customer(n)))) { continue; }
            topic.Send(Customer(n), Json(n, 50));
            sent++;
        }
        topic.WaitForDecisions(60 + sent);
        Assert.True(await topic.Processes[0].Metric("risk_decisions_incomplete_total") > 0);
        Assert.Contains(topic.Decisions, d => d.Json.Contains("\"INCOMPLETE\"", StringComparison.Ordinal));
        topic.Processes[1].Thaw();
    }

    public void Dispose() => _folder.Dispose();

    private static string Customer(int n) => string.Create(CultureInfo.InvariantCulture, $"c{n * 7 % 30}");

    private static double Amount(int n) => 1 + n * 37 % 120;

    private static string Time(int n) => Payments.Start.AddDays(-60).AddHours(n * 2).ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);

    private static string Json(int n, int terminals = 4) => string.Create(CultureInfo.InvariantCulture, $$"""{"transaction_id":"s{{n}}","time":"{{Time(n)}}","customer_id":"{{Customer(n)}}","terminal_id":"t{{n % terminals}}","amount":{{Amount(n)}}}""");

    /// <summary>The answer to a call; 503 means try again, for a partition may move at any time.</summary>
    private static async Task<(int Status, string Body)> Served(ServedTopic topic, Func<Task<(int Status, string Body)>> call)
    {
        (int Status, string Body) answer = default;
        await topic.WaitUntil(async () => (answer = await call()).Status != 503, "served");
        return answer;
    }

    private static async Task WaitComplete(ServedTopic topic, int processes) => await topic.WaitUntil(async () =>
    {
        int owned = 0;
        foreach (ServeProcess process in topic.Processes)
        {
            JsonElement health = (await process.Get("/health/ready")).Json;
            if (health.GetProperty("status").GetString() != "ready" || health.GetProperty("partitions").GetArrayLength() == 0) { return false; }
            owned += health.GetProperty("partitions").GetArrayLength();
        }
        return owned == ServedTopic.PartitionCount && topic.Processes.Count == processes;
    }, "all partitions and shared entities ready");

    private Dictionary<string, double> ScoresOfOneEngine()
    {
        var rows = new StringBuilder("transaction_id,time,customer_id,terminal_id,amount\n");
        for (int n = 0; n < Count; n++) { rows.Append(CultureInfo.InvariantCulture, $"s{n},{Time(n)},{Customer(n)},t{n % 4},{Amount(n)}\n"); }
        var labels = new StringBuilder("transaction_id,fraud\n");
        for (int l = 0; l < Labelled; l += 2) { labels.Append(CultureInfo.InvariantCulture, $"s{l},1\n"); }
        RiskProcess.Run("demo", "--input", _folder.Write("in.csv", rows.ToString()), "--labels", _folder.Write("labels.csv", labels.ToString()), "--out", _folder["one"], "--json").Succeeded();
        var scores = new Dictionary<string, double>();
        using var reader = DecisionLogReader.Open(_folder["one"]);
        while (reader.Read())
        {
            DecisionRecordCodec.Read(reader.Record, out DecisionRecord record);
            scores.Add(Encoding.UTF8.GetString(record.EventId), record.CalibratedScore);
        }
        return scores;
    }
}
