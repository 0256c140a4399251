namespace Risk.Streams.Kafka;

/// <summary>The topics of one stream; all have as many partitions as <paramref name="Transactions"/>, so that a partition's number means the same shard in each.</summary>
public sealed record KafkaTopics(string Transactions, string Labels, string Decisions, string DeadLetters)
{
    /// <summary><c>transactions.NAME</c>, <c>labels.NAME</c>, <c>decisions.NAME</c>, <c>dead-letters.NAME</c>.</summary>
    public static KafkaTopics Of(string stream) => new($"transactions.{stream}", $"labels.{stream}", $"decisions.{stream}", $"dead-letters.{stream}");
}
