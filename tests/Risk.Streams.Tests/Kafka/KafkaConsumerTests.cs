using Risk.Core.Transactions;
using Risk.Streams.Kafka;

namespace Risk.Streams.Tests.Kafka;

public sealed class KafkaConsumerTests
{
    [Fact]
    public void Messages_ComeInOrderFromTheStartedOffset_AndNothingBeforeStart()
    {
        using var broker = new TestBroker();
        string topic = broker.Topic("transactions", 1);
        broker.Fill(topic, 0, 0, 100);
        using TestMember member = new TestMember(broker, topic) { StartAt = _ => null }.Started();
        member.Until(() => member.Owned.ContainsKey(0) && member.Idles > 20, "assignment");
        Assert.Empty(member.Messages);
        Assert.False(member.Consumer.Lags()[0].IsStarted);

        member.Consumer.Start(0, 40);
        member.Until(() => member.Messages.Count >= 60, "60 messages");

        Assert.Equal(Enumerable.Range(40, 60).Select(n => (0, (long)n, $"{n}")), member.Messages);
        Assert.Equal(new PartitionLag(0, 100, 100, true, false), member.Consumer.Lags()[0]);
    }

    [Fact]
    public void PausedPartition_GetsNothing_WhilePollingAndTheOtherGoOn()
    {
        using var broker = new TestBroker();
        string topic = broker.Topic("transactions", 2);
        using TestMember member = new TestMember(broker, topic).Started();
        broker.Fill(topic, 0, 0, 1);
        broker.Fill(topic, 1, 0, 1);
        member.Until(() => member.Messages.Count == 2, "both partitions run");

        member.Consumer.Pause(0);
        member.Until(() => member.Consumer.Lags()[0].IsPaused, "pause");
        broker.Fill(topic, 0, 1, 10);
        broker.Fill(topic, 1, 1, 10);
        member.Until(() => member.Messages.Count(message => message.Partition == 1) == 11, "the other partition");
        long idles = member.Idles;
        member.Until(() => member.Idles > idles + 20, "polling");
        Assert.Equal(1, member.Messages.Count(message => message.Partition == 0));

        member.Consumer.Resume(0);
        member.Until(() => member.Messages.Count(message => message.Partition == 0) == 11, "resumed");
        Assert.Equal(Enumerable.Range(0, 11).Select(n => (long)n), member.Messages.Where(message => message.Partition == 0).Select(message => message.Offset));
    }

    [Fact]
    public void PausedBeforeStart_StaysPausedAtTheStartedOffset()
    {
        using var broker = new TestBroker();
        string topic = broker.Topic("transactions", 1);
        broker.Fill(topic, 0, 0, 10);
        using TestMember member = new TestMember(broker, topic) { StartAt = _ => null }.Started();
        member.Until(() => member.Owned.ContainsKey(0), "assignment");

        member.Consumer.Pause(0);
        member.Consumer.Start(0, 7);
        member.Until(() => member.Consumer.Lags()[0] is { IsStarted: true, IsPaused: true }, "start");
        long idles = member.Idles;
        member.Until(() => member.Idles > idles + 20, "polling");
        Assert.Empty(member.Messages);

        member.Consumer.Resume(0);
        member.Until(() => member.Messages.Count == 3, "resumed");
        Assert.Equal([7, 8, 9], member.Messages.Select(message => message.Offset));
    }

    // Fault 8.
    [Fact]
    public void RewoundPartition_ComesAgainWithTheSameOffsets()
    {
        using var broker = new TestBroker();
        string topic = broker.Topic("transactions", 1);
        broker.Fill(topic, 0, 0, 50);
        using TestMember member = new TestMember(broker, topic).Started();
        member.Until(() => member.Messages.Count == 50, "the first time");

        member.Consumer.Start(0, 20);
        member.Until(() => member.Messages.Count == 80, "again");

        Assert.Equal([.. Enumerable.Range(0, 50), .. Enumerable.Range(20, 30)], member.Messages.Select(message => (int)message.Offset));
        Assert.All(member.Messages, message => Assert.Equal($"{message.Offset}", message.Value));
    }

    // Fault 17: what the host closes batches and advances watermarks by.
    [Fact]
    public void Idle_IsCalled_WithAndWithoutMessages()
    {
        using var broker = new TestBroker();
        string topic = broker.Topic("transactions", 1);
        using TestMember member = new TestMember(broker, topic).Started();
        member.Until(() => member.Owned.ContainsKey(0), "assignment");
        long idles = member.Idles;
        member.Until(() => member.Idles > idles + 20, "idle without messages");

        broker.Fill(topic, 0, 0, 1);
        member.Until(() => member.Messages.Count == 1, "a message");
        idles = member.Idles;
        member.Until(() => member.Idles > idles + 20, "idle behind messages");
    }

