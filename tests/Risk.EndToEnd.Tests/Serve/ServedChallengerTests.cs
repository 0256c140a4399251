using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Risk.Storage.Log;

namespace Risk.EndToEnd.Tests.Serve;

/// <summary>Challengers of a serving process: whatever becomes of them, decisions come.</summary>
public sealed partial class ServedChallengerTests : IDisposable
{
    private const string Sequence = "card-payments-sequence";
    private const int PaymentCount = 60;

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task ChallengerThatStandsStill_DelaysNobody_AndCatchesUp()
    {
        string own = Path.Combine(_folder["store"], "challengers", Sequence, "0000");
        string configuration = _folder.Write("serve.json", JsonSerializer.Serialize(new { store = new { directory = _folder["store"] }, challengers = new[] { new { model = Sequence } } }));
        // Somebody holds its log: it can neither open it nor write.
        using (FileDecisionLog.Open(own, new DecisionLogOptions { Origin = $"risk/card-payments/challengers/{Sequence}/0" }))
        using (ServeProcess serve = ServeProcess.Start(configuration))
        {
            await HttpTests.WaitReady(serve);
            for (int n = 0; n < PaymentCount; n++) { Assert.Equal(200, (await serve.Post(Payments.Json(n))).Status); }
            await WaitFor(serve, "risk_challenger_up", 0);
            Assert.Equal(PaymentCount, Value(await serve.Metrics(), "risk_challenger_behind_decisions"));
            Assert.Contains("LOG_IN_USE", serve.Errors, StringComparison.Ordinal);
            Assert.Equal(200, (await serve.Post(Payments.Json(PaymentCount))).Status);
            Assert.Equal(0, serve.Stop());
        }
        Directory.Delete(own, recursive: true);
        using (ServeProcess serve = ServeProcess.Start(configuration))
        {
            await HttpTests.WaitReady(serve);
            await WaitFor(serve, "risk_challenger_behind_decisions", 0);
            string metrics = await serve.Metrics();
            Assert.Equal(1, Value(metrics, "risk_challenger_up"));
            Assert.Equal(PaymentCount + 1, Values(metrics, "risk_challenger_decisions_total").Sum());
            Assert.True(Value(metrics, "risk_challenger_energy_joules_total") > 0);
            Assert.Equal(0, serve.Stop());
        }
        List<string> champion = ServedTopic.EventsOf(Path.Combine(_folder["store"], "0000"));
        Assert.Equal(PaymentCount + 1, champion.Count);
        Assert.Equal(champion, ServedTopic.EventsOf(own));
        JsonElement costs = RiskProcess.Run("cost", "report", Path.Combine(_folder["store"], "challengers", Sequence), "--json").Succeeded().Json;
        Assert.Equal(PaymentCount + 1, costs.GetProperty("decisions").GetInt64());
        Assert.InRange(costs.GetProperty("metered").GetProperty("difference").GetDouble(), 0, 0.01);
    }

    [Theory]
    [InlineData("""{"challengers":[{"model":"card-fraud@1","accelerators":["gpu"]}]}""", "CONFIG_INVALID", "called gpu")]
    [InlineData("""{"challengers":[{"model":""}]}""", "CONFIG_INVALID", "$.challengers")]
    [InlineData("""{"challengers":[{"name":"card-fraud@1"}]}""", "CONFIG_INVALID", "name")]
    [InlineData("""{"challengers":[{"model":"nowhere"}]}""", "STREAM_NOT_FOUND", "nowhere")]
    public void WhatIsWrongInTheConfiguration_IsSaidAtOnce(string json, string code, string names)
    {
        RiskResult refused = RiskProcess.Run("serve", "--config", _folder.Write("serve.json", json), "--port", "0", "--json");
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains(code, refused.Error, StringComparison.Ordinal);
        Assert.Contains(names, refused.Error, StringComparison.Ordinal);
    }

    private static async Task WaitFor(ServeProcess serve, string name, double value)
    {
        for (int tries = 0; tries < 600; tries++)
        {
            if (Values(await serve.Metrics(), name) is [var one] && one == value) { return; }
            await Task.Delay(50);
        }
        Assert.Fail($"{name} does not become {value}:\n{serve.Errors}");
    }

    private static double Value(string metrics, string name) => Assert.Single(Values(metrics, name));

    private static double[] Values(string metrics, string name) => [.. Line().Matches(metrics).Where(m => m.Groups[1].Value == name).Select(m => double.Parse(m.Groups[2].Value, CultureInfo.InvariantCulture))];

    [GeneratedRegex(@"^(\w+)(?:\{.*\})? (\S+)$", RegexOptions.Multiline)]
    private static partial Regex Line();
}
