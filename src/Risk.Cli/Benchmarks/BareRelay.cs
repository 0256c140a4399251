using Confluent.Kafka;

namespace Risk.Cli.Benchmarks;

/// <summary>
/// The peer of <c>broker-loop</c>: consume, produce the same bytes, nothing between. The client as somebody who knows it
/// would set it up for throughput: no fields that nobody reads, batches, lz4, no delivery reports, offsets committed now
/// and then. As durable at the broker as ours is (idempotent, acknowledged by all).
/// </summary>
internal static class BareRelay
{
    public static void Run(string servers, string from, string to, CancellationToken cancellation)
    {
        var consuming = new ConsumerConfig
        {
            BootstrapServers = servers, GroupId = "relay", AutoOffsetReset = AutoOffsetReset.Earliest, EnableAutoCommit = true,
            PartitionAssignmentStrategy = PartitionAssignmentStrategy.CooperativeSticky, ConsumeResultFields = "none",
        };
        var producing = new ProducerConfig
        {
            BootstrapServers = servers, EnableIdempotence = true, Acks = Acks.All, LingerMs = 5, CompressionType = CompressionType.Lz4,
            EnableDeliveryReports = false, QueueBufferingMaxMessages = 100_000,
        };
        using IConsumer<byte[], byte[]> consumer = new ConsumerBuilder<byte[], byte[]>(consuming).SetLogHandler(static (_, _) => { }).SetErrorHandler(static (_, _) => { }).Build();
        using IProducer<byte[], byte[]> producer = new ProducerBuilder<byte[], byte[]>(producing).SetLogHandler(static (_, _) => { }).SetErrorHandler(static (_, _) => { }).Build();
        consumer.Subscribe(from);
        while (!cancellation.IsCancellationRequested)
        {
            if (consumer.Consume(100) is not { } result) { continue; }
            var message = new Message<byte[], byte[]> { Key = result.Message.Key, Value = result.Message.Value };
            var at = new TopicPartition(to, result.Partition);
            while (!TryProduce(producer, at, message)) { Thread.Sleep(1); }
        }
        consumer.Close();
    }

    private static bool TryProduce(IProducer<byte[], byte[]> producer, TopicPartition at, Message<byte[], byte[]> message)
    {
        try
        {
            producer.Produce(at, message);
            return true;
        }
        catch (ProduceException<byte[], byte[]> e) when (e.Error.Code == ErrorCode.Local_QueueFull)
        {
            return false;
        }
    }
}
