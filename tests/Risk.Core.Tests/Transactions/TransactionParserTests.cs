using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Risk.Core.Transactions;

namespace Risk.Core.Tests.Transactions;

public sealed class TransactionParserTests
{
    private static readonly StreamSchema Schema = WideStream.Schema;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void GoodRecord_GivesEveryColumn(bool csv)
    {
        TransactionBatch batch = Parse(csv, WideStream.Record(csv));

        Assert.Equal(1, batch.Count);
        Assert.Equal("tx-1", Text(batch.EventId(0)));
        Assert.Equal(DateTimeOffset.Parse("2025-12-31T10:00:00Z"), Micro.ToDateTimeOffset(batch.EventTimes[0]));
        Assert.Equal(WideStream.Now, batch.IngestTimes[0]);
        Assert.Equal(42, batch.SourceOffsets[0]);
        Assert.Equal(["amount", "parts", "online", "opened"], Schema.NumberFields.Select(field => field.Name));
        Assert.Equal([52.300000000000004, 3, 1, Micro.FromDateTimeOffset(DateTimeOffset.Parse("1969-05-03T22:00:00Z"))], batch.Numbers.ToArray());
        Assert.Equal(["account", "shop", "card"], Schema.KeyFields.Select(field => field.Name));
        Assert.Equal([WideStream.Keys.Entity("A-77"u8), WideStream.Keys.Entity("Bäckerei"u8), WideStream.Keys.Card("4111111111111111"u8)], batch.Keys.ToArray());
        Assert.Equal(["tx-1", "A-77", "Bäckerei", $"{batch.Keys[2].High:x16}{batch.Keys[2].Low:x16}", "pos", "EUR", "two loaves"], Enumerable.Range(0, 7).Select(text => Text(batch.Text(0, text))));
        Assert.Equal(WideStream.Keys.Event("tx-1"u8), batch.EventKeys[0]);
        Assert.Equal(WideStream.Keys.Fingerprint(batch.Canonical(0)), batch.Fingerprints[0]);
    }

    [Fact]
    public void CsvAndJson_OfTheSameTransaction_AreTheSameRow() =>
        Assert.Equal(Parse(true, WideStream.Record(true)).Canonical(0).ToArray(), Parse(false, WideStream.Record(false)).Canonical(0).ToArray());

