using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Confluent.Kafka;
using Risk.Core.Log;
using Risk.Core.Transactions;
using Risk.Storage.Log;
using Risk.Streams.Kafka;
using Risk.Streams.Tests.Kafka;

namespace Risk.EndToEnd.Tests.Serve;

/// <summary>A decision as the topic had it, and when it came.</summary>
internal sealed record PublishedDecision(int Partition, long Offset, string EventId, string Json, long Arrived);

/// <summary>
/// A stream on a broker (<see cref="TestBroker"/>) with processes that serve it from one store, and somebody who reads the topic of
/// decisions all the while (the mock keeps only the newest messages) and keeps checkpoints that the logs have published.
/// </summary>
internal sealed class ServedTopic : IDisposable
{
    public const int PartitionCount = 12;

    /// <summary>A stream that reads the payments, with columns of its own.</summary>
    public const string Challenger = "card-payments-sequence";

    private readonly TestFolder _folder = new();
    private readonly KafkaPublisher _publisher;
    private readonly CancellationTokenSource _stop = new();
    private readonly Thread _reading;
    private readonly ServedStore _store;
    private readonly ConcurrentDictionary<int, ConcurrentStack<(long Size, string File)>> _checkpoints = new();
    private readonly ConcurrentQueue<ServeProcess> _started = new();
    private readonly Lock _keeping = new();
    private long _refused;
    private int _forbidden;

    /// <param name="store">Null for files in a folder of the test.</param>
    /// <param name="properties">Of librdkafka, beside where the brokers are. The mock waits a session timeout with every rebalance, so it is short here; on a real broker it is the product's own.</param>
    public ServedTopic(ServedStore? store = null, Dictionary<string, string>? properties = null, double idleAfterSeconds = 60, int entityWaitMillis = 250, string[]? challengers = null)
    {
        _store = store ?? new ServedFiles();
        Broker = new TestBroker(brokerCount: 3);
        Topics = new KafkaTopics(Broker.Topic("transactions", PartitionCount), Broker.Topic("labels", PartitionCount), Broker.Topic("decisions", PartitionCount), Broker.Topic("dead-letters", PartitionCount));
        var all = new Dictionary<string, string> { ["bootstrap.servers"] = Broker.BootstrapServers };
        if (TestBroker.RealServers is null) { (all["session.timeout.ms"], all["heartbeat.interval.ms"]) = ("2500", "300"); }
        foreach ((string name, string value) in properties ?? [])
        {
            if (TestBroker.RealServers is null || name is not ("session.timeout.ms" or "heartbeat.interval.ms")) { all[name] = value; }
        }
        ConfigurationFile = _folder.Write("serve.json", JsonSerializer.Serialize(new
        {
            store = _store.Configuration(StoreDirectory),
            keys = _folder["keys"],
            idleAfterSeconds,
            entities = new { waitMillis = entityWaitMillis },
            challengers = (challengers ?? []).Select(model => new { model }),
            kafka = new { groupId = Broker.Group, transactions = Topics.Transactions, labels = Topics.Labels, decisions = Topics.Decisions, deadLetters = Topics.DeadLetters, properties = all },
        }));
        Settings = KafkaSettings.Read(new Dictionary<string, string> { ["bootstrap.servers"] = Broker.BootstrapServers }, "test", out CodedError error) ?? throw new InvalidOperationException(error.ToString());
        _publisher = new KafkaPublisher(Settings);
        _reading = new Thread(Read) { IsBackground = true };
        _reading.Start();
    }

    public TestBroker Broker { get; }
    public KafkaTopics Topics { get; }
    public KafkaSettings Settings { get; }
    public string StoreDirectory => _folder["store"];
    public string ConfigurationFile { get; }
    public List<ServeProcess> Processes { get; } = [];

    /// <summary>Everything that the topic of decisions had, in the order of arrival.</summary>
    public ConcurrentQueue<PublishedDecision> Decisions { get; } = new();

    /// <summary>Everything that the topic of dead letters had.</summary>
    public ConcurrentQueue<(int Partition, JsonElement Json)> DeadLetters { get; } = new();

    public ServeProcess StartProcess()
    {
        ServeProcess process = ServeProcess.Start(ConfigurationFile);
        Processes.Add(process);
        _started.Enqueue(process);
        return process;
    }

    public static int PartitionOf(string customer) => KafkaPartitioner.Of(Encoding.UTF8.GetBytes(customer), PartitionCount);

