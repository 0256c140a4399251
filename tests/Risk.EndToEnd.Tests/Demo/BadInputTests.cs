using System.Text;
using System.Text.Json;

namespace Risk.EndToEnd.Tests.Demo;

/// <summary>Bad records of a file: each a coded dead letter with its line, everything else decided, nothing echoed.</summary>
public sealed class BadInputTests : IDisposable
{
    private const string Header = "transaction_id,time,customer_id,terminal_id,amount\n";
    private const string Pan = "4111111111111111";

    // Line by line: the record, and the code it must get; "" is a good record.
    private static readonly (string Record, string Code)[] s_csv =
    [
        ("g1,2018-04-01T00:00:31Z,1,2,10.00", ""),
        ("x1,2018-04-01T00:00:31Z,1,2", "SCHEMA_INVALID"),
        ("x2,2018-04-01T00:00:31Z,1,2,10,extra", "SCHEMA_INVALID"),
        (",2018-04-01T00:00:31Z,1,2,10", "ID_INVALID"),
        (new string('i', 10_000) + ",2018-04-01T00:00:31Z,1,2,10", "ID_INVALID"),
        ("раураl,2018-04-01T00:00:31Z,1,2,10", "ID_INVALID"), // Cyrillic look-alikes
        ("x3,2018-04-01T00:00:31,1,2,10", "TS_INVALID"),
        ("x4,1522540831000,1,2,10", "TS_INVALID"),
        ("x5,1970-01-01T00:00:00Z,1,2,10", "TS_INVALID"),
        ("x6,9999-01-01T00:00:00Z,1,2,10", "TS_FUTURE"),
        ("x7,2018-04-01T00:00:31Z,1,2,NaN", "NUMBER_INVALID"),
        ("x8,2018-04-01T00:00:31Z,1,2,1e400", "NUMBER_INVALID"),
        ("x9,2018-04-01T00:00:31Z,1,2,-0", "NUMBER_INVALID"),
        ("y1,2018-04-01T00:00:31Z,1,2,-5", "VALUE_RANGE"),
        ("y2,2018-04-01T00:00:31Z,1,2,Infinity", "NUMBER_INVALID"),
        ($"y3,2018-04-01T00:00:31Z,{Pan},2,10", "PAN_FORBIDDEN"),
        ($"{Pan},2018-04-01T00:00:31Z,1,2,10", "PAN_FORBIDDEN"),
        ("y4\0,2018-04-01T00:00:31Z,1,2,10", "PARSE_ERROR"),
        (new string('z', 200_000), "TOO_LARGE"),
        ("g2,2018-04-01T00:00:32Z,'; DROP TABLE decisions; --,2,10.00", ""),
        ("g3,2018-04-01T00:00:33Z,=HYPERLINK(1),2,10.00", ""),
        ("g4,2018-04-01T00:00:34Z,1,2,52.300000000000004", ""),
    ];

    private static readonly (string Record, string Code)[] s_json =
    [
        ("""{"transaction_id":"g1","time":"2018-04-01T00:00:31Z","customer_id":"1","terminal_id":"2","amount":10.0}""", ""),
        ("""{"transaction_id":"x1","time":"2018-04-01T00:00:31Z","customer_id":"1","terminal_id":"2"}""", "SCHEMA_INVALID"),
        ("""{"transaction_id":"x2","transaction_id":"x3","time":"2018-04-01T00:00:31Z","customer_id":"1","terminal_id":"2","amount":1}""", "SCHEMA_INVALID"),
        ("""{"transaction_id":"x4","time":"2018-04-01T00:00:31Z","customer_id":"1","terminal_id":"2","amount":1,"colour":"red"}""", "SCHEMA_INVALID"),
        ("""{"transaction_id":"x5","time":"2018-04-01T00:00:31Z","customer_id":"1","terminal_id":"2","amount":1""", "PARSE_ERROR"),
        ("""{"transaction_id":"\ud800","time":"2018-04-01T00:00:31Z","customer_id":"1","terminal_id":"2","amount":1}""", "PARSE_ERROR"),
        ("not json", "PARSE_ERROR"),
        (string.Concat(Enumerable.Repeat("[", 5_000)), "TOO_LARGE"),
        ("""{"transaction_id":"x6","time":"2018-04-01T00:00:31Z","customer_id":"1","terminal_id":"2","amount":1e400}""", "NUMBER_INVALID"),
        ("""{"transaction_id":"x7","time":"2018-04-01T00:00:31Z","customer_id":"1","terminal_id":"2","amount":"ten"}""", "SCHEMA_INVALID"),
        ("""{"transaction_id":"g2","time":"2018-04-01T02:00:32+02:00","customer_id":"1","terminal_id":"2","amount":10.0}""", ""),
    ];

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Csv_EachClass_IsADeadLetterWithItsLineAndCode() => Check(_folder.Write("in.csv", Header + Lines(s_csv)), s_csv, firstLine: 2);

