namespace Risk.Streams.Kafka;

/// <summary>Watches the sources' own numbering within one partition (<see cref="CloudEvents.SequenceHeader"/>) for jumps.</summary>
internal sealed class SourceSequences
{
    // A partition has a handful of writers; one with ever new names must not fill the memory.
    private const int SourcesMax = 64;

    private readonly Dictionary<int, long> _lastOfSource = [];

    /// <summary>How many messages of the source are missing before this one; 0 where nothing is known to be.</summary>
    public long Missing(in KafkaMessage message)
    {
        if (!message.TryHeader(CloudEvents.SequenceHeader, out ReadOnlySpan<byte> value) || !CloudEvents.TryReadNumber(value, out long sequence))
        {
            return 0;
        }

        message.TryHeader(CloudEvents.SourceHeader, out ReadOnlySpan<byte> source);
        int key = (int)KafkaPartitioner.Murmur2(source);
        bool known = _lastOfSource.TryGetValue(key, out long last);
        if (!known && _lastOfSource.Count >= SourcesMax)
        {
            return 0;
        }

        _lastOfSource[key] = sequence;
        // A smaller one is a source that began anew, or a rewind.
        return known && sequence > last + 1 ? sequence - last - 1 : 0;
    }

    /// <summary>Forgets everything: reading goes on somewhere else.</summary>
    public void Clear() => _lastOfSource.Clear();
}