    /// <summary>Sends payments [from, to) of <see cref="Payments"/>.</summary>
    public void Send(long from, long to, int customers = 500)
    {
        for (long number = from; number < to; number++) { Send(Payments.Customer(number, customers), Payments.Json(number, customers)); }
    }

    /// <summary>Payments sent by <see cref="SendNext"/>, from the first on; who posts the next one counts it here.</summary>
    public long Sent { get; set; }

    public void SendNext(int count)
    {
        Send(Sent, Sent + count);
        Sent += count;
    }

    public void Send(string key, string json, Headers? headers = null) => SendTo(Topics.Transactions, key, json, headers);

    /// <summary>A payment with a card number where none may be: a dead letter, and the number nowhere.</summary>
    public void SendForbidden()
    {
        Send("forbidden", $$"""{"transaction_id":"forbidden","time":"2026-11-01T00:00:00Z","customer_id":"{{Payments.CardNumber}}","terminal_id":"t","amount":1}""");
        _forbidden++;
    }

    public void SendTo(string topic, string key, string json, Headers? headers = null) =>
        _publisher.Publish(topic, -1, Encoding.UTF8.GetBytes(key), Encoding.UTF8.GetBytes(json), headers, error =>
        {
            if (error is not null) { Interlocked.Increment(ref _refused); }
        }, _stop.Token);

    public void Flush()
    {
        Assert.True(_publisher.Flush(TimeSpan.FromSeconds(60)), "the broker does not take the test's messages");
        Assert.Equal(0, Interlocked.Read(ref _refused));
    }

    /// <summary>Sends payments at a steady rate; every few seconds a process at random is killed and another started. All are sent when it returns.</summary>
    /// <param name="seconds">At least; on a busy machine, where a start takes long, until there were <paramref name="killsMin"/>.</param>
    /// <param name="killEvery">Seconds between two kills, from and to.</param>
    public (long Sent, int Kills) SendAndKill(int perSecond, double seconds, int killsMin, (double From, double To) killEvery)
    {
        const int First = 500;
        Send(0, First);
        WaitForDecisions(First);
        var random = new Random(20261122);
        long sent = First;
        int kills = 0;
        var clock = Stopwatch.StartNew();
        double nextKill = killEvery.From / 2;
        while (clock.Elapsed.TotalSeconds < seconds || kills < killsMin)
        {
            long due = First + (long)(clock.Elapsed.TotalSeconds * perSecond);
            Send(sent, due);
            sent = Math.Max(sent, due);
            if (clock.Elapsed.TotalSeconds >= nextKill)
            {
                ServeProcess victim = Processes[random.Next(Processes.Count)];
                victim.Kill();
                Processes.Remove(victim);
                StartProcess();
                kills++;
                nextKill = clock.Elapsed.TotalSeconds + killEvery.From + (random.NextDouble() * (killEvery.To - killEvery.From));
            }
            Thread.Sleep(5);
        }
        Flush();
        return (sent, kills);
    }

    /// <summary>Processes started from now on are a group of which Kafka knows nothing, as if every committed offset were lost.</summary>
    public void ForgetOffsets() => File.WriteAllText(ConfigurationFile, File.ReadAllText(ConfigurationFile).Replace($"\"{Broker.Group}\"", $"\"{Broker.Group}-anew\"", StringComparison.Ordinal));

    /// <summary>Waits until so many decisions were published.</summary>
    public void WaitForDecisions(long count, TimeSpan? patience = null)
    {
        var waited = Stopwatch.StartNew();
        while (Decisions.Count < count)
        {
            if (waited.Elapsed > (patience ?? TimeSpan.FromSeconds(90))) { Assert.Fail($"{Decisions.Count} of {count} decisions after {waited.Elapsed}:\n{string.Join("\n---\n", Processes.Select(p => p.Errors))}"); }
            Thread.Sleep(20);
        }
    }

    /// <summary>Waits until something is so, or says what is not.</summary>
    public async Task WaitUntil(Func<Task<bool>> condition, string what, double seconds = 60)
    {
        var waited = Stopwatch.StartNew();
        while (!await condition())
        {
            if (waited.Elapsed.TotalSeconds > seconds) { Assert.Fail($"not {what} after {waited.Elapsed}:\n{string.Join("\n---\n", Processes.Select(p => p.Errors))}"); }
            await Task.Delay(30);
        }
    }

