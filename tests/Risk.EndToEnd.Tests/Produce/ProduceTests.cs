using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Confluent.Kafka;
using Risk.Cli;
using Risk.Cli.Benchmarks;
using Risk.Core.Transactions;
using Risk.Streams;
using Risk.Streams.Kafka;
using ErrorCode = Risk.Core.Transactions.ErrorCode;

namespace Risk.EndToEnd.Tests.Produce;

/// <summary><c>risk produce</c> as another process, into a mock cluster.</summary>
public sealed class ProduceTests : IDisposable
{
    private const int PartitionCount = 12;
    private const string Header = "transaction_id,time,customer_id,terminal_id,amount\n";

    private readonly TestFolder _folder = new();
    private readonly MockKafka _broker = new(2);

    private sealed record Sent(int Partition, long Offset, byte[] Key, byte[] Value, Headers Headers);

    [Fact]
    public void RecordedTransactions_ArriveWhole_InOrder_Numbered_InThePartitionOfTheirCustomer()
    {
        const int count = 20_000;
        MakeTopics();
        JsonElement result = Produce("--transactions", $"{count}").Succeeded().Json;
        List<Sent> messages = Read("transactions.card-payments", count);

        Assert.Equal((count, count, 0), (result.GetProperty("sent").GetInt64(), result.GetProperty("acknowledged").GetInt64(), result.GetProperty("outOfOrder").GetInt64()));
        Assert.Equal(messages.GroupBy(m => m.Partition).Max(g => g.Count()), result.GetProperty("partitions").GetProperty("max").GetInt32());
        StreamSchema schema = StreamFiles.Load("card-payments").Definition.Schema;
        Dictionary<string, byte[]> expected = Recorded(schema, count);
        var keys = new TransactionKeys(schema.Name, s_secret);
        var parser = new JsonTransactionParser(schema, keys);
        var row = new TransactionBatch(schema, 1);
        foreach (IGrouping<int, Sent> partition in messages.GroupBy(m => m.Partition))
        {
            long latest = 0, sequence = 0;
            foreach (Sent message in partition.OrderBy(m => m.Offset))
            {
                row.Clear();
                Assert.Equal(ErrorCode.None, parser.Parse(message.Value, 1, Micro.FromDateTimeOffset(TimeProvider.System.GetUtcNow()), row, out _));
                string id = Encoding.UTF8.GetString(row.EventId(0));
                Assert.True(expected.Remove(id, out byte[]? canonical), $"{id} came twice, or from nowhere");
                Assert.Equal(canonical, row.Canonical(0).ToArray());
                Assert.True(row.EventTimes[0] >= latest, $"{id} stands behind a later one");
                latest = row.EventTimes[0];
                Assert.Equal(row.Text(0, schema.KeyFields[0].TextIndex).ToArray(), message.Key);
                Assert.Equal(KafkaPartitioner.Of(message.Key, PartitionCount), message.Partition);
                Assert.Equal((id, (++sequence).ToString(CultureInfo.InvariantCulture)), (Text(message, "ce_id"), Text(message, "ce_sequence")));
                Assert.Equal(("1.0", "risk.transaction.v1", "/risk/card-payments/produce"), (Text(message, "ce_specversion"), Text(message, "ce_type"), Text(message, "ce_source")));
                Assert.Equal(row.EventTimes[0], Micro.FromDateTimeOffset(DateTimeOffset.Parse(Text(message, "ce_time"), CultureInfo.InvariantCulture)));
            }
        }
        Assert.Empty(expected);
    }

