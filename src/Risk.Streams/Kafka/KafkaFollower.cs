using System.Collections.Concurrent;
using Confluent.Kafka;
using ErrorCode = Confluent.Kafka.ErrorCode;

namespace Risk.Streams.Kafka;

/// <summary>
/// Reads partitions of a topic that its host names, without a group: those that belong to partitions owned elsewhere, as the
/// labels of a transactions partition do. On a thread of its caller's.
/// </summary>
/// <param name="received">Called on the polling thread. It may be called again with what was read before, after <see cref="Follow"/>.</param>
/// <param name="gap">Told of a partition and the offset to go on from, when that is gone; reading goes on with what is there, from its beginning.</param>
public sealed class KafkaFollower(KafkaSettings settings, string topic, KafkaFollower.MessageHandler received, Action<int, long> gap) : IDisposable
{
    private const int PollMillis = 20;

    /// <summary>Takes one message of a partition, in the partition's order.</summary>
    public delegate void MessageHandler(int partition, in KafkaMessage message);

    private readonly ConcurrentQueue<(int Partition, long? From)> _orders = new();
    private readonly Dictionary<int, long> _next = [];
    private readonly IConsumer<BorrowedBytes, BorrowedBytes> _client = new ConsumerBuilder<BorrowedBytes, BorrowedBytes>(settings.Reader())
        .SetKeyDeserializer(new BorrowedBytes())
        .SetValueDeserializer(new BorrowedBytes())
        .SetErrorHandler(static (_, _) => { })
        .SetLogHandler(static (_, _) => { })
        .Build();

    /// <summary>Reads the partition from this offset on (0: its beginning). Thread-safe.</summary>
    public void Follow(int partition, long from) => _orders.Enqueue((partition, from));

    /// <summary>Reads it no more; a message may still be under way. Thread-safe.</summary>
    public void Unfollow(int partition) => _orders.Enqueue((partition, null));

    /// <summary>Polls until cancelled.</summary>
    public void Run(CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
        {
            if (Obey())
            {
                _client.Assign(_next.Select(place => new TopicPartitionOffset(topic, place.Key, place.Value)));
            }

            if (_next.Count == 0)
            {
                cancellation.WaitHandle.WaitOne(PollMillis);
                continue;
            }

            Poll();
        }
    }

    public void Dispose() => _client.Dispose();

    private bool Obey()
    {
        bool any = false;
        for (; _orders.TryDequeue(out (int Partition, long? From) order); any = true)
        {
            if (order.From is { } from)
            {
                // The beginning may be behind offset 0, and nothing is missing then.
                _next[order.Partition] = from > 0 ? from : Offset.Beginning.Value;
            }
            else
            {
                _next.Remove(order.Partition);
            }
        }

        return any;
    }

    private void Poll()
    {
        try
        {
            ConsumeResult<BorrowedBytes, BorrowedBytes>? result = _client.Consume(PollMillis);
            if (result is null || result.IsPartitionEOF || !_next.ContainsKey(result.Partition.Value))
            {
                return;
            }

            _next[result.Partition.Value] = result.Offset.Value + 1;
            received(result.Partition.Value, new KafkaMessage(
                result.Offset.Value, result.Message.Key.Span, result.Message.Value.Span,
                Math.Max(0, result.Message.Timestamp.UnixTimestampMs) * 1000, result.Message.Headers));
        }
        catch (ConsumeException exception) when (exception.Error.Code is ErrorCode.Local_AutoOffsetReset or ErrorCode.OffsetOutOfRange)
        {
            int partition = exception.ConsumerRecord.Partition.Value;
            if (_next.TryGetValue(partition, out long from))
            {
                gap(partition, from);
                _next[partition] = Offset.Beginning.Value;
                _client.Assign(_next.Select(place => new TopicPartitionOffset(topic, place.Key, place.Value)));
            }
        }
        catch (ConsumeException)
        {
            // No broker for a while: it goes on by itself.
        }
    }
}
