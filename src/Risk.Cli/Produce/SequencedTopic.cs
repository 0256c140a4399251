using Risk.Core.Transactions;
using Risk.Streams.Kafka;

namespace Risk.Cli.Produce;

/// <summary>
/// Writes one topic: every message with CloudEvents headers and its number within its partition (<c>ce_sequence</c>, from 1,
/// without gaps), so that a reader notices what is missing. One writing thread; the counts may be read from any.
/// </summary>
internal sealed class SequencedTopic
{
    private readonly KafkaPublisher _publisher;
    private readonly string _topic;
    private readonly CloudEvents _events;
    private readonly long[] _sent;
    private readonly Action<CodedError?> _delivered;
    private long _acknowledged;
    private Tuple<CodedError>? _refusal;

    public SequencedTopic(KafkaPublisher publisher, string topic, int partitionCount, CloudEvents events)
    {
        _publisher = publisher;
        _topic = topic;
        _events = events;
        _sent = new long[partitionCount];
        _delivered = Delivered;
    }

    /// <summary>Messages handed to the client library, by partition.</summary>
    public IReadOnlyList<long> Sent => _sent;

    /// <summary>Messages that the brokers have.</summary>
    public long Acknowledged => Interlocked.Read(ref _acknowledged);

    /// <summary>Why the brokers refused a message for good; null while they did not.</summary>
    public CodedError? Refusal => Volatile.Read(ref _refusal)?.Item1;

    /// <summary>Sends a message; waits while too many are on their way.</summary>
    /// <exception cref="OperationCanceledException">Cancelled while waiting: the message was not sent.</exception>
    public void Send(int partition, byte[]? key, byte[] json, byte[] id, long timeMicros, CancellationToken cancellation)
    {
        _publisher.Publish(_topic, partition, key, json, _events.Of(id, timeMicros, [], CloudEvents.SequenceHeader, _sent[partition] + 1), _delivered, cancellation);
        _sent[partition]++;
    }

    private void Delivered(CodedError? error)
    {
        if (error is null) { Interlocked.Increment(ref _acknowledged); }
        else { Interlocked.CompareExchange(ref _refusal, Tuple.Create(error.Value), null); }
    }
}
