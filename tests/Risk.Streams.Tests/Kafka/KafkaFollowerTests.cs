using System.Collections.Concurrent;
using Risk.Streams.Kafka;

namespace Risk.Streams.Tests.Kafka;

public sealed class KafkaFollowerTests
{
    // Fault 9, of labels: reading them again does no harm, so that nothing has to stop.
    [MockTheory]
    [InlineData(5, 5)] // a place that is gone is told
    [InlineData(0, -1)] // the beginning is wherever the topic begins
    public void OffsetThatIsGone_IsTold_AndWhatIsThereIsRead(long from, long told)
    {
        using var broker = new TestBroker();
        string topic = broker.Topic("labels", 1);
        broker.Fill(topic, 0, 0, 30);
        broker.Mock.DeleteRecords(topic, 0, 10);
        var read = new ConcurrentQueue<long>();
        var gaps = new ConcurrentQueue<(int Partition, long From)>();
        using var stop = new CancellationTokenSource();
        using var follower = new KafkaFollower(broker.Settings(), topic, (_, in message) => read.Enqueue(message.Offset), (partition, place) => gaps.Enqueue((partition, place)));
        var thread = new Thread(() => follower.Run(stop.Token));
        thread.Start();
        follower.Follow(0, from);

        bool isRead = SpinWait.SpinUntil(() => read.Count >= 20, TestBroker.Patience);
        stop.Cancel();
        thread.Join();

        Assert.True(isRead, $"{read.Count} of 20 messages; gaps: {string.Join(", ", gaps)}");
        Assert.Equal(Enumerable.Range(10, 20).Select(n => (long)n), read);
        Assert.Equal(told < 0 ? [] : [(0, told)], gaps);
    }
}
