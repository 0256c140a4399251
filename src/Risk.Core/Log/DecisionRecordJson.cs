using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Risk.Core.Decisions;
using Risk.Core.Transactions;

namespace Risk.Core.Log;

/// <summary>
/// A record for people and scripts: one JSON object in UTF-8, camel case, times in ISO 8601, hashes in hex, absent fields
/// left out. Every decision is published in this form, so it is written straight into bytes: half the time of Utf8JsonWriter
/// on this record (bench broker-loop).
/// </summary>
public static class DecisionRecordJson
{
    // Names, punctuation, hashes, times and numbers come to less than 2,000.
    private const int FixedBytesMax = 3072, ReasonBytesMax = 80;
    // A byte may become \u00XX.
    private const int TextGrowthMax = 6;

    /// <summary>An upper bound of the bytes that <see cref="Write"/> needs.</summary>
    public static int BytesMax(in DecisionRecord record) => FixedBytesMax + record.Reasons.Count * ReasonBytesMax + TextGrowthMax *
        (record.Stream.Length + record.EventId.Length + record.SourceName.Length + record.RungCause.Length + record.ExecutionProvider.Length +
        record.Device.Length + record.CostMethod.Length + record.Actor.Length + record.Tenant.Length + record.Reasons.Encoded.Length);

    /// <summary>The stored record as one JSON object; empty when there is none or it is not readable.</summary>
    public static byte[] ToUtf8(ReadOnlySpan<byte> record) =>
        record.IsEmpty || DecisionRecordCodec.Read(record, out DecisionRecord view) != RecordFault.None ? [] : ToUtf8(view);

    /// <summary>The record as one JSON object.</summary>
    public static byte[] ToUtf8(in DecisionRecord record)
    {
        int most = BytesMax(record);
        if (t_buffer is not { } buffer || buffer.Length < most) { t_buffer = buffer = new byte[most]; }
        return buffer[..Write(record, buffer)];
    }

    [ThreadStatic]
    private static byte[]? t_buffer;

    /// <summary>Writes the record as one JSON object and returns its length in bytes.</summary>
    public static int Write(in DecisionRecord record, Span<byte> destination)
    {
        var json = new Text(destination);
        json.Raw("{\"schemaVersion\":"u8);
        json.Number(record.SchemaVersion);
        json.Raw(",\"kind\":\""u8);
        json.Raw(KindName(record.Kind));
        json.Raw("\",\"sequence\":"u8);
        json.Number(record.Sequence);
        json.Member(",\"stream\":"u8, record.Stream);
        json.Member(",\"eventId\":"u8, record.EventId);
        json.Raw(",\"source\":{"u8);
        json.Member("\"name\":"u8, record.SourceName);
        json.Raw(record.SourceName.IsEmpty ? "\"partition\":"u8 : ",\"partition\":"u8);
        json.Number(record.SourcePartition);
        json.Raw(",\"offset\":"u8);
        json.Number(record.SourceOffset);
        json.Raw("},\"eventTime\":"u8);
        json.Time(record.EventTimeMicros);
        json.Raw(",\"decisionTime\":"u8);
        json.Time(record.DecisionTimeMicros);
        json.Hex(",\"subject\":"u8, record.Subject);
        json.Raw(",\"outcome\":\""u8);
        json.Raw(OutcomeNames[record.Outcome]);
        json.Raw("\""u8);
        WriteScores(ref json, record);
        WriteReasons(ref json, record.Reasons);
        json.Raw(",\"degradation\":{\"rung\":"u8);
        json.Number(record.Rung);
        json.Raw(",\"name\":\""u8);
        json.Raw(RungName(record.Rung));
        json.Raw("\""u8);
        json.Member(",\"cause\":"u8, record.RungCause);
        json.Raw("}"u8);
        json.Hex(",\"commitment\":"u8, record.Commitment);
        json.Hex(",\"modelDigest\":"u8, record.ModelDigest);
        json.Hex(",\"catalogDigest\":"u8, record.CatalogDigest);
        json.Hex(",\"policyDigest\":"u8, record.PolicyDigest);
        json.Member(",\"executionProvider\":"u8, record.ExecutionProvider);
        json.Member(",\"device\":"u8, record.Device);
        json.Raw(",\"batch\":{\"size\":"u8);
        json.Number(record.BatchSize);
        json.Raw(",\"position\":"u8);
        json.Number(record.BatchPosition);
        if (record.IsUnpriced)
        {
            json.Raw("},\"cost\":{"u8);
            json.Member("\"method\":"u8, record.CostMethod);
        }
        else
        {
            json.Raw("},\"cost\":{\"money\":"u8);
            json.Number(record.CostMoney);
            json.Raw(",\"joules\":"u8);
            json.Number(record.CostJoules);
            json.Member(",\"method\":"u8, record.CostMethod);
        }

        json.Raw("}"u8);
        json.Member(",\"actor\":"u8, record.Actor);
        json.Member(",\"tenant\":"u8, record.Tenant);
        json.Raw(record.SolelyAutomated ? ",\"solelyAutomated\":true,\"flags\":["u8 : ",\"solelyAutomated\":false,\"flags\":["u8);
        json.Raw((record.Flags & (RecordFlags.Late | RecordFlags.Incomplete)) switch
        {
            RecordFlags.Late | RecordFlags.Incomplete => "\"LATE\",\"INCOMPLETE\""u8,
            RecordFlags.Late => "\"LATE\""u8,
            RecordFlags.Incomplete => "\"INCOMPLETE\""u8,
            _ => [],
        });
        json.Raw("]}"u8);
        return json.Length;
    }