    // Fault 9.
    [MockFact]
    public void ExpiredOffset_StopsThatPartitionOnly_WithOffsetGap()
    {
        using var broker = new TestBroker();
        string topic = broker.Topic("transactions", 2);
        broker.Fill(topic, 0, 0, 30);
        broker.Fill(topic, 1, 0, 30);
        broker.Mock.DeleteRecords(topic, 0, 10);
        using TestMember member = new TestMember(broker, topic) { StartAt = _ => 5 }.Started();

        member.Until(() => !member.Failures.IsEmpty, "the failure");
        member.Until(() => member.Messages.Count == 25, "the other partition");
        (int partition, CodedError error) = Assert.Single(member.Failures);
        Assert.Equal(0, partition);
        Assert.Equal(ErrorCode.OffsetGap, error.Code);
        Assert.All(member.Messages, message => Assert.Equal(1, message.Partition));
        Assert.False(member.Consumer.Lags()[0].IsStarted);

        member.Consumer.Start(0, -1);
        member.Until(() => member.Messages.Count == 45, "started by hand from what is there");
        Assert.Equal(10, member.Messages.First(message => message.Partition == 0).Offset);
    }

    // Fault 9: a topic made anew under the same name is shorter than what was read.
    [Fact]
    public void OffsetBeyondTheEnd_IsOffsetGap_NotAWait()
    {
        using var broker = new TestBroker();
        string topic = broker.Topic("transactions", 1);
        broker.Fill(topic, 0, 0, 10);
        using TestMember member = new TestMember(broker, topic) { StartAt = _ => 11 }.Started();

        member.Until(() => !member.Failures.IsEmpty, "the failure");
        Assert.Equal(ErrorCode.OffsetGap, Assert.Single(member.Failures).Error.Code);
        Assert.Empty(member.Messages);
    }

    // A drain may wait for a store that does not answer: three of them must not take three times as long.
    [Fact]
    public void PartitionsThatGoTogether_AreDrainedAtOnce()
    {
        using var broker = new TestBroker();
        string topic = broker.Topic("transactions", 3);
        using var together = new Barrier(3);
        int met = 0;
        using TestMember member = new TestMember(broker, topic) { OnRevoked = _ => { if (together.SignalAndWait(TimeSpan.FromSeconds(10))) { Interlocked.Increment(ref met); } } }.Started();
        member.Until(() => member.Owned.Count == 3, "all partitions");

        member.Stop();

        Assert.Equal(3, met);
        Assert.Empty(member.Owned);
        Assert.Null(member.Failure);
    }

    // Fault 5: who gets a partition gets it after the one before has drained.
    [Fact]
    public void JoiningMember_GetsPartitionsOnlyAfterTheyWereDrained_AndNothingIsLostOrDoubled()
    {
        using var broker = new TestBroker();
        string topic = broker.Topic("transactions", 4);
        var committed = new long[4];
        long Next(int partition) => Interlocked.Read(ref committed[partition]);
        TestMember Member()
        {
            var member = new TestMember(broker, topic) { StartAt = partition => Next(partition) };
            var pending = new long[4];
            // Work in flight: messages count as done only in the drain or every tenth.
            member.OnReceived = (partition, offset) =>
            {
                pending[partition] = offset + 1;
                if (offset % 10 == 9)
                {
                    Interlocked.Exchange(ref committed[partition], offset + 1);
                }
            };
            member.OnRevoked = partition =>
            {
                if (pending[partition] > 0)
                {
                    Interlocked.Exchange(ref committed[partition], pending[partition]);
                    member.Consumer.Passed(partition, pending[partition]);
                }
            };
            return member;
        }

        using TestMember first = Member().Started();
        for (int partition = 0; partition < 4; partition++)
        {
            broker.Fill(topic, partition, 0, 25);
        }

        first.Until(() => first.Messages.Count == 100, "the first member has all");
        using TestMember second = Member().Started();
        first.Until(() => first.Owned.Count == 2 && second.Owned.Count == 2, "two each");
        for (int partition = 0; partition < 4; partition++)
        {
            broker.Fill(topic, partition, 25, 25);
        }

        first.Until(() => first.Messages.Count + second.Messages.Count >= 200, "all messages");
        first.Stop();
        second.Until(() => second.Owned.Count == 4, "the second member has all");
        broker.Fill(topic, 0, 50, 5);
        first.Until(() => first.Messages.Count + second.Messages.Count >= 205, "what came last");

        Assert.Null(first.Failure);
        Assert.Equal(205, first.Messages.Count + second.Messages.Count);
        Assert.Equal(205, first.Messages.Concat(second.Messages).Select(message => (message.Partition, message.Offset)).Distinct().Count());
    }

