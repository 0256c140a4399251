using Risk.Core.Transactions;
using Risk.Streams.Kafka;

namespace Risk.Streams.Tests.Kafka;

public sealed class KafkaSettingsTests
{
    private const string Secret = "hunter2-hunter2";

    [Theory]
    [InlineData("sasl.password")]
    [InlineData("ssl.key.password")]
    [InlineData("ssl.keystore.password")]
    [InlineData("ssl.key.pem")]
    [InlineData("sasl.oauthbearer.client.secret")]
    [InlineData("sasl.oauthbearer.assertion.private.key.passphrase")]
    public void SecretInTheConfiguration_IsRefused_AndNotRepeated(string property)
    {
        CodedError error = Refusal((property, Secret));
        Assert.Equal(ErrorCode.KafkaSecretInline, error.Code);
        Assert.Contains(property, error.Message);
        Assert.DoesNotContain(Secret, error.Message);
    }

    [Fact]
    public void SecretFromAFile_IsTaken_AndOneThatIsMissingIsNamed()
    {
        using var folder = new TestFolder();
        string path = folder.File("password", Secret + "\n");
        Assert.NotNull(KafkaSettings.Read(Properties(("security.protocol", "sasl_plaintext"), ("sasl.mechanism", "SCRAM-SHA-256"), ("sasl.username", "u"), ("sasl.password", "file:" + path)), "g", out _));
        Assert.Equal(ErrorCode.KafkaSecretMissing, Refusal(("sasl.password", "file:" + path + ".not")).Code);
        Assert.Equal(ErrorCode.KafkaSecretMissing, Refusal(("sasl.password", "env:RISK_TEST_NO_SUCH_VARIABLE")).Code);
    }

    [Fact]
    public void SecretThatLibrdkafkaWouldRepeat_IsTakenOutOfItsWords()
    {
        using var folder = new TestFolder();
        // A value that the property refuses stands in librdkafka's own error.
        CodedError error = Refusal(("session.timeout.ms", "file:" + folder.File("secret", Secret)));
        Assert.Equal(ErrorCode.KafkaPropertyInvalid, error.Code);
        Assert.Contains("session.timeout.ms", error.Message);
        Assert.DoesNotContain(Secret, error.Message);
    }

    [Fact]
    public void UnknownProperty_IsToldInLibrdkafkasWords()
    {
        CodedError error = Refusal(("sasl.pasword", "x"));
        Assert.Equal(ErrorCode.KafkaPropertyInvalid, error.Code);
        Assert.Contains("No such configuration property", error.Message);
    }

    [Theory]
    [InlineData("local host")]
    [InlineData("kafka:9092,local host:9092")]
    [InlineData("kafka:port")]
    [InlineData("kafka:99999")]
    public void BrokersThatCanBeNoAddress_AreRefusedAtOnce(string servers)
    {
        CodedError error = Refusal(("bootstrap.servers", servers));
        Assert.Equal(ErrorCode.KafkaPropertyInvalid, error.Code);
        Assert.Contains("is no address; write host:port", error.Message);
    }

    [Theory]
    [InlineData("kafka")]
    [InlineData("kafka:9092,")]
    [InlineData("kafka_1:9092, kafka-2.example.org:9092")]
    [InlineData("SASL_SSL://10.0.0.7:9092")]
    [InlineData("[::1]:9092")]
    public void BrokersAsLibrdkafkaTakesThem_AreTaken(string servers) => Assert.NotNull(KafkaSettings.Read(Properties(("bootstrap.servers", servers)), "g", out _));

