using System.Text;
using System.Text.Json;
using Risk.Cli.Benchmarks;
using Risk.Core.Transactions;
using Risk.Streams.Kafka;

namespace Risk.Streams.Tests.Kafka;

public sealed class KafkaPublisherTests
{
    private const short NotEnoughReplicas = 19, NotLeader = 6, RecordListTooLarge = 18;

    [Fact]
    public void Publication_IsDoneOnce_WhenAllAreAcknowledged_AndTheHeadersAreCloudEvents()
    {
        using var broker = new TestBroker();
        string topic = broker.Topic("decisions", 2);
        using var publisher = new KafkaPublisher(broker.Settings());
        var events = new CloudEvents("risk.decision", "/risk/test");
        int done = 0;
        CodedError? failure = null;
        using var settled = new ManualResetEventSlim();
        var publication = new Publication(publisher, error => { failure = error; Interlocked.Increment(ref done); settled.Set(); });
        for (int number = 1; number <= 200; number++)
        {
            Assert.True(publication.TryAdd(topic, 1, "k"u8.ToArray(), Encoding.UTF8.GetBytes($"{number}"), events.Of(Encoding.UTF8.GetBytes($"id-{number}"), 1_000_001, "subject"u8, CloudEvents.RiskSequenceHeader, number)));
        }

        Assert.Equal(0, done);
        publication.Seal();
        Assert.True(settled.Wait(TestBroker.Patience));
        Assert.Null(failure);
        Assert.Equal(1, done);
        Assert.Equal(0, publisher.InFlight);
        Assert.Equal(200, KafkaAdmin.ReadLastNumber(broker.Settings(), topic, 1, CloudEvents.RiskSequenceHeader));
        Assert.Null(KafkaAdmin.ReadLastNumber(broker.Settings(), topic, 0, CloudEvents.RiskSequenceHeader));

        using TestMember member = new TestMember(broker, topic).Started();
        member.Until(() => member.Messages.Count == 200, "all");
        Assert.Equal(Enumerable.Range(1, 200).Select(n => $"{n}"), member.Messages.Select(message => message.Value));
    }

    [MockFact]
    public void ErrorsThatPass_AreTriedAgain_InOrderAndWithoutDoubles()
    {
        using var broker = new TestBroker();
        string topic = broker.Topic("decisions", 1);
        broker.Mock.PushErrors(KafkaRequest.Produce, NotEnoughReplicas, NotLeader, NotEnoughReplicas);
        broker.Mock.PushErrors(KafkaRequest.Fetch, NotLeader, NotLeader);
        broker.Fill(topic, 0, 0, 300);
        using TestMember member = new TestMember(broker, topic).Started();
        member.Until(() => member.Messages.Count >= 300, "all");
        Assert.Equal(Enumerable.Range(0, 300).Select(n => $"{n}"), member.Messages.Select(message => message.Value));
    }

    [MockFact]
    public void Refusal_ReachesTheWriter_WithACode()
    {
        using var broker = new TestBroker();
        string topic = broker.Topic("decisions", 1);
        using var publisher = new KafkaPublisher(broker.Settings());
        broker.Mock.PushErrors(KafkaRequest.Produce, RecordListTooLarge);
        CodedError? failure = null;
        using var settled = new ManualResetEventSlim();
        var publication = new Publication(publisher, error => { failure = error; settled.Set(); });
        Assert.True(publication.TryAdd(topic, 0, null, [1], null));
        publication.Seal();
        Assert.True(settled.Wait(TestBroker.Patience));
        Assert.NotNull(failure);
    }

    // Fault 18.
    [MockFact]
    public void AllBrokersDown_IsSeen_TheQueueStaysBounded_AndItGoesOnByItself()
    {
        using var broker = new TestBroker();
        string topic = broker.Topic("transactions", 1);
        using TestMember member = new TestMember(broker, topic).Started();
        broker.Fill(topic, 0, 0, 10);
        member.Until(() => member.Messages.Count == 10, "before");
        using var publisher = new KafkaPublisher(broker.Settings(("queue.buffering.max.messages", "50")));

        broker.Mock.AllDown();
        member.Until(() => member.Consumer.IsBrokerDown, "the consumer sees it");
        int accepted = 0, delivered = 0;
        while (accepted < 1000 && publisher.TryPublish(topic, 0, null, Encoding.UTF8.GetBytes($"{10 + accepted}"), null, error => { Assert.Null(error); Interlocked.Increment(ref delivered); }))
        {
            accepted++;
        }

        Assert.Equal(50, accepted);
        member.Until(() => publisher.BrokerDownSince is not null, "the publisher sees it");
        Assert.Equal(0, delivered);

        broker.Mock.AllUp();
        member.Until(() => member.Messages.Count >= 60 && delivered == 50, "all afterwards");
        member.Until(() => !member.Consumer.IsBrokerDown && publisher.BrokerDownSince is null, "health");
        Assert.Equal(Enumerable.Range(0, 60).Select(n => $"{n}"), member.Messages.Select(message => message.Value));
        Assert.Null(member.Failure);
    }

    // Faults 12 and 13.
    [MockFact]
    public void DeadLetters_NameThePlaceAndTheHash_AndWaitWhileTheTopicIsAway()
    {
        using var broker = new TestBroker();
        string topic = broker.Topic("dead-letters", 3);
        using var publisher = new KafkaPublisher(broker.Settings());
        using var letters = new DeadLetterTopic(publisher, KafkaTopics.Of("test") with { DeadLetters = topic }, 2, "test", TimeSpan.FromMilliseconds(300));
        var source = new DeadLetterSource("transactions.test", "transactions.test");
        Sha256Digest hash = Sha256Digest.Of("4111111111111111"u8);
        broker.Mock.AllDown();
        letters.Append(new Rejection(41, ErrorCode.ParseError, null, hash, false), source);
        letters.Append(new Rejection(43, ErrorCode.PanForbidden, "note", hash, true), source);

        IOException away = Assert.Throws<IOException>(() => letters.Flush(durable: true));
        Assert.StartsWith("KAFKA_UNAVAILABLE: ", away.Message);
        Assert.Equal(2, letters.Waiting);
        Assert.Throws<IOException>(() => letters.Flush(durable: true));

        broker.Mock.AllUp();
        Assert.True(SpinWait.SpinUntil(() => TryFlush(letters), TestBroker.Patience));
        Assert.Equal(2, letters.Count);
        using TestMember member = new TestMember(broker, topic).Started();
        member.Until(() => member.Messages.Count >= 2, "the letters");
        JsonElement[] read = [.. member.Messages.Select(message => JsonDocument.Parse(message.Value).RootElement)];
        Assert.Equal(2, read.Length);
        Assert.Equal($$"""{"topic":"transactions.test","partition":2,"offset":41,"code":"PARSE_ERROR","payloadSha256":"{{hash}}"}""", read[0].GetRawText());
        Assert.Equal($$"""{"topic":"transactions.test","partition":2,"offset":43,"code":"PAN_FORBIDDEN","field":"note","payloadHmacSha256":"{{hash}}"}""", read[1].GetRawText());
        Assert.All(member.Messages, message => Assert.Equal(2, message.Partition));
        Assert.All(member.Origins, origin => Assert.Equal(("risk.dead-letter.v1", "/risk/test"), origin));
    }

    private static bool TryFlush(DeadLetterTopic letters)
    {
        try
        {
            letters.Flush(durable: true);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }
}
