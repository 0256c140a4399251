using System.Collections.Concurrent;
using System.Text;
using Risk.Core;
using Risk.Core.Log;
using Risk.Core.Transactions;
using Risk.Service.Engine;
using Risk.Streams;
using Risk.Streams.Kafka;

namespace Risk.Service.Serving;

/// <summary>
/// Kafka's side of a serving process: partitions and their messages in, decisions and dead letters out. The decision log says
/// from where a partition goes on; the topic of decisions itself says up to where it was published. Whose messages come here
/// decides who owns a partition, unless someone else does (a cluster): then messages wait for the shard, and it for nobody.
/// </summary>
internal sealed class KafkaFeed : IKafkaPartitions, IDisposable
{
    private static readonly TimeSpan s_connectMax = TimeSpan.FromMinutes(1), s_flushMax = TimeSpan.FromSeconds(5);

    private readonly KafkaSettings _settings;
    private readonly string _stream;
    private readonly KafkaConsumer _consumer;
    private readonly DecisionTopic?[] _decisions;
    private LabelFeed? _labels;
    private readonly bool[] _assigned;
    private readonly ConcurrentQueue<Shard> _opened = new();
    // The polling thread's alone: where a partition goes on that was held back for want of a batch.
    private readonly long?[] _held;
    private readonly ConcurrentDictionary<int, CodedError> _stopped = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private KafkaPublisher _publisher;
    private Thread? _polling;
    // The polling thread's alone: what was told of brokers and messages.
    private bool _isToldDown;
    private long _notOwned;
    private ServeHost _host = null!;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private KafkaFeed(KafkaSettings settings, KafkaTopics topics, int partitionCount, StreamDefinition definition)
    {
        _settings = settings;
        Topics = topics;
        _stream = definition.Schema.Name;
        KeyField = Encoding.UTF8.GetBytes(definition.Schema.KeyFields[0].Name);
        Events = new CloudEvents("risk.decision.v1", $"/risk/{definition.Schema.Name}");
        _decisions = new DecisionTopic?[partitionCount];
        _assigned = new bool[partitionCount];
        _held = new long?[partitionCount];
        _consumer = new KafkaConsumer(settings, topics.Transactions, this);
        _publisher = new KafkaPublisher(settings);
    }

    public KafkaTopics Topics { get; }
    public int PartitionCount => _decisions.Length;
    public CloudEvents Events { get; }

    /// <summary>Partitions whose messages come to this process. On any thread.</summary>
    public IEnumerable<int> Assigned => Enumerable.Range(0, _assigned.Length).Where(p => Volatile.Read(ref _assigned[p]));

    /// <summary>Name of the field whose text is the key of a message, UTF-8.</summary>
    public byte[] KeyField { get; }

    /// <summary>Fails when polling has ended for good.</summary>
    public Task Ended => _ended.Task;

    public bool IsDown => _consumer.IsBrokerDown;

    /// <summary>Makes or checks the topics; waits a while for brokers that are not there yet.</summary>
    /// <exception cref="IOException">They are not there, or refuse; the message begins with the code.</exception>
    public static async Task<KafkaFeed> Connect(KafkaSettings settings, KafkaConfiguration configuration, StreamDefinition definition, CancellationToken cancellation)
    {
        KafkaTopics standard = KafkaTopics.Of(definition.Schema.Name);
        var topics = new KafkaTopics(configuration.Transactions ?? standard.Transactions, configuration.Labels ?? standard.Labels, configuration.Decisions ?? standard.Decisions, configuration.DeadLetters ?? standard.DeadLetters);
        TopicDefaults? defaults = configuration.CreateTopics ? new TopicDefaults(configuration.Partitions, configuration.Replicas, TimeSpan.FromDays(7)) : null;
        long until = Environment.TickCount64 + (long)s_connectMax.TotalMilliseconds;
        while (true)
        {
            if (KafkaAdmin.EnsureTopics(settings, topics, defaults, out int count, withLabels: definition.Schema.Labels is not null) is not { } error) { return new KafkaFeed(settings, topics, count, definition); }
            if (error.Code != ErrorCode.KafkaUnavailable || Environment.TickCount64 > until) { throw new IOException(error.ToString()); }
            ServeLog.Write("warning", error.Code.Text(), error.Message);
            await Task.Delay(1000, cancellation);
        }
    }

