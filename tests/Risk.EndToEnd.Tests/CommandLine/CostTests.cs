using System.Text.Json;
using System.Text.Json.Nodes;

namespace Risk.EndToEnd.Tests.CommandLine;

public sealed class CostTests(SharedRun run) : IClassFixture<SharedRun>
{
    // The shipped prices grow old; what these tests check does not depend on it.
    private const string Days = "100000";

    [Fact]
    public void Report_AddsUpToWhatWasMetered()
    {
        JsonElement report = RiskCommand.Run("cost", "report", run.Directory, "--json").Succeeded().Json;

        Assert.Equal(report.GetProperty("decisions").GetInt64(), report.GetProperty("rows").EnumerateArray().Sum(row => row.GetProperty("decisions").GetInt64()));
        Assert.True(report.GetProperty("money").GetDecimal() > 0);
        Assert.All(report.GetProperty("rows").EnumerateArray(), row => Assert.Equal(("card-payments", "card-fraud@1", "cpu"), (row.GetProperty("stream").GetString(), row.GetProperty("model").GetString(), row.GetProperty("device").GetString())));
        JsonElement metered = report.GetProperty("metered");
        Assert.InRange(metered.GetProperty("difference").GetDouble(), 0, 0.01);
        Assert.Equal(metered.GetProperty("total").GetProperty("money").GetDecimal() - metered.GetProperty("unallocated").GetProperty("money").GetDecimal(), report.GetProperty("money").GetDecimal());
    }

    [Fact]
    public void Compare_SetsEveryDeviceBesideTheCpu_AndWritesThePageWithItsArithmetic()
    {
        using var folder = new TestFolder();
        string page = folder["compare.html"];
        JsonElement compared = RiskCommand.Run("cost", "compare", "--json", "--html", page, "--price-age-max", Days).Succeeded().Json;

        JsonElement[] devices = [.. compared.GetProperty("devices").EnumerateArray()];
        Assert.Superset(
            new HashSet<string?> { "nvidia-a100", "nvidia-h200", "nvidia-t4", "inference-card-150w", "amd-vck5000", "habana-goya-hl-100" },
            devices.Select(device => device.GetProperty("name").GetString()).ToHashSet());
        Assert.Equal("measured", devices[0].GetProperty("basis").GetString());
        Assert.All(devices.Skip(1), device => Assert.True(device.TryGetProperty("breakEvenLoad", out _) && device.GetProperty("arithmetic").GetArrayLength() > 2));
        Assert.Contains("not from measurements", compared.GetProperty("warnings")[0].GetString(), StringComparison.Ordinal);
        Assert.All(devices, device => AssertInTime(device, 50_000));
        string html = File.ReadAllText(page);
        Assert.Equal(devices.Length, html.Split("<svg").Length - 1); // all in one picture, and each accelerator beside the CPU
        Assert.Contains("M/D/c", html, StringComparison.Ordinal);
        Assert.Contains("not from measurements", html, StringComparison.Ordinal);
        // Every figure that the arithmetic points to stands in the table with its source.
        Assert.All(devices.SelectMany(device => device.GetProperty("arithmetic").EnumerateArray()).SelectMany(line => line.GetProperty("figures").EnumerateArray()).Select(path => path.GetString()!).Distinct(),
            path => Assert.Contains($"<td><code>{path}</code></td>", html, StringComparison.Ordinal));
    }

    [Fact]
    public void Compare_NamesEveryStretchOfLoadWhereADeviceIsCheaper_AndTheLastingOne()
    {
        JsonElement compared = RiskCommand.Run("cost", "compare", "--json", "--model", "card-fraud-sequence@1", "--price-age-max", Days).Succeeded().Json;

        bool isStaircaseSeen = false;
        foreach (JsonElement even in compared.GetProperty("devices").EnumerateArray().Skip(1).Select(device => device.GetProperty("breakEvenLoad")))
        {
            JsonElement[] stretches = [.. even.GetProperty("cheaperAt").EnumerateArray()];
            double[] ends = [.. stretches.SelectMany(s => (JsonElement[])[s.GetProperty("from"), s.GetProperty("to")]).Where(e => e.ValueKind == JsonValueKind.Number).Select(e => e.GetDouble())];
            Assert.Equal(ends.Order(), ends);
            double? lasting = stretches is [.., var last] && last.GetProperty("to").ValueKind == JsonValueKind.Null ? last.GetProperty("from").GetDouble() : null;
            Assert.Equal(lasting, even.GetProperty("value").ValueKind == JsonValueKind.Null ? null : even.GetProperty("value").GetDouble());
            isStaircaseSeen |= stretches.Length > 1;
        }

        Assert.True(isStaircaseSeen);
    }

    /// <summary>At the asked load the row that waits longest is in time, and its parts add up.</summary>
    private static void AssertInTime(JsonElement device, double deadlineMicros)
    {
        JsonElement latency = device.GetProperty("latencyMicros");
        double part(string name) => latency.GetProperty(name).GetDouble();
        Assert.InRange(part("p99"), part("p50"), deadlineMicros);
        Assert.Equal(part("p99"), part("fillP99") + part("queueP99") + part("runP99"), 1e-6);
        Assert.Equal(part("p50"), part("fillP50") + part("queueP50") + part("runP50"), 1e-6);
    }