    [Fact]
    public void BrokersThatDoNotAnswer_AreToldWithTheReason_AndWhatToLookAt()
    {
        KafkaSettings settings = KafkaSettings.Read(Properties(), "g", out _)!;
        var troubles = new BrokerTroubles();
        troubles.Took(new Confluent.Kafka.Error(Confluent.Kafka.ErrorCode.Local_Resolve, "Failed to resolve 'nowhere:9092'"));
        troubles.Took(new Confluent.Kafka.Error(Confluent.Kafka.ErrorCode.Local_AllBrokersDown, "1/1 brokers are down"));

        string told = troubles.Explain(new CodedError(ErrorCode.KafkaUnavailable, "nowhere:9092: Local: Broker transport failure"), settings).Message;
        Assert.Contains("Failed to resolve 'nowhere:9092'", told);
        Assert.Contains("bootstrap.servers", told);
        Assert.Equal("no", troubles.Explain(new CodedError(ErrorCode.KafkaRefused, "no"), settings).Message);
    }

    [Theory]
    [InlineData("enable.auto.offset.store", "true")]
    [InlineData("auto.offset.reset", "earliest")]
    [InlineData("partition.assignment.strategy", "range")]
    [InlineData("enable.idempotence", "false")]
    [InlineData("acks", "1")]
    [InlineData("plugin.library.paths", "/tmp/x.so")]
    public void PropertyThatCorrectnessRestsOn_StaysAsItIs(string name, string value) => Assert.Equal(ErrorCode.KafkaPropertyFixed, Refusal((name, value)).Code);

    // The values of the Java client's own tests (UtilsTest.testMurmur2).
    [Theory]
    [InlineData("21", -973932308)]
    [InlineData("foobar", -790332482)]
    [InlineData("a-little-bit-long-string", -985981536)]
    [InlineData("a-little-bit-longer-string", -1486304829)]
    [InlineData("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971)]
    [InlineData("abc", 479470107)]
    public void Murmur2_IsThatOfTheJavaClient(string text, int hash) => Assert.Equal(hash, (int)KafkaPartitioner.Murmur2(System.Text.Encoding.UTF8.GetBytes(text)));

    [Fact]
    public void PartitionOfAKey_IsWhereThePublisherPutsIt()
    {
        using var broker = new TestBroker();
        string topic = broker.Topic("keyed", 5);
        using (var publisher = new KafkaPublisher(broker.Settings()))
        {
            for (int number = 0; number < 50; number++)
            {
                byte[] key = System.Text.Encoding.UTF8.GetBytes($"card-{number}");
                Assert.True(publisher.TryPublish(topic, -1, key, key, null, error => Assert.Null(error)));
            }

            Assert.True(publisher.Flush(TestBroker.Patience));
        }

        using TestMember member = new TestMember(broker, topic).Started();
        member.Until(() => member.Messages.Count == 50, "all");
        Assert.All(member.Messages, message => Assert.Equal(KafkaPartitioner.Of(System.Text.Encoding.UTF8.GetBytes(message.Value), 5), message.Partition));
    }

    [MockFact]
    public void Topics_ThatAreMissingOrUneven_AreNamed()
    {
        using var broker = new TestBroker();
        var topics = new KafkaTopics(broker.Topic("t", 3), broker.Topic("l", 3), broker.Topic("d", 3), "risk-test-none");
        CodedError? missing = KafkaAdmin.EnsureTopics(broker.Settings(), topics, null, out _);
        Assert.Equal(ErrorCode.KafkaTopicMissing, missing?.Code);
        Assert.Contains("risk-test-none", missing?.Message);

        CodedError? uneven = KafkaAdmin.EnsureTopics(broker.Settings(), topics with { DeadLetters = broker.Topic("x", 2) }, null, out _);
        Assert.Equal(ErrorCode.KafkaTopicPartitions, uneven?.Code);

        Assert.Null(KafkaAdmin.EnsureTopics(broker.Settings(), topics with { DeadLetters = broker.Topic("y", 3) }, null, out int count));
        Assert.Equal(3, count);
    }

    private static Dictionary<string, string> Properties(params (string, string)[] more)
    {
        var properties = new Dictionary<string, string> { ["bootstrap.servers"] = "127.0.0.1:1" };
        foreach ((string name, string value) in more)
        {
            properties[name] = value;
        }

        return properties;
    }

    private static CodedError Refusal(params (string, string)[] more)
    {
        Assert.Null(KafkaSettings.Read(Properties(more), "g", out CodedError error));
        return error;
    }
}