    public void Run(ServeHost host)
    {
        _host = host;
        if (host.Definition.Schema.Labels is not null) { _labels = new LabelFeed(host, _settings, Topics.Labels); }
        _polling = new Thread(Poll) { Name = "risk poll", IsBackground = true };
        _polling.Start();
    }

    /// <summary>Stops polling; every partition is drained and given away.</summary>
    public async Task Stop()
    {
        await _stop.CancelAsync();
        _polling?.Join();
    }

    public void Dispose()
    {
        _labels?.Dispose();
        _consumer.Dispose();
        _publisher.Dispose();
        _stop.Dispose();
    }

    public string SourceOf(int partition) => $"kafka|{Topics.Transactions}|{partition}";

    public IDeadLetters DeadLetters(int partition) => new DeadLetterTopic(Publisher(), Topics, partition, _stream);

    public IReadOnlyList<PartitionLag> Lags() => _consumer.Lags();

    public IEnumerable<(string Code, string Sentence)> Problems()
    {
        if (_consumer.BrokerDownSince is { } since) { yield return ("KAFKA_UNAVAILABLE", $"no broker can be reached since {since:O}; what comes by HTTP is decided, the topics wait"); }
        foreach (CodedError error in _stopped.Values) { yield return (error.Code.Text(), error.Message); }
        foreach (DecisionTopic topic in _decisions.OfType<DecisionTopic>().Where(t => t.IsBehind)) { yield return ("PUBLISHING_BEHIND", $"partition {topic.Partition}: decisions wait in the log for their topic"); }
    }

    // ---- a shard's way ----

    /// <summary>Looks up how far the shard's decisions were published. Asks the brokers.</summary>
    /// <exception cref="IOException">They do not answer.</exception>
    /// <exception cref="DecisionLogException"><c>LOG_ROLLBACK</c>: the topic has decisions that the log lacks.</exception>
    public void Prepare(Shard shard)
    {
        // The shard before it, in this process, may have failed with decisions under way: what the topic has is known after them.
        if (_decisions[shard.Partition] is { } before && !before.Settle(s_flushMax))
        {
            throw new IOException($"{ErrorCode.KafkaUnavailable.Text()}: topic {Topics.Decisions}, partition {shard.Partition}: what was published before is not acknowledged yet");
        }
        long? published = KafkaAdmin.ReadLastNumber(_settings, Topics.Decisions, shard.Partition, CloudEvents.RiskSequenceHeader);
        // A log restored to an earlier state would decide those events once more, and none of it would be published.
        if (published >= shard.Log.DurableSize)
        {
            throw new DecisionLogException(LogCodes.Rollback, $"topic {Topics.Decisions}, partition {shard.Partition}, has decision {published}; the log ends before {shard.Log.DurableSize}, so it lacks what was published. Restore the log from a backup that has it, or name another topic of decisions.");
        }
        _decisions[shard.Partition] = new DecisionTopic(shard, Publisher(), this, (published ?? -1) + 1, passed =>
        {
            _host.Counters.Add("risk_published_total", "", passed.Count);
            if (passed.Offset > 0) { _consumer.Passed(shard.Partition, passed.Offset); }
        }, _host.Fail);
    }

    /// <summary>The shard is open: publishes what the topic lacks, and has its partition read on from the shard's position.</summary>
    public void Begin(Shard shard, IDecisionStore store)
    {
        _decisions[shard.Partition]?.CatchUp();
        if (shard.Labels is { } kept) { _labels?.Follow(shard.Partition, store, kept, shard.Position.LabelLine); }
        _opened.Enqueue(shard);
    }

    // On the polling thread, which obeys before it polls again: no message of an earlier reading can come between, and move
    // the position past what the shard has not seen.
    private void StartOpened()
    {
        while (_opened.TryDequeue(out Shard? shard))
        {
            if (_host.Partition(shard.Partition) is not { } partition || !partition.OpenSource(shard)) { continue; }
            _held[shard.Partition] = null;
            _consumer.Resume(shard.Partition);
            _consumer.Start(shard.Partition, shard.Position.Line > 0 ? shard.Position.Line : -1);
        }
    }

    /// <summary>Nothing more of the partition is wanted until <see cref="Begin"/>.</summary>
    public void Hold(int partition) => _consumer.Pause(partition);

    public void Publish(ShardBatch batch) => _decisions[batch.Shard!.Partition]?.Offer(batch);

    /// <summary>The partition is given away.</summary>
    public void Release(int partition)
    {
        Hold(partition);
        _labels?.Unfollow(partition);
        _stopped.TryRemove(partition, out _);
        _held[partition] = null;
        _decisions[partition] = null;
    }

