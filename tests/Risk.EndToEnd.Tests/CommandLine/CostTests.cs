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
        decimal money(string part) => metered.GetProperty(part).GetProperty("money").GetDecimal();
        Assert.Equal(money("total") - money("atEnd"), report.GetProperty("money").GetDecimal());
        Assert.Equal(0, money("unallocated"));
        // The machine that Compare takes for the rented CPU prices the ledger too, and both say what its price rests on.
        Assert.Contains("cloud-2, rented at 0.11592 USD/h (published, at 0.8442 EUR/USD)", metered.GetProperty("method").GetString(), StringComparison.Ordinal);
        Assert.InRange(metered.GetProperty("devices")[0].GetProperty("batches").GetInt64(), 1, report.GetProperty("decisions").GetInt64());
    }

    [Fact]
    public void Compare_SetsEveryDeviceBesideTheCpu_AndWritesThePageWithItsArithmetic()
    {
        using var folder = new TestFolder();
        string page = folder["compare.html"];
        JsonElement compared = RiskCommand.Run("cost", "compare", "--json", "--html", page, "--price-age-max", Days).Succeeded().Json;

        JsonElement[] pairings = [.. compared.GetProperty("pairings").EnumerateArray()];
        JsonElement[] devices = [.. pairings.SelectMany(Devices)];
        Assert.Superset(
            new HashSet<string?> { "nvidia-a100", "nvidia-h200", "nvidia-t4", "inference-card-150w", "amd-vck5000", "habana-goya-hl-100" },
            devices.Select(device => device.GetProperty("name").GetString()).ToHashSet());
        Assert.All(pairings, pairing => Assert.Equal("measured", Devices(pairing)[0].GetProperty("timeBasis").GetString()));
        JsonElement[] cards = [.. pairings.SelectMany(pairing => Devices(pairing).Skip(1))];
        Assert.All(cards, device => Assert.True(device.TryGetProperty("breakEvenLoad", out _) && device.GetProperty("arithmetic").GetArrayLength() > 2));
        // One word that is assumed is enough.
        Assert.All(cards, device => Assert.Equal(("assumed", "assumed"), (device.GetProperty("basis").GetString(), device.GetProperty("timeBasis").GetString())));
        Assert.Contains("not from measurements", compared.GetProperty("warnings")[0].GetString(), StringComparison.Ordinal);
        Assert.All(devices, device => AssertInTime(device, 50_000));
        string html = File.ReadAllText(page);
        Assert.Equal(pairings.Length + cards.Length, html.Split("<svg").Length - 1); // the break-even loads of a pairing, and each accelerator beside the CPU
        foreach (string said in (string[])["M/D/c", "not from measurements", "Rented beside rented", "Owned beside owned", "Everything is had whole", "price of 2022-02", "derived from published", "workloads.json"])
        {
            Assert.Contains(said, html, StringComparison.Ordinal);
        }

        // Every figure that the arithmetic points to stands in the table with its source: prices, profiles and workloads.
        string[] figures = [.. devices.SelectMany(device => device.GetProperty("arithmetic").EnumerateArray().Concat(device.GetProperty("steps").EnumerateArray()))
            .SelectMany(line => line.GetProperty("figures").EnumerateArray()).Select(path => path.GetString()!).Distinct()];
        foreach (string needed in (string[])["nvidia-a100.json $.dataSheet.efficiency", "workloads.json $.workloads[0].kernels", "$.machines[0].hourly"])
        {
            Assert.Contains(needed, figures);
        }

        Assert.All(figures, path => Assert.Contains($"<td><code>{path.Split(' ')[^1]}</code></td>", html, StringComparison.Ordinal));
    }

    private static JsonElement[] Devices(JsonElement pairing) => [.. pairing.GetProperty("devices").EnumerateArray()];

    [Fact]
    public void Compare_SetsRentedBesideRented_AndOwnedBesideOwned_AndSaysWhyAtEachEnd()
    {
        JsonElement compared = RiskCommand.Run("cost", "compare", "--json", "--model", "card-fraud-sequence@1", "--price-age-max", Days).Succeeded().Json;

        JsonElement[] pairings = [.. compared.GetProperty("pairings").EnumerateArray()];
        // What the ledger of a run is priced by, see Report, and the book's first owned machine.
        Assert.Equal([("rented", "cloud-2"), ("owned", "server-64")], pairings.Select(p => (p.GetProperty("tenure").GetString(), p.GetProperty("machine").GetString())));
        Assert.DoesNotContain(Devices(pairings[0]), device => device.GetProperty("name").GetString() == "amd-vck5000"); // nobody rents it out
        bool isStaircaseSeen = false;
        foreach (JsonElement device in pairings.SelectMany(pairing => Devices(pairing).Skip(1)))
        {
            JsonElement even = device.GetProperty("breakEvenLoad");
            JsonElement[] stretches = [.. even.GetProperty("cheaperAt").EnumerateArray()];
            double[] ends = [.. stretches.SelectMany(s => (JsonElement[])[s.GetProperty("from"), s.GetProperty("to")]).Where(e => e.ValueKind == JsonValueKind.Number).Select(e => e.GetDouble())];
            Assert.Equal(ends.Order(), ends);
            double? lasting = stretches is [.., var last] && last.GetProperty("to").ValueKind == JsonValueKind.Null ? last.GetProperty("from").GetDouble() : null;
            Assert.Equal(lasting, even.GetProperty("value").ValueKind == JsonValueKind.Null ? null : even.GetProperty("value").GetDouble());
            isStaircaseSeen |= stretches.Length > 1;
            JsonElement[] why = [.. device.GetProperty("steps").EnumerateArray().Where(step => step.GetProperty("what").GetString()!.StartsWith("break-even, ", StringComparison.Ordinal))];
            Assert.Equal(["low", "expected", "high"], why.Select(step => step.GetProperty("what").GetString()!["break-even, ".Length..]));
            AssertCanBeDoneAgain(device, even);
            Assert.All(why, step => Assert.Contains("the CPU ", step.GetProperty("arithmetic").GetString(), StringComparison.Ordinal));
        }

        Assert.True(isStaircaseSeen);
        JsonElement card = Devices(pairings[1]).Single(device => device.GetProperty("name").GetString() == "inference-card-150w");
        Assert.Equal("int8: 12 of 92,700 outcomes change, see models/card-fraud-sequence/1-int8", card.GetProperty("precisionNote").GetString());
    }

    /// <summary>At each end both sides' hours, made again from the numbers that the lines show.</summary>
    private static void AssertCanBeDoneAgain(JsonElement device, JsonElement even)
    {
        JsonElement[] steps = [.. device.GetProperty("steps").EnumerateArray()];
        foreach (string end in (string[])["low", "expected", "high"])
        {
            string summary = Arithmetic($"break-even, {end}");
            double load = Number(summary.Split(" a second: ")[0].Split(' ')[^1]);
            double[] hours = [.. ((string[])[device.GetProperty("name").GetString()!, "the CPU"]).Select(side => Hour($"{end}: {side}, ", load))];
            Assert.Equal(hours, summary.Split(" EUR an hour")[..2].Select(part => Number(part.Split("= ")[^1])));
            double? lasting = even.GetProperty(end == "expected" ? "value" : end).ValueKind == JsonValueKind.Null ? null : even.GetProperty(end == "expected" ? "value" : end).GetDouble();
            Assert.Equal(lasting is not null, hours[0] <= hours[1] * 1.00001);
            Assert.Equal(lasting ?? load, load, (lasting ?? load) * 1e-4);
        }

        double Hour(string side, double load)
        {
            double time = Number(Result(side + "time of a batch")), rows = Number(Arithmetic(side + "time of a batch").Split(' ')[0]), busy = Number(Result(side + "computing"));
            Assert.Equal(load * time / rows / 1e6, busy, busy * 1e-3);
            string needed = Arithmetic(side + "needed");
            Assert.StartsWith($"{Result(side + "computing").Split(' ')[0]} ÷ utilisation 0.5", needed, StringComparison.Ordinal);
            Assert.InRange(Number(Result(side + "needed")), busy / 0.5 * 0.999, double.MaxValue);
            double hour = Number(Result(side + "an hour")), sum = Arithmetic(side + "an hour").Split(" + ").Sum(part => Number(part.Split(' ')[0]) * Number(part.Split("× ")[1]));
            Assert.Equal(hour, sum, hour * 1e-3);
            Assert.StartsWith($"{Number(Result(side + "needed"))} ", Arithmetic(side + "an hour").Replace(",", "", StringComparison.Ordinal), StringComparison.Ordinal);
            // Every line leads on to the files.
            Assert.All(steps.Where(step => step.GetProperty("what").GetString() is { } what && what.StartsWith(side, StringComparison.Ordinal) && what[side.Length..] is "launch" or "computing" or "needed" or "an hour"),
                step => Assert.NotEmpty(step.GetProperty("figures").EnumerateArray()));
            Assert.Contains(steps.Single(step => step.GetProperty("what").GetString() == side + "needed").GetProperty("figures").EnumerateArray(), path => path.GetString()!.EndsWith("].utilisation", StringComparison.Ordinal));
            return hour;
        }

        string Arithmetic(string what) => steps.Single(step => step.GetProperty("what").GetString() == what).GetProperty("arithmetic").GetString()!;
        string Result(string what) => steps.Single(step => step.GetProperty("what").GetString() == what).GetProperty("result").GetString()!;
        static double Number(string text) => double.Parse(text.Split(' ')[0].Replace(",", "", StringComparison.Ordinal), System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public void Compare_ShowsLatencyAtTheBreakEvenLoad_AndThatItIsScoringAlone()
    {
        using var folder = new TestFolder();
        string page = folder["compare.html"];
        string[] arguments = ["cost", "compare", "--model", "card-fraud-sequence@1", "--devices", "nvidia-t4", "--tenure", "rented", "--html", page, "--price-age-max", Days];
        string shown = RiskCommand.Run(arguments).Succeeded().Output, html = File.ReadAllText(page);
        JsonElement even = Devices(RiskCommand.Run([.. arguments, "--json"]).Succeeded().Json.GetProperty("pairings")[0])[1].GetProperty("breakEvenLoad");

        Assert.All([even.GetProperty("latencyMicros"), even.GetProperty("cpuLatencyMicros")], latency => Assert.InRange(latency.GetProperty("p99").GetDouble(), latency.GetProperty("p50").GetDouble(), 50_000));
        string p50 = Digits(even.GetProperty("latencyMicros").GetProperty("p50").GetDouble());
        Assert.Contains("scoring p50, p99 there", shown, StringComparison.Ordinal);
        Assert.Contains("scoring alone", shown, StringComparison.Ordinal);
        Assert.Contains("p50, p99 at break-even", html, StringComparison.Ordinal);
        Assert.All([shown, html], text => Assert.Contains(p50, text, StringComparison.Ordinal));
        // The range of utilisation is told of, and moves it: fewer cores do as much where they may be busier.
        Assert.True(even.GetProperty("valueAtLeastUtilisation").GetDouble() < even.GetProperty("value").GetDouble());
        Assert.Contains("<td><code>$.machines[0].utilisation</code></td>", html, StringComparison.Ordinal);

        static string Digits(double micros) => (micros >= 1000 ? micros / 1000 : micros) is var shown && shown >= 10
            ? shown.ToString("0.#", System.Globalization.CultureInfo.InvariantCulture) : shown.ToString("0.###", System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public void ModelInFewerBits_ThatNoCpuWasMeasuredWith_SaysWhatToCompareInstead()
    {
        RiskResult result = RiskCommand.Run("cost", "compare", "--model", "card-fraud-sequence@1-int8", "--price-age-max", Days);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("PROFILE_MISSING: ", result.Error, StringComparison.Ordinal);
        Assert.Contains("--model card-fraud-sequence@1:", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void PriceThatIsOld_IsSaidOnTheFace()
    {
        using var folder = new TestFolder();
        JsonNode book = Book();
        book["ageDaysOld"] = 1;
        string file = folder.Write("book.json", book.ToJsonString());
        JsonElement compared = RiskCommand.Run("cost", "compare", "--json", "--devices", "amd-vck5000", "--prices", file, "--price-age-max", Days).Succeeded().Json;
        Assert.Contains(compared.GetProperty("warnings").EnumerateArray(), w => w.GetString() is { } text && text.StartsWith("PRICE_OLD: ", StringComparison.Ordinal) && text.Contains("amd-vck5000 purchase of 2022-02", StringComparison.Ordinal));
        Assert.Contains("PRICE_OLD: ", RiskCommand.Run("cost", "plan", "--json", "--fleet", "amd-vck5000", "--prices", file, "--price-age-max", Days).Succeeded().Json.GetProperty("basis").GetString(), StringComparison.Ordinal);
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
    public void Plan_SetsPurchaseAgainstRent_OnlyOfFleetsInWhichTheCardRuns()
    {
        // At this load two cores do it all, and the cheapest "fleet" with a card would leave it switched off.
        JsonElement plan = RiskCommand.Run("cost", "plan", "--fleet", "nvidia-a100", "--json", "--price-age-max", Days).Succeeded().Json;

        JsonElement[] fleets = [.. plan.GetProperty("fleets").EnumerateArray()];
        double cpu = fleets.Where(fleet => fleet.GetProperty("device").GetString() == "cpu").Min(Money);
        Assert.Contains(fleets, fleet => fleet.GetProperty("name").GetString() == "nvidia-a100 with CPU" && fleet.GetProperty("usedHours").GetInt32() == 0 && fleet.GetProperty("savingBy").GetString() is not "scaling down");
        JsonElement compared = Assert.Single(plan.GetProperty("boughtAndRented").EnumerateArray());
        Assert.Equal("nvidia-a100 only", compared.GetProperty("rented").GetString());
        Assert.True(compared.GetProperty("rentedMonthly").GetProperty("value").GetDouble() > 2 * cpu);

        static double Money(JsonElement fleet) => fleet.GetProperty("monthlyMoneyScaledDown").GetProperty("value").GetDouble();
    }

    [Theory]
    [InlineData("compare")]
    [InlineData("plan")]
    public void WithABadBook_OthersAreCalculated_AndWhatIsWrongIsSaid_ButWhatWasAskedForByNameEndsIt(string verb)
    {
        using var folder = new TestFolder();
        JsonNode book = Book();
        JsonNode device(string name) => book["devices"]!.AsArray().Single(d => (string)d!["name"]! == name)!;
        device("nvidia-t4")["hourly"]!["value"] = -1;
        book["devices"]!.AsArray().Remove(device("nvidia-l4"));
        device("amd-vck5000")["purchase"]!["date"] = "1990-01-01";
        string file = folder.Write("book.json", book.ToJsonString());
        string[] arguments = ["cost", verb, "--prices", file, "--price-age-max", "10000", "--json"];

        RiskResult all = RiskCommand.Run(arguments).Succeeded();
        foreach ((string code, string of) in ((string, string)[])[("PRICE_INVALID: ", "devices[3].hourly"), ("PRICE_MISSING: ", "'nvidia-l4'"), ("PRICE_STALE: ", "1990-01-01")])
        {
            Assert.Contains(all.Error.Split('\n'), line => line.StartsWith(code, StringComparison.Ordinal) && line.Contains(of, StringComparison.Ordinal));
        }

        foreach ((string name, string code) in ((string, string)[])[("nvidia-t4", "PRICE_INVALID: "), ("nvidia-l4", "PRICE_MISSING: "), ("amd-vck5000", "PRICE_STALE: "), ("abacus", "PROFILE_MISSING: ")])
        {
            RiskResult one = RiskCommand.Run([.. arguments, verb == "plan" ? "--fleet" : "--devices", $"inference-card-150w,{name}"]);
            Assert.Equal(2, one.ExitCode);
            Assert.Contains(code, one.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void DeviceThatIsNotToBeHadInTheTenureAskedFor_IsACodedError()
    {
        RiskResult result = RiskCommand.Run("cost", "compare", "--devices", "habana-goya-hl-100", "--tenure", "rented", "--price-age-max", Days);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("PRICE_MISSING: ", result.Error, StringComparison.Ordinal);
        Assert.Equal("owned", Assert.Single(RiskCommand.Run("cost", "compare", "--json", "--machine", "server-64", "--devices", "habana-goya-hl-100", "--price-age-max", Days).Succeeded().Json.GetProperty("pairings").EnumerateArray()).GetProperty("tenure").GetString());
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
}
