using System.Globalization;
using Confluent.Kafka;
using Risk.Core.Transactions;
using ErrorCode = Risk.Core.Transactions.ErrorCode;

namespace Risk.Streams.Kafka;

/// <summary>
/// How a broker is reached: librdkafka's properties as given (<c>bootstrap.servers</c>, <c>security.protocol</c>,
/// <c>sasl.*</c>, <c>ssl.*</c> …), checked, with Risk's own where nothing is given, and those on which correctness rests
/// always Risk's. Immutable. Source: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md.
/// </summary>
public sealed class KafkaSettings
{
    private const string BootstrapServersName = "bootstrap.servers";
    private const string GroupIdName = "group.id";

    // Each with the reason that the error gives.
    private static readonly Dictionary<string, string> FixedProperties = new(StringComparer.Ordinal)
    {
        [GroupIdName] = "the group has its own setting",
        ["enable.auto.commit"] = "offsets follow the decision log, as hints",
        ["enable.auto.offset.store"] = "offsets follow the decision log, as hints",
        ["auto.offset.reset"] = "an offset that is gone must stop its partition, never reset it",
        ["partition.assignment.strategy"] = "partitions move one by one, drained before they go",
        ["group.protocol"] = "partitions move one by one, drained before they go",
        ["enable.partition.eof"] = "the consumer has no use for it",
        ["enable.idempotence"] = "a retry must not write twice",
        ["acks"] = "acknowledged must mean durable",
        ["request.required.acks"] = "acknowledged must mean durable",
        ["max.in.flight"] = "the order of a partition must survive a retry",
        ["max.in.flight.requests.per.connection"] = "the order of a partition must survive a retry",
        ["retries"] = "what was accepted is written until it succeeds or is refused",
        ["message.send.max.retries"] = "what was accepted is written until it succeeds or is refused",
        ["transactional.id"] = "the commit point is the decision log, not a Kafka transaction",
        ["partitioner"] = "every writer must agree to which partition a key belongs",
        ["delivery.report.only.error"] = "the publisher must hear of every message",
        ["statistics.interval.ms"] = "health is read from the statistics",
        ["plugin.library.paths"] = "a configuration must not load code",
    };

    private readonly Dictionary<string, string> _given;
    private readonly KafkaSecrets _secrets;

    private KafkaSettings(Dictionary<string, string> given, KafkaSecrets secrets, string groupId)
    {
        _given = given;
        _secrets = secrets;
        GroupId = groupId;
    }

    /// <summary>Consumers of one group share the partitions of a topic.</summary>
    public string GroupId { get; }

    /// <summary><c>host:port</c>, several with commas.</summary>
    public string BootstrapServers => _given[BootstrapServersName];

