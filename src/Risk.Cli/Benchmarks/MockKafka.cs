using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Risk.Cli.Benchmarks;

/// <summary>
/// librdkafka's mock cluster: brokers in this process that speak the protocol on loopback ports, so that any client in any
/// process can use them, with groups, offsets and faults to order. It keeps the newest 5 MiB or 100,000 messages of a
/// partition, in memory; it makes no topics through the admin protocol. Source: rdkafka_mock.h in
/// https://github.com/confluentinc/librdkafka. Thread-safe.
/// </summary>
internal sealed partial class MockKafka : IDisposable
{
    private const string Library = "librdkafka";
    private const int Producer = 0;

    private readonly nint _client;
    private readonly nint _cluster;
    private bool _disposed;

    public MockKafka(int brokerCount = 1)
    {
        nint configuration = NewConfiguration();
        var text = new byte[512];
        SetConfiguration(configuration, "log_level", "0", text, (nuint)text.Length);
        _client = NewClient(Producer, configuration, text, (nuint)text.Length);
        if (_client == 0)
        {
            throw new InvalidOperationException("librdkafka made no client: " + System.Text.Encoding.UTF8.GetString(text).TrimEnd('\0'));
        }

        _cluster = NewCluster(_client, brokerCount);
        if (_cluster == 0)
        {
            DestroyClient(_client);
            throw new InvalidOperationException("librdkafka made no mock cluster; are loopback ports free?");
        }

        BrokerCount = brokerCount;
        // Kafka's own default of three seconds is for humans who start processes one after the other.
        RebalanceDelay(TimeSpan.Zero);
    }

    public int BrokerCount { get; }

    /// <summary><c>host:port</c>, with commas.</summary>
    public string BootstrapServers => Marshal.PtrToStringUTF8(Bootstraps(_cluster))!;

    public void CreateTopic(string topic, int partitionCount) => Check(TopicCreate(_cluster, topic, partitionCount, 1), topic);

    /// <summary>Every request for the topic is answered with this error; 0 ends it.</summary>
    public void SetTopicError(string topic, short error) => TopicSetError(_cluster, topic, error);

    /// <summary>Takes away what lies before that offset, as retention does.</summary>
    public void DeleteRecords(string topic, int partition, long beforeOffset) => Check(PartitionDeleteRecords(_cluster, topic, partition, beforeOffset), topic);

    /// <summary>The next requests of that kind, whichever broker gets them, are answered with these errors, one each.</summary>
    public void PushErrors(KafkaRequest request, params ReadOnlySpan<short> errors)
    {
        int[] codes = new int[errors.Length];
        for (int index = 0; index < errors.Length; index++)
        {
            codes[index] = errors[index];
        }

        PushRequestErrors(_cluster, (short)request, (nuint)codes.Length, codes);
    }

    /// <summary>Takes back those that were not used.</summary>
    public void ClearErrors(KafkaRequest request) => ClearRequestErrors(_cluster, (short)request);

    /// <summary>A broker (1 to <see cref="BrokerCount"/>) drops its connections and takes no new ones.</summary>
    public void BrokerDown(int broker) => Check(BrokerSetDown(_cluster, broker), "broker down");

    public void BrokerUp(int broker) => Check(BrokerSetUp(_cluster, broker), "broker up");

    public void AllDown()
    {
        for (int broker = 1; broker <= BrokerCount; broker++)
        {
            BrokerDown(broker);
        }
    }

    public void AllUp()
    {
        for (int broker = 1; broker <= BrokerCount; broker++)
        {
            BrokerUp(broker);
        }
    }

    /// <summary>Every answer of the broker comes this much later.</summary>
    public void RoundTrip(int broker, TimeSpan time) => Check(BrokerSetRtt(_cluster, broker, (int)time.TotalMilliseconds), "round trip");

    /// <summary>Which broker coordinates a consumer group.</summary>
    public void SetCoordinator(string group, int broker) => Check(CoordinatorSet(_cluster, "group", group, broker), group);

    /// <summary>How long a new group waits for more members.</summary>
    public void RebalanceDelay(TimeSpan delay) => GroupInitialRebalanceDelay(_cluster, (int)delay.TotalMilliseconds);

    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            DestroyCluster(_cluster);
            DestroyClient(_client);
        }
    }

    private static void Check(int error, string what)
    {
        if (error != 0)
        {
            throw new Win32Exception(error, $"the mock cluster refused ({what}): {error}");
        }
    }

    [LibraryImport(Library, EntryPoint = "rd_kafka_conf_new")]
    private static partial nint NewConfiguration();

    [LibraryImport(Library, EntryPoint = "rd_kafka_conf_set", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetConfiguration(nint configuration, string name, string value, byte[] error, nuint errorSize);

    [LibraryImport(Library, EntryPoint = "rd_kafka_new")]
    private static partial nint NewClient(int type, nint configuration, byte[] error, nuint errorSize);

    [LibraryImport(Library, EntryPoint = "rd_kafka_destroy")]
    private static partial void DestroyClient(nint client);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_cluster_new")]
    private static partial nint NewCluster(nint client, int brokerCount);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_cluster_destroy")]
    private static partial void DestroyCluster(nint cluster);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_cluster_bootstraps")]
    private static partial nint Bootstraps(nint cluster);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_topic_create", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int TopicCreate(nint cluster, string topic, int partitionCount, int replicationFactor);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_topic_set_error", StringMarshalling = StringMarshalling.Utf8)]
    private static partial void TopicSetError(nint cluster, string topic, int error);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_partition_delete_records", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int PartitionDeleteRecords(nint cluster, string topic, int partition, long beforeOffset);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_push_request_errors_array")]
    private static partial void PushRequestErrors(nint cluster, short apiKey, nuint count, int[] errors);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_clear_request_errors")]
    private static partial void ClearRequestErrors(nint cluster, short apiKey);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_broker_set_down")]
    private static partial int BrokerSetDown(nint cluster, int broker);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_broker_set_up")]
    private static partial int BrokerSetUp(nint cluster, int broker);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_broker_set_rtt")]
    private static partial int BrokerSetRtt(nint cluster, int broker, int millis);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_coordinator_set", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int CoordinatorSet(nint cluster, string keyType, string key, int broker);

    [LibraryImport(Library, EntryPoint = "rd_kafka_mock_group_initial_rebalance_delay_ms")]
    private static partial void GroupInitialRebalanceDelay(nint cluster, int millis);
}

/// <summary>Kinds of requests, by the protocol's numbers. Source: https://kafka.apache.org/protocol#protocol_api_keys.</summary>
internal enum KafkaRequest : short
{
    Produce = 0,
    Fetch = 1,
    ListOffsets = 2,
    Metadata = 3,
    OffsetCommit = 8,
    FindCoordinator = 10,
    JoinGroup = 11,
    Heartbeat = 12,
    InitProducerId = 22,
}
