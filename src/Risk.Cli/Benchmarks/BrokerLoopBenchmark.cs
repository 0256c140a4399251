using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Confluent.Kafka;
using Risk.Core.Transactions;
using Risk.Streams;
using Risk.Streams.Kafka;

namespace Risk.Cli.Benchmarks;

/// <summary>
/// Kafka in, Kafka out: a real <c>risk serve</c> (consume, decide, commit durably, produce the decision) beside a bare loop
/// (consume, produce the same bytes). Every run has brokers of its own (librdkafka's mock cluster, in a process of its own)
/// with the transactions in them already; what is timed is the stretch from 40 % to 90 % of the messages acknowledged in the
/// topic written to, when start and compilation are over. CPU time is told apart by process: the brokers are neither side's.
/// </summary>
internal sealed class BrokerLoopBenchmark : IBenchmark
{
    private const int PartitionCount = 12;
    private const double From = 0.4, To = 0.9;
    private const int Cores = 2;
    private const string Peer = "bare Confluent.Kafka loop";
    private static readonly TimeSpan s_runMax = TimeSpan.FromMinutes(3), s_lookEvery = TimeSpan.FromMilliseconds(20);

    private readonly List<Loop> _ours = [], _peer = [];
    private readonly List<string> _folders = [];

    // Micros are CPU time a message.
    private readonly record struct Loop(double PerSecond, double ClientMicros, double BrokerMicros);

    public string Name => "broker-loop";

    public string Measures => "Kafka to Kafka: consume, decide, commit, produce; CPU time of the client and of the brokers apart";

    public BenchmarkResult Run(BenchmarkContext context)
    {
        var result = new BenchmarkResult();
        if (!File.Exists("/proc/self/stat"))
        {
            result.Skip("broker-loop: CPU time by process is read from /proc, which this system lacks");
            return result;
        }

        (byte[] Key, byte[] Json)[] messages = Messages(context.IsQuick ? 150_000 : 600_000);
        KafkaTopics topics = KafkaTopics.Of("card-payments");
        try
        {
            PairedRuns rates = PairedRuns.Measure(context, "loop", () => Add(_ours, Run(messages, topics, Serve, context.Cancellation)), () => Add(_peer, Run(messages, topics, Relay, context.Cancellation)));
            result.Compare("consume → decide → commit → produce", "messages/s", Better.Higher, Peer, rates, 0.5);
            result.Compare("CPU time of the client", "µs a message", Better.Lower, Peer, Pairs(l => l.ClientMicros));
            result.Compare("CPU time of the brokers", "µs a message", Better.Lower, Peer, Pairs(l => l.BrokerMicros));
            result.Figure($"{Cores} cores for the client, brokers elsewhere", "messages/s", Better.Higher, PairedRuns.Median(_ours.Skip(1).Select(l => Cores * 1e6 / l.ClientMicros)), 30_000);
            result.Note(string.Create(CultureInfo.InvariantCulture, $"{messages.Length:N0} recorded card payments in {PartitionCount} partitions, {messages[0].Json.Length} bytes each; a decision has some {DecisionSize} bytes, the bare loop writes what it read"));
            result.Note("the line with two cores is computed: cores over CPU time a message; the first line is by the clock, with client, brokers and whatever else on this machine's cores");
            result.Note("brokers: librdkafka's mock cluster, three brokers in one process, nothing on disk");
            return result;
        }
        finally
        {
            // Not between runs: deleting slows the file system for whoever is measured next.
            _folders.ForEach(BenchmarkFolder.Delete);
        }
    }

    private int DecisionSize { get; set; }

    private PairedRuns Pairs(Func<Loop, double> figure) => new([.. _ours.Skip(1).Select(figure)], [.. _peer.Skip(1).Select(figure)]);

    private static double Add(List<Loop> loops, Loop loop)
    {
        loops.Add(loop);
        return loop.PerSecond;
    }