    [Fact]
    public void Labels_FollowWhenTheyAreKnown_WithTheKeyAndPartitionOfTheirTransaction()
    {
        MakeTopics();
        var input = new StringBuilder(Header);
        var labels = new StringBuilder("transaction_id,fraud\n");
        for (int day = 0; day < 20; day++)
        {
            for (int n = 0; n < 5; n++) { input.Append(CultureInfo.InvariantCulture, $"d{day}n{n},2025-01-{day + 1:D2}T0{n}:00:00Z,c{n},t1,10.50\n"); }
            labels.Append(CultureInfo.InvariantCulture, $"d{day}n2,{day % 2}\n");
        }
        labels.Append("unknown,1\n");
        JsonElement result = Produce("--input", _folder.Write("in.csv", input.ToString()), "--labels", _folder.Write("labels.csv", labels.ToString())).Succeeded().Json.GetProperty("labels");

        // Known seven days after; the last transaction is of day 19, so the labels of days 0 to 12 are due.
        Assert.Equal((13, 7, 1), (result.GetProperty("sent").GetInt32(), result.GetProperty("notDue").GetInt32(), result.GetProperty("withoutTransaction").GetInt32()));
        StreamSchema schema = StreamFiles.Load("card-payments").Definition.Schema;
        var keys = new TransactionKeys(schema.Name, s_secret);
        LabelParser parser = LabelParser.ForJson(schema, keys);
        List<Sent> messages = [.. Read("labels.card-payments", 13).OrderBy(m => m.Offset)];
        Assert.All(messages.Index(), m =>
        {
            Assert.Equal(ErrorCode.None, parser.Parse(m.Item.Value, 1, out Label label, out _));
            Assert.Equal(new Label(keys.Event(Encoding.UTF8.GetBytes($"d{m.Index}n2")), m.Index % 2 == 1, null), label);
            Assert.Equal(("c2", KafkaPartitioner.Of("c2"u8, PartitionCount)), (Encoding.UTF8.GetString(m.Item.Key), m.Item.Partition));
            Assert.Equal((m.Index + 1).ToString(CultureInfo.InvariantCulture), Text(m.Item, "ce_sequence"));
        });
    }

    [Fact]
    public void WhatIsNoTransaction_IsLeftOut_AndSaid_WhatIsLate_IsCounted()
    {
        MakeTopics();
        string input = _folder.Write("in.csv", Header + "a,2025-01-01T00:00:00Z,c1,t1,1.0\nb,2025-01-01T00:00:00Z,c1,t1,-1\nc,2025-01-02T00:00:00Z,c1,t1,2\nd,2025-01-01T12:00:00Z,c1,t1,3\n");
        RiskResult result = Produce("--input", input).Succeeded();
        Assert.Contains("VALUE_RANGE: line 3, field amount", result.Error, StringComparison.Ordinal);
        Assert.Equal((3, 1, 1), (result.Json.GetProperty("sent").GetInt32(), result.Json.GetProperty("outOfOrder").GetInt32(), result.Json.GetProperty("rejected").GetProperty("VALUE_RANGE").GetInt32()));
        Assert.Equal("acd", string.Concat(Read("transactions.card-payments", 3).Select(m => Text(m, "ce_id"))));

        RiskResult strict = Produce("--input", input, "--strict");
        Assert.Equal((1, 1), (strict.ExitCode, strict.Json.GetProperty("sent").GetInt32()));
    }

    [Fact]
    public async Task Pace_IsKept_AndInterruptEndsWithWhatWasSent()
    {
        MakeTopics();
        var watch = Stopwatch.StartNew();
        JsonElement result = Produce("--transactions", "300", "--rate", "200").Succeeded().Json;
        // The 300th is due 1.495 s after the first.
        Assert.InRange(result.GetProperty("seconds").GetDouble(), 1.49, watch.Elapsed.TotalSeconds);

        using Process process = RiskProcess.Start(null, Arguments("--rate", "5"));
        Read("transactions.card-payments", 302);
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        using (Process kill = Process.Start("kill", ["-INT", process.Id.ToString(CultureInfo.InvariantCulture)])) { await kill.WaitForExitAsync(); }
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        JsonElement interrupted = JsonDocument.Parse(await output).RootElement;
        Assert.Equal(3, process.ExitCode);
        Assert.Contains("INTERRUPTED: ", await error, StringComparison.Ordinal);
        Assert.True(interrupted.GetProperty("interrupted").GetBoolean());
        Assert.Equal(interrupted.GetProperty("sent").GetInt64(), interrupted.GetProperty("acknowledged").GetInt64());
        Assert.InRange(interrupted.GetProperty("sent").GetInt64(), 2, 10_000);
    }

