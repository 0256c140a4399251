using Risk.Core.Transactions;

namespace Risk.Streams.Kafka;

/// <summary>Who works on the partitions that a <see cref="KafkaConsumer"/> owns. All calls come on its polling thread, one at a time; only partitions that go at once are told of at once, each on a thread of its own, while polling waits for them.</summary>
public interface IKafkaPartitions
{
    /// <summary>The partition is ours; nothing of it comes until <see cref="KafkaConsumer.Start"/> says from where.</summary>
    void Assigned(int partition);

    /// <summary>
    /// The partition goes to another owner as soon as this returns: first commit, or drop, all that was handed over, and call
    /// <see cref="KafkaConsumer.Passed"/> a last time. The whole group waits meanwhile; keep it to seconds.
    /// </summary>
    void Revoked(int partition);

    /// <summary>The partition has another owner already: drop what was not committed, at once.</summary>
    void Lost(int partition);

    /// <summary>One message of a partition that is started and not paused, in the partition's order. It may come again after a rewind, with the same offset.</summary>
    void Received(int partition, in KafkaMessage message);

    /// <summary><c>OFFSET_GAP</c>: the offset to go on from is not in the topic (expired, or the topic was made anew). The partition stays stopped until <see cref="KafkaConsumer.Start"/>.</summary>
    void Failed(int partition, CodedError error);

    /// <summary><c>SOURCE_GAP</c>: the source's own numbering (see <see cref="CloudEvents"/>) jumped by <paramref name="missing"/> before the message at <paramref name="offset"/>, which comes next all the same.</summary>
    void SourceGap(int partition, long offset, long missing)
    {
    }

    /// <summary>Called at least every few milliseconds (the consumer's <c>idleEvery</c>), whether messages come or not: time to close batches.</summary>
    void Idle()
    {
    }
}
