using System.Text;
using System.Text.Json;
using Risk.Core.Log;

namespace Risk.Core.Tests.Log;

public class DecisionRecordCodecTests
{
    private static readonly byte[] Digest = [.. Enumerable.Range(1, 32).Select(i => (byte)i)];

    [Fact]
    public void FullRecord_WrittenAndRead_IsTheSame()
    {
        byte[] entry = Write(Full());
        Assert.Equal(RecordFault.None, DecisionRecordCodec.Read(entry, out DecisionRecord read));
        Assert.Equal(RecordKind.Decision, read.Kind);
        Assert.Equal(1_234_567, read.Sequence);
        Assert.Equal("card-payments", Encoding.UTF8.GetString(read.Stream));
        Assert.Equal("tx-é-1", Encoding.UTF8.GetString(read.EventId));
        Assert.Equal("transactions.csv.gz", Encoding.UTF8.GetString(read.SourceName));
        Assert.Equal(3, read.SourcePartition);
        Assert.Equal(99_000_000_001, read.SourceOffset);
        Assert.Equal(-5, read.EventTimeMicros);
        Assert.Equal(1_700_000_000_000_000, read.DecisionTimeMicros);
        Assert.Equal(Digest.AsSpan(0, 16), read.Subject);
        Assert.Equal(Digest, read.Commitment);
        Assert.Equal(0.1f, read.RawScore);
        Assert.Equal(0.1, read.CalibratedScore);
        Assert.Equal(0.5, read.ReviewThreshold);
        Assert.Equal(0.9, read.DeclineThreshold);
        Assert.Equal((int)Risk.Core.Decisions.Outcome.Decline, read.Outcome);
        Assert.Equal(1, read.Rung);
        Assert.Equal("ACCELERATOR_LOST", Encoding.UTF8.GetString(read.RungCause));
        Assert.Equal(1.25e-6, read.CostMoney);
        Assert.True(read.SolelyAutomated);
        Assert.Equal(RecordFlags.Late, read.Flags);
        var reasons = new List<(string, ReasonSource, float)>();
        foreach (RecordedReason reason in read.Reasons)
        {
            reasons.Add((Encoding.UTF8.GetString(reason.Code), reason.Source, reason.Contribution));
        }

        Assert.Equal([("AMOUNT_HIGH", ReasonSource.Score, 1.5f), ("RULE_7", ReasonSource.Rule, 0f), ("NIGHT", ReasonSource.Score, -0.3f)], reasons);
    }

    [Fact]
    public void RecordThatWasRead_WrittenAgain_IsTheSameBytes()
    {
        byte[] entry = Write(Full());
        DecisionRecordCodec.Read(entry, out DecisionRecord read);
        Assert.Equal(entry, Write(read));
    }

    [Fact]
    public void SmallestRecord_LeavesOutWhatIsNotThere()
    {
        byte[] entry = Write(Small());
        Assert.Equal(RecordFault.None, DecisionRecordCodec.Read(entry, out DecisionRecord read));
        Assert.True(float.IsNaN(read.RawScore));
        Assert.True(double.IsNaN(read.CalibratedScore));
        Assert.True(read.ModelDigest.IsEmpty);
        Assert.Equal(0, read.Reasons.Count);
        Assert.InRange(entry.Length, 100, 200);
    }

    [Fact]
    public void BytesMax_IsAnUpperBound()
    {
        DecisionRecord record = Full();
        Assert.True(Write(record).Length <= DecisionRecordCodec.BytesMax(record));
    }

    [Fact]
    public void TruncatedAnywhere_IsRefused()
    {
        byte[] entry = Write(Full());
        for (int length = 0; length < entry.Length; length++)
        {
            Assert.NotEqual(RecordFault.None, DecisionRecordCodec.Read(entry.AsSpan(0, length), out _));
        }
    }

    [Fact]
    public void AnyByteChanged_IsRefusedOrIsAnotherCanonicalRecord()
    {
        byte[] entry = Write(Full());
        for (int at = 0; at < entry.Length; at++)
        {
            for (int bit = 0; bit < 8; bit++)
            {
                byte[] changed = [.. entry];
                changed[at] ^= (byte)(1 << bit);
                if (DecisionRecordCodec.Read(changed, out DecisionRecord read) == RecordFault.None)
                {
                    Assert.Equal(changed, Write(read));
                }
            }
        }
    }

    [Fact]
    public void BytesAfterTheRecord_AreRefused() =>
        Assert.Equal(RecordFault.TrailingBytes, DecisionRecordCodec.Read([.. Write(Small()), 0], out _));

