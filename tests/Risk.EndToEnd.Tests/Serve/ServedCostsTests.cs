using System.Text.Json;
using Risk.Core.Costs;
using Risk.Service.Costs;

namespace Risk.EndToEnd.Tests.Serve;

/// <summary>What <c>risk serve</c> writes into <c>costs.jsonl</c>, as <c>risk cost report</c> reads it.</summary>
public sealed class ServedCostsTests : IDisposable
{
    private const int PaymentCount = 40;

    private readonly TestFolder _folder = new();

    [Fact]
    public async Task ServedDirectory_AddsUp_AndARestartCountsNothingTwice()
    {
        string store = _folder["store"], configuration = _folder.Write("serve.json", JsonSerializer.Serialize(new { store = new { directory = store } }));
        for (int run = 0; run < 2; run++)
        {
            using ServeProcess serve = ServeProcess.Start(configuration);
            await HttpTests.WaitReady(serve);
            for (int n = 0; n < PaymentCount; n++) { Assert.Equal(200, (await serve.Post(Payments.Json((run * PaymentCount) + n))).Status); }
            Assert.Equal(0, serve.Stop());
        }
        IReadOnlyList<MeteredRun> runs = CostsFile.Read(store);
        Assert.Equal(2, runs.Select(run => run.Part!.Value.Run).Distinct().Count());
        Assert.Equal(2 * PaymentCount, runs.Sum(run => run.To - run.From));
        Assert.All(runs, run => Assert.Equal(run.Total, run.Active + run.Idle + run.Waste));

        JsonElement report = RiskProcess.Run("cost", "report", store, "--json").Succeeded().Json;
        Assert.Equal(2 * PaymentCount, report.GetProperty("decisions").GetInt64());
        JsonElement metered = report.GetProperty("metered");
        Assert.InRange(metered.GetProperty("difference").GetDouble(), 0, 0.01);
        Assert.True(metered.GetProperty("total").GetProperty("joules").GetDouble() > 0);
        JsonElement cpu = Assert.Single(metered.GetProperty("devices").EnumerateArray());
        Assert.Equal("cpu", cpu.GetProperty("name").GetString());
        Assert.InRange(cpu.GetProperty("batches").GetInt64(), 1, 2 * PaymentCount);
        // Stopped in good order: what came after the last decision is closed, and everything else is borne to the last unit.
        decimal money(string part) => metered.GetProperty(part).GetProperty("money").GetDecimal();
        Assert.All(runs, run => Assert.True(run.AtEnd.PicoUnits > 0 && run.Unallocated == default));
        Assert.Contains("borne by no decision", File.ReadAllText(Path.Combine(store, CostsFile.Name)), StringComparison.Ordinal);
        Assert.Equal(report.GetProperty("money").GetDecimal(), money("total") - money("atEnd"));
    }

    [Fact]
    public void LaterLineOfARunAndDay_TakesTheEarliersPlace_AndHalfALineIsLeftOut()
    {
        string folder = _folder["costs"];
        Directory.CreateDirectory(folder);
        MeteredRun Line(string run, int day, long money) => new(0, 1, new Cost(money, 0), default, default, default, default, "EUR", "") { Part = (run, new DateOnly(2026, 11, day)) };
        foreach (MeteredRun line in new[] { Line("a", 1, 1), Line("a", 1, 2), Line("b", 1, 4), Line("a", 2, 8), Line("b", 1, 16) }) { CostsFile.Append(folder, line); }
        File.AppendAllText(Path.Combine(folder, CostsFile.Name), """{"run":"b","day":"2026-11-0""");
        Assert.Equal([2, 8, 16], CostsFile.Read(folder).Select(run => run.Total.PicoUnits));
    }

    [Fact]
    public void RestOfARunThatSpansDays_IsClosedInItsLastDay_AndNowhereElse()
    {
        var carried = new Cost(5, 1);
        MeteredRun Look(long total, Cost unallocated) => new(0, 1, new Cost(total, 0), default, default, default, unallocated, "EUR", "");
        MeteredRun midnight = Look(100, carried), end = Look(130, new Cost(7, 2)).Closed();
        MeteredRun last = end.Since(midnight);
        Assert.Equal((new Cost(7, 2), default(Cost)), (last.AtEnd, last.Unallocated + midnight.Unallocated));
        string folder = Directory.CreateDirectory(_folder["days"]).FullName;
        CostsFile.Append(folder, midnight with { Part = ("a", new DateOnly(2026, 11, 1)) });
        CostsFile.Append(folder, last with { Part = ("a", new DateOnly(2026, 11, 2)) });
        Assert.Equal([default(Cost), new Cost(7, 2)], CostsFile.Read(folder).Select(run => run.AtEnd));
    }

    public void Dispose() => _folder.Dispose();
}
