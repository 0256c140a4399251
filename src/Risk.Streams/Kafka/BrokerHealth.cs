using System.Text.Json;
using Confluent.Kafka;

namespace Risk.Streams.Kafka;

/// <summary>Whether any broker can be reached, from a client's errors and its statistics; asked from any thread.</summary>
internal sealed class BrokerHealth(TimeProvider time)
{
    private readonly Lock _gate = new();
    private DateTimeOffset? _downSince;

    /// <summary>Since when no broker could be reached; null while one can.</summary>
    public DateTimeOffset? DownSince
    {
        get
        {
            lock (_gate)
            {
                return _downSince;
            }
        }
    }

    public void Took(Error error)
    {
        if (error.Code == ErrorCode.Local_AllBrokersDown)
        {
            lock (_gate)
            {
                _downSince ??= time.GetUtcNow();
            }
        }
    }

    /// <summary>Something came from a broker.</summary>
    public void Answered()
    {
        lock (_gate)
        {
            _downSince = null;
        }
    }

    /// <summary>Statistics say which connections are up; they are only looked into while all were down. Source: https://github.com/confluentinc/librdkafka/blob/master/STATISTICS.md.</summary>
    public void Took(string statistics)
    {
        if (DownSince is null)
        {
            return;
        }

        using JsonDocument document = JsonDocument.Parse(statistics);
        if (document.RootElement.TryGetProperty("brokers", out JsonElement brokers)
            && brokers.EnumerateObject().Any(broker => broker.Value.TryGetProperty("state", out JsonElement state) && state.GetString() == "UP"))
        {
            Answered();
        }
    }
}