    [Theory]
    [InlineData("a10100", RecordFault.SchemaVersion)]
    [InlineData("a1011801", RecordFault.NotCanonical)] // 1 in two bytes
    [InlineData("a118010", RecordFault.NotCanonical)]
    [InlineData("a20201", RecordFault.Truncated)]
    [InlineData("a202000101", RecordFault.NotCanonical)] // keys out of order
    [InlineData("a201010101", RecordFault.NotCanonical)] // key twice
    [InlineData("a1182001", RecordFault.UnknownField)] // key 32
    [InlineData("bf0101ff", RecordFault.NotCanonical)] // indefinite length
    [InlineData("a10161", RecordFault.WrongType)]
    [InlineData("a10461ff", RecordFault.NotUtf8)]
    [InlineData("a10460", RecordFault.NotCanonical)] // an empty text
    [InlineData("a10b42ffff", RecordFault.ValueRange)] // a short token
    [InlineData("a115fb3ff0000000000000", RecordFault.NotCanonical)] // 1.0 in eight bytes
    [InlineData("a115fa3f800000", RecordFault.NotCanonical)] // 1.0 in four bytes
    [InlineData("a115f97c00", RecordFault.ValueRange)] // infinity
    [InlineData("a115f97e00", RecordFault.ValueRange)] // not a number
    [InlineData("a114fb3fb999999999999a", RecordFault.ValueRange)] // a raw score that is no float32
    [InlineData("a11704", RecordFault.ValueRange)] // outcome 4
    [InlineData("a1181802", RecordFault.WrongType)]
    [InlineData("a1181880", RecordFault.NotCanonical)] // no reasons, spelled out
    [InlineData("a101010000", RecordFault.TrailingBytes)]
    [InlineData("a10101", RecordFault.MissingField)]
    [InlineData("9f", RecordFault.WrongType)]
    [InlineData("", RecordFault.Truncated)]
    internal void BytesThatAreNoRecord_GetTheirFault(string hex, RecordFault fault) =>
        Assert.Equal(fault, DecisionRecordCodec.Read(Convert.FromHexString(hex.Length % 2 == 0 ? hex : hex + "0"), out _));

    [Fact]
    public void Writer_RefusesWhatTheReaderWould()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Write(Small() with { Outcome = 4 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => Write(Small() with { CalibratedScore = double.PositiveInfinity }));
        Assert.Throws<ArgumentOutOfRangeException>(() => Write(Small() with { ReviewThreshold = 0.5 }));
        Assert.Throws<ArgumentException>(() => Write(Small() with { Commitment = new byte[31] }));
        Assert.Throws<ArgumentException>(() => Write(Small() with { EventId = default }));
        Assert.Throws<ArgumentException>(() => Write(Small() with { EventId = new byte[65_536] }));
    }

    [Theory]
    [InlineData(0.0, "f90000")]
    [InlineData(-0.0, "f98000")]
    [InlineData(1.5, "f93e00")]
    [InlineData(65504.0, "f97bff")]
    [InlineData(100000.0, "fa47c35000")]
    [InlineData(3.4028234663852886e+38, "fa7f7fffff")]
    [InlineData(5.960464477539063e-8, "f90001")]
    [InlineData(1.1, "fb3ff199999999999a")]
    [InlineData(1.0e+300, "fb7e37e43c8800759c")]
    public void Floats_TakeTheShortestForm(double value, string hex)
    {
        // Vectors of RFC 8949, appendix A.
        Span<byte> buffer = stackalloc byte[16];
        var writer = new CborWriter(buffer);
        writer.WriteFloat(value);
        Assert.Equal(hex, Convert.ToHexStringLower(writer.Written));
        var reader = new CborReader(writer.Written);
        Assert.Equal(value, reader.ReadFloat());
        Assert.Equal(RecordFault.None, reader.Fault);
    }

    [Theory]
    [InlineData(0, "00")]
    [InlineData(23, "17")]
    [InlineData(24, "1818")]
    [InlineData(255, "18ff")]
    [InlineData(256, "190100")]
    [InlineData(1000000, "1a000f4240")]
    [InlineData(1000000000000, "1b000000e8d4a51000")]
    [InlineData(-1, "20")]
    [InlineData(-1000, "3903e7")]
    [InlineData(long.MinValue, "3b7fffffffffffffff")]
    [InlineData(long.MaxValue, "1b7fffffffffffffff")]
    public void Integers_TakeTheShortestForm(long value, string hex)
    {
        Span<byte> buffer = stackalloc byte[16];
        var writer = new CborWriter(buffer);
        writer.WriteSigned(value);
        Assert.Equal(hex, Convert.ToHexStringLower(writer.Written));
        var reader = new CborReader(writer.Written);
        Assert.Equal(value, reader.ReadSigned());
        Assert.Equal(RecordFault.None, reader.Fault);
    }

