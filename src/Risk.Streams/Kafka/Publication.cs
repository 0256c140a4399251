using Confluent.Kafka;
using Risk.Core.Transactions;

namespace Risk.Streams.Kafka;

/// <summary>
/// Messages that are done together: add them, <see cref="Seal"/>, and <paramref name="done"/> is called once, when every
/// one is acknowledged or refused, with the first refusal or null. Adding is for one thread.
/// </summary>
public sealed class Publication(KafkaPublisher publisher, Action<CodedError?> done)
{
    private Action<CodedError?>? _delivered;
    private Tuple<CodedError>? _failure;

    // One for the seal, so that no acknowledgement before it can be the last.
    private int _open = 1;

    /// <summary>Takes one more message; false when the publisher's queue is full. See <see cref="KafkaPublisher.TryPublish"/>.</summary>
    public bool TryAdd(string topic, int partition, byte[]? key, byte[]? value, Headers? headers)
    {
        Interlocked.Increment(ref _open);
        if (publisher.TryPublish(topic, partition, key, value, headers, _delivered ??= Delivered))
        {
            return true;
        }

        Interlocked.Decrement(ref _open);
        return false;
    }

    /// <summary>No more will be added; calls <c>done</c> at once where all are settled (or none was added).</summary>
    public void Seal() => Settle();

    private void Delivered(CodedError? error)
    {
        if (error is { } failure)
        {
            Interlocked.CompareExchange(ref _failure, Tuple.Create(failure), null);
        }

        Settle();
    }

    private void Settle()
    {
        if (Interlocked.Decrement(ref _open) == 0)
        {
            done(_failure?.Item1);
        }
    }
}