    [Fact]
    public void MissingTopic_AndBadUsage_AreSaid()
    {
        RiskResult missing = Produce("--transactions", "10");
        Assert.Equal(3, missing.ExitCode);
        Assert.StartsWith("KAFKA_TOPIC_MISSING: topic transactions.card-payments", missing.Error, StringComparison.Ordinal);
        Assert.Contains("--create", missing.Error, StringComparison.Ordinal);
        Assert.All<string[]>([["--rate", "0"], ["--rate", "5", "--speed", "x2"], ["--speed", "quick"], ["--transactions", "0"], ["--property", "hunter2"], ["--topic", "labels.card-payments", "--labels", _folder.Write("labels.csv", "transaction_id,fraud\n")]], arguments =>
        {
            RiskResult result = Produce(arguments);
            Assert.Equal(2, result.ExitCode);
            Assert.StartsWith("USAGE: ", result.Error, StringComparison.Ordinal);
            Assert.DoesNotContain("hunter2", result.Error, StringComparison.Ordinal);
        });
        RiskResult secret = Produce("--property", "sasl.password=hunter2");
        Assert.Equal(2, secret.ExitCode);
        Assert.StartsWith("KAFKA_SECRET_INLINE: ", secret.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", secret.Error, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _broker.Dispose();
        _folder.Dispose();
    }

    private static readonly KeyedHash s_secret = new("0123456789abcdef"u8);

    private static string Text(Sent message, string header) => Encoding.UTF8.GetString(message.Headers.GetLastBytes(header));

    private static Dictionary<string, byte[]> Recorded(StreamSchema schema, int count)
    {
        using FileTransactionSource source = FileTransactionSource.Open(StreamFiles.Load("card-payments").RecordedTransactions!, schema, out _)!;
        TransactionParser parser = source.CreateParser(new TransactionKeys(schema.Name, s_secret), true, out _)!;
        var row = new TransactionBatch(schema, 1);
        var rows = new Dictionary<string, byte[]>();
        while (rows.Count < count && source.TryRead(out SourceRecord record))
        {
            row.Clear();
            Assert.Equal(ErrorCode.None, parser.Parse(record.Bytes, record.LineNumber, Micro.FromDateTimeOffset(TimeProvider.System.GetUtcNow()), row, out _));
            rows.Add(Encoding.UTF8.GetString(row.EventId(0)), row.Canonical(0).ToArray());
        }
        return rows;
    }

    private void MakeTopics()
    {
        KafkaTopics topics = KafkaTopics.Of("card-payments");
        foreach (string topic in new[] { topics.Transactions, topics.Labels }) { _broker.CreateTopic(topic, PartitionCount); }
    }

    private string[] Arguments(params string[] arguments) => ["produce", "--json", "--bootstrap", _broker.BootstrapServers, .. arguments];

    private RiskResult Produce(params string[] arguments) => RiskProcess.Run(Arguments(arguments));

    private List<Sent> Read(string topic, int count)
    {
        var config = new ConsumerConfig { BootstrapServers = _broker.BootstrapServers, GroupId = "reader", EnableAutoCommit = false };
        using IConsumer<byte[], byte[]> consumer = new ConsumerBuilder<byte[], byte[]>(config).SetLogHandler(static (_, _) => { }).SetErrorHandler(static (_, _) => { }).Build();
        consumer.Assign(Enumerable.Range(0, PartitionCount).Select(p => new TopicPartitionOffset(topic, p, Offset.Beginning)));
        var messages = new List<Sent>();
        var waited = Stopwatch.StartNew();
        while (messages.Count < count)
        {
            Assert.True(waited.Elapsed < TimeSpan.FromSeconds(60), $"{messages.Count} of {count} messages in {topic}");
            if (consumer.Consume(50) is { } result) { messages.Add(new Sent(result.Partition.Value, result.Offset.Value, result.Message.Key, result.Message.Value, result.Message.Headers)); }
        }
        return messages;
    }
}
