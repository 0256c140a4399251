using System.Text;
using System.Text.Json;
using Risk.Core.Transactions;

namespace Risk.Streams.Tests;

public sealed class DeadLetterFileTests : IDisposable
{
    private readonly TestFolder _folder = new();

    private string Path => _folder.Named("dead-letters.jsonl");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Letter_IsOneJsonObjectALine_WithoutAnyValue()
    {
        TransactionParser parser = Parser();
        var batch = new TransactionBatch(TestFolder.Schema, 1);
        parser.Parse("tx-1,2025-12-01T00:00:00Z,4111111111111111,5"u8, 2, TestFolder.Now, batch, out Rejection card);
        parser.Parse("tx-2,2025-12-01T00:00:00Z,A-1,SECRET"u8, 3, TestFolder.Now, batch, out Rejection number);
        parser.Parse("\"tx-3"u8, 4, TestFolder.Now, batch, out Rejection quote);
        using (DeadLetterFile file = DeadLetterFile.Open(Path))
        {
            file.Append(card, Source("a\"\n.csv"));
            file.Append(number, Source("a.csv"));
            file.Append(quote, Source("a.csv"));
            file.Flush(durable: true);
            Assert.Equal(3, file.Count);
        }

        string text = File.ReadAllText(Path);
        JsonElement[] letters = [.. text.TrimEnd('\n').Split('\n').Select(line => JsonDocument.Parse(line).RootElement)];
        Assert.Equal([$$"""{"line":3,"source":"a.csv","sourceId":"{{Source("a.csv").Id}}","code":"NUMBER_INVALID","field":"amount","payloadSha256":"X"}"""], [letters[1].GetRawText().Replace(number.PayloadHash.ToString(), "X")]);
        Assert.Equal("PAN_FORBIDDEN", letters[0].GetProperty("code").GetString());
        Assert.Equal("a\"\n.csv", letters[0].GetProperty("source").GetString());
        Assert.True(letters[0].TryGetProperty("payloadHmacSha256", out _));
        Assert.False(letters[2].TryGetProperty("field", out _));
        Assert.DoesNotContain("4111", text);
        Assert.DoesNotContain("SECRET", text);
        Assert.DoesNotContain("tx-", text);
    }

    [Fact]
    public void TruncateAfter_TakesOutWhatWillBeWrittenAgain_AndNothingOfOtherSources()
    {
        using (DeadLetterFile file = DeadLetterFile.Open(Path))
        {
            file.Append(Letter(2), Source("a"));
            file.Append(Letter(7), Source("a"));
            file.Append(Letter(3), Source("b"));
            file.Append(Letter(9, ErrorCode.TooLarge), Source("a"));
            file.TruncateAfter(Source("a"), 5);
            Assert.Equal(2, file.Count);
            Assert.Equal(["a 2", "b 3"], Lines());
            file.Append(Letter(7), Source("a"));
            file.Flush(durable: false);
            Assert.Equal(["a 2", "b 3", "a 7"], Lines());
            file.TruncateAfter(Source("a"), 6);
            Assert.Equal(["a 2", "b 3"], Lines());
            file.TruncateAfter(Source("b"), 0);
            file.TruncateAfter(Source("a"), 2);
            Assert.Equal(["a 2"], Lines());
        }

        Assert.Equal(["dead-letters.jsonl"], Directory.GetFiles(_folder.Path).Select(file => System.IO.Path.GetFileName(file)));
    }

    [Fact]
    public void ReopenedFile_CountsWhatItHolds_AndDropsATornLine()
    {
        using (DeadLetterFile file = DeadLetterFile.Open(Path))
        {
            file.Append(Letter(2), Source("a"));
            file.Append(Letter(3, ErrorCode.TooLarge), Source("a"));
        }

        File.AppendAllText(Path, "{\"line\":4,\"sour");
        using (DeadLetterFile file = DeadLetterFile.Open(Path))
        {
            Assert.Equal(2, file.Count);
            Assert.Equal(new Dictionary<ErrorCode, long> { [ErrorCode.TooLarge] = 1, [ErrorCode.ParseError] = 1 }, file.Counts.ToDictionary());
            file.Append(Letter(4), Source("a"));
        }

        Assert.Equal(["a 2", "a 3", "a 4"], Lines());
    }

    [Fact]
    public void ManyLetters_ReachTheFileInOrder()
    {
        using (DeadLetterFile file = DeadLetterFile.Open(Path))
        {
            for (int line = 1; line <= 5000; line++)
            {
                file.Append(Letter(line), Source("a"));
            }
        }

        Assert.Equal(Enumerable.Range(1, 5000).Select(line => $"a {line}"), Lines());
    }

    private static TransactionParser Parser() => CsvTransactionParser.Create(TestFolder.Schema, TestFolder.Keys, Encoding.UTF8.GetBytes(TestFolder.Header), out _)!;

    private static Rejection Letter(long line, ErrorCode code = ErrorCode.ParseError) => new(line, code, null, default, false);

    private string[] Lines()
    {
        using var reader = new StreamReader(new FileStream(Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        return [.. reader.ReadToEnd().TrimEnd('\n').Split('\n').Select(line => JsonDocument.Parse(line).RootElement).Select(letter => $"{letter.GetProperty("source")} {letter.GetProperty("line")}")];
    }

    private static DeadLetterSource Source(string name) => new(name, name);
}
