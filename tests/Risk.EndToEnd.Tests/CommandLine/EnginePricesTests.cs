using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Risk.EndToEnd.Tests.Serve;

namespace Risk.EndToEnd.Tests.CommandLine;

/// <summary>Prices of the machine that an engine runs on: named by the bank, old, wrong or not there. None of it keeps an engine from deciding.</summary>
public sealed class EnginePricesTests : IDisposable
{
    private readonly TestFolder _folder = new();

    [Theory]
    [InlineData("hourly", "2015-01-01", "PRICE_STALE")]
    [InlineData("hourly", "2024-04-01", "PRICE_OLD")]
    public void OldPriceOfTheMachine_IsTold_AndDecisionsArePriced(string figure, string date, string code)
    {
        string book = Book(json =>
        {
            json["machines"]![0]![figure]!["date"] = date;
            json["ageDaysMax"] = (DateTime.UtcNow - new DateTime(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc)).Days;
        });

        RiskResult run = Demo("--prices", book);

        Assert.Single(run.Error.Split('\n'), line => line.StartsWith($"{code}: default $.machines[0].{figure}: ", StringComparison.Ordinal));
        Assert.True(run.Json.GetProperty("cost").GetProperty("perThousand").GetDouble() > 0);
    }

    [Fact]
    public void BanksOwnBookAndMachine_AreWhatItIsChargedBy()
    {
        string book = Book(json =>
        {
            json["name"] = "own-bank";
            json["currency"] = "CHF";
            json["machines"]!.AsArray().RemoveAt(0);
            json["machines"]![0]!["name"] = "own-blade";
            json["machines"]![0]!["hourly"]!["unit"] = "CHF/h";
            json["devices"] = new JsonArray();
        }, "EUR", "CHF");

        JsonElement cost = Demo("--prices", book, "--machine", "own-blade").Json.GetProperty("cost");

        Assert.Equal("CHF", cost.GetProperty("currency").GetString());
        Assert.Contains("own-blade, owned", cost.GetProperty("method").GetString(), StringComparison.Ordinal);
        Assert.Contains("price book own-bank", cost.GetProperty("method").GetString(), StringComparison.Ordinal);
        string shown = RiskCommand.Run("show", "#3", "--out", _folder["run"]).Succeeded().Output;
        Assert.Contains(" CHF, ", shown, StringComparison.Ordinal);
        Assert.Contains("time measured; money by the price book", shown, StringComparison.Ordinal);
        string report = RiskCommand.Run("cost", "report", _folder["run"]).Succeeded().Output;
        Assert.Contains("Method 'measured': time measured; money by the price book", report, StringComparison.Ordinal);
        File.Delete(Path.Combine(_folder["run"], "costs.jsonl"));
        Assert.Contains("of the price book's currency (no costs.jsonl here says which)", RiskCommand.Run("cost", "report", _folder["run"]).Succeeded().Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("negative", "PRICE_INVALID: book.json $.machines[0].hourly.value: ")]
    [InlineData("missing", "PRICE_MISSING: book.json $.machines[0].hourly: ")]
    [InlineData("unknown machine", "PRICE_MISSING: ")]
    [InlineData("no file", "PRICE_MISSING: ")]
    [InlineData("no JSON", "PRICE_INVALID: ")]
    public void PriceThatCannotBeUsed_IsToldOnce_AndDecisionsCarryNoCost(string fault, string code)
    {
        string book = fault switch
        {
            "negative" => Book(json => json["machines"]![0]!["hourly"]!["value"] = -1),
            "missing" => Book(json => json["machines"]![0]!.AsObject().Remove("hourly")),
            "unknown machine" => Book(_ => { }),
            "no JSON" => _folder.Write("book.json", "{"),
            _ => _folder["nowhere.json"],
        };

        RiskResult run = Demo("--prices", book, "--clock", fault == "missing" ? "event" : "wall", "--machine", fault == "unknown machine" ? "mainframe" : "cloud-2");

        Assert.Single(run.Error.Split('\n'), line => line.StartsWith("PRICE_", StringComparison.Ordinal));
        Assert.Contains(code, run.Error, StringComparison.Ordinal);
        JsonElement cost = run.Json.GetProperty("cost");
        Assert.StartsWith("unpriced: PRICE_", cost.GetProperty("method").GetString(), StringComparison.Ordinal);
        Assert.False(cost.TryGetProperty("perThousand", out _));
        Assert.Contains("\"cost\":{\"method\":\"unpriced\"}", RiskCommand.Run("show", "#3", "--json", "--out", _folder["run"]).Succeeded().Output.Replace(" ", "", StringComparison.Ordinal).Replace("\n", "", StringComparison.Ordinal), StringComparison.Ordinal);
        JsonElement report = RiskCommand.Run("cost", "report", _folder["run"], "--json").Succeeded().Json;
        Assert.Equal(report.GetProperty("decisions").GetInt64(), report.GetProperty("unpricedDecisions").GetInt64());
        Assert.Equal(JsonValueKind.Null, report.GetProperty("metered").ValueKind);
        Assert.Contains("UNPRICED: ", RiskCommand.Run("cost", "report", _folder["run"]).Succeeded().Output, StringComparison.Ordinal);
        Assert.Equal(0, RiskCommand.Run("verify", _folder["run"]).ExitCode);
    }

    [Fact]
    public async Task ServingEngine_WithANegativePrice_StaysUp_CountsIt_AndItsRecordsSaySo()
    {
        string book = Book(json => json["machines"]![0]!["hourly"]!["value"] = -1), store = _folder["store"];
        string configuration = _folder.Write("serve.json", JsonSerializer.Serialize(new { store = new { directory = store }, prices = new { book, machine = "cloud-2" } }));
        using ServeProcess serve = ServeProcess.Start(configuration);
        await HttpTests.WaitReady(serve);

        (int status, string body) = await serve.Post(Payments.Json(1));

        Assert.Equal(200, status);
        Assert.Contains("\"cost\":{\"method\":\"unpriced\"}", body, StringComparison.Ordinal);
        Assert.Equal(1, await serve.Metric("risk_faults_total", "PRICE_INVALID"));
        Assert.Equal(0, await serve.Metric("risk_priced"));
        Assert.Contains("PRICE_INVALID", serve.Errors, StringComparison.Ordinal);
        Assert.Equal(0, serve.Stop());
        Assert.Contains("unpriced: PRICE_INVALID", File.ReadAllText(Path.Combine(store, "costs.jsonl")), StringComparison.Ordinal);
        Assert.Equal(1, RiskCommand.Run("cost", "report", store, "--json").Succeeded().Json.GetProperty("unpricedDecisions").GetInt64());
    }

    private RiskResult Demo(params string[] more) => RiskCommand.Run(["demo", "--json", "--transactions", "100", "--out", _folder["run"], .. more]).Succeeded();

    private string Book(Action<JsonNode> change, string from = "", string to = "")
    {
        string text = File.ReadAllText(Path.Combine(RiskProcess.Home, "ops", "prices", "default.json"));
        JsonNode book = JsonNode.Parse(from.Length == 0 ? text : text.Replace(from, to, false, CultureInfo.InvariantCulture))!;
        change(book);
        return _folder.Write("book.json", book.ToJsonString());
    }

    public void Dispose() => _folder.Dispose();
}
