using System.Text;
using Risk.Core.Transactions;

namespace Risk.Streams.Tests;

public sealed class LabelFileTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Labels_AreFoundByTheEventKeyOfTheirTransaction()
    {
        LabelFile labels = Read("labels.csv", "scenario,id,fraud,known_at\n3,tx-1,1,2025-12-09T00:00:00Z\n,tx-2,0,\n");
        var batch = new TransactionBatch(TestFolder.Schema, 2);
        TransactionParser parser = CsvTransactionParser.Create(TestFolder.Schema, TestFolder.Keys, Encoding.UTF8.GetBytes(TestFolder.Header), out _)!;
        parser.Parse(Encoding.UTF8.GetBytes(TestFolder.Row(1)), 2, TestFolder.Now, batch, out _);
        parser.Parse(Encoding.UTF8.GetBytes(TestFolder.Row(2)), 3, TestFolder.Now, batch, out _);

        Assert.True(labels.TryGet(batch.EventKeys[0], out Label first));
        Assert.Equal(new Label(batch.EventKeys[0], true, Micro.FromDateTimeOffset(DateTimeOffset.Parse("2025-12-09T00:00:00Z"))), first);
        Assert.True(labels.TryGet(batch.EventKeys[1], out Label second));
        Assert.Equal(new Label(batch.EventKeys[1], false, null), second);
        Assert.False(labels.TryGet(TestFolder.Keys.Event("tx-3"u8), out _));
        Assert.Equal(2, labels.Count);
        Assert.Equal(2, labels.Labels.Count);
        Assert.Empty(labels.Problems);
    }

    [Fact]
    public void JsonLabels_AreReadToo_AlsoCompressed()
    {
        LabelFile labels = Read("labels.gz", TestFolder.Gzip(Encoding.UTF8.GetBytes("{\"id\":7,\"fraud\":true,\"scenario\":[2]}\n{\"id\":\"8\",\"fraud\":0}\n")));
        Assert.True(labels.TryGet(TestFolder.Keys.Event("7"u8), out Label label));
        Assert.True(label.IsPositive);
        Assert.Equal(2, labels.Count);
    }

    [Fact]
    public void BadLabels_AreCountedByCode_AndTheFirstOfTwoStands()
    {
        LabelFile labels = Read("labels.csv", "id,fraud,known_at\ntx-1,1,\ntx-1,1,\ntx-1,0,\n,1,\ntx-4,2,\ntx-5,,\ntx-6,1,yesterday\n\"tx-7,1,\ntx-8,1\ntx-9,1,\n");
        Assert.Equal(2, labels.Count);
        Assert.True(labels.TryGet(TestFolder.Keys.Event("tx-1"u8), out Label label) && label.IsPositive);
        Assert.Equal(
            new Dictionary<ErrorCode, long>
            {
                [ErrorCode.DupSame] = 1, [ErrorCode.IdConflict] = 1, [ErrorCode.IdInvalid] = 1, [ErrorCode.ValueRange] = 1,
                [ErrorCode.SchemaInvalid] = 2, [ErrorCode.TsInvalid] = 1, [ErrorCode.ParseError] = 1,
            },
            labels.Problems.ToDictionary());
        Assert.Equal([3, 4, 5, 6, 7, 8, 9, 10], labels.Rejections.Select(rejection => rejection.SourceOffset));
    }

    [Fact]
    public void FileWithoutTheColumns_SaysSo()
    {
        Assert.Null(LabelFile.Read(_folder.File("labels.csv", "id,scenario\n"), TestFolder.Schema, TestFolder.Keys, out CodedError error));
        Assert.Equal(ErrorCode.SchemaInvalid, error.Code);
        Assert.StartsWith("labels.csv: header: column 'fraud' is missing", error.Message);
        Assert.Null(LabelFile.Read(_folder.Named("none.csv"), TestFolder.Schema, TestFolder.Keys, out error));
        Assert.Equal(ErrorCode.SourceNotFound, error.Code);
    }

    private LabelFile Read(string name, string text) => Read(name, Encoding.UTF8.GetBytes(text));

    private LabelFile Read(string name, byte[] bytes)
    {
        LabelFile? labels = LabelFile.Read(_folder.File(name, bytes), TestFolder.Schema, TestFolder.Keys, out CodedError error);
        Assert.True(labels is not null, error.ToString());
        return labels;
    }
}