    /// <summary>I5: no card number and no key in anything that a process said, answered or published.</summary>
    private void AssertNothingSecret()
    {
        IEnumerable<string> keys = new[] { _folder["keys"], StoreDirectory }.Where(Directory.Exists).SelectMany(folder => Directory.EnumerateFiles(folder, "*.key", SearchOption.AllDirectories));
        string[] secrets = [Payments.CardNumber, .. keys.Select(File.ReadAllBytes).SelectMany(key => new[] { Convert.ToHexStringLower(key), Convert.ToBase64String(key), Encoding.UTF8.GetString(key).Trim() }).Distinct()];
        Assert.True(secrets.Length > 1, "no key was found");
        string said = string.Join('\n', _started.Select(p => p.Errors).Concat(_started.SelectMany(p => p.Answers)).Concat(DeadLetters.Select(letter => letter.Json.GetRawText())).Concat(Decisions.Select(d => d.Json)));
        Assert.All(secrets, secret => Assert.False(said.Contains(secret, StringComparison.OrdinalIgnoreCase), "a secret was told"));
    }

    /// <summary>
    /// I1 to I5 for <paramref name="count"/> payments: one decision each, in the topic and in the store, the same, and dead letters
    /// for the rest; every log verifies, also against checkpoints that it published on the way; nothing secret is told. (I6 is
    /// each test's own: its code, counted.)
    /// </summary>
    /// <param name="mayRepeat">Some decisions may be in the topic more than once, the same each time: a process was stopped between
    /// committing and publishing, the next owner published, and so does the first when it wakes up.</param>
    /// <param name="deadLetters">Records that had to be refused, beside those of <see cref="SendForbidden"/>.</param>
    public void AssertOneDecisionEach(long count, bool mayRepeat = false, int deadLetters = 0)
    {
        Dictionary<string, int> published = Decisions.GroupBy(d => d.EventId).ToDictionary(g => g.Key, g => g.Count());
        if (!mayRepeat) { Assert.Empty(published.Where(p => p.Value > 1).Take(10)); }
        Assert.Equal(count, published.Count);
        // Of a record that a killed process had refused already there may be two, of the same offset.
        int Refused() => DeadLetters.Select(letter => (letter.Partition, letter.Json.GetProperty("offset").GetInt64())).Distinct().Count();
        SpinWait.SpinUntil(() => Refused() >= deadLetters + _forbidden, TimeSpan.FromSeconds(20));
        Assert.Equal(deadLetters + _forbidden, Refused());
        KeepCheckpoints();
        var stored = new Dictionary<string, string>();
        for (int partition = 0; partition < PartitionCount; partition++)
        {
            if (_store.LogFolder(StoreDirectory, partition) is not { } folder) { continue; }
            int before = stored.Count;
            using (var reader = DecisionLogReader.Open(folder))
            {
                while (reader.Read())
                {
                    Assert.Equal(RecordFault.None, DecisionRecordCodec.Read(reader.Record, out DecisionRecord record));
                    Assert.True(stored.TryAdd(Encoding.UTF8.GetString(record.EventId), Encoding.UTF8.GetString(DecisionRecordJson.ToUtf8(reader.Record))), $"two decisions on {Encoding.UTF8.GetString(record.EventId)}");
                }
            }
            if (stored.Count == before)
            {
                _store.AssertIs(partition, 0, "");
                continue;
            }
            JsonElement verified = RiskProcess.RunInside("verify", folder, "--json").Succeeded().Json;
            _store.AssertIs(partition, verified.GetProperty("size").GetInt64(), verified.GetProperty("rootHash").GetString()!);
            var checkpoints = new List<(long Size, string File)>(_checkpoints.GetValueOrDefault(partition) ?? []);
            foreach (string note in _store.Checkpoints(partition).Select(Encoding.UTF8.GetString)) { checkpoints.Add((SizeOf(note), _folder.Write($"{partition}.{SizeOf(note)}.kept", note))); }
            foreach ((long size, string file) in checkpoints)
            {
                Assert.Equal(size, RiskProcess.RunInside("verify", folder, "--json", "--checkpoint", file).Succeeded().Json.GetProperty("size").GetInt64());
            }
        }
        Assert.Equal(count, stored.Count);
        Assert.All(Decisions, d => Assert.Equal(stored[d.EventId], d.Json));
        Assert.NotEmpty(_checkpoints);
        AssertNothingSecret();
    }