    private static readonly byte[][] OutcomeNames = [.. Enum.GetValues<Outcome>().Select(o => System.Text.Encoding.UTF8.GetBytes(o.Name()))];

    private static ReadOnlySpan<byte> RungName(int rung) => rung switch
    {
        0 => "normal"u8,
        1 => "cpu"u8,
        2 => "fallback-model"u8,
        3 => "rules-only"u8,
        4 => "refer"u8,
        _ => throw new ArgumentOutOfRangeException(nameof(rung), rung, $"Unknown rung {rung}."),
    };

    private static ReadOnlySpan<byte> KindName(RecordKind kind) => kind switch
    {
        RecordKind.Decision => "decision"u8,
        RecordKind.Start => "start"u8,
        RecordKind.Stop => "stop"u8,
        RecordKind.ModelChange => "model-change"u8,
        RecordKind.Override => "override"u8,
        RecordKind.Degradation => "degradation"u8,
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, $"Unknown record kind {kind}."),
    };

    private static void WriteScores(ref Text json, in DecisionRecord record)
    {
        if (!float.IsNaN(record.RawScore))
        {
            json.Raw(",\"rawScore\":"u8);
            json.Number(record.RawScore);
        }

        if (!double.IsNaN(record.CalibratedScore))
        {
            json.Raw(",\"score\":"u8);
            json.Number(record.CalibratedScore);
        }

        if (!double.IsNaN(record.ReviewThreshold))
        {
            json.Raw(",\"thresholds\":{\"review\":"u8);
            json.Number(record.ReviewThreshold);
            json.Raw(",\"decline\":"u8);
            json.Number(record.DeclineThreshold);
            json.Raw("}"u8);
        }
    }

    private static void WriteReasons(ref Text json, ReasonSequence reasons)
    {
        json.Raw(",\"reasons\":["u8);
        bool isFirst = true;
        foreach (RecordedReason reason in reasons)
        {
            json.Raw(isFirst ? "{\"code\":"u8 : ",{\"code\":"u8);
            isFirst = false;
            json.String(reason.Code);
            json.Raw(reason.Source switch
            {
                ReasonSource.Rule => ",\"source\":\"rule\",\"contribution\":"u8,
                ReasonSource.Human => ",\"source\":\"human\",\"contribution\":"u8,
                _ => ",\"source\":\"score\",\"contribution\":"u8,
            });
            json.Number(reason.Contribution);
            json.Raw("}"u8);
        }

        json.Raw("]"u8);
    }

    // Bytes that stand for themselves in a JSON string.
    private static readonly SearchValues<byte> Plain = SearchValues.Create([.. Enumerable.Range(0x20, 0x5F).Select(c => (byte)c).Where(c => c is not ((byte)'"' or (byte)'\\'))]);

    private ref struct Text(Span<byte> destination)
    {
        private readonly Span<byte> _destination = destination;

        public int Length { get; private set; }

        public void Raw(ReadOnlySpan<byte> bytes)
        {
            bytes.CopyTo(_destination[Length..]);
            Length += bytes.Length;
        }

        public void Member(ReadOnlySpan<byte> name, ReadOnlySpan<byte> utf8)
        {
            if (!utf8.IsEmpty)
            {
                Raw(name);
                String(utf8);
            }
        }

        public void String(ReadOnlySpan<byte> utf8)
        {
            Raw("\""u8);
            Raw(utf8.ContainsAnyExcept(Plain) ? JsonEncodedText.Encode(utf8, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).EncodedUtf8Bytes : utf8);
            Raw("\""u8);
        }

        public void Number<T>(T value)
            where T : IUtf8SpanFormattable
        {
            value.TryFormat(_destination[Length..], out int length, default, CultureInfo.InvariantCulture);
            Length += length;
        }

        public void Hex(ReadOnlySpan<byte> name, ReadOnlySpan<byte> bytes)
        {
            if (bytes.IsEmpty)
            {
                return;
            }

            Raw(name);
            Raw("\""u8);
            Convert.TryToHexStringLower(bytes, _destination[Length..], out int length);
            Length += length;
            Raw("\""u8);
        }

        public void Time(long micros)
        {
            Raw("\""u8);
            Length += Micro.FormatIso8601(micros, _destination[Length..]);
            Raw("\""u8);
        }
    }
}
