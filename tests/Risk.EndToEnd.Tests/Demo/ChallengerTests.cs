using System.Text;
using System.Text.Json;
using Risk.Core.Log;
using Risk.Storage.Log;

namespace Risk.EndToEnd.Tests.Demo;

/// <summary>Models that score beside the champion: what they say is theirs alone.</summary>
public sealed class ChallengerTests : IDisposable
{
    private const string Sequence = "card-payments-sequence", SameModel = "card-fraud@1";
    private const int Transactions = 12_000;

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void ChampionsLog_IsTheSameToTheByte_AndEachChallengerSaysWhatItWouldAlone()
    {
        JsonElement alone = Demo("alone").Succeeded().Json;
        Demo("stream", "--stream", Sequence).Succeeded();
        JsonElement run = Demo("run", "--challenger", Sequence, "--challenger", SameModel).Succeeded().Json;

        Assert.Equal(Root(alone), Root(run));
        Assert.Equal(2, run.GetProperty("challengers").GetArrayLength());
        foreach (JsonElement challenger in run.GetProperty("challengers").EnumerateArray())
        {
            Assert.Equal(JsonValueKind.Null, challenger.GetProperty("problem").ValueKind);
            Assert.Equal(0, challenger.GetProperty("behind").GetInt64());
            Assert.Equal(Transactions, challenger.GetProperty("decisionsThisRun").GetInt64());
            Assert.True(challenger.GetProperty("cost").GetProperty("perThousand").GetDouble() > 0);
            JsonElement verified = RiskProcess.Run("verify", challenger.GetProperty("out").GetString()!, "--rederive", "--json").Succeeded().Json;
            Assert.Equal(Transactions, verified.GetProperty("decisions").GetInt64());
            Assert.Equal(0, verified.GetProperty("rederivation").GetProperty("different").GetInt64());
            Assert.Equal(0, verified.GetProperty("rederivation").GetProperty("impossible").GetInt64());
        }
        Assert.Equal(0, run.GetProperty("challengers")[1].GetProperty("otherOutcomesThisRun").GetInt64());
        Assert.True(run.GetProperty("challengers")[0].GetProperty("otherOutcomesThisRun").GetInt64() > 0);

        List<Said> champion = Read(_folder["run"]), sequence = Read(Challenger("run", Sequence)), same = Read(Challenger("run", SameModel)), own = Read(_folder["stream"]);
        Assert.Equal(champion.Select(s => (s.Id, s.Score, s.Outcome)), same.Select(s => (s.Id, s.Score, s.Outcome)));
        Assert.Equal(own.Select(s => (s.Id, s.Outcome)), sequence.Select(s => (s.Id, s.Outcome)));
        Assert.All(own.Zip(sequence), pair => Assert.InRange(Math.Abs(pair.First.Score - pair.Second.Score), 0, 1e-5));
        Assert.All(sequence.Concat(same), s => Assert.Equal(("challenger", false), (s.Actor, s.Automated)));
        Assert.Equal(("engine", true), (champion[0].Actor, champion[0].Automated));

        // Both are told where one decision is looked up, and in the costs of the model.
        JsonElement shown = RiskProcess.Run("show", champion[^1].Id, "--out", _folder["run"], "--json").Succeeded().Json;
        Assert.Equal([SameModel, Sequence], shown.GetProperty("challengers").EnumerateArray().Select(c => c.GetProperty("name").GetString()));
        Assert.Contains("never acted on", RiskProcess.Run("show", champion[^1].Id, "--out", Challenger("run", Sequence)).Succeeded().Output, StringComparison.Ordinal);
        JsonElement costs = RiskProcess.Run("cost", "report", Challenger("run", Sequence), "--json").Succeeded().Json;
        Assert.Equal(Transactions, costs.GetProperty("decisions").GetInt64());
    }

    [Fact]
    public void ChallengerThatComesLater_OrGoesOnLater_HasEveryDecisionOnce()
    {
        Demo("run", 3_000, "--challenger", SameModel).Succeeded();
        Demo("run", 5_000).Succeeded(); // without it
        JsonElement last = Demo("run", 7_000, "--challenger", SameModel, "--challenger", Sequence).Succeeded().Json;

        Assert.Equal([4_000, 7_000], last.GetProperty("challengers").EnumerateArray().Select(c => c.GetProperty("decisionsThisRun").GetInt32()));
        List<Said> champion = Read(_folder["run"]);
        foreach (string name in new[] { SameModel, Sequence }) { Assert.Equal(champion.Select(s => s.Id), Read(Challenger("run", name)).Select(s => s.Id)); }
        // Its history went on too, out of its own log and snapshot.
        Demo("whole", 7_000, "--challenger", Sequence).Succeeded();
        Assert.All(Read(Challenger("whole", Sequence)).Zip(Read(Challenger("run", Sequence))), pair => Assert.InRange(Math.Abs(pair.First.Score - pair.Second.Score), 0, 1e-5));
    }

