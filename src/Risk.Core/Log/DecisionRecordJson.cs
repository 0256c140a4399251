using System.Text.Json;
using Risk.Core.Decisions;
using Risk.Core.Transactions;

namespace Risk.Core.Log;

/// <summary>A record for people and scripts: camel case, times in ISO 8601, hashes in hex, absent fields left out.</summary>
public static class DecisionRecordJson
{
    private static readonly string[] Rungs = ["normal", "cpu", "fallback-model", "rules-only", "refer"];

    /// <summary>Writes the record as one JSON object.</summary>
    public static void Write(Utf8JsonWriter json, in DecisionRecord record)
    {
        json.WriteStartObject();
        json.WriteNumber("schemaVersion"u8, record.SchemaVersion);
        json.WriteString("kind"u8, KindName(record.Kind));
        json.WriteNumber("sequence"u8, record.Sequence);
        Text(json, "stream"u8, record.Stream);
        Text(json, "eventId"u8, record.EventId);
        json.WriteStartObject("source"u8);
        Text(json, "name"u8, record.SourceName);
        json.WriteNumber("partition"u8, record.SourcePartition);
        json.WriteNumber("offset"u8, record.SourceOffset);
        json.WriteEndObject();
        Time(json, "eventTime"u8, record.EventTimeMicros);
        Time(json, "decisionTime"u8, record.DecisionTimeMicros);
        Hex(json, "subject"u8, record.Subject);
        json.WriteString("outcome"u8, ((Outcome)record.Outcome).Name());
        WriteScores(json, record);
        WriteReasons(json, record.Reasons);
        json.WriteStartObject("degradation"u8);
        json.WriteNumber("rung"u8, record.Rung);
        json.WriteString("name"u8, Rungs[record.Rung]);
        Text(json, "cause"u8, record.RungCause);
        json.WriteEndObject();
        Hex(json, "commitment"u8, record.Commitment);
        Hex(json, "modelDigest"u8, record.ModelDigest);
        Hex(json, "catalogDigest"u8, record.CatalogDigest);
        Hex(json, "policyDigest"u8, record.PolicyDigest);
        Text(json, "executionProvider"u8, record.ExecutionProvider);
        Text(json, "device"u8, record.Device);
        json.WriteStartObject("batch"u8);
        json.WriteNumber("size"u8, record.BatchSize);
        json.WriteNumber("position"u8, record.BatchPosition);
        json.WriteEndObject();
        json.WriteStartObject("cost"u8);
        json.WriteNumber("money"u8, record.CostMoney);
        json.WriteNumber("joules"u8, record.CostJoules);
        Text(json, "method"u8, record.CostMethod);
        json.WriteEndObject();
        Text(json, "actor"u8, record.Actor);
        Text(json, "tenant"u8, record.Tenant);
        json.WriteBoolean("solelyAutomated"u8, record.SolelyAutomated);
        json.WriteStartArray("flags"u8);
        if (record.Flags.HasFlag(RecordFlags.Late))
        {
            json.WriteStringValue("LATE"u8);
        }

        if (record.Flags.HasFlag(RecordFlags.Incomplete))
        {
            json.WriteStringValue("INCOMPLETE"u8);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static string KindName(RecordKind kind) => kind switch
    {
        RecordKind.Decision => "decision",
        RecordKind.Start => "start",
        RecordKind.Stop => "stop",
        RecordKind.ModelChange => "model-change",
        RecordKind.Override => "override",
        RecordKind.Degradation => "degradation",
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, $"Unknown record kind {kind}."),
    };

    private static void WriteScores(Utf8JsonWriter json, in DecisionRecord record)
    {
        if (!float.IsNaN(record.RawScore))
        {
            json.WriteNumber("rawScore"u8, record.RawScore);
        }

        if (!double.IsNaN(record.CalibratedScore))
        {
            json.WriteNumber("score"u8, record.CalibratedScore);
        }

        if (!double.IsNaN(record.ReviewThreshold))
        {
            json.WriteStartObject("thresholds"u8);
            json.WriteNumber("review"u8, record.ReviewThreshold);
            json.WriteNumber("decline"u8, record.DeclineThreshold);
            json.WriteEndObject();
        }
    }

    private static void WriteReasons(Utf8JsonWriter json, ReasonSequence reasons)
    {
        json.WriteStartArray("reasons"u8);
        foreach (RecordedReason reason in reasons)
        {
            json.WriteStartObject();
            json.WriteString("code"u8, reason.Code);
            json.WriteString("source"u8, reason.Source switch
            {
                ReasonSource.Rule => "rule"u8,
                ReasonSource.Human => "human"u8,
                _ => "score"u8,
            });
            json.WriteNumber("contribution"u8, reason.Contribution);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void Text(Utf8JsonWriter json, ReadOnlySpan<byte> name, ReadOnlySpan<byte> utf8)
    {
        if (!utf8.IsEmpty)
        {
            json.WriteString(name, utf8);
        }
    }

    private static void Hex(Utf8JsonWriter json, ReadOnlySpan<byte> name, ReadOnlySpan<byte> bytes)
    {
        if (!bytes.IsEmpty)
        {
            Span<byte> text = stackalloc byte[LogFormat.HashBytes * 2];
            Convert.TryToHexStringLower(bytes, text, out int length);
            json.WriteString(name, text[..length]);
        }
    }

    private static void Time(Utf8JsonWriter json, ReadOnlySpan<byte> name, long micros)
    {
        Span<byte> text = stackalloc byte[Micro.Iso8601Size];
        json.WriteString(name, text[..Micro.FormatIso8601(micros, text)]);
    }
}
