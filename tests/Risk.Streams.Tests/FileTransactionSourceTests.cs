using System.IO.Compression;
using System.Text;
using Risk.Core;
using Risk.Core.Transactions;

namespace Risk.Streams.Tests;

public sealed class FileTransactionSourceTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("a.csv", RecordFormat.Csv)]
    [InlineData("a.csv.gz", RecordFormat.Csv)]
    [InlineData("a.gz", RecordFormat.Csv)]
    [InlineData("a", RecordFormat.Csv)]
    [InlineData("a.jsonl", RecordFormat.JsonLines)]
    [InlineData("a.jsonl.gz", RecordFormat.JsonLines)]
    [InlineData("a.NDJSON", RecordFormat.JsonLines)]
    [InlineData("b.gz", RecordFormat.JsonLines)]
    [InlineData("b", RecordFormat.JsonLines)]
    [InlineData("-", RecordFormat.Csv)]
    [InlineData("-", RecordFormat.JsonLines)]
    [InlineData("-gz", RecordFormat.Csv)]
    [InlineData("-gz", RecordFormat.JsonLines)]
    public void Source_IsToldByNameAndFirstBytes(string name, RecordFormat format)
    {
        byte[] content = Encoding.UTF8.GetBytes(format == RecordFormat.Csv
            ? TestFolder.Header + "\n" + TestFolder.Row(1) + "\n" + TestFolder.Row(2) + "\n"
            : "\n" + TestFolder.JsonRow(1) + "\n" + TestFolder.JsonRow(2) + "\n");
        content = name.Contains("gz") ? TestFolder.Gzip(content) : content;

        using FileTransactionSource source = name.StartsWith('-')
            ? Open("-", standardInput: new TrickleStream(content))
            : Open(_folder.File(name, content));

        Assert.Equal(format, source.Format);
        Assert.Equal([(2, "tx-1"), (3, "tx-2")], ReadIds(source));
        Assert.Equal(content.Length, source.BytesRead);
        Assert.Equal(name.StartsWith('-') ? -1 : content.Length, source.Identity.Size);
    }

    [Fact]
    public void GzipName_WithPlainContent_IsRead()
    {
        using FileTransactionSource source = Open(_folder.File("a.csv.gz", TestFolder.Header + "\n" + TestFolder.Row(1)));
        Assert.Equal([(2, "tx-1")], ReadIds(source));
    }

    [Fact]
    public void LineEnds_BlankLines_AndAMissingLastOne_CostNoRecord()
    {
        using FileTransactionSource source = Open(_folder.File("a.csv", $"\r\n{TestFolder.Header}\r\n{TestFolder.Row(1)}\r\n\r\n  \t\r\n{TestFolder.Row(2)}\n\n{TestFolder.Row(3)}"));
        Assert.Equal([(3, "tx-1"), (6, "tx-2"), (8, "tx-3")], ReadIds(source));
    }

    [Fact]
    public void QuotedLineBreaks_AreOneRecord_WhereTheStreamHasTexts()
    {
        string file = _folder.File("a.csv", $"{TestFolder.Header},note\r\n{TestFolder.Row(1)},\"one\r\ntwo, \"\"three\"\"\n\"\r\n{TestFolder.Row(2)},\n{TestFolder.Row(3)},\"\"\n{TestFolder.Row(4)},\"last\"");
        using FileTransactionSource source = Open(file, TestFolder.SchemaWithNote);
        Assert.Equal([(2, "tx-1"), (5, "tx-2"), (6, "tx-3"), (7, "tx-4")], ReadIds(source));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void QuoteThatIsNeverClosed_CostsItsOwnLineOnly(bool withNote)
    {
        string tail = withNote ? "," : "";
        string file = _folder.File("a.csv", string.Join('\n', withNote ? TestFolder.Header + ",note" : TestFolder.Header,
            TestFolder.Row(1) + tail, "\"tx-2,2025-12-01T00:00:00Z,A-1,5" + tail, TestFolder.Row(3) + tail, $"\"tx-4\",\"2025-12-01T00:00:00Z\",\"A-1\",\"5\"{tail}", TestFolder.Row(5) + tail, ""));
        using FileTransactionSource source = Open(file, withNote ? TestFolder.SchemaWithNote : TestFolder.Schema);
        Assert.Equal([(2, "tx-1"), (3, "PARSE_ERROR"), (4, "tx-3"), (5, "tx-4"), (6, "tx-5")], ReadIds(source));
    }

    [Fact]
    public void QuoteThatIsNeverClosed_AtTheEndOfALongFile_CostsItsOwnLineOnly()
    {
        IEnumerable<string> rows = Enumerable.Range(2, 5000).Select(id => TestFolder.Row(id) + ",");
        string file = _folder.File("a.csv", $"{TestFolder.Header},note\n{TestFolder.Row(1)},\"open\n{string.Join('\n', rows)}\n");
        using FileTransactionSource source = Open(file, TestFolder.SchemaWithNote);
        List<(long Line, string)> read = ReadIds(source);
        Assert.Equal((2, "PARSE_ERROR"), read[0]);
        Assert.Equal(5001, read.Count);
        Assert.All(read.Skip(1), record => Assert.StartsWith("tx-", record.Item2));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void OverlongRecord_IsTooLarge_AndCostsNoOther(bool gzip)
    {
        byte[] content = Encoding.UTF8.GetBytes(string.Join('\n', TestFolder.Header, TestFolder.Row(1), TestFolder.Row(2, new string('1', Limits.RecordSizeMax)), TestFolder.Row(3),
            TestFolder.Row(4, new string('7', 3_000_000)), TestFolder.Row(5), TestFolder.Row(6, new string('8', 3_000_000))));
        using FileTransactionSource source = Open(_folder.File(gzip ? "a.csv.gz" : "a.csv", gzip ? TestFolder.Gzip(content) : content));
        Assert.Equal([(2, "tx-1"), (3, "TOO_LARGE"), (4, "tx-3"), (5, "TOO_LARGE"), (6, "tx-5"), (7, "TOO_LARGE")], ReadIds(source));
    }

    [Fact]
    public void RecordOfTheLargestSize_IsRead()
    {
        string row = TestFolder.Row(1) + ",";
        string file = _folder.File("a.csv", $"{TestFolder.Header},note\n{row}{new string('x', Limits.RecordSizeMax - row.Length)}\r\n{row}{new string('x', Limits.RecordSizeMax - row.Length)}");
        using FileTransactionSource source = Open(file, TestFolder.SchemaWithNote);
        Assert.Equal([(2, "VALUE_RANGE"), (3, "VALUE_RANGE")], ReadIds(source));
    }

    [Fact]
    public void ByteOrderMark_IsAFaultOfItsLine_AndCostsNoOther()
    {
        using FileTransactionSource csv = Open(_folder.File("a.csv", $"\uFEFF{TestFolder.Header}\n{TestFolder.Row(1)}\n"));
        Assert.Equal([(1, "PARSE_ERROR"), (2, "tx-1")], ReadIds(csv));
        using FileTransactionSource json = Open(_folder.File("a", $"\uFEFF{TestFolder.JsonRow(1)}\n{TestFolder.JsonRow(2)}\n"));
        Assert.Equal([(1, "PARSE_ERROR"), (2, "tx-2")], ReadIds(json));
    }

    [Theory]
    [InlineData(0.9)]
    [InlineData(0.5)]
    public void CutGzip_KeepsWhatCouldBeRead_AndSaysSo(double share)
    {
        var random = new Random(3);
        byte[] content = TestFolder.Gzip(Encoding.UTF8.GetBytes(TestFolder.Header + "\n" + string.Join('\n', Enumerable.Range(1, 20_000).Select(id => TestFolder.Row(id, $"{random.Next(1_000_000)}")))));
        using FileTransactionSource source = Open(_folder.File("a.csv.gz", content[..(int)(content.Length * share)]));

        List<(long Line, string Id)> read = ReadIds(source);

        Assert.InRange(read.Count, 20_000 * share * 0.8, 20_000 * share * 1.1);
        Assert.Equal(Enumerable.Range(2, read.Count).Select(line => (long)line), read.Select(record => record.Line));
        Assert.All(read.SkipLast(1), record => Assert.StartsWith("tx-", record.Id));
        Assert.Equal("PARSE_ERROR", read[^1].Id);
        Assert.Null(source.Failure);
    }

    // Wherever the cut is, no record is lost silently and none is made up.
    [Fact]
    public void GzipCutAnywhere_SaysSo_AndSoDoesARestBehindIt()
    {
        byte[] content = TestFolder.Gzip(Encoding.UTF8.GetBytes(TestFolder.Header + "\n" + string.Join('\n', Enumerable.Range(1, 30).Select(id => TestFolder.Row(id)))));
        for (int size = 1; size < content.Length; size++)
        {
            if (FileTransactionSource.Open(_folder.File("a.csv.gz", content[..size]), TestFolder.Schema, out CodedError error) is not { } source)
            {
                Assert.Equal(ErrorCode.ParseError, error.Code);
                continue;
            }

            using (source)
            {
                List<(long Line, string Id)> read = source.CreateParser(TestFolder.Keys, false, out _) is null ? [(0, "PARSE_ERROR")] : ReadIds(source);
                Assert.Equal("PARSE_ERROR", read[^1].Id);
                Assert.Equal(Enumerable.Range(1, read.Count - 1).Select(id => $"tx-{id}"), read.SkipLast(1).Select(record => record.Id));
            }
        }

        using FileTransactionSource whole = Open(_folder.File("a.csv.gz", content));
        Assert.Equal(30, ReadIds(whole).Count);
        using FileTransactionSource twice = Open(_folder.File("a.csv.gz", [.. content, .. TestFolder.Gzip(Encoding.UTF8.GetBytes("\n" + TestFolder.Row(31)))]));
        Assert.Equal("tx-31", ReadIds(twice)[^1].Id);
        using FileTransactionSource behind = Open(_folder.File("a.csv.gz", [.. content, .. "and more"u8]));
        Assert.Equal("PARSE_ERROR", ReadIds(behind)[^1].Id);
    }

    [Fact]
    public void DamagedGzip_KeepsWhatCouldBeRead_AndSaysSo()
    {
        var random = new Random(3);
        byte[] content = TestFolder.Gzip(Encoding.UTF8.GetBytes(TestFolder.Header + "\n" + string.Join('\n', Enumerable.Range(1, 20_000).Select(id => TestFolder.Row(id, $"{random.Next(1_000_000)}")))));
        content.AsSpan(content.Length / 2, 50).Fill(0xFF);
        using FileTransactionSource source = Open(_folder.File("a.csv.gz", content));
        List<(long Line, string Id)> read = ReadIds(source);
        Assert.True(read.Count > 5000);
        Assert.Equal("PARSE_ERROR", read[^1].Id);
    }

    [Fact]
    public void DecompressionBomb_IsTooLarge_WithoutBeingUnpacked()
    {
        string file = _folder.Named("a.csv.gz");
        using (var gzip = new GZipStream(File.Create(file), CompressionLevel.SmallestSize))
        {
            gzip.Write(Encoding.UTF8.GetBytes(TestFolder.Header + "\n" + TestFolder.Row(1) + "\n"));
            byte[] blank = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(new string(' ', 1023) + "\n", 1024)));
            for (int block = 0; block < 40; block++)
            {
                gzip.Write(blank);
            }
        }

        using FileTransactionSource source = Open(file);
        List<(long Line, string Id)> read = ReadIds(source);
        Assert.Equal((2, "tx-1"), read[0]);
        Assert.Equal("TOO_LARGE", read[1].Id);
        Assert.Equal(2, read.Count);
        Assert.InRange(read[1].Line, 1, 20 << 10);
    }

    [Fact]
    public void SkipTo_GoesOnBehindThatLine()
    {
        string file = _folder.File("a.csv", $"{TestFolder.Header}\n{TestFolder.Row(1)}\n\n{TestFolder.Row(2, "bad")}\n{TestFolder.Row(3)}\n");
        using FileTransactionSource source = Open(file);
        Assert.True(source.SkipTo(0));
        Assert.True(source.SkipTo(4));
        Assert.Equal([(5, "tx-3")], ReadIds(source));
        using FileTransactionSource between = Open(file);
        Assert.False(between.SkipTo(3));
        using FileTransactionSource beyond = Open(file);
        Assert.False(beyond.SkipTo(99));
    }

    [Fact]
    public void Identity_IsTheSameForTheSameFile_AndAnotherForAnother()
    {
        string one = _folder.File("a.csv", TestFolder.Header + "\n" + TestFolder.Row(1));
        using FileTransactionSource first = Open(one), again = Open(one);
        Assert.Equal(first.Identity, again.Identity);
        using FileTransactionSource other = Open(_folder.File("a.csv", TestFolder.Header + "\n" + TestFolder.Row(2)));
        Assert.NotEqual(first.Identity, other.Identity);
        Assert.Equal("a.csv", first.Identity.Name);
    }

    [Fact]
    public void SourceThatCannotBeOpened_SaysWhy()
    {
        CheckRefused(_folder.Named("none.csv"), ErrorCode.SourceNotFound, "none.csv does not exist");
        CheckRefused(_folder.Named("no/where.csv"), ErrorCode.SourceNotFound, "does not exist");
        CheckRefused(_folder.Path, ErrorCode.SourceUnreadable, "is a folder");
        CheckRefused(_folder.File("empty.csv", ""), ErrorCode.SourceEmpty, "is empty");
        CheckRefused(_folder.File("blank.csv", "\n \n"), ErrorCode.SourceEmpty, "holds no header");
        CheckRefused(_folder.File("empty.csv.gz", TestFolder.Gzip([10])), ErrorCode.SourceEmpty, "holds no header");
        CheckRefused(_folder.File("cut.csv.gz", TestFolder.Gzip(new byte[500])[..12]), ErrorCode.ParseError, "the header is cut off");
        CheckRefused(_folder.File("long.csv", new string('x', 100_000)), ErrorCode.TooLarge, "the header is cut off or longer than");
        CheckRefused("a\0b", ErrorCode.SourceUnreadable, "a\0b");
    }

    [Fact]
    public void HeaderThatDoesNotFit_SaysWhatIsMissing()
    {
        using FileTransactionSource source = Open(_folder.File("a.csv", TestFolder.Row(1) + "\n"));
        Assert.Null(source.CreateParser(TestFolder.Keys, false, out CodedError error));
        Assert.Equal(ErrorCode.SchemaInvalid, error.Code);
        Assert.StartsWith("a.csv: header: column", error.Message);
    }

    [Fact]
    public void HeaderAlone_IsAnEmptySource()
    {
        using FileTransactionSource source = Open(_folder.File("a.csv", TestFolder.Header));
        Assert.Empty(ReadIds(source));
        Assert.Null(source.Failure);
    }

    [Fact]
    public void FailureOfTheOutsideWorld_IsNoRegularEnd_AndNoRecord()
    {
        using FileTransactionSource source = Open("-", standardInput: new TrickleStream(Encoding.UTF8.GetBytes(new string('\n', 4096) + TestFolder.Header + "\n" + TestFolder.Row(1) + "\n" + TestFolder.Row(2)), failAtEnd: true));
        Assert.Equal([(4098, "tx-1")], ReadIds(source));
        Assert.Equal(ErrorCode.SourceUnreadable, source.Failure?.Code);
    }

    [Fact]
    public void SourceWithoutMoreAtHand_SaysThatItWouldWait()
    {
        using var gate = new SemaphoreSlim(0);
        using FileTransactionSource source = Open("-", standardInput: new TrickleStream(Encoding.UTF8.GetBytes(new string('\n', 4096) + TestFolder.Header + "\n" + TestFolder.Row(1) + "\n"), gate: gate));
        Assert.True(source.TryRead(out SourceRecord record));
        Assert.Equal(4098, record.LineNumber);
        Assert.True(source.WouldWait);
        gate.Release();
        Assert.False(source.TryRead(out _));
        Assert.False(source.WouldWait);
    }

    // Fuzz: whatever the bytes, every record is either a row or a rejection, and the next file is read as ever.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void MutatedFiles_LoseNoRecord(bool csv)
    {
        string good = csv
            ? TestFolder.Header + ",note\n" + string.Join('\n', Enumerable.Range(1, 50).Select(id => TestFolder.Row(id) + (id % 5 == 0 ? ",\"a\nb\"" : ",x")))
            : string.Join('\n', Enumerable.Range(1, 50).Select(id => TestFolder.JsonRow(id)));
        var random = new Random(99);
        ReadOnlySpan<byte> spice = "\"\",{}\n\r\0\\x5\uFEFF"u8;
        for (int round = 0; round < 400; round++)
        {
            byte[] bytes = Encoding.UTF8.GetBytes(good);
            int header = csv ? TestFolder.Header.Length + 6 : 0;
            for (int change = random.Next(1, 10); change > 0; change--)
            {
                bytes[random.Next(header, bytes.Length)] = spice[random.Next(spice.Length)];
            }

            using FileTransactionSource source = Open("-", TestFolder.SchemaWithNote, new MemoryStream(round % 2 == 0 ? bytes : TestFolder.Gzip(bytes)));
            List<(long Line, string Id)> read = ReadIds(source);
            long lines = bytes.Count(value => value == '\n') + 1;
            Assert.True(read.Select(record => record.Line).SequenceEqual(read.Select(record => record.Line).Distinct().Order()));
            Assert.InRange(read.Count, 30, lines);
            Assert.True(read.Count(record => record.Id.StartsWith("tx-", StringComparison.Ordinal)) >= 30, $"round {round}: {read.Count} records");
        }
    }

    // --- helpers ------------------------------------------------------------------------------------------------------

    private static FileTransactionSource Open(string path, StreamSchema? schema = null, Stream? standardInput = null)
    {
        FileTransactionSource? source = FileTransactionSource.Open(path, schema ?? TestFolder.Schema, out CodedError error, standardInput);
        Assert.True(source is not null, error.ToString());
        return source;
    }

    private static void CheckRefused(string path, ErrorCode code, string message)
    {
        Assert.Null(FileTransactionSource.Open(path, TestFolder.Schema, out CodedError error));
        Assert.Equal(code, error.Code);
        Assert.Contains(message, error.Message);
    }

    // Every record with its line: the id of the row, or the code of the rejection.
    private static List<(long Line, string Id)> ReadIds(FileTransactionSource source)
    {
        TransactionParser parser = source.CreateParser(TestFolder.Keys, ingestIsEventTime: false, out CodedError error)!;
        Assert.True(parser is not null, error.ToString());
        var batch = new TransactionBatch(parser.Schema, 1);
        var read = new List<(long, string)>();
        while (source.TryRead(out SourceRecord record))
        {
            batch.Clear();
            ErrorCode code = record.Problem != ErrorCode.None
                ? parser.Reject(record.Bytes, record.LineNumber, record.Problem).Code
                : parser.Parse(record.Bytes, record.LineNumber, TestFolder.Now, batch, out _);
            read.Add((record.LineNumber, code == ErrorCode.None ? Encoding.UTF8.GetString(batch.EventId(0)) : code.Text()));
        }

        return read;
    }
}
