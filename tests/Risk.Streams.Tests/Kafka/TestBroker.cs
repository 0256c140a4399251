using System.Text;
using Confluent.Kafka;
using Risk.Cli.Benchmarks;
using Risk.Core.Transactions;
using Risk.Streams.Kafka;

namespace Risk.Streams.Tests.Kafka;

/// <summary>A test that orders faults from the broker, which only the mock takes.</summary>
internal sealed class MockFactAttribute : FactAttribute
{
    public const string WithARealBroker = "KAFKA_BOOTSTRAP_SERVERS names a real broker, and this test orders faults that only the mock cluster has";

    public MockFactAttribute() => Skip = TestBroker.RealServers is null ? null : WithARealBroker;
}

/// <inheritdoc cref="MockFactAttribute"/>
internal sealed class MockTheoryAttribute : TheoryAttribute
{
    public MockTheoryAttribute() => Skip = TestBroker.RealServers is null ? null : MockFactAttribute.WithARealBroker;
}

/// <summary>The broker of one test: librdkafka's mock cluster, or the real one that KAFKA_BOOTSTRAP_SERVERS names. Topics and groups have names of their own.</summary>
internal sealed class TestBroker : IDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(40);

    private readonly MockKafka? _mock;
    private readonly List<string> _made = [];
    private readonly string _prefix = "risk-test-" + Guid.NewGuid().ToString("N")[..12];

    public TestBroker(int brokerCount = 1) => _mock = RealServers is null ? new MockKafka(brokerCount) : null;

    public static string? RealServers { get; } = Environment.GetEnvironmentVariable("KAFKA_BOOTSTRAP_SERVERS") is { Length: > 0 } servers ? servers : null;

    public MockKafka Mock => _mock ?? throw new InvalidOperationException("the test must be a MockFact");

    public string BootstrapServers => _mock?.BootstrapServers ?? RealServers!;

    public string Group => _prefix;

    public string Topic(string name, int partitionCount)
    {
        string topic = $"{_prefix}.{name}";
        if (_mock is not null)
        {
            _mock.CreateTopic(topic, partitionCount);
        }
        else
        {
            using IAdminClient admin = Admin();
            admin.CreateTopicsAsync([new() { Name = topic, NumPartitions = partitionCount, ReplicationFactor = 1 }]).GetAwaiter().GetResult();
            _made.Add(topic);
            // The controller answers before its brokers know of the topic, and before every partition has a leader.
            Assert.True(SpinWait.SpinUntil(() => admin.GetMetadata(topic, Patience).Topics is [{ Error.IsError: false } made] && made.Partitions.Count == partitionCount && made.Partitions.TrueForAll(p => p.Leader >= 0), Patience), $"{topic} has no leaders");
        }

        return topic;
    }

    public KafkaSettings Settings(params (string Name, string Value)[] more)
    {
        var properties = new Dictionary<string, string>
        {
            ["bootstrap.servers"] = BootstrapServers,
            // The mock lets a rebalance last one second less than a session; a real broker allows no shorter session than six seconds.
            ["session.timeout.ms"] = RealServers is null ? "2000" : "6000",
            ["heartbeat.interval.ms"] = "200",
            ["reconnect.backoff.max.ms"] = "200",
            ["retry.backoff.ms"] = "50",
            ["retry.backoff.max.ms"] = "200",
            ["topic.metadata.refresh.interval.ms"] = "500",
        };
        foreach ((string name, string value) in more)
        {
            properties[name] = value;
        }

        KafkaSettings? settings = KafkaSettings.Read(properties, Group, out CodedError error);
        Assert.True(settings is not null, error.ToString());
        return settings;
    }

    /// <summary>Writes messages <c>first</c> … <c>first + count − 1</c>, as texts, into one partition.</summary>
    public void Fill(string topic, int partition, int first, int count)
    {
        using var publisher = new KafkaPublisher(Settings());
        for (int number = first; number < first + count; number++)
        {
            publisher.Publish(topic, partition, null, Encoding.UTF8.GetBytes($"{number}"), null, error => Assert.Null(error), CancellationToken.None);
        }

        Assert.True(publisher.Flush(Patience), "the messages were not acknowledged in time");
    }

    /// <summary>A real broker keeps nothing of the test but its group, which goes by itself.</summary>
    public void Dispose()
    {
        _mock?.Dispose();
        if (_made.Count == 0) { return; }
        try
        {
            using IAdminClient admin = Admin();
            admin.DeleteTopicsAsync(_made).GetAwaiter().GetResult();
        }
        catch (KafkaException)
        {
            // What a broker does not give up says nothing about the test.
        }
    }

    private IAdminClient Admin() => new AdminClientBuilder(new AdminClientConfig { BootstrapServers = BootstrapServers }).SetLogHandler(static (_, _) => { }).SetErrorHandler(static (_, _) => { }).Build();
}