    /// <summary>Waits until the challengers of all partitions have nothing before them; whoever follows one is killed with it, and goes on elsewhere.</summary>
    public Task WaitForChallengers() => WaitUntil(
        async () =>
        {
            string[] behind = [.. (await Task.WhenAll(Processes.Select(p => p.Metrics()))).SelectMany(m => m.Split('\n')).Where(l => l.StartsWith("risk_challenger_behind_decisions{", StringComparison.Ordinal))];
            return behind.Length == PartitionCount && Array.TrueForAll(behind, l => l.EndsWith(" 0", StringComparison.Ordinal));
        },
        "caught up by the challengers", seconds: 90);

    /// <summary>The challengers have said one thing on each decision of every partition, in its order. Processes must have stopped.</summary>
    public void AssertChallenged()
    {
        for (int partition = 0; partition < PartitionCount; partition++)
        {
            if (_store.LogFolder(StoreDirectory, partition) is not { } folder) { continue; }
            string own = Path.Combine(StoreDirectory, "challengers", Challenger, Path.GetFileName(folder));
            Assert.Equal(EventsOf(folder), EventsOf(own));
            if (partition == 0) { RiskProcess.RunInside("verify", own, "--json").Succeeded(); }
        }
    }

    /// <summary>The events of a log, in its order.</summary>
    public static List<string> EventsOf(string folder)
    {
        List<string> events = [];
        using var reader = DecisionLogReader.Open(folder);
        while (reader.Read())
        {
            Assert.Equal(RecordFault.None, DecisionRecordCodec.Read(reader.Record, out DecisionRecord record));
            events.Add(Encoding.UTF8.GetString(record.EventId));
        }
        return events;
    }

    private static long SizeOf(string checkpoint) => long.Parse(checkpoint.Split('\n')[1], CultureInfo.InvariantCulture);

    // Of those that come about, each that is half as long again as the one before it: every age, and few.
    private void KeepCheckpoints()
    {
        using Lock.Scope _ = _keeping.EnterScope();
        for (int partition = 0; partition < PartitionCount; partition++)
        {
            string file = _store.PublishedCheckpoint(StoreDirectory, partition);
            if (!File.Exists(file)) { continue; }
            string text = File.ReadAllText(file);
            long size = SizeOf(text);
            ConcurrentStack<(long Size, string File)> kept = _checkpoints.GetOrAdd(partition, _ => new());
            if (size == 0 || (kept.TryPeek(out var last) && size < last.Size * 1.5)) { continue; }
            kept.Push((size, _folder.Write($"{partition}.{size}.checkpoint", text)));
        }
    }

    public void Dispose()
    {
        foreach (ServeProcess process in _started) { process.Dispose(); }
        _stop.Cancel();
        _reading.Join();
        _publisher.Dispose();
        Broker.Dispose();
        _stop.Dispose();
        _folder.Dispose();
    }

    private void Read()
    {
        var config = new ConsumerConfig { BootstrapServers = Broker.BootstrapServers, GroupId = "reader", EnableAutoCommit = false, AutoOffsetReset = AutoOffsetReset.Earliest, FetchWaitMaxMs = 20 };
        using IConsumer<byte[], byte[]> consumer = new ConsumerBuilder<byte[], byte[]>(config).SetLogHandler(static (_, _) => { }).SetErrorHandler(static (_, _) => { }).Build();
        consumer.Assign(Enumerable.Range(0, PartitionCount).SelectMany(p => new[] { Topics.Decisions, Topics.DeadLetters }.Select(t => new TopicPartitionOffset(t, p, Offset.Beginning))));
        long next = 0;
        while (!_stop.IsCancellationRequested)
        {
            if (Environment.TickCount64 >= next)
            {
                KeepCheckpoints();
                next = Environment.TickCount64 + 200;
            }
            ConsumeResult<byte[], byte[]>? result;
            try
            {
                result = consumer.Consume(50);
            }
            catch (ConsumeException)
            {
                continue; // brokers are down on purpose
            }
            if (result is null) { continue; }
            string json = Encoding.UTF8.GetString(result.Message.Value);
            if (result.Topic == Topics.DeadLetters) { DeadLetters.Enqueue((result.Partition.Value, JsonDocument.Parse(json).RootElement)); }
            else { Decisions.Enqueue(new PublishedDecision(result.Partition.Value, result.Offset.Value, JsonDocument.Parse(json).RootElement.GetProperty("eventId").GetString()!, json, Stopwatch.GetTimestamp())); }
        }
    }
}