    /// <summary>
    /// Checks the properties. Null with <c>KAFKA_SECRET_INLINE</c>, <c>KAFKA_SECRET_MISSING</c>, <c>KAFKA_PROPERTY_FIXED</c> or
    /// <c>KAFKA_PROPERTY_INVALID</c> (then in librdkafka's words, without secrets). Connects to nothing.
    /// </summary>
    /// <param name="properties">By librdkafka's names; secrets only as <c>env:NAME</c> or <c>file:PATH</c>.</param>
    /// <param name="groupId">Of the processes that share the stream.</param>
    public static KafkaSettings? Read(IReadOnlyDictionary<string, string> properties, string groupId, out CodedError error)
    {
        var secrets = new KafkaSecrets();
        var given = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach ((string name, string text) in properties.OrderBy(property => property.Key, StringComparer.Ordinal))
        {
            if (FixedProperties.TryGetValue(name, out string? reason) || name.StartsWith("dotnet.", StringComparison.Ordinal))
            {
                error = new CodedError(ErrorCode.KafkaPropertyFixed, $"{name} can't be set: {reason ?? "it belongs to the client library's use here"}; leave it out");
                return null;
            }

            if (secrets.Resolve(name, text, out error) is not { } value)
            {
                return null;
            }

            given[name == "metadata.broker.list" ? BootstrapServersName : name] = value;
        }

        if (!given.TryGetValue(BootstrapServersName, out string? servers) || string.IsNullOrWhiteSpace(servers))
        {
            error = new CodedError(ErrorCode.KafkaPropertyInvalid, $"{BootstrapServersName} is missing; name at least one broker as host:port");
            return null;
        }

        if (servers.Split(',', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault(server => !IsAddress(server.Trim())) is { } other)
        {
            // Where the list comes from the environment or a file, it is not for an error to repeat.
            string what = properties.Values.Contains(servers) ? $"'{other.Trim()}' is no address" : "one of them is no address";
            error = new CodedError(ErrorCode.KafkaPropertyInvalid, $"{BootstrapServersName}: {what}; write host:port, several with commas");
            return null;
        }

        var settings = new KafkaSettings(given, secrets, groupId);
        return settings.IsAccepted(out error) ? settings : null;
    }

    /// <summary>A text of librdkafka for people, without any secret.</summary>
    internal string Scrub(string text) => _secrets.Scrub(text);

    internal CodedError ErrorOf(Error error, string what) => new(
        error.Code is Confluent.Kafka.ErrorCode.TopicAuthorizationFailed or Confluent.Kafka.ErrorCode.GroupAuthorizationFailed
            or Confluent.Kafka.ErrorCode.ClusterAuthorizationFailed or Confluent.Kafka.ErrorCode.MsgSizeTooLarge
            or Confluent.Kafka.ErrorCode.Local_Authentication or Confluent.Kafka.ErrorCode.SaslAuthenticationFailed || error.IsFatal
            ? ErrorCode.KafkaRefused
            : error.Code is Confluent.Kafka.ErrorCode.UnknownTopicOrPart or Confluent.Kafka.ErrorCode.Local_UnknownTopic or Confluent.Kafka.ErrorCode.Local_UnknownPartition
                ? ErrorCode.KafkaTopicMissing
                : ErrorCode.KafkaUnavailable,
        $"{what}: {Scrub(error.Reason)} ({error.Code})");

    internal Dictionary<string, string> Consumer() => Merged(
        defaults: new()
        {
            // A dead process is noticed after six seconds, the least that brokers allow by default; see the failover bar.
            ["session.timeout.ms"] = "6000",
            ["heartbeat.interval.ms"] = "1000",
            // A partition that is started or resumed waits for the fetch that is under way, so it must not wait long.
            ["fetch.wait.max.ms"] = "100",
            ["reconnect.backoff.max.ms"] = "2000",
            ["queued.max.messages.kbytes"] = "32768",
            ["auto.commit.interval.ms"] = "1000",
            ["client.id"] = "risk",
        },
        ours: new()
        {
            [GroupIdName] = GroupId,
            // Commits at an interval, on revoke and on close, without waiting, but only what was stored by hand.
            ["enable.auto.commit"] = "true",
            ["enable.auto.offset.store"] = "false",
            ["auto.offset.reset"] = "error",
            ["statistics.interval.ms"] = "1000",
            ["partition.assignment.strategy"] = "cooperative-sticky",
            ["dotnet.consumer.consume.result.fields"] = "headers,timestamp",
        });

    internal Dictionary<string, string> Producer() => Merged(
        defaults: new()
        {
            ["linger.ms"] = "5",
            ["compression.type"] = "lz4",
            ["reconnect.backoff.max.ms"] = "2000",
            ["queue.buffering.max.messages"] = "100000",
            ["queue.buffering.max.kbytes"] = "65536",
            // Without end: to give a message up and send it again later is how a topic gets it twice.
            ["message.timeout.ms"] = "0",
            ["client.id"] = "risk",
        },
        ours: new()
        {
            ["statistics.interval.ms"] = "1000",
            ["enable.idempotence"] = "true",
            ["acks"] = "all",
            ["partitioner"] = KafkaPartitioner.Name,
            ["dotnet.producer.delivery.report.fields"] = "none",
        });

    /// <summary>For reading single messages by hand, outside of any group's assignment.</summary>
    internal Dictionary<string, string> Reader() => Merged(
        defaults: new() { ["client.id"] = "risk" },
        ours: new()
        {
            [GroupIdName] = GroupId,
            ["enable.auto.commit"] = "false",
            ["enable.partition.eof"] = "true",
            ["auto.offset.reset"] = "error",
        });

    internal Dictionary<string, string> Admin() => Merged(defaults: new() { ["client.id"] = "risk" }, ours: []);

    private Dictionary<string, string> Merged(Dictionary<string, string> defaults, Dictionary<string, string> ours)
    {
        foreach ((string name, string value) in _given.Concat(ours))
        {
            defaults[name] = value;
        }

        return defaults;
    }

    // [protocol://]host[:port], as librdkafka reads it; it would look for anything else without end.
    private static bool IsAddress(string text)
    {
        int protocol = text.IndexOf("://", StringComparison.Ordinal);
        string place = protocol < 0 ? text : text[(protocol + 3)..];
        int port = place.LastIndexOf(':') is var colon && colon > place.LastIndexOf(']') ? colon : place.Length;
        string host = place[..port].TrimStart('[').TrimEnd(']');
        return Uri.CheckHostName(host) != UriHostNameType.Unknown && (port == place.Length || int.TryParse(place.AsSpan(port + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number is > 0 and <= 65535);
    }

    // librdkafka alone knows its properties and how they go together: both kinds of client are made and thrown away.
    private bool IsAccepted(out CodedError error)
    {
        try
        {
            new ConsumerBuilder<Ignore, Ignore>(Consumer()).SetLogHandler(static (_, _) => { }).Build().Dispose();
            new ProducerBuilder<Null, Null>(Producer()).SetLogHandler(static (_, _) => { }).Build().Dispose();
            error = default;
            return true;
        }
        catch (Exception exception) when (exception is InvalidOperationException or ArgumentException or KafkaException)
        {
            error = new CodedError(ErrorCode.KafkaPropertyInvalid, Scrub(exception.Message));
            return false;
        }
    }
}
