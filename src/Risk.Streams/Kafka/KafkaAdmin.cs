using System.Globalization;
using Confluent.Kafka;
using Confluent.Kafka.Admin;
using Risk.Core.Transactions;
using ErrorCode = Risk.Core.Transactions.ErrorCode;

namespace Risk.Streams.Kafka;

/// <summary>How a stream's topics are made where they are missing.</summary>
/// <param name="PartitionCount">Of every topic that is made, unless the transactions topic is there already and says otherwise.</param>
/// <param name="ReplicationFactor">Copies; −1: the broker's default. With three or more, two must be in sync to acknowledge.</param>
/// <param name="Retention">Of transactions, labels and decisions; the decision log is what keeps decisions for good.</param>
public sealed record TopicDefaults(int PartitionCount, short ReplicationFactor, TimeSpan Retention)
{
    /// <summary>12 partitions, the broker's replication, 7 days.</summary>
    public static TopicDefaults Standard { get; } = new(12, -1, TimeSpan.FromDays(7));
}

/// <summary>Questions to a broker about topics, and making them. Every call connects, asks and leaves.</summary>
public static class KafkaAdmin
{
    private const string TopicIsMadeElsewhere = "make it, or let Risk make topics";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Sees to it that all four topics exist with one number of partitions. Null when they do; else <c>KAFKA_UNAVAILABLE</c>,
    /// <c>KAFKA_TOPIC_MISSING</c>, <c>KAFKA_TOPIC_PARTITIONS</c> or <c>KAFKA_REFUSED</c>.
    /// </summary>
    /// <param name="defaults">How missing ones are made; null: they are not.</param>
    /// <param name="partitionCount">What they have.</param>
    public static CodedError? EnsureTopics(KafkaSettings settings, KafkaTopics topics, TopicDefaults? defaults, out int partitionCount, bool withLabels = true)
    {
        string[] names = withLabels ? [topics.Transactions, topics.Labels, topics.Decisions, topics.DeadLetters] : [topics.Transactions, topics.Decisions, topics.DeadLetters];
        return EnsureNamed(settings, names, topics.DeadLetters, defaults, out partitionCount);
    }

    /// <summary>The same for some topics alone; the first one says how many partitions they all must have.</summary>
    /// <param name="deadLetters">Which of them keeps what it has for good; null for none.</param>
    public static CodedError? EnsureNamed(KafkaSettings settings, IReadOnlyList<string> names, string? deadLetters, TopicDefaults? defaults, out int partitionCount)
    {
        partitionCount = 0;
        var troubles = new BrokerTroubles();
        using IAdminClient client = troubles.Connect(settings);
        if (TryCounts(client, troubles, settings, names, out Dictionary<string, int> counts) is { } unavailable)
        {
            return unavailable;
        }

        int wanted = counts.GetValueOrDefault(names[0], defaults?.PartitionCount ?? 0);
        foreach (string name in names.Where(name => !counts.ContainsKey(name)))
        {
            if (defaults is null)
            {
                return new CodedError(ErrorCode.KafkaTopicMissing, $"topic {name} does not exist; {TopicIsMadeElsewhere}");
            }

            if (Create(client, settings, Specification(name, name == deadLetters, wanted, defaults)) is { } failure)
            {
                return failure;
            }

            counts[name] = wanted;
        }

        partitionCount = wanted;
        (string wrong, int count) = counts.FirstOrDefault(pair => pair.Value != wanted);
        return wrong is null
            ? null
            : new CodedError(ErrorCode.KafkaTopicPartitions, $"topic {wrong} has {count} partitions and {names[0]} has {wanted}; they must be equal, a partition's number names its shard");
    }

    /// <summary>Partitions of a topic; 0 and an error when it does not exist or nobody answers.</summary>
    public static int CountPartitions(KafkaSettings settings, string topic, out CodedError error)
    {
        var troubles = new BrokerTroubles();
        using IAdminClient client = troubles.Connect(settings);
        if (TryCounts(client, troubles, settings, [topic], out Dictionary<string, int> counts) is { } unavailable)
        {
            error = unavailable;
            return 0;
        }

        error = counts.ContainsKey(topic) ? default : new CodedError(ErrorCode.KafkaTopicMissing, $"topic {topic} does not exist; {TopicIsMadeElsewhere}");
        return counts.GetValueOrDefault(topic);
    }