    [Fact]
    public void WritingAndReading_AllocateNothing()
    {
        byte[] buffer = new byte[1024];
        byte[] reasons = new byte[256];
        Assert.True(AllocatedBy(() =>
        {
            DecisionRecord record = Full(reasons);
            int length = DecisionRecordCodec.Write(record, buffer);
            DecisionRecordCodec.Read(buffer.AsSpan(0, length), out DecisionRecord read);
            foreach (RecordedReason reason in read.Reasons)
            {
                _ = reason.Contribution;
            }
        }) == 0);
    }

    [Fact]
    public void Json_ShowsEveryField()
    {
        DecisionRecord full = Full();
        byte[] buffer = new byte[DecisionRecordJson.BytesMax(full)];
        JsonElement root = JsonDocument.Parse(buffer.AsMemory(0, DecisionRecordJson.Write(full, buffer))).RootElement;
        Assert.Equal("decline", root.GetProperty("outcome").GetString());
        Assert.Equal("tx-é-1", root.GetProperty("eventId").GetString());
        Assert.Equal("AMOUNT_HIGH", root.GetProperty("reasons")[0].GetProperty("code").GetString());
        Assert.Equal("rule", root.GetProperty("reasons")[1].GetProperty("source").GetString());
        Assert.Equal("LATE", root.GetProperty("flags")[0].GetString());
        Assert.Equal("2023-11-14T22:13:20Z", root.GetProperty("decisionTime").GetString());
        Assert.Equal(Convert.ToHexStringLower(Digest), root.GetProperty("commitment").GetString());
        Assert.Equal(1.25e-6, root.GetProperty("cost").GetProperty("money").GetDouble());
        Assert.Equal(0.1f, root.GetProperty("rawScore").GetSingle());
    }

    [Fact]
    public void Json_EscapesWhatItMust_WithinItsBound()
    {
        var record = new DecisionRecord { Stream = "s"u8, EventId = "\"\\\n\u0001<é"u8, Tenant = new byte[300], Commitment = Digest, CatalogDigest = Digest, PolicyDigest = Digest };
        byte[] buffer = new byte[DecisionRecordJson.BytesMax(record)];
        JsonElement root = JsonDocument.Parse(buffer.AsMemory(0, DecisionRecordJson.Write(record, buffer))).RootElement;
        Assert.Equal("\"\\\n\u0001<é", root.GetProperty("eventId").GetString());
        Assert.Equal(new string('\0', 300), root.GetProperty("tenant").GetString());
        Assert.Equal(0, root.GetProperty("source").GetProperty("partition").GetInt32());
    }

    internal static long AllocatedBy(Action action)
    {
        for (int i = 0; i < 200; i++)
        {
            action();
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
        {
            action();
        }

        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    private static byte[] Write(in DecisionRecord record)
    {
        byte[] buffer = new byte[DecisionRecordCodec.BytesMax(record)];
        return buffer[..DecisionRecordCodec.Write(record, buffer)];
    }

    private static DecisionRecord Small() => new()
    {
        Stream = "s"u8,
        EventId = "1"u8,
        Commitment = Digest,
        CatalogDigest = Digest,
        PolicyDigest = Digest,
    };

    private static DecisionRecord Full(byte[]? buffer = null)
    {
        var reasons = new ReasonBuilder(buffer ?? new byte[256]);
        reasons.Add("AMOUNT_HIGH"u8, ReasonSource.Score, 1.5f);
        reasons.Add("RULE_7"u8, ReasonSource.Rule, 0f);
        reasons.Add("NIGHT"u8, ReasonSource.Score, -0.3f);
        return new DecisionRecord
        {
            Sequence = 1_234_567,
            Stream = "card-payments"u8,
            EventId = "tx-é-1"u8,
            SourceName = "transactions.csv.gz"u8,
            SourcePartition = 3,
            SourceOffset = 99_000_000_001,
            EventTimeMicros = -5,
            DecisionTimeMicros = 1_700_000_000_000_000,
            Subject = Digest.AsSpan(0, 16),
            Commitment = Digest,
            ModelDigest = Digest,
            CatalogDigest = Digest,
            PolicyDigest = Digest,
            ExecutionProvider = "CPUExecutionProvider"u8,
            Device = "cpu"u8,
            BatchSize = 256,
            BatchPosition = 255,
            RawScore = 0.1f,
            CalibratedScore = 0.1,
            ReviewThreshold = 0.5,
            DeclineThreshold = 0.9,
            Outcome = (int)Risk.Core.Decisions.Outcome.Decline,
            Reasons = reasons.Build(),
            Rung = 1,
            RungCause = "ACCELERATOR_LOST"u8,
            CostMoney = 1.25e-6,
            CostJoules = 0.0003,
            CostMethod = "cpu-time"u8,
            Actor = "engine"u8,
            Tenant = "bank-1"u8,
            SolelyAutomated = true,
            Flags = RecordFlags.Late,
        };
    }
}
