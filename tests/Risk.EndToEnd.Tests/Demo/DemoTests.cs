using System.Diagnostics;
using System.IO.Compression;
using System.Text;
using System.Text.Json;

namespace Risk.EndToEnd.Tests.Demo;

/// <summary>The main job as scripts see it.</summary>
public sealed class DemoTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void RecordedStream_EveryTransaction_HasOneDecisionInAVerifiedLog()
    {
        JsonElement run = RiskProcess.Run("demo", "--json", "--transactions", "30000", "--out", _folder["run"]).Succeeded().Json;

        Assert.Equal(30_000, run.GetProperty("transactions").GetInt64());
        Assert.Equal(30_000, run.GetProperty("decisions").GetInt64());
        AddsUp(run);
        Assert.Equal(30_000, run.GetProperty("log").GetProperty("size").GetInt64());
        Assert.Equal(30_000, run.GetProperty("outcomes").EnumerateObject().Sum(o => o.Value.GetInt64()));
        Assert.Equal(0, run.GetProperty("outcomes").GetProperty("refer").GetInt64());
        foreach (string percentile in new[] { "p50", "p99", "p999", "max" }) { Assert.True(run.GetProperty("latencyMicros").GetProperty(percentile).GetInt64() > 0); }
        Assert.InRange(run.GetProperty("quality").GetProperty("aucRoc").GetDouble(), 0.5, 1);
        Assert.True(run.GetProperty("cost").GetProperty("perThousand").GetDouble() > 0);

        JsonElement verified = RiskProcess.Run("verify", _folder["run"], "--json").Succeeded().Json;
        Assert.Equal(run.GetProperty("log").GetProperty("rootHash").GetString(), verified.GetProperty("rootHash").GetString());
    }

    [Fact]
    public void SameDirectoryAgain_GoesOnWhereItStopped_ThenHasNothingLeft()
    {
        string[] more = ["demo", "--json", "--transactions", "9000", "--out", _folder["run"]];
        RiskProcess.Run("demo", "--json", "--transactions", "4000", "--out", _folder["run"]).Succeeded();
        JsonElement second = RiskProcess.Run(more).Succeeded().Json;
        JsonElement third = RiskProcess.Run(more).Succeeded().Json;

        Assert.Equal(5_000, second.GetProperty("transactionsThisRun").GetInt64());
        Assert.Equal(9_000, second.GetProperty("decisions").GetInt64());
        Assert.Equal(0, third.GetProperty("transactionsThisRun").GetInt64());
        Assert.Equal(9_000, third.GetProperty("log").GetProperty("size").GetInt64());
    }

    [Fact]
    public void EventClock_TwoRuns_AreEqualToTheByte_AlsoWhenOneWasKilled()
    {
        string[] Arguments(string name) => ["demo", "--json", "--clock", "event", "--transactions", "60000", "--out", _folder[name]];
        string whole = Root(RiskProcess.Run(Arguments("whole")).Succeeded());

        var random = new Random(20180808);
        for (int kill = 0; kill < 3; kill++)
        {
            using Process process = RiskProcess.Start(null, Arguments("cut"));
            // On a busy machine a start takes seconds; from the log's first bytes on, it is cut anywhere.
            Assert.True(SpinWait.SpinUntil(() => JournalHasBegun("cut") || process.HasExited, TimeSpan.FromMinutes(1)), "the log does not begin");
            Thread.Sleep(random.Next(0, kill == 0 ? 300 : 1500));
            process.Kill(entireProcessTree: true); // SIGKILL
            process.WaitForExit();
        }
        RiskResult last = RiskProcess.Run(Arguments("cut")).Succeeded();

        Assert.Equal(60_000, last.Json.GetProperty("decisions").GetInt64());
        Assert.Equal(whole, Root(last));
        JsonElement verified = RiskProcess.Run("verify", _folder["cut"], "--json").Succeeded().Json;
        Assert.Equal(60_000, verified.GetProperty("decisions").GetInt64());
        Assert.Equal(0, verified.GetProperty("duplicatesOfId").GetInt64());
    }

    [Fact]
    public void KilledBehindASnapshot_GoesOnFromSnapshotAndTail_ToTheSameRoot()
    {
        string[] Arguments(string name, int count) => ["demo", "--json", "--clock", "event", "--transactions", $"{count}", "--out", _folder[name]];
        string whole = Root(RiskProcess.Run(Arguments("whole", 150_000)).Succeeded());

        RiskProcess.Run(Arguments("cut", 20_480)).Succeeded(); // ends at a batch's end, and with a snapshot
        using (Process process = RiskProcess.Start(null, Arguments("cut", 150_000)))
        {
            Thread.Sleep(1_100);
            process.Kill(entireProcessTree: true);
            process.WaitForExit();
        }
        RiskResult last = RiskProcess.Run(Arguments("cut", 150_000)).Succeeded();

        Assert.True(last.Json.GetProperty("recovery").GetProperty("snapshot").GetInt64() >= 20_480);
        Assert.Equal(whole, Root(last));
    }

    [Fact]
    public void ManyDeadLetters_AreAllThere_AlsoThoseOfAnEarlierInputOfTheSameName()
    {
        string Input(int from) => "transaction_id,time,customer_id,terminal_id,amount\n" + string.Concat(Enumerable.Range(from, 60_000)
            .Select(i => i % 2 == 0 ? $"g{i},2018-04-01T00:00:31Z,{i % 50},2,10.00\n" : $"b{i},2018-04-01T00:00:31Z,1,2,-1\n"));
        string Letters() => File.ReadAllText(Path.Combine(_folder["run"], "dead-letters.jsonl"));

        JsonElement first = RiskProcess.RunWithInput(Input(0), "demo", "--json", "--input", "-", "--out", _folder["run"]).Succeeded().Json;
        Assert.Equal((30_000L, 30_000L), (first.GetProperty("decisions").GetInt64(), first.GetProperty("deadLetters").GetInt64()));
        RiskProcess.RunWithInput(Input(60_000), "demo", "--json", "--input", "-", "--out", _folder["run"]).Succeeded();

        string[] letters = Letters().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(60_000, letters.Length);
        Assert.All(letters, letter => Assert.Equal("VALUE_RANGE", JsonDocument.Parse(letter).RootElement.GetProperty("code").GetString()));
    }

    [Fact]
    public void EveryFormat_CsvAndJsonLines_PlainGzippedAndPiped_GivesTheSameDecisions()
    {
        string csv = FirstLines(2001);
        string jsonLines = string.Concat(csv.Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(line =>
        {
            string[] f = line.Split(',');
            return $$"""{"transaction_id":"{{f[0]}}","time":"{{f[1]}}","customer_id":"{{f[2]}}","terminal_id":"{{f[3]}}","amount":{{f[4]}}}""" + "\n";
        }));
        using (var zip = new GZipStream(File.Create(_folder["b.jsonl.gz"]), CompressionLevel.Fastest)) { zip.Write(Encoding.UTF8.GetBytes(jsonLines)); }

        string[] outcomes =
        [
            Outcomes(RiskProcess.Run("demo", "--json", "--input", _folder.Write("a.csv", csv), "--out", _folder["1"])),
            Outcomes(RiskProcess.Run("demo", "--json", "--input", _folder["b.jsonl.gz"], "--out", _folder["2"])),
            Outcomes(RiskProcess.RunWithInput(csv, "demo", "--json", "--input", "-", "--out", _folder["3"])),
            Outcomes(RiskProcess.RunWithInput(jsonLines, "demo", "--json", "--input", "-", "--out", _folder["4"])),
        ];

        Assert.Single(outcomes.Distinct());
        Assert.Contains("\"approve\"", outcomes[0], StringComparison.Ordinal);
    }

    [Fact]
    public void SameIdAgain_SamePayloadIsADuplicate_OtherPayloadIsADeadLetter()
    {
        string input = _folder.Write("in.csv", """
            transaction_id,time,customer_id,terminal_id,amount
            a,2018-04-01T00:00:31Z,1,2,10.00
            a,2018-04-01T00:00:31Z,1,2,10.00
            a,2018-04-01T00:00:31Z,1,2,99.00
            b,2018-04-01T00:00:32Z,1,2,10.00
            """);
        JsonElement run = RiskProcess.Run("demo", "--json", "--input", input, "--out", _folder["run"]).Succeeded().Json;

        Assert.Equal((2L, 1L, 1L), (run.GetProperty("decisions").GetInt64(), run.GetProperty("duplicates").GetInt64(), run.GetProperty("deadLetters").GetInt64()));
        AddsUp(run);
        string letter = Assert.Single(File.ReadAllLines(Path.Combine(_folder["run"], "dead-letters.jsonl")));
        Assert.Contains("ID_CONFLICT", letter, StringComparison.Ordinal);
        Assert.Contains("\"line\":4", letter, StringComparison.Ordinal);
    }

    [Fact]
    public void OtherClock_OnADirectoryThatExists_NeverDecidesTwice()
    {
        RiskProcess.Run("demo", "--json", "--clock", "event", "--transactions", "2000", "--out", _folder["event"]).Succeeded();
        JsonElement onWall = RiskProcess.Run("demo", "--json", "--transactions", "3000", "--out", _folder["event"]).Succeeded().Json;
        Assert.Equal(3_000, onWall.GetProperty("log").GetProperty("size").GetInt64());

        RiskProcess.Run("demo", "--json", "--transactions", "2000", "--out", _folder["wall"]).Succeeded();
        RiskResult onEvent = RiskProcess.Run("demo", "--json", "--clock", "event", "--transactions", "3000", "--out", _folder["wall"]);
        Assert.Equal(3, onEvent.ExitCode);
        Assert.Contains("LOG_OTHER: ", onEvent.Error, StringComparison.Ordinal);

        File.Delete(Path.Combine(_folder["wall"], "keys", "token.key"));
        Assert.Contains("LOG_OTHER: ", RiskProcess.Run("demo", "--json", "--out", _folder["wall"]).Error, StringComparison.Ordinal);
    }

    private bool JournalHasBegun(string name) => Directory.Exists(Path.Combine(_folder[name], "journal")) && Directory.GetFiles(Path.Combine(_folder[name], "journal"), "*.journal").Length > 0;

    internal static void AddsUp(JsonElement run) => Assert.Equal(
        run.GetProperty("transactions").GetInt64(),
        run.GetProperty("decisions").GetInt64() + run.GetProperty("deadLetters").GetInt64() + run.GetProperty("duplicates").GetInt64());

    private static string Root(RiskResult result) => result.Json.GetProperty("log").GetProperty("rootHash").GetString()!;

    private static string Outcomes(RiskResult result) => result.Succeeded().Json.GetProperty("outcomes").GetRawText();

    private static string FirstLines(int count)
    {
        using var reader = new StreamReader(new GZipStream(File.OpenRead(Path.Combine(RiskProcess.Home, "streams", "card-payments", "transactions.csv.gz")), CompressionMode.Decompress));
        var text = new StringBuilder();
        for (int i = 0; i < count; i++) { text.Append(reader.ReadLine()).Append('\n'); }
        return text.ToString();
    }
}