    [Fact]
    public void FigureWithOneEndOnly_IsShownWithItsValueAtTheOther()
    {
        using var folder = new TestFolder();
        JsonNode book = Book();
        book["pue"]!.AsObject().Remove("high");
        book["power"]!.AsObject().Remove("low");
        string page = folder["compare.html"];
        RiskCommand.Run("cost", "compare", "--json", "--html", page, "--prices", folder.Write("book.json", book.ToJsonString()), "--price-age-max", Days).Succeeded();

        Assert.Contains("1.1 – 1.58", File.ReadAllText(page), StringComparison.Ordinal);
        Assert.Contains("0.2 – 0.276", File.ReadAllText(page), StringComparison.Ordinal);
    }

    [Fact]
    public void BadPriceOfAnAccelerator_IsSaidOnce_AndTheEngineGoesOn()
    {
        using var folder = new TestFolder();
        string home = Path.GetDirectoryName(folder["home/x"])!, shipped = RiskProcess.Home;
        Directory.CreateDirectory(Path.Combine(home, "ops", "prices"));
        foreach (string linked in (string[])["models", "streams"]) { Directory.CreateSymbolicLink(Path.Combine(home, linked), Path.Combine(shipped, linked)); }
        JsonNode book = Book();
        book["devices"]![0]!["hourly"]!["value"] = -1;
        File.WriteAllText(Path.Combine(home, "ops", "prices", "default.json"), book.ToJsonString());

        RiskResult result = RiskProcess.RunIn(home, "demo", "--json", "--transactions", "200", "--out", folder["run"]).Succeeded();

        Assert.Single(result.Error.Split('\n'), line => line.StartsWith("PRICE_INVALID: ", StringComparison.Ordinal) && line.Contains("$.devices[0].hourly.value", StringComparison.Ordinal));
    }

    private static JsonNode Book() => JsonNode.Parse(File.ReadAllText(Path.Combine(RiskProcess.Home, "ops", "prices", "default.json")))!;

    [Fact]
    public void Plan_SaysWhatItRestsOn_AndScalingDownNeverCosts()
    {
        JsonElement plan = RiskCommand.Run("cost", "plan", "--load", "card-payments-day", "--scale", "1000", "--fleet", "nvidia-t4,amd-vck5000", "--json", "--price-age-max", Days).Succeeded().Json;

        Assert.Contains("not from measurements", plan.GetProperty("basis").GetString(), StringComparison.Ordinal);
        JsonElement[] fleets = [.. plan.GetProperty("fleets").EnumerateArray()];
        Assert.Contains(fleets, fleet => fleet.GetProperty("device").GetString() == "cpu");
        Assert.Equal(["owned", "rented"], fleets.Where(fleet => fleet.GetProperty("device").GetString() == "nvidia-t4").Select(fleet => fleet.GetProperty("tenure").GetString()).Distinct().Order());
        Assert.All(fleets, fleet => Assert.True(fleet.GetProperty("monthlySaving").GetProperty("value").GetDouble() >= -1e-9));
        Assert.All(fleets, fleet => AssertInTime(fleet, 50_000));
    }

    [Fact]
    public void Plan_WithABadBook_LeavesOutWhatHasNoPrice_AndSaysWhy()
    {
        using var folder = new TestFolder();
        JsonNode book = Book();
        JsonNode device(string name) => book["devices"]!.AsArray().Single(d => (string)d!["name"]! == name)!;
        device("nvidia-t4")["hourly"]!["value"] = -1;
        book["devices"]!.AsArray().Remove(device("nvidia-l4"));
        device("amd-vck5000")["purchase"]!["date"] = "1990-01-01";
        string file = folder.Write("book.json", book.ToJsonString());

        RiskResult result = RiskCommand.Run("cost", "plan", "--scale", "1000", "--fleet", "nvidia-t4,nvidia-l4,amd-vck5000,inference-card-150w", "--prices", file, "--price-age-max", "10000", "--json").Succeeded();

        Assert.Equal(["cpu", "inference-card-150w"], result.Json.GetProperty("fleets").EnumerateArray().Select(fleet => fleet.GetProperty("device").GetString()).Distinct().Order());
        foreach (string code in (string[])["PRICE_INVALID: ", "PRICE_MISSING: ", "PRICE_STALE: "])
        {
            Assert.Contains(code, result.Error, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("PRICE_STALE", "cost", "compare", "--price-age-max", "1")]
    [InlineData("PRICE_MISSING", "cost", "compare", "--prices", "no-such-file.json")]
    [InlineData("PRICE_MISSING", "cost", "compare", "--machine", "mainframe")]
    [InlineData("PROFILE_MISSING", "cost", "compare", "--cpu", "abacus", "--price-age-max", Days)]
    [InlineData("PRICE_STALE", "cost", "plan", "--price-age-max", "1")]
    [InlineData("USAGE", "cost", "plan", "--scale", "0", "--price-age-max", Days)]
    [InlineData("TRACE_NOT_FOUND", "cost", "plan", "--load", "no-such-trace")]
    [InlineData("USAGE", "cost", "compare", "--deadline", "-1")]
    [InlineData("USAGE", "cost", "compare", "--tenure", "stolen")]
    [InlineData("LOG_NOT_FOUND", "cost", "report", "no-such-folder")]
    public void BadInput_IsACodedError(string code, params string[] arguments)
    {
        RiskResult result = RiskCommand.Run(arguments);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains($"{code}: ", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void DeviceWithoutAPriceOrAProfile_IsLeftOut_AndTheOthersAreCompared()
    {
        RiskResult result = RiskCommand.Run("cost", "compare", "--json", "--devices", "nvidia-t4,abacus", "--price-age-max", Days).Succeeded();

        Assert.Equal(2, result.Json.GetProperty("devices").GetArrayLength());
        Assert.Contains("PROFILE_MISSING: ", result.Error, StringComparison.Ordinal);
    }
}
