using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Risk.Core.Transactions;
using Risk.Streams;

namespace Risk.Cli.Produce;

/// <summary>A label as a message: into the partition of its transaction, with its key.</summary>
internal sealed record LabelMessage(long DueMicros, int Partition, byte[]? Key, byte[] EventId, byte[] Json);

/// <summary>
/// The labels of transactions that were sent, by the time from which they are known: the label's own, else the stream's
/// delay after the event, and never before the transaction itself. Only transactions that have a label are kept.
/// </summary>
internal sealed class DueLabels(StreamSchema schema, LabelFile labels)
{
    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly LabelRule _rule = schema.Labels!;
    private readonly PriorityQueue<LabelMessage, (long Due, long Number)> _waiting = new();
    private long _noted;

    /// <summary>Labels whose transaction was sent and whose time has not come.</summary>
    public long Waiting => _waiting.Count;

    /// <summary>Labels whose transaction was not sent.</summary>
    public long WithoutTransaction => labels.Count - _noted;

    /// <summary>A transaction was sent: its label, if there is one, waits for its time.</summary>
    public void Note(EntityKey eventKey, byte[] eventId, long eventTimeMicros, int partition, byte[]? key)
    {
        if (!labels.TryGet(eventKey, out Label label)) { return; }
        long due = Math.Max(eventTimeMicros, label.KnownAt ?? eventTimeMicros + _rule.Delay);
        _waiting.Enqueue(new LabelMessage(due, partition, key, eventId, Json(eventId, label.IsPositive, due)), (due, _noted++));
    }

    /// <summary>The next label that is known at that time.</summary>
    public bool TryTake(long timeMicros, out LabelMessage label)
    {
        if (!_waiting.TryPeek(out label!, out (long Due, long Number) at) || at.Due > timeMicros) { return false; }
        _waiting.Dequeue();
        return true;
    }

    private byte[] Json(byte[] eventId, bool isPositive, long due)
    {
        var buffer = new ArrayBufferWriter<byte>(128);
        using (var json = new Utf8JsonWriter(buffer, s_json))
        {
            json.WriteStartObject();
            json.WriteString(_rule.IdField, eventId);
            json.WriteBoolean(_rule.ValueField, isPositive);
            if (_rule.KnownAtField is { } knownAt) { json.WriteString(knownAt, Micro.ToIso8601(due)); }
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }
}
