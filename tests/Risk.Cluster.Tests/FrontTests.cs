using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Xunit.Abstractions;

namespace Risk.Cluster.Tests;

/// <summary><c>risk serve --cluster</c>: HTTP in, calls to the silos out.</summary>
public sealed class FrontTests(ITestOutputHelper output)
{
    private static readonly TimeSpan s_waitMax = TimeSpan.FromSeconds(120);

    [ClusterFact]
    public async Task WithoutSilos_ItSaysSo_AndDecidesByItselfWhenThereAreSome()
    {
        using var cluster = new TestCluster();
        TestProcess front = cluster.StartFront();
        await AssertUnavailable(front);

        TestSilo first = cluster.StartSilo("0"), second = cluster.StartSilo("1");
        await WaitUntil(async () => (await Get(front, "/health/ready")).Status == 200, "the front is ready", cluster);
        // A silo that joins gets its share without being told, and each partition is at one silo.
        await WaitUntil(async () => string.Join('|', (await Partitions(first)).Order()) is "0|2" or "1|3" && (await Partitions(first)).Concat(await Partitions(second)).Order().SequenceEqual([0, 1, 2, 3]), "the partitions are shared", cluster);
        var made = new List<string>();
        for (int n = 0; n < 40; n++)
        {
            (int status, string decision, _) = await Post(front, Payments.Json(n));
            Assert.True(status == 200, decision);
            made.Add(decision);
        }
        for (int n = 0; n < made.Count; n++)
        {
            // Whoever is asked, whoever owns it.
            Assert.Equal((200, made[n], ""), await Post(n % 2 == 0 ? first.Process : second.Process, Payments.Json(n)));
            Assert.Equal((200, made[n], ""), await Get(front, $"/v1/decisions/{Payments.Id(n)}"));
        }
        Assert.Equal((404, "DECISION_NOT_FOUND", ""), Coded(await Get(front, "/v1/decisions/none")));
        Assert.Equal((409, "ID_CONFLICT", ""), Coded(await Post(front, Payments.Json(7, amount: 999))));
        Assert.Equal((400, "SCHEMA_INVALID", ""), Coded(await Post(front, "{}"u8.ToArray())));

        // One goes, the other dies: no silo is left. One comes back in its place (elsewhere it would wait until the dead one's
        // last sign of life is 90 s old).
        Assert.Equal(0, second.Process.Stop());
        await WaitUntil(async () => (await Partitions(first)).Count() == TestCluster.Partitions, "the other silo has its partitions", cluster);
        Assert.Equal((200, made[1], ""), await Post(front, Payments.Json(1)));
        first.Kill();
        await WaitUntil(async () => (await Get(front, "/health/ready")).Status == 503, "the front sees that no silo is left", cluster);
        await AssertUnavailable(front);
        cluster.StartSilo("0", first);
        await WaitUntil(async () => (await Post(front, Payments.Json(100))).Status == 200, "it decides again", cluster);
        Assert.Equal((200, made[0], ""), await Post(front, Payments.Json(0)));
        string metrics = (await Get(front, "/metrics")).Text;
        Assert.Contains("risk_faults_total{code=\"SCHEMA_INVALID\"} 1\n", metrics, StringComparison.Ordinal);
        Assert.DoesNotContain("risk_faults_total{code=\"CLUSTER_UNAVAILABLE\"} 0\n", metrics, StringComparison.Ordinal);
        Assert.Contains("risk_faults_total{code=\"BUG\"} 0\n", metrics, StringComparison.Ordinal);
        TestProcess other = cluster.StartFront(TestCluster.Partitions + 1);
        await WaitUntil(async () => Coded(await Post(other, Payments.Json(101))) == (503, "CLUSTER_DIFFERS", "1"), "a front that was told of another number of partitions refuses", cluster);
        Assert.Equal(0, front.Stop());
        cluster.AssertOneDecisionEach(41);
    }