    /// <summary>Waits, a bounded time, until the shard's decisions are published.</summary>
    public void Drain(Shard shard)
    {
        if (Interlocked.Exchange(ref _decisions[shard.Partition], null) is { } topic && !topic.Drain(s_flushMax)) { ServeLog.Write("warning", "PUBLISHING_BEHIND", $"partition {shard.Partition}: the next owner publishes what is missing"); }
    }

    // ---- the consumer's calls ----

    void IKafkaPartitions.Assigned(int partition)
    {
        Volatile.Write(ref _assigned[partition], true);
        Changed("assigned");
        if (!_host.IsManaged) { _host.Take(partition); }
        // It is served here already, for those who call.
        else if (_host.Partition(partition)?.Shard is { } shard) { _opened.Enqueue(shard); }
    }

    void IKafkaPartitions.Revoked(int partition)
    {
        Volatile.Write(ref _assigned[partition], false);
        Changed("revoked");
        // A managed shard stays until it is asked for from where its messages come now, and commits what it took meanwhile.
        if (!_host.IsManaged) { _host.Give(partition, drain: true); }
    }

    void IKafkaPartitions.Lost(int partition)
    {
        Volatile.Write(ref _assigned[partition], false);
        Changed("lost");
        _host.Counters.Fault("PARTITION_LOST");
        ServeLog.Write("warning", "PARTITION_LOST", $"topic {Topics.Transactions}, partition {partition}: the group gave it to another member while this one did not poll");
        if (_host.IsManaged) { return; }
        _host.Give(partition, drain: false);
    }

    private void Changed(string how) => _host.Counters.Add("risk_partition_changes_total", $"change=\"{how}\"", 1);

    void IKafkaPartitions.Received(int partition, in KafkaMessage message)
    {
        if (_held[partition] is not null || _host.Partition(partition)?.Take(message.Value, message.Offset) != Intake.Full) { return; }
        // No batch in a while: the store, say, does not answer. The partition is read again from here once there is room.
        _held[partition] = message.Offset;
        _consumer.Pause(partition);
        _host.Counters.Add("risk_backpressure_total", "", 1);
    }

    void IKafkaPartitions.Failed(int partition, CodedError error)
    {
        _stopped[partition] = error;
        _host.Counters.Fault(error.Code.Text());
        ServeLog.Write("error", error.Code.Text(), error.Message);
    }

    void IKafkaPartitions.SourceGap(int partition, long offset, long missing)
    {
        _host.Counters.Fault("SOURCE_GAP");
        ServeLog.Write("error", "SOURCE_GAP", $"topic {Topics.Transactions}, partition {partition}: {missing} missing before offset {offset}, by the source's own numbering");
    }

    void IKafkaPartitions.Idle()
    {
        StartOpened();
        Tell();
        for (int partition = 0; partition < _held.Length; partition++)
        {
            if (_held[partition] is not { } offset || !_host.Pipeline.HasRoom) { continue; }
            _held[partition] = null;
            _consumer.Resume(partition);
            _consumer.Start(partition, offset);
        }
    }

    private void Tell()
    {
        if (_consumer.IsBrokerDown != _isToldDown)
        {
            _isToldDown = !_isToldDown;
            if (_isToldDown) { _host.Counters.Fault(ErrorCode.KafkaUnavailable.Text()); }
            ServeLog.Write(_isToldDown ? "error" : "info", ErrorCode.KafkaUnavailable.Text(), _isToldDown ? "no broker can be reached; what comes by HTTP is decided, the topics wait" : "a broker answers again");
        }
        if (_consumer.NotOwnedCount > _notOwned)
        {
            _host.Counters.Fault("NOT_OWNED", _consumer.NotOwnedCount - _notOwned);
            _notOwned = _consumer.NotOwnedCount;
        }
    }

    private void Poll()
    {
        try
        {
            _consumer.Run(_stop.Token);
        }
        catch (Exception failure)
        {
            (string code, string sentence) = ServeFaults.Explain(failure);
            _host.Counters.Fault(code);
            ServeLog.Write("critical", code, sentence);
            _ended.TrySetException(failure as IOException ?? new IOException(sentence, failure));
        }
    }

    private KafkaPublisher Publisher()
    {
        lock (_gate)
        {
            if (_publisher.Failure is null) { return _publisher; }
            _publisher.Dispose();
            return _publisher = new KafkaPublisher(_settings);
        }
    }
}