    /// <summary>
    /// The number in a header of the newest message of a partition that has it, such as <see cref="CloudEvents.RiskSequenceHeader"/>:
    /// how far the last owner had published. Null where the partition is empty or none of the last 1,000 messages has it.
    /// </summary>
    /// <exception cref="IOException">Nobody answers, or the topic does not exist; the message begins with the code.</exception>
    public static long? ReadLastNumber(KafkaSettings settings, string topic, int partition, string header)
    {
        var at = new TopicPartition(topic, partition);
        try
        {
            using IConsumer<byte[], byte[]> client = new ConsumerBuilder<byte[], byte[]>(settings.Reader()).SetLogHandler(static (_, _) => { }).SetErrorHandler(static (_, _) => { }).Build();
            WatermarkOffsets range = client.QueryWatermarkOffsets(at, Patience);
            // The last offsets may hold no message (a marker, a compacted one): look further back, in growing steps.
            foreach (int step in (ReadOnlySpan<int>)[1, 10, 100, 1000])
            {
                long from = Math.Max(range.Low.Value, range.High.Value - step);
                if (range.High.Value > from && LastNumber(client, at, from, range.High.Value, header) is { } number)
                {
                    return number;
                }

                if (from == range.Low.Value)
                {
                    break;
                }
            }

            return null;
        }
        catch (KafkaException exception)
        {
            throw new IOException(settings.ErrorOf(exception.Error, $"topic {topic}, partition {partition}").ToString());
        }
    }

    private static long? LastNumber(IConsumer<byte[], byte[]> client, TopicPartition at, long from, long end, string header)
    {
        long? last = null;
        client.Assign(new TopicPartitionOffset(at, from));
        long deadline = Environment.TickCount64 + (long)Patience.TotalMilliseconds;
        while (Environment.TickCount64 < deadline)
        {
            ConsumeResult<byte[], byte[]>? result = client.Consume(100);
            if (result is null)
            {
                continue;
            }

            if (!result.IsPartitionEOF && result.Message.Headers.TryGetLastBytes(header, out byte[] value) && CloudEvents.TryReadNumber(value, out long number))
            {
                last = number;
            }

            if (result.IsPartitionEOF || result.Offset.Value + 1 >= end)
            {
                return last;
            }
        }

        throw new KafkaException(new Error(Confluent.Kafka.ErrorCode.Local_TimedOut));
    }

    private static CodedError? TryCounts(IAdminClient client, BrokerTroubles troubles, KafkaSettings settings, IReadOnlyCollection<string> names, out Dictionary<string, int> counts)
    {
        counts = [];
        try
        {
            // All of them: asking for one by its name makes it, where the broker makes topics by itself.
            foreach (TopicMetadata topic in client.GetMetadata(Patience).Topics.Where(topic => names.Contains(topic.Topic) && !topic.Error.IsError))
            {
                counts[topic.Topic] = topic.Partitions.Count;
            }

            return null;
        }
        catch (KafkaException exception)
        {
            return troubles.Explain(settings.ErrorOf(exception.Error, settings.BootstrapServers), settings);
        }
    }

    private static TopicSpecification Specification(string name, bool isDeadLetters, int partitionCount, TopicDefaults defaults)
    {
        var configuration = new Dictionary<string, string>
        {
            ["cleanup.policy"] = "delete",
            // Dead letters wait for a person.
            ["retention.ms"] = isDeadLetters ? "-1" : ((long)defaults.Retention.TotalMilliseconds).ToString(CultureInfo.InvariantCulture),
            ["compression.type"] = "producer",
        };
        if (defaults.ReplicationFactor >= 3)
        {
            configuration["min.insync.replicas"] = "2";
        }

        return new TopicSpecification { Name = name, NumPartitions = partitionCount, ReplicationFactor = defaults.ReplicationFactor, Configs = configuration };
    }

    private static CodedError? Create(IAdminClient client, KafkaSettings settings, TopicSpecification topic)
    {
        try
        {
            client.CreateTopicsAsync([topic], new CreateTopicsOptions { RequestTimeout = Patience, OperationTimeout = Patience }).GetAwaiter().GetResult();
            return null;
        }
        catch (CreateTopicsException exception)
        {
            Error error = exception.Results[0].Error;
            // Another process was faster.
            return error.Code == Confluent.Kafka.ErrorCode.TopicAlreadyExists
                ? null
                : new CodedError(ErrorCode.KafkaTopicMissing, $"topic {topic.Name} could not be made: {settings.Scrub(error.Reason)} ({error.Code}); make it by hand with {topic.NumPartitions} partitions");
        }
        catch (KafkaException exception)
        {
            return new CodedError(ErrorCode.KafkaTopicMissing, $"topic {topic.Name} could not be made: {settings.Scrub(exception.Error.Reason)} ({exception.Error.Code}); make it by hand with {topic.NumPartitions} partitions");
        }
    }
}
