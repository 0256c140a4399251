using Confluent.Kafka;

namespace Risk.Streams.Kafka;

/// <summary>One message of a partition, borrowed until the call it came with returns.</summary>
public readonly ref struct KafkaMessage
{
    private readonly Headers? _headers;

    internal KafkaMessage(long offset, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, long timestampMicros, Headers? headers)
    {
        Offset = offset;
        Key = key;
        Value = value;
        TimestampMicros = timestampMicros;
        _headers = headers;
    }

    /// <summary>Position in the partition, from 0; a later message has a greater one, not always the next.</summary>
    public long Offset { get; }

    /// <summary>Empty where there is none.</summary>
    public ReadOnlySpan<byte> Key { get; }

    /// <summary>Empty also for a tombstone.</summary>
    public ReadOnlySpan<byte> Value { get; }

    /// <summary>When it was written, by the producer's clock or the broker's, microseconds since the Unix epoch; 0 where unknown.</summary>
    public long TimestampMicros { get; }

    /// <summary>The value of the last header of that name; false where there is none.</summary>
    public bool TryHeader(string name, out ReadOnlySpan<byte> value)
    {
        for (int index = (_headers?.Count ?? 0) - 1; index >= 0; index--)
        {
            IHeader header = _headers![index];
            if (header.Key == name)
            {
                value = header.GetValueBytes();
                return true;
            }
        }

        value = default;
        return false;
    }
}
