using System.Text;
using Risk.Core.Transactions;

namespace Risk.Streams.Tests;

public sealed class RecordJsonTests : IDisposable
{
    private readonly TestFolder _folder = new();

    [Theory]
    [InlineData("id,time,account,amount,note\nt1,2025-01-01T00:00:00Z,a,0.10,\n", """{"id":"t1","time":"2025-01-01T00:00:00Z","account":"a","amount":0.10}""")]
    // Other columns' order, quotes, a line break; the number stands as it was written.
    [InlineData("amount,note,account,id,time\n12345678901234.5678901234,\"he said \"\"no\"\",\n\u00e9\",0042,t1,2025-01-01T00:00:00Z\n", """{"id":"t1","time":"2025-01-01T00:00:00Z","account":"0042","amount":12345678901234.5678901234,"note":"he said \"no\",\n\u00e9"}""")]
    [InlineData("""{ "amount" : 1.50, "id" : "t1", "time":"2025-01-01T00:00:00Z", "account": 7 }""", """{ "amount" : 1.50, "id" : "t1", "time":"2025-01-01T00:00:00Z", "account": 7 }""")]
    public void Record_BecomesAMessage_ThatParsesToTheSameRow(string content, string expected)
    {
        StreamSchema schema = TestFolder.SchemaWithNote;
        string path = Path.Combine(_folder.Path, content.StartsWith('{') ? "a.jsonl" : "a.csv");
        File.WriteAllText(path, content);
        using FileTransactionSource source = FileTransactionSource.Open(path, schema, out _)!;
        TransactionParser parser = source.CreateParser(TestFolder.Keys, true, out _)!;
        RecordJson json = source.CreateJson();
        var (row, again) = (new TransactionBatch(schema, 1), new TransactionBatch(schema, 1));

        Assert.True(source.TryRead(out SourceRecord record));
        Assert.Equal(ErrorCode.None, parser.Parse(record.Bytes, 1, TestFolder.Now, row, out _));
        byte[] message = json.Of(record.Bytes);

        Assert.Equal(expected.Replace("\\u00e9", "\u00e9", StringComparison.Ordinal), Encoding.UTF8.GetString(message));
        Assert.Equal(ErrorCode.None, new JsonTransactionParser(schema, TestFolder.Keys).Parse(message, 1, TestFolder.Now, again, out _));
        Assert.Equal(row.Canonical(0), again.Canonical(0));
    }

    public void Dispose() => _folder.Dispose();
}