    [Fact]
    public void ChallengerOfAnotherLog_IsTold_AndTheChampionDecides()
    {
        string[] arguments = ["demo", "--json", "--transactions", "2000", "--out", _folder["run"], "--challenger", SameModel];
        RiskProcess.Run(arguments).Succeeded();
        Directory.Move(Path.Combine(_folder["run"], "challengers"), _folder["kept"]);
        Directory.Delete(_folder["run"], recursive: true);
        Directory.CreateDirectory(_folder["run"]);
        Directory.Move(_folder["kept"], Path.Combine(_folder["run"], "challengers"));

        RiskResult run = RiskProcess.Run(arguments).Succeeded();
        Assert.Equal(2_000, run.Json.GetProperty("decisions").GetInt64());
        Assert.Equal("LOG_OTHER", run.Json.GetProperty("challengers")[0].GetProperty("problem").GetString());
        Assert.Contains("LOG_OTHER", run.Error, StringComparison.Ordinal);
        Assert.Equal(2_000, Read(Challenger("run", SameModel)).Count);
    }

    [Fact]
    public void WhatCannotBeAChallenger_IsRefusedBeforeAnythingIsDecided()
    {
        string streams = Path.Combine(RiskProcess.Home, "streams", Sequence), folder = Directory.CreateDirectory(_folder["other"]).FullName;
        foreach (string file in Directory.GetFiles(streams)) { File.Copy(file, Path.Combine(folder, Path.GetFileName(file))); }
        string features = File.ReadAllText(Path.Combine(folder, "features.json"));

        Assert.Equal((2, "STREAM_NOT_FOUND"), Refused("nowhere"));
        Assert.Equal((2, "MODEL_NOT_FOUND"), Refused("card-fraud@99"));
        Assert.Equal((2, "USAGE"), Refused(Sequence, "--challenger", Sequence));
        File.WriteAllText(Path.Combine(folder, "features.json"), features.Replace("\"window\": \"1d\"", "\"window\": \"2d\"", StringComparison.Ordinal));
        Assert.Equal((2, "CHALLENGER_INVALID"), Refused(folder));
        File.WriteAllText(Path.Combine(folder, "features.json"), features);
        string schema = File.ReadAllText(Path.Combine(folder, "schema.json"));
        File.WriteAllText(Path.Combine(folder, "schema.json"), schema.Replace("\"grace\": \"0s\"", "\"grace\": \"10s\"", StringComparison.Ordinal));
        Assert.Equal((2, "CHALLENGER_INVALID"), Refused(folder));
        Assert.False(File.Exists(Path.Combine(_folder["refused"], "log", "tile", "entries", "000")));

        (int, string) Refused(params string[] arguments)
        {
            RiskResult refused = Demo("refused", 1_000, ["--challenger", .. arguments]);
            return (refused.ExitCode, refused.Error.Split('\n').Last(line => line.Contains(": ", StringComparison.Ordinal)).Split(':')[0]);
        }
    }

    private RiskResult Demo(string name, params string[] more) => Demo(name, Transactions, more);

    private RiskResult Demo(string name, int transactions, params string[] more) => RiskProcess.Run(["demo", "--json", "--clock", "event", "--transactions", $"{transactions}", "--out", _folder[name], .. more]);

    private string Challenger(string run, string name) => Path.Combine(_folder[run], "challengers", name);

    private static string Root(JsonElement run) => run.GetProperty("log").GetProperty("rootHash").GetString()!;

    private static List<Said> Read(string directory)
    {
        List<Said> said = [];
        using var reader = DecisionLogReader.Open(directory);
        while (reader.Read())
        {
            Assert.Equal(RecordFault.None, DecisionRecordCodec.Read(reader.Record, out DecisionRecord record));
            said.Add(new Said(Encoding.UTF8.GetString(record.EventId), record.RawScore, record.Outcome, Encoding.UTF8.GetString(record.Actor), record.SolelyAutomated));
        }
        return said;
    }

    private sealed record Said(string Id, float Score, int Outcome, string Actor, bool Automated);
}
