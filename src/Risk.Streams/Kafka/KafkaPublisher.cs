using Confluent.Kafka;
using Risk.Core.Transactions;
using ErrorCode = Confluent.Kafka.ErrorCode;

namespace Risk.Streams.Kafka;

/// <summary>
/// Writes messages: idempotent, acknowledged by all in-sync replicas, in order within a partition, bounded in flight. A
/// message is kept and tried again until a broker has it or refuses it for good; it is never given up for being old, so it
/// is never sent twice. Thread-safe.
/// </summary>
public sealed class KafkaPublisher : IDisposable
{
    private readonly KafkaSettings _settings;
    private readonly BrokerHealth _health;
    private readonly IProducer<byte[]?, byte[]?> _client;
    private long _inFlight;
    private volatile Tuple<CodedError>? _failure;

    public KafkaPublisher(KafkaSettings settings, TimeProvider? time = null)
    {
        _settings = settings;
        _health = new BrokerHealth(time ?? TimeProvider.System);
        _client = new ProducerBuilder<byte[]?, byte[]?>(settings.Producer())
            .SetErrorHandler((_, error) => Took(error))
            .SetStatisticsHandler((_, statistics) => _health.Took(statistics))
            .SetLogHandler(static (_, _) => { })
            .Build();
    }

    /// <summary>Since when no broker could be reached; null while one can. It goes on by itself.</summary>
    public DateTimeOffset? BrokerDownSince => _health.DownSince;

    /// <summary>Why this publisher can write nothing any more (fenced, numbering lost): dispose of it, make another and publish from the log again. Null while all is well.</summary>
    public CodedError? Failure => _failure?.Item1;

    /// <summary>Messages accepted and not yet acknowledged or refused.</summary>
    public long InFlight => Interlocked.Read(ref _inFlight);

    /// <summary>
    /// Takes a message. False when the queue is full: wait a little and offer it again (back-pressure).
    /// </summary>
    /// <param name="partition">From 0; −1: by murmur2 of the key.</param>
    /// <param name="key">Not copied: leave it as it is until delivered; so too the value and headers.</param>
    /// <param name="delivered">Called once, on a thread of the library's: null when the message is durable at the broker, else why it never will be. Must not block.</param>
    public bool TryPublish(string topic, int partition, byte[]? key, byte[]? value, Headers? headers, Action<CodedError?> delivered)
    {
        Interlocked.Increment(ref _inFlight);
        try
        {
            _client.Produce(
                new TopicPartition(topic, partition < 0 ? Partition.Any : partition),
                new Message<byte[]?, byte[]?> { Key = key, Value = value, Headers = headers },
                report =>
                {
                    Interlocked.Decrement(ref _inFlight);
                    delivered(report.Error.IsError ? Refused(topic, report.Error) : null);
                });
            return true;
        }
        catch (ProduceException<byte[]?, byte[]?> exception) when (exception.Error.Code == ErrorCode.Local_QueueFull)
        {
            Interlocked.Decrement(ref _inFlight);
            return false;
        }
        catch (KafkaException exception)
        {
            // Too large, no such partition, or the publisher failed for good.
            Interlocked.Decrement(ref _inFlight);
            Took(exception.Error);
            delivered(Refused(topic, exception.Error));
            return true;
        }
    }

    /// <summary>The same, waiting while the queue is full.</summary>
    /// <exception cref="OperationCanceledException"/>
    public void Publish(string topic, int partition, byte[]? key, byte[]? value, Headers? headers, Action<CodedError?> delivered, CancellationToken cancellation)
    {
        while (!TryPublish(topic, partition, key, value, headers, delivered))
        {
            // Room comes with the next acknowledgement, mostly within a millisecond.
            cancellation.WaitHandle.WaitOne(1);
            cancellation.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Sends what waits for company and waits until all is acknowledged or refused; false when the time is up first.</summary>
    public bool Flush(TimeSpan patience)
    {
        long end = Environment.TickCount64 + (long)patience.TotalMilliseconds;
        while (true)
        {
            int left = (int)Math.Clamp(end - Environment.TickCount64, 0, 1000);
            if (_client.Flush(TimeSpan.FromMilliseconds(left)) == 0 && InFlight == 0)
            {
                return true;
            }

            if (Environment.TickCount64 >= end)
            {
                return false;
            }
        }
    }

    /// <summary>What is still in flight is given up without a word; <see cref="Flush"/> first.</summary>
    public void Dispose() => _client.Dispose();

    private CodedError Refused(string topic, Error error) => _settings.ErrorOf(error, $"topic {topic}");

    private void Took(Error error)
    {
        _health.Took(error);
        if (error.IsFatal)
        {
            _failure = Tuple.Create(_settings.ErrorOf(error, "the publisher ended"));
        }
    }
}