    // Fault 7: who does not poll for longer than the group allows has lost its partitions by then, and is told.
    [Fact]
    public void MemberThatStoppedPolling_LosesItsPartitions_AndComesBack()
    {
        using var broker = new TestBroker();
        string topic = broker.Topic("transactions", 1);
        string session = TestBroker.RealServers is null ? "2000" : "6000";
        using var member = new TestMember(broker, topic, ("max.poll.interval.ms", session));
        int stalls = 0;
        member.OnReceived = (_, _) =>
        {
            if (Interlocked.Increment(ref stalls) == 1)
            {
                Thread.Sleep(int.Parse(session) + 1500);
            }
        };
        member.Started();
        broker.Fill(topic, 0, 0, 1);

        member.Until(() => member.Events.Contains("lost 0"), "the loss");
        member.Until(() => member.Events.Count(e => e == "assigned 0") == 2 && member.Messages.Count >= 2, "again");
        Assert.All(member.Messages, message => Assert.Equal(0, message.Offset));
    }

    // Fault 6: what a revoked partition left in the client is not handed over, and its position stays.
    [Fact]
    public void RevokedPartition_GetsNothingMore_AndOrdersForItAreVoid()
    {
        using var broker = new TestBroker();
        string topic = broker.Topic("transactions", 2);
        using TestMember first = new TestMember(broker, topic).Started();
        first.Until(() => first.Owned.Count == 2, "all");
        using TestMember second = new TestMember(broker, topic).Started();
        second.Until(() => first.Owned.Count == 1 && second.Owned.Count == 1, "one each");
        int gone = second.Owned.Keys.Single();

        first.Consumer.Start(gone, 0);
        first.Consumer.Passed(gone, 5);
        broker.Fill(topic, gone, 0, 20);
        second.Until(() => second.Messages.Count == 20, "the owner");
        Assert.DoesNotContain(first.Messages, message => message.Partition == gone);
        Assert.DoesNotContain(first.Consumer.Lags(), lag => lag.Partition == gone);
        Assert.Null(first.Failure);
    }

    // Fault 19.
    [Fact]
    public void JumpInTheSourcesNumbering_IsToldBeforeTheMessage_WhichComesAllTheSame()
    {
        using var broker = new TestBroker();
        string topic = broker.Topic("transactions", 1);
        using (var publisher = new KafkaPublisher(broker.Settings()))
        {
            var one = new CloudEvents("risk.transaction", "/one");
            var two = new CloudEvents("risk.transaction", "/two");
            foreach ((CloudEvents source, long sequence) in new[] { (one, 1L), (one, 2), (two, 70), (one, 3), (one, 7), (two, 71), (one, 8), (one, 1), (one, 2) })
            {
                Assert.True(publisher.TryPublish(topic, 0, null, [1], source.Of("id"u8, 0, default, CloudEvents.SequenceHeader, sequence), error => Assert.Null(error)));
            }

            Assert.True(publisher.Flush(TestBroker.Patience));
        }

        using TestMember member = new TestMember(broker, topic).Started();
        member.Until(() => member.Messages.Count == 9, "all");
        Assert.Equal([(0, 4L, 3L)], member.Gaps);
    }

    [MockFact]
    public void CoordinatorThatMoves_CostsNothing()
    {
        using var broker = new TestBroker(brokerCount: 3);
        string topic = broker.Topic("transactions", 3);
        broker.Mock.SetCoordinator(broker.Group, 1);
        using TestMember member = new TestMember(broker, topic).Started();
        broker.Fill(topic, 0, 0, 10);
        member.Until(() => member.Messages.Count == 10, "before");

        broker.Mock.SetCoordinator(broker.Group, 2);
        broker.Mock.PushErrors(Risk.Cli.Benchmarks.KafkaRequest.Heartbeat, 16);
        broker.Fill(topic, 1, 0, 10);
        member.Until(() => member.Messages.Select(message => (message.Partition, message.Offset)).Distinct().Count() == 20, "after");
        Assert.Null(member.Failure);
    }
}
