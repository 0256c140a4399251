using System.Buffers.Text;
using System.Globalization;
using System.Text;
using Confluent.Kafka;

namespace Risk.Streams.Kafka;

/// <summary>
/// The headers of what we write: CloudEvents 1.0 in binary mode, the value is the event's data as it is. Source:
/// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md. One instance for each
/// type of event; thread-safe.
/// </summary>
public sealed class CloudEvents
{
    /// <summary>The numbering of a source within one partition, from 1 and without gaps (CloudEvents extension "sequence"); a jump is <c>SOURCE_GAP</c>.</summary>
    public const string SequenceHeader = "ce_sequence";

    /// <summary>The decision log's own numbering of a decision: what a new owner of a partition looks up to go on publishing.</summary>
    public const string RiskSequenceHeader = "ce_risksequence";

    public const string SourceHeader = "ce_source";
    public const string IdHeader = "ce_id";
    public const string TypeHeader = "ce_type";

    private static readonly Header SpecVersion = new("ce_specversion", "1.0"u8.ToArray());
    private static readonly Header ContentType = new("content-type", "application/json"u8.ToArray());

    private readonly Header _type;
    private readonly Header _source;

    /// <param name="type">What happened, in reverse domain notation: <c>risk.transaction</c>.</param>
    /// <param name="source">Who says so, a URI reference: <c>/risk/card-payments</c>.</param>
    public CloudEvents(string type, string source)
    {
        _type = new Header(TypeHeader, Encoding.UTF8.GetBytes(type));
        _source = new Header(SourceHeader, Encoding.UTF8.GetBytes(source));
    }

    /// <summary>The headers of one event.</summary>
    /// <param name="id">Unique within the source; UTF-8.</param>
    /// <param name="timeMicros">When it happened, microseconds since the Unix epoch; negative: it is not said here.</param>
    /// <param name="subject">What it is about, an entity's token or key; UTF-8, empty for none.</param>
    /// <param name="sequenceHeader"><see cref="SequenceHeader"/>, <see cref="RiskSequenceHeader"/> or null for none.</param>
    public Headers Of(ReadOnlySpan<byte> id, long timeMicros, ReadOnlySpan<byte> subject, string? sequenceHeader = null, long sequence = 0)
    {
        var headers = new Headers { SpecVersion, _type, _source, ContentType };
        headers.Add(IdHeader, id.ToArray());
        if (timeMicros >= 0)
        {
            headers.Add("ce_time", Encoding.ASCII.GetBytes(DateTime.UnixEpoch.AddMicroseconds(timeMicros).ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFF'Z'", CultureInfo.InvariantCulture)));
        }

        if (!subject.IsEmpty)
        {
            headers.Add("ce_subject", subject.ToArray());
        }

        if (sequenceHeader is not null)
        {
            headers.Add(sequenceHeader, Encoding.ASCII.GetBytes(sequence.ToString(CultureInfo.InvariantCulture)));
        }

        return headers;
    }

    /// <summary>A whole number in a header's value; false for anything else.</summary>
    public static bool TryReadNumber(ReadOnlySpan<byte> value, out long number) =>
        Utf8Parser.TryParse(value, out number, out int size) && size == value.Length && size > 0;
}
