using Risk.Core.Transactions;
namespace Risk.Streams.Kafka;
public sealed class DeadLetterTopic(KafkaPublisher publisher, KafkaTopics topics, int partition) : IDeadLetters
{
    public void Append(in Rejection rejection, DeadLetterSource source) { _ = publisher; _ = topics; _ = partition; }
    public void Flush(bool durable) { }
    public void Dispose() { }
}
