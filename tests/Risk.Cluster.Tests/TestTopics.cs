using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Confluent.Kafka;
using Risk.Cli.Benchmarks;
using Risk.Core.Transactions;
using Risk.Streams.Kafka;

namespace Risk.Cluster.Tests;

/// <summary>The stream's topics on librdkafka's mock cluster, and somebody who reads the decisions all the while: the mock keeps only the newest messages.</summary>
internal sealed class TestTopics : IDisposable
{
    private readonly KafkaTopics _topics = KafkaTopics.Of("card-payments");
    private readonly KafkaPublisher _publisher;
    private readonly CancellationTokenSource _stop = new();
    private readonly Thread _reading;
    private long _refused;

    /// <param name="isRead">Somebody reads the decisions; where not, <see cref="Decisions"/> stays empty.</param>
    public TestTopics(int partitions = TestCluster.Partitions, bool isRead = true)
    {
        foreach (string topic in new[] { _topics.Transactions, _topics.Labels, _topics.Decisions, _topics.DeadLetters }) { Broker.CreateTopic(topic, partitions); }
        _publisher = new KafkaPublisher(KafkaSettings.Read(new Dictionary<string, string> { ["bootstrap.servers"] = Broker.BootstrapServers }, "test", out CodedError error) ?? throw new InvalidOperationException(error.ToString()));
        _reading = new Thread(() => Read(partitions, isRead)) { IsBackground = true };
        _reading.Start();
    }

    public MockKafka Broker { get; } = new();

    /// <summary>Event ids in the order of arrival, with the decision.</summary>
    public ConcurrentQueue<(string EventId, string Json)> Decisions { get; } = new();

    /// <summary>Dead letters.</summary>
    public ConcurrentQueue<string> DeadLetters { get; } = new();

    public void Send(long from, long to, int customers = 40)
    {
        for (long number = from; number < to; number++) { Send(Payments.Customer(number, customers), Payments.Json(number, customers)); }
    }

    public void Send(string key, byte[] value) => Send(_topics.Transactions, key, value);

    public void SendLabel(string key, string json) => Send(_topics.Labels, key, Encoding.UTF8.GetBytes(json));

    private void Send(string topic, string key, byte[] value) => _publisher.Publish(topic, -1, Encoding.UTF8.GetBytes(key), value, null, error =>
    {
        if (error is not null) { Interlocked.Increment(ref _refused); }
    }, _stop.Token);

    public void WaitForDecisions(long count, TestCluster cluster)
    {
        Assert.True(_publisher.Flush(TimeSpan.FromSeconds(60)), "the broker does not take the test's messages");
        Assert.Equal(0, Interlocked.Read(ref _refused));
        for (var waited = Stopwatch.StartNew(); Decisions.Count < count; Thread.Sleep(20))
        {
            if (waited.Elapsed.TotalSeconds > 120) { Assert.Fail($"{Decisions.Count} of {count} decisions after {waited.Elapsed}:\n{cluster.Errors}"); }
        }
    }

    public void Dispose()
    {
        _stop.Cancel();
        _reading.Join();
        _publisher.Dispose();
        Broker.Dispose();
        _stop.Dispose();
    }

    private void Read(int partitions, bool isRead)
    {
        if (!isRead) { return; }
        var config = new ConsumerConfig { BootstrapServers = Broker.BootstrapServers, GroupId = "reader", EnableAutoCommit = false, AutoOffsetReset = AutoOffsetReset.Earliest };
        using IConsumer<byte[], byte[]> consumer = new ConsumerBuilder<byte[], byte[]>(config).SetLogHandler(static (_, _) => { }).SetErrorHandler(static (_, _) => { }).Build();
        consumer.Assign(Enumerable.Range(0, partitions).SelectMany(p => new[] { _topics.Decisions, _topics.DeadLetters }.Select(t => new TopicPartitionOffset(t, p, Offset.Beginning))));
        while (!_stop.IsCancellationRequested)
        {
            if (consumer.Consume(50) is not { } result) { continue; }
            string json = Encoding.UTF8.GetString(result.Message.Value);
            if (result.Topic == _topics.DeadLetters) { DeadLetters.Enqueue(json); }
            else { Decisions.Enqueue((JsonDocument.Parse(json).RootElement.GetProperty("eventId").GetString()!, json)); }
        }
    }
}
