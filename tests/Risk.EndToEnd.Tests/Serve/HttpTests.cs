using System.Globalization;
using System.Text.Json;

namespace Risk.EndToEnd.Tests.Serve;

/// <summary><c>risk serve</c> by HTTP alone, its log in files.</summary>
public sealed class HttpTests : IDisposable
{
    private readonly TestFolder _folder = new();

    [Fact]
    public async Task OneDecisionAnEvent_TheSameBytesAgain_AlsoAfterKill()
    {
        string first;
        using (ServeProcess serve = Start())
        {
            await WaitReady(serve);
            (int status, first) = await serve.Post(Payments.Json(1));
            Assert.True(status == 200, first);
            (status, string again) = await serve.Post(Payments.Json(1));
            Assert.Equal((200, first), (status, again));
            Assert.Equal(1, await serve.Metric("risk_faults_total", "DUP_SAME"));
            serve.Kill();
        }
        using (ServeProcess serve = Start())
        {
            await WaitReady(serve);
            Assert.Equal((200, first), await serve.Post(Payments.Json(1)));
            (int status, JsonElement found) = await serve.Get("/v1/decisions/p1");
            Assert.Equal((200, first), (status, found.GetRawText()));
            Assert.Equal(0, await serve.Metric("risk_decisions_total"));
            Assert.Equal(0, serve.Stop());
        }
        RiskProcess.Run("verify", _folder["store/0000"], "--json").Succeeded();
    }

    [Fact]
    public async Task ManyAtOnce_EachHasItsOwn_AndLookUpFindsIt()
    {
        using ServeProcess serve = Start();
        await WaitReady(serve);
        (int Status, string Body)[] replies = await Task.WhenAll(Enumerable.Range(0, 200).Select(n => serve.Post(Payments.Json(n / 2))));
        Assert.All(replies.Index(), r =>
        {
            Assert.True(r.Item.Status == 200, r.Item.Body);
            Assert.Equal(Payments.Id(r.Index / 2), JsonDocument.Parse(r.Item.Body).RootElement.GetProperty("eventId").GetString());
        });
        for (int n = 0; n < 200; n += 2) { Assert.Equal(replies[n], replies[n + 1]); }
        Assert.Equal(100, await serve.Metric("risk_decisions_total"));
        Assert.Equal(404, (await serve.Get("/v1/decisions/unknown")).Status);
    }

    [Theory]
    [InlineData("""{"transaction_id":"x","time":"2026-11-01T00:00:00Z","customer_id":"c","terminal_id":"t","amount":-1}""", 400, "VALUE_RANGE")]
    [InlineData("""{"transaction_id":"x","time":"2026-11-01T00:00:00Z","customer_id":"c","terminal_id":"t","amount":1,"amount":2}""", 400, "SCHEMA_INVALID")]
    [InlineData("""{"transaction_id":"x","time":"2026-11-01T00:00:00","customer_id":"c","terminal_id":"t","amount":1}""", 400, "TS_INVALID")]
    [InlineData("""{"transaction_id":"x","time":"2199-11-01T00:00:00Z","customer_id":"c","terminal_id":"t","amount":1}""", 400, "TS_FUTURE")]
    [InlineData("""{"transaction_id":"4111111111111111","time":"2026-11-01T00:00:00Z","customer_id":"c","terminal_id":"t","amount":1}""", 400, "PAN_FORBIDDEN")]
    [InlineData("nothing like it", 400, "PARSE_ERROR")]
    public async Task BadInput_IsRefused_WithItsCode_AndNothingOfIt(string body, int status, string code)
    {
        using ServeProcess serve = Start();
        await WaitReady(serve);
        (int got, string problem) = await serve.Post(body);
        Assert.True(got == status && JsonDocument.Parse(problem).RootElement.GetProperty("code").GetString() == code, problem);
        Assert.DoesNotContain("4111111111111111", problem + serve.Errors, StringComparison.Ordinal);
        Assert.Equal(1, await serve.Metric("risk_faults_total", code));
        Assert.Equal(0, await serve.Metric("risk_decisions_total"));
    }

    [Fact]
    public async Task OtherPayload_IsAConflict_TooLarge_IsSaid_DeadlinesAreChecked()
    {
        using ServeProcess serve = Start();
        await WaitReady(serve);
        Assert.Equal(200, (await serve.Post(Payments.Json(1))).Status);
        Assert.Equal(409, (await serve.Post(Payments.Json(1, amount: 5000))).Status);
        Assert.Equal(413, (await serve.Post(Payments.Json(2) + new string(' ', 60_000))).Status);
        Assert.Equal(400, (await serve.Post(Payments.Json(3), ("Deadline-Ms", "soon"))).Status);
        Assert.Equal(200, (await serve.Post(Payments.Json(3), ("Deadline-Ms", "5000"))).Status);
    }

    [Theory]
    [InlineData("""{ "stroe": {} }""", "CONFIG_INVALID")]
    [InlineData("""{ "batch": null }""", "CONFIG_INVALID")]
    [InlineData("""{ "store": { "postgres": "Host=db;Password=hunter2" } }""", "SECRET_INLINE")]
    [InlineData("""{ "kafka": { "properties": { "bootstrap.servers": "x:1", "sasl.password": "hunter2" } } }""", "KAFKA_SECRET_INLINE")]
    [InlineData("""{ "stream": "no-such-stream" }""", "STREAM_NOT_FOUND")]
    public void BadConfiguration_IsRefused_WithItsCode_AndNoSecret(string json, string code)
    {
        RiskResult result = RiskProcess.Run("serve", "--config", _folder.Write("bad.json", json));
        Assert.Equal(2, result.ExitCode);
        Assert.StartsWith(code + ": ", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", result.Error + result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PortTaken_IsSaid()
    {
        using ServeProcess serve = Start();
        await WaitReady(serve);
        string other = _folder.Write("other.json", JsonSerializer.Serialize(new { store = new { directory = _folder["other"] } }));
        RiskResult result = RiskProcess.Run("serve", "--config", other, "--port", serve.Http.BaseAddress!.Port.ToString(CultureInfo.InvariantCulture));
        Assert.Equal(3, result.ExitCode);
        Assert.StartsWith("LISTEN_FAILED: ", result.Error, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    internal static async Task WaitReady(ServeProcess serve)
    {
        var waited = System.Diagnostics.Stopwatch.StartNew();
        while ((await serve.Get("/health/ready")).Status != 200)
        {
            Assert.True(waited.Elapsed < TimeSpan.FromMinutes(1) && !serve.HasExited, $"never ready:\n{serve.Errors}");
            await Task.Delay(50);
        }
    }

    private ServeProcess Start() => ServeProcess.Start(_folder.Write("serve.json", JsonSerializer.Serialize(new { store = new { directory = _folder["store"] } })));
}