    private Loop Run((byte[] Key, byte[] Json)[] messages, KafkaTopics topics, Func<string, KafkaTopics, PartProcess> start, CancellationToken cancellation)
    {
        using PartProcess brokers = PartProcess.Start([Verbs.BenchPartVerb.Verb, Verbs.BenchPartVerb.Brokers, .. new[] { topics.Transactions, topics.Labels, topics.Decisions, topics.DeadLetters }.Select(t => $"{t}:{PartitionCount}")]);
        string servers = brokers.FirstLine;
        Load(servers, topics.Transactions, messages, cancellation);
        using IConsumer<byte[], byte[]> watcher = new ConsumerBuilder<byte[], byte[]>(new ConsumerConfig { BootstrapServers = servers, GroupId = "watcher", AutoOffsetReset = AutoOffsetReset.Earliest }).SetLogHandler(static (_, _) => { }).SetErrorHandler(static (_, _) => { }).Build();
        if (Written(watcher, topics.Transactions) is var (low, high) && (low > 0 || high != messages.Length)) { throw new InvalidOperationException($"the brokers hold offsets {low} to {high} in all instead of {messages.Length} messages"); }

        using PartProcess client = start(servers, topics);
        (long Count, double Seconds, double Client, double Broker)? begin = null;
        var watch = Stopwatch.StartNew();
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            if (client.HasExited || watch.Elapsed > s_runMax) { throw new InvalidOperationException("the loop ended, or stands still; run it by hand to see why"); }
            long count = Written(watcher, topics.Decisions).High;
            if (count >= From * messages.Length)
            {
                (long Count, double Seconds, double Client, double Broker) now = (count, watch.Elapsed.TotalSeconds, client.CpuSeconds(), brokers.CpuSeconds());
                begin ??= now;
                if (count >= To * messages.Length)
                {
                    if (start == Serve) { DecisionSize = Sample(watcher, topics.Decisions); }
                    return Between(begin.Value, now);
                }
            }
            Thread.Sleep(s_lookEvery);
        }
    }

    private static Loop Between((long Count, double Seconds, double Client, double Broker) a, (long Count, double Seconds, double Client, double Broker) b)
    {
        double messages = b.Count - a.Count;
        return new Loop(messages / (b.Seconds - a.Seconds), (b.Client - a.Client) * 1e6 / messages, (b.Broker - a.Broker) * 1e6 / messages);
    }

    private PartProcess Serve(string servers, KafkaTopics topics)
    {
        string folder = BenchmarkFolder.Create("loop");
        _folders.Add(folder);
        string configuration = Path.Combine(folder, "serve.json");
        File.WriteAllText(configuration, JsonSerializer.Serialize(new
        {
            store = new { directory = Path.Combine(folder, "store") },
            kafka = new { groupId = "risk", createTopics = false, properties = new Dictionary<string, string> { ["bootstrap.servers"] = servers } },
        }));
        return PartProcess.Start("serve", "--config", configuration, "--port", "0", "--json");
    }

    private static PartProcess Relay(string servers, KafkaTopics topics) => PartProcess.Start(Verbs.BenchPartVerb.Verb, Verbs.BenchPartVerb.Relay, servers, topics.Transactions, topics.Decisions);

    private static (long Low, long High) Written(IConsumer<byte[], byte[]> watcher, string topic)
    {
        (long low, long high) = (0, 0);
        for (int partition = 0; partition < PartitionCount; partition++)
        {
            WatermarkOffsets offsets = watcher.QueryWatermarkOffsets(new TopicPartition(topic, partition), TimeSpan.FromSeconds(10));
            (low, high) = (low + offsets.Low.Value, high + offsets.High.Value);
        }
        return (low, high);
    }

    private static int Sample(IConsumer<byte[], byte[]> watcher, string topic)
    {
        watcher.Assign(new TopicPartitionOffset(topic, 0, Offset.Beginning));
        return watcher.Consume(TimeSpan.FromSeconds(10))?.Message.Value.Length ?? 0;
    }

    private static void Load(string servers, string topic, (byte[] Key, byte[] Json)[] messages, CancellationToken cancellation)
    {
        KafkaSettings settings = KafkaSettings.Read(new Dictionary<string, string> { ["bootstrap.servers"] = servers }, "load", out CodedError error) ?? throw new InvalidOperationException(error.ToString());
        using var publisher = new KafkaPublisher(settings);
        foreach ((byte[] key, byte[] json) in messages) { publisher.Publish(topic, KafkaPartitioner.Of(key, PartitionCount), key, json, null, static _ => { }, cancellation); }
        if (!publisher.Flush(TimeSpan.FromMinutes(1))) { throw new InvalidOperationException("the brokers do not take the messages"); }
    }

    private static (byte[] Key, byte[] Json)[] Messages(int count)
    {
        StreamFiles files = StreamFiles.Load("card-payments");
        StreamSchema schema = files.Definition.Schema;
        using FileTransactionSource source = FileTransactionSource.Open(files.RecordedTransactions!, schema, out CodedError error) ?? throw new InvalidOperationException(error.ToString());
        RecordJson json = source.CreateJson();
        byte[] field = System.Text.Encoding.UTF8.GetBytes(schema.KeyFields[0].Name);
        var messages = new (byte[], byte[])[count];
        Span<byte> scratch = stackalloc byte[MessageKey.ScratchSize];
        for (int i = 0; i < count; i++)
        {
            source.TryRead(out SourceRecord record);
            byte[] message = json.Of(record.Bytes);
            messages[i] = (MessageKey.Of(message, field, scratch).ToArray(), message);
        }
        return messages;
    }
}