    /// <summary>Its connections stay open, so that what the front sends by it is neither answered nor refused until Orleans declares it dead.</summary>
    [ClusterFact]
    public async Task AFrozenSilo_DoesNotHoldUpPartitionsOfTheOther()
    {
        using var cluster = new TestCluster();
        // Not found out while this test runs.
        TestSilo frozen = cluster.StartSilo("0", probeSeconds: 200), other = cluster.StartSilo("1", probeSeconds: 200);
        TestProcess front = cluster.StartFront();
        await WaitUntil(async () => (await Partitions(frozen)).Count() == 2 && (await Partitions(other)).Count() == 2, "the partitions are shared", cluster);
        await WaitUntil(async () => (await Get(front, "/health/ready")).Status == 200, "the front is ready", cluster);
        int[] theirs = [.. await Partitions(other)];
        RiskClusterClient client = cluster.Connect(other);
        int[] numbers = [.. Enumerable.Range(0, 400).Where(n => theirs.Contains(client.PartitionOf(Payments.Json(n)))).Take(16)];
        // Every silo has been asked for every partition: where one lives, a silo that never was would look up in a part of Orleans'
        // directory that may be at the frozen one.
        foreach (int n in numbers[..8]) { Assert.Equal(200, (await Post(other.Process, Payments.Json(n))).Status); }

        frozen.Process.Freeze();
        var waiting = Stopwatch.StartNew();
        await Task.WhenAll(numbers.Select(n => WaitUntil(async () => (await Post(front, Payments.Json(n))).Status == 200, $"payment {n} is decided", cluster)));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{numbers.Length} payments of the other silo's partitions decided {waiting.Elapsed.TotalSeconds:F1} s after the freeze"));
        await WaitUntil(async () => (await Get(front, $"/v1/decisions/{Payments.Id(numbers[0])}")).Status == 200, "it is found", cluster);
        Assert.Equal(1, cluster.Query<long>($"SELECT count(*) FROM orleansmembershiptable WHERE port = {frozen.SiloPort} AND status = 3"));
        frozen.Kill();
        cluster.AssertOneDecisionEach(numbers.Length);
    }

    private static async Task AssertUnavailable(TestProcess front)
    {
        Assert.Equal(200, (await Get(front, "/health/live")).Status);
        Assert.Contains("CLUSTER_UNAVAILABLE", (await Get(front, "/health/ready")).Text, StringComparison.Ordinal);
        // At once, not after the longest deadline that can be asked for.
        var asked = Stopwatch.StartNew();
        Assert.Equal((503, "CLUSTER_UNAVAILABLE", "1"), Coded(await Post(front, Payments.Json(1), deadlineMillis: 60_000)));
        Assert.True(asked.Elapsed.TotalSeconds < 50, $"{asked.Elapsed}: not at once, but after the deadline");
        Assert.Equal((503, "CLUSTER_UNAVAILABLE", "1"), Coded(await Get(front, $"/v1/decisions/{Payments.Id(1)}")));
    }

    private static async Task<IEnumerable<int>> Partitions(TestSilo silo) => [.. JsonDocument.Parse((await Get(silo.Process, "/health/ready")).Text).RootElement.GetProperty("partitions").EnumerateArray().Select(p => p.GetInt32())];

    private static async Task<(int Status, string Text, string RetryAfter)> Get(TestProcess process, string path) => await Read(await process.Http.GetAsync(new Uri(path, UriKind.Relative)));

    private static async Task<(int Status, string Text, string RetryAfter)> Post(TestProcess process, byte[] body, int? deadlineMillis = null)
    {
        using var content = new ByteArrayContent(body);
        if (deadlineMillis is { } millis) { content.Headers.Add("Deadline-Ms", millis.ToString(CultureInfo.InvariantCulture)); }
        return await Read(await process.Http.PostAsync(new Uri("/v1/decisions", UriKind.Relative), content));
    }

    private static async Task<(int Status, string Text, string RetryAfter)> Read(HttpResponseMessage reply)
    {
        using (reply) { return ((int)reply.StatusCode, await reply.Content.ReadAsStringAsync(), reply.Headers.RetryAfter?.ToString() ?? ""); }
    }

    private static (int Status, string Code, string RetryAfter) Coded((int Status, string Text, string RetryAfter) reply) =>
        (reply.Status, JsonDocument.Parse(reply.Text).RootElement.TryGetProperty("code", out JsonElement code) ? code.GetString()! : reply.Text, reply.RetryAfter);

    private static async Task WaitUntil(Func<Task<bool>> condition, string what, TestCluster cluster)
    {
        for (var waited = Stopwatch.StartNew(); !await condition(); await Task.Delay(100)) { Assert.True(waited.Elapsed < s_waitMax, $"{what}: not after {waited.Elapsed}\n{cluster.Errors}"); }
    }
}