    [Fact]
    public void JsonLines_EachClass_IsADeadLetterWithItsLineAndCode() => Check(_folder.Write("in.jsonl", Lines(s_json)), s_json, firstLine: 1);

    [Fact]
    public void NotUtf8_AndATruncatedGzip_AreDeadLetters_WhatCouldBeReadIsDecided()
    {
        string path = _folder["bad.csv"];
        File.WriteAllBytes(path, [.. Encoding.UTF8.GetBytes(Header + "g1,2018-04-01T00:00:31Z,1,2,10\nx"), 0xC3, 0x28, .. ",2018-04-01T00:00:32Z,1,2,10\n"u8]);
        JsonElement run = RiskProcess.Run("demo", "--json", "--input", path, "--out", _folder["run"]).Succeeded().Json;
        Assert.Equal(1, run.GetProperty("deadLetterCodes").GetProperty("PARSE_ERROR").GetInt64());

        byte[] whole = File.ReadAllBytes(Path.Combine(RiskProcess.Home, "streams", "card-payments", "transactions.csv.gz"))[..200_000];
        File.WriteAllBytes(_folder["cut.csv.gz"], whole);
        JsonElement cut = RiskProcess.Run("demo", "--json", "--input", _folder["cut.csv.gz"], "--out", _folder["cut"]).Succeeded().Json;
        Assert.True(cut.GetProperty("decisions").GetInt64() > 5_000);
        Assert.Equal(1, cut.GetProperty("deadLetterCodes").GetProperty("PARSE_ERROR").GetInt64());
        DemoTests.AddsUp(cut);
    }

    [Fact]
    public void Strict_StopsAtTheFirstBadRecord_WithItsCode()
    {
        RiskResult result = RiskProcess.Run("demo", "--json", "--strict", "--input", _folder.Write("in.csv", Header + Lines(s_csv)), "--out", _folder["run"]);

        Assert.Equal(2, result.ExitCode);
        Assert.StartsWith("SCHEMA_INVALID: line 3 ", result.Error.Split('\n').Last(l => l.Contains("SCHEMA", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.Empty(result.Output);
    }

    [Theory]
    [InlineData("SOURCE_NOT_FOUND", "--input", "/nowhere/at/all.csv")]
    [InlineData("SOURCE_UNREADABLE", "--input", "/tmp")]
    [InlineData("USAGE", "--rate", "-5")]
    [InlineData("USAGE", "--clock", "sundial")]
    public void UnusableRequest_SaysWhatToDo_WithExitTwo(string code, string option, string value)
    {
        RiskResult result = RiskProcess.Run("demo", "--json", option, value, "--out", _folder["run"]);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains(code + ": ", result.Error, StringComparison.Ordinal);
        Assert.Empty(result.Output);
    }

    private void Check(string input, (string Record, string Code)[] table, int firstLine)
    {
        RiskResult result = RiskProcess.Run("demo", "--json", "--input", input, "--out", _folder["run"]).Succeeded();
        JsonElement run = result.Json;
        DemoTests.AddsUp(run);
        Assert.Equal(table.Count(t => t.Code.Length == 0), run.GetProperty("decisions").GetInt64());

        string[] letters = File.ReadAllLines(Path.Combine(_folder["run"], "dead-letters.jsonl"));
        var found = letters.Select(l => JsonDocument.Parse(l).RootElement).ToDictionary(l => l.GetProperty("line").GetInt32(), l => l.GetProperty("code").GetString()!);
        for (int i = 0; i < table.Length; i++)
        {
            Assert.Equal(table[i].Code, found.GetValueOrDefault(firstLine + i, ""));
        }
        Assert.DoesNotContain(Pan, result.Output + result.Error, StringComparison.Ordinal);
        byte[] pan = Encoding.ASCII.GetBytes(Pan);
        foreach (string file in Directory.EnumerateFiles(_folder["run"], "*", SearchOption.AllDirectories).Where(f => !f.EndsWith("lock", StringComparison.Ordinal)))
        {
            Assert.True(File.ReadAllBytes(file).AsSpan().IndexOf(pan) < 0, $"{file} holds a card number");
        }
    }

    private static string Lines((string Record, string Code)[] table) => string.Concat(table.Select(t => t.Record + "\n"));
}