    // The log keeps these bytes: a change here is a new version of the log's format.
    [Fact]
    public void CanonicalBytes_AreFrozen()
    {
        const string Schema = """
            { "stream": "s", "version": 1, "subject": "k", "fields": [
              { "name": "k", "type": "key" }, { "name": "id", "type": "id" }, { "name": "n", "type": "number", "required": false },
              { "name": "t", "type": "timestamp" }, { "name": "x", "type": "text", "required": false } ] }
            """;
        StreamSchema schema = WideStream.Read(Schema);
        var batch = new TransactionBatch(schema, 2);
        TransactionParser parser = WideStream.Parser(csv: true, schema, "t,id,k,n,x");

        Assert.Equal(ErrorCode.None, parser.Parse("2001-09-09T01:46:40.000001Z,i1,abc,1.5,ü"u8, 1, WideStream.Now, batch, out _));
        Assert.Equal(ErrorCode.None, parser.Parse("2001-09-09T01:46:40Z,i2,abc,,"u8, 2, WideStream.Now, batch, out _));

        Assert.Equal("0300616263" + "02006931" + "000000000000f83f" + Little(1_000_000_000_000_001) + "0200c3bc", Convert.ToHexStringLower(batch.Canonical(0)));
        Assert.Equal("0300616263" + "02006932" + "000000000000f8ff" + Little(1_000_000_000_000_000) + "ffff", Convert.ToHexStringLower(batch.Canonical(1)));
        static string Little(long value) => Convert.ToHexStringLower(BitConverter.GetBytes(value));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void AbsentOptionalFields_AreNaNEmptyAndNoKey(bool csv)
    {
        TransactionBatch batch = Parse(csv, WideStream.Record(csv, ("shop", "", ""), ("parts", "", "null"), ("note", "", ""), ("opened", "", "null")));

        Assert.Equal(1, batch.Count);
        Assert.True(double.IsNaN(batch.Numbers[1]) && double.IsNaN(batch.Numbers[3]));
        Assert.Equal(default, batch.Keys[1]);
        Assert.True(batch.Text(0, 2).IsEmpty && batch.Text(0, 6).IsEmpty);
    }

    [Fact]
    public void CsvColumns_MayBeInAnyOrder_AndQuoted()
    {
        TransactionBatch batch = Parse(true, WideStream.Record(true));
        string header = string.Join(',', WideStream.Good.Reverse().Select(cell => $"\"{cell.Field}\""));
        string record = string.Join(',', WideStream.Good.Reverse().Select(cell => $"\"{cell.Csv}\""));
        var reversed = new TransactionBatch(Schema, 1);

        Assert.Equal(ErrorCode.None, WideStream.Parser(true, header: header).Parse(Encoding.UTF8.GetBytes(record), 1, WideStream.Now, reversed, out _));
        Assert.Equal(batch.Canonical(0).ToArray(), reversed.Canonical(0).ToArray());
    }

    [Theory]
    [InlineData("\"a \"\"b\"\", c\r\nd\"", "a \"b\", c\r\nd")]
    [InlineData("\"\"\"\"", "\"")]
    [InlineData("\"\"", "")]
    public void QuotedCell_IsItsText(string cell, string text) =>
        Assert.Equal(text, Text(Parse(true, WideStream.Record(true, ("note", cell, ""))).Text(0, 6)));

    [Theory]
    [InlineData("\"a\\n\\u00fc\\ud83d\\ude00\\\\\\/\"", "a\nü😀\\/")]
    [InlineData("\"\"", "")]
    public void EscapedString_IsItsText(string json, string text) =>
        Assert.Equal(text, Text(Parse(false, WideStream.Record(false, ("note", "", json))).Text(0, 6)));

    [Fact]
    public void WholeNumber_AsId_IsItsDigits()
    {
        TransactionBatch batch = Parse(false, WideStream.Record(false, ("id", "", "0"), ("account", "", "596")));
        Assert.Equal("0", Text(batch.EventId(0)));
        Assert.Equal(WideStream.Keys.Entity("596"u8), batch.Keys[0]);
    }

    [Theory]
    [InlineData("column 'amount' is missing", "id,time,account,card,online,channel,currency")]
    [InlineData("column 'id' is there twice", "id,id,time,account,card,amount,online,channel,currency")]
    [InlineData("column amuont is not declared", "id,time,account,card,amuont,online,channel,currency")]
    [InlineData("column #2 is not declared", "id,4111111111111111,account,card,amount,online,channel,currency")]
    public void HeaderThatDoesNotFit_IsSaidAndEchoesNoValue(string message, string header)
    {
        Assert.Null(CsvTransactionParser.Create(Schema, WideStream.Keys, Encoding.UTF8.GetBytes(header), out CodedError error));
        Assert.Equal(ErrorCode.SchemaInvalid, error.Code);
        Assert.Contains(message, error.Message);
        Assert.DoesNotContain("4111", error.Message);
    }

    [Fact]
    public void UnknownFields_ArePassedOver_WhereTheSchemaSaysSo()
    {
        StreamSchema schema = WideStream.Read(WideStream.Json.Replace("\"version\": 3,", "\"version\": 3, \"unknownFields\": \"ignore\","));
        var batch = new TransactionBatch(schema, 2);
        Assert.Equal(ErrorCode.None, WideStream.Parser(true, schema, WideStream.Header + ",extra").Parse(Encoding.UTF8.GetBytes(WideStream.Record(true) + ",9"), 1, WideStream.Now, batch, out _));
        Assert.Equal(ErrorCode.None, WideStream.Parser(false, schema).Parse(Encoding.UTF8.GetBytes(WideStream.Record(false, ("opened", "", "null, \"extra\": {\"a\": [1]}"))), 1, WideStream.Now, batch, out _));
        Assert.Equal(2, batch.Count);
    }

    [Fact]
    public void EventIds_AreBoundToTheirStream_EntitiesAreNot()
    {
        var secret = new KeyedHash("0123456789abcdef"u8);
        var other = new TransactionKeys("other", secret);
        Assert.NotEqual(WideStream.Keys.Event("1"u8), other.Event("1"u8));
        Assert.Equal(WideStream.Keys.Entity("1"u8), other.Entity("1"u8));
        Assert.NotEqual(other.Card("1"u8), other.Entity("1"u8));
    }

    [Fact]
    public void EventClock_MakesTheEventTimeTheIngestTime()
    {
        var batch = new TransactionBatch(Schema, 1);
        TransactionParser parser = WideStream.Parser(true);
        parser.IngestIsEventTime = true;
        Assert.Equal(ErrorCode.None, parser.Parse(Encoding.UTF8.GetBytes(WideStream.Record(true)), 1, WideStream.Now, batch, out _));
        Assert.Equal(batch.EventTimes[0], batch.IngestTimes[0]);
    }

    [Fact]
    public void Batch_CanGiveItsLastRowBack_AndCopyRows()
    {
        var batch = new TransactionBatch(Schema, 3);
        TransactionParser parser = WideStream.Parser(true);
        for (int row = 0; row < 3; row++)
        {
            Assert.Equal(ErrorCode.None, parser.Parse(Encoding.UTF8.GetBytes(WideStream.Record(true, ("id", $"tx-{row}", ""))), row, WideStream.Now, batch, out _));
        }

        Assert.True(batch.IsFull);
        Assert.Throws<InvalidOperationException>(() => parser.Parse("x"u8, 1, 1, batch, out _));
        batch.RemoveLast();
        Assert.Equal(2, batch.Count);

        var copy = new TransactionBatch(Schema, 3);
        copy.AppendCopy(batch, 1);
        copy.AppendCopy(batch, 0);
        Assert.Equal(batch.Canonical(1).ToArray(), copy.Canonical(0).ToArray());
        Assert.Equal(batch.Canonical(0).ToArray(), copy.Canonical(1).ToArray());
        Assert.Equal("tx-0", Text(copy.EventId(1)));
        Assert.Equal(batch.EventKeys[0], copy.EventKeys[1]);
        Assert.Equal(batch.Numbers[..4].ToArray(), copy.Numbers[4..].ToArray());
        Assert.Equal(batch.Keys[..3].ToArray(), copy.Keys[3..].ToArray());
        Assert.Equal(batch.Fingerprints[0], copy.Fingerprints[1]);
        Assert.Throws<ArgumentOutOfRangeException>(() => Text(batch.Text(2, 0)));
    }

    // --- properties ---------------------------------------------------------------------------------------------------

    private static readonly Gen<string> Note = Gen.Elements("", "plain", "with, comma", "with \"quotes\"", "two\nlines", "ünïcödé 😀", "=1+1", "\t tab ", "\\ / \u0001");
    private static readonly Gen<double> Amount = Gen.Choose(1, 1_000_000_000).SelectMany(units => Gen.Elements(1.0, 0.1, 0.01, 0.001), (units, scale) => Math.Max(units * scale % 1_000_000, 0.001));

    private static readonly Gen<(string Csv, string Json)> Valid =
        from id in Gen.Choose(0, int.MaxValue)
        from micros in Gen.Choose(0, int.MaxValue)
        from account in Gen.Choose(1, 5000)
        from amount in Amount
        from parts in Gen.Choose(0, 48)
        from online in Gen.Elements(true, false)
        from note in Note
        from zone in Gen.Elements("Z", "+02:00", "-1130", "+05")
        let time = $"2024-0{1 + micros % 9}-{1 + micros % 28:00}T{micros % 24:00}:{micros % 60:00}:{micros % 59:00}.{micros % 1_000_000:000000}{zone}"
        let number = amount.ToString("R", System.Globalization.CultureInfo.InvariantCulture)
        select (
            WideStream.Record(true, ("id", $"{id}", ""), ("time", time, ""), ("account", $"{account}", ""), ("amount", number, ""), ("parts", parts == 0 ? "" : $"{parts}", ""),
                ("online", online ? "1" : "false", ""), ("note", note.Length == 0 ? "" : $"\"{note.Replace("\"", "\"\"")}\"", "")),
            WideStream.Record(false, ("id", "", $"\"{id}\""), ("time", "", $"\"{time}\""), ("account", "", $"{account}"), ("amount", "", number), ("parts", "", parts == 0 ? "null" : $"{parts}"),
                ("online", "", online ? "true" : "0"), ("note", "", note.Length == 0 ? "null" : System.Text.Json.JsonSerializer.Serialize(note))));

    [Fact]
    public void RandomGoodRecords_AreTheSameFromCsvJsonAndCanonicalBytes() =>
        Prop.ForAll(Valid.ToArbitrary(), record =>
        {
            TransactionBatch csv = Parse(true, record.Csv);
            TransactionBatch json = Parse(false, record.Json);
            var again = new TransactionBatch(Schema, 1);
            bool read = new TransactionCodec(Schema, WideStream.Keys).Append(csv.Canonical(0), 42, WideStream.Now, again);
            return read && csv.Canonical(0).SequenceEqual(json.Canonical(0)) && SameRow(csv, json) && SameRow(csv, again);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [Fact]
    public void DamagedCanonicalBytes_AreRefusedOrAnotherRow_AndNeverThrow()
    {
        byte[] good = Parse(true, WideStream.Record(true)).Canonical(0).ToArray();
        var codec = new TransactionCodec(Schema, WideStream.Keys);
        var batch = new TransactionBatch(Schema, 1);
        for (int size = 0; size < good.Length; size++)
        {
            Assert.False(codec.Append(good.AsSpan(0, size), 1, 1, batch));
            Assert.Equal(0, batch.Count);
        }

        Assert.False(codec.Append([.. good, 0], 1, 1, batch));
        var random = new Random(7);
        for (int round = 0; round < 20_000; round++)
        {
            byte[] damaged = [.. good];
            damaged[random.Next(damaged.Length)] ^= (byte)random.Next(1, 256);
            if (codec.Append(damaged, 1, 1, batch))
            {
                Assert.NotEqual(WideStream.Keys.Fingerprint(good), batch.Fingerprints[0]);
                batch.RemoveLast();
            }
        }
    }

    // What a rejected record could have left behind would show in the next good one.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void MutatedRecords_NeverThrow_AndAreAcceptedOrRejected(bool csv)
    {
        byte[] good = Encoding.UTF8.GetBytes(WideStream.Record(csv));
        byte[] expected = Parse(csv, WideStream.Record(csv)).Canonical(0).ToArray();
        TransactionParser parser = WideStream.Parser(csv);
        var batch = new TransactionBatch(Schema, 1);
        var random = new Random(1234);
        ReadOnlySpan<byte> spice = "\"\\,{}[]:-+.eENnuI0123456789\0\n\r\t \u00FF\uFEFF"u8;
        int accepted = 0, rejected = 0;
        for (int round = 0; round < 50_000; round++)
        {
            List<byte> bytes = [.. good];
            for (int change = random.Next(1, 5); change > 0; change--)
            {
                int at = random.Next(bytes.Count);
                byte value = random.Next(2) == 0 ? spice[random.Next(spice.Length)] : (byte)random.Next(256);
                switch (random.Next(4))
                {
                    case 0: bytes[at] = value; break;
                    case 1: bytes.Insert(at, value); break;
                    case 2: bytes.RemoveAt(at); break;
                    default: bytes.RemoveRange(at, Math.Min(bytes.Count - at - 1, random.Next(20))); break;
                }
            }

            ErrorCode code = parser.Parse(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(bytes), round, WideStream.Now, batch, out Rejection rejection);
            accepted += code == ErrorCode.None ? 1 : 0;
            rejected += code is > ErrorCode.None and < ErrorCode.IdConflict && rejection.Code == code ? 1 : 0;
            Assert.Equal(code == ErrorCode.None ? 1 : 0, batch.Count);
            batch.Clear();
            if (round % 100 == 0)
            {
                Assert.Equal(ErrorCode.None, parser.Parse(good, 1, WideStream.Now, batch, out _));
                Assert.True(batch.Canonical(0).SequenceEqual(expected));
                batch.Clear();
            }
        }

        Assert.Equal(50_000, accepted + rejected);
        Assert.InRange(accepted, 100, 49_000);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void CardNumber_IsInNothingThatComesOut(bool csv)
    {
        TransactionBatch batch = Parse(csv, WideStream.Record(csv));
        Assert.Equal(1, batch.Count);
        string canonical = Encoding.Latin1.GetString(batch.Canonical(0));
        Assert.DoesNotContain("4111", canonical);
        Assert.DoesNotContain("1111", string.Concat(Enumerable.Range(0, 7).Select(text => Text(batch.Text(0, text)))));
        Assert.DoesNotContain("key", new KeyedHash("0123456789abcdef"u8).ToString()!.Replace("KeyedHash", ""), StringComparison.OrdinalIgnoreCase);
    }

    // --- cost ---------------------------------------------------------------------------------------------------------

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void AcceptedRecord_AllocatesNothing(bool csv)
    {
        byte[] record = Encoding.UTF8.GetBytes(WideStream.Record(csv, ("note", "\"a \"\"b\"\"\"", "\"a\\n\\\"b\"")));
        TransactionParser parser = WideStream.Parser(csv);
        var codec = new TransactionCodec(Schema, WideStream.Keys);
        var batch = new TransactionBatch(Schema, 64);
        var copy = new TransactionBatch(Schema, 64);
        long Run(int rounds)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int round = 0; round < rounds; round++)
            {
                if (batch.IsFull)
                {
                    batch.Clear();
                    copy.Clear();
                }

                ErrorCode code = parser.Parse(record, round, WideStream.Now, batch, out _);
                bool read = codec.Append(batch.Canonical(batch.Count - 1), round, WideStream.Now, copy);
                if (code != ErrorCode.None || !read)
                {
                    throw new InvalidOperationException(code.Text());
                }
            }

            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Run(1000);
        Assert.Equal(0, Run(10_000));
    }

    private static TransactionBatch Parse(bool csv, string record)
    {
        var batch = new TransactionBatch(Schema, 1);
        ErrorCode code = WideStream.Parser(csv).Parse(Encoding.UTF8.GetBytes(record), 42, WideStream.Now, batch, out Rejection rejection);
        Assert.True(code == ErrorCode.None, $"{code.Text()} {rejection.Field}: {record}");
        return batch;
    }

    private static bool SameRow(TransactionBatch left, TransactionBatch right) =>
        left.Canonical(0).SequenceEqual(right.Canonical(0)) && left.EventTimes.SequenceEqual(right.EventTimes) && left.Fingerprints.SequenceEqual(right.Fingerprints)
        && left.Keys.SequenceEqual(right.Keys) && left.EventKeys.SequenceEqual(right.EventKeys) && left.SourceOffsets.SequenceEqual(right.SourceOffsets)
        && left.Numbers.ToArray().Zip(right.Numbers.ToArray()).All(pair => pair.First.Equals(pair.Second))
        && Enumerable.Range(0, left.Schema.TextFields.Count).All(text => left.Text(0, text).SequenceEqual(right.Text(0, text)));

    private static string Text(ReadOnlySpan<byte> utf8) => Encoding.UTF8.GetString(utf8);
}
