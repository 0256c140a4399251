using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using Confluent.Kafka;
using Risk.Core.Transactions;
using ErrorCode = Confluent.Kafka.ErrorCode;

namespace Risk.Streams.Kafka;

/// <summary>
/// One member of a consumer group on one topic, on a thread of its caller's. It owns partitions and hands over their
/// messages; where a partition goes on is the host's to say, because the decision log and not Kafka knows it. Committed
/// offsets are hints for people and lag monitors: nothing here reads them.
///
/// A partition's way: <see cref="IKafkaPartitions.Assigned"/> (paused, so nothing is read) →
/// <see cref="Start"/> (seek, resume) → messages → <see cref="IKafkaPartitions.Revoked"/> or
/// <see cref="IKafkaPartitions.Lost"/>. Polling never stops meanwhile, or the group would take the partitions away. A
/// message of a partition that is not owned and started is dropped; reading it later is the next owner's work.
///
/// Bounded: librdkafka holds back at most <c>queued.max.messages.kbytes</c> (32 MiB); a host that is full pauses partitions.
/// </summary>
public sealed class KafkaConsumer : IDisposable
{
    private static readonly TimeSpan IdleEveryDefault = TimeSpan.FromMilliseconds(5);

    // Seconds of polls.
    private const int SeekTriesMax = 500;
    private const int EarlierPlacesMax = 600;

    private enum Order { Start, Pause, Resume }

    private readonly record struct Command(Order Order, int Partition, long Offset, int Generation);

    private sealed class Owned(int partition)
    {
        public int Partition { get; } = partition;
        public SourceSequences Sequences { get; } = new();
        public bool MustPause { get; set; }
        public bool IsStopped { get; set; }
        public long? SeekTo { get; set; }
        public int SeekTries { get; set; }
        public long? MustBegin { get; set; }
        public long Position { get; set; } = -1;
        public bool IsStarted { get; set; }
        public bool IsPausedByHost { get; set; }
    }

    private readonly KafkaSettings _settings;
    private readonly string _topic;
    private readonly IKafkaPartitions _host;
    private readonly long _idleEvery;
    private readonly TimeProvider _time;
    private readonly BrokerHealth _health;
    private readonly IConsumer<BorrowedBytes, BorrowedBytes> _client;
    private readonly ConcurrentQueue<Command> _commands = new();
    private readonly ConcurrentDictionary<int, Owned> _owned = new();
    // Rises when a partition goes: what was asked for it before is void.
    private readonly ConcurrentDictionary<int, int> _generations = new();
    private long _idleAt;
    private bool _isUnsettled;
    private volatile Tuple<CodedError>? _lastError;
    private ExceptionDispatchInfo? _hostFailure;
    private bool _disposed;

    /// <summary>Makes the client; it joins the group in <see cref="Run"/>.</summary>
    /// <param name="topic">Must exist (see <see cref="KafkaAdmin.EnsureTopics"/>).</param>
    /// <param name="idleEvery">How often <see cref="IKafkaPartitions.Idle"/> is called at least, and how long an order to a partition may wait; default 5 ms.</param>
    public KafkaConsumer(KafkaSettings settings, string topic, IKafkaPartitions host, TimeSpan? idleEvery = null, TimeProvider? time = null)
    {
        _settings = settings;
        _topic = topic;
        _host = host;
        _time = time ?? TimeProvider.System;
        TimeSpan every = idleEvery ?? IdleEveryDefault;
        ArgumentOutOfRangeException.ThrowIfLessThan(every, TimeSpan.FromMilliseconds(1), nameof(idleEvery));
        _idleEvery = (long)(every.TotalSeconds * _time.TimestampFrequency);
        IdleMillis = (int)every.TotalMilliseconds;
        _health = new BrokerHealth(_time);
        _client = new ConsumerBuilder<BorrowedBytes, BorrowedBytes>(settings.Consumer())
            .SetKeyDeserializer(new BorrowedBytes())
            .SetValueDeserializer(new BorrowedBytes())
            .SetPartitionsAssignedHandler((_, partitions) => partitions.ConvertAll(Assigned))
            .SetPartitionsRevokedHandler((_, partitions) => Gone(partitions, _host.Revoked))
            .SetPartitionsLostHandler((_, partitions) => Gone(partitions, _host.Lost))
            .SetErrorHandler((_, error) => Took(error))
            .SetStatisticsHandler((_, statistics) => _health.Took(statistics))
            .SetLogHandler(static (_, _) => { })
            .Build();
    }

    /// <summary>Since when no broker could be reached; null while one can. It goes on by itself.</summary>
    public DateTimeOffset? BrokerDownSince => _health.DownSince;

    /// <summary>No broker can be reached.</summary>
    public bool IsBrokerDown => BrokerDownSince is not null;

    /// <summary>The last thing that went wrong and was passed over; null where nothing did.</summary>
    public CodedError? LastError => _lastError?.Item1;

    /// <summary>Messages that came of a partition which is not, or no longer, this member's: ignored, its position stays.</summary>
    public long NotOwnedCount { get; private set; }

    private int IdleMillis { get; }

    /// <summary>
    /// Joins the group and polls until cancelled; then every partition is revoked, hints are committed and the group is left.
    /// What the host throws ends it too (without hints). Call it once.
    /// </summary>
    /// <exception cref="KafkaRefusedException">The broker will not have this consumer again (fenced, no permission).</exception>
    public void Run(CancellationToken cancellation)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _client.Subscribe(_topic);
        _idleAt = _time.GetTimestamp();
        while (!cancellation.IsCancellationRequested)
        {
            Obey();
            Poll();
            _hostFailure?.Throw();
            if (_time.GetTimestamp() - _idleAt >= _idleEvery)
            {
                _host.Idle();
                _idleAt = _time.GetTimestamp();
            }
        }

        _client.Close();
        _hostFailure?.Throw();
    }

    /// <summary>Goes on with an assigned partition from this offset, −1: from its beginning. Also to read again what was read. Thread-safe; without effect once the partition is gone.</summary>
    public void Start(int partition, long offset) => Ask(Order.Start, partition, offset);

    /// <summary>Holds a partition back; up to a poll's worth may still come. Thread-safe.</summary>
    public void Pause(int partition) => Ask(Order.Pause, partition, 0);

    /// <summary>Lets it go on. Thread-safe.</summary>
    public void Resume(int partition) => Ask(Order.Resume, partition, 0);

    /// <summary>The partition is durably done up to (not including) this offset: a hint, committed within a second or so and when the partition goes. Thread-safe; without effect on a partition that is not ours.</summary>
    public void Passed(int partition, long nextOffset)
    {
        if (!_owned.ContainsKey(partition))
        {
            return;
        }

        try
        {
            _client.StoreOffset(new TopicPartitionOffset(_topic, partition, nextOffset));
        }
        catch (KafkaException)
        {
            // The partition went meanwhile. A hint is not worth more words.
        }
    }

    /// <summary>The owned partitions, by number. Thread-safe.</summary>
    public IReadOnlyList<PartitionLag> Lags()
    {
        var lags = new List<PartitionLag>();
        foreach (Owned owned in _owned.Values.OrderBy(owned => owned.Partition))
        {
            long high = _client.GetWatermarkOffsets(At(owned.Partition)).High.Value;
            lags.Add(new PartitionLag(owned.Partition, owned.Position, Math.Max(-1, high), owned.IsStarted, owned.IsPausedByHost));
        }

        return lags;
    }

    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            _client.Dispose();
        }
    }

    private TopicPartition At(int partition) => new(_topic, partition);

    private void Ask(Order order, int partition, long offset) =>
        _commands.Enqueue(new Command(order, partition, offset, _generations.GetValueOrDefault(partition)));

    private void Poll()
    {
        ConsumeResult<BorrowedBytes, BorrowedBytes>? result;
        try
        {
            result = _client.Consume(IdleMillis);
        }
        catch (ConsumeException exception)
        {
            Failed(exception);
            return;
        }

        if (result is null)
        {
            return;
        }

        int partition = result.Partition.Value;
        if (!_owned.TryGetValue(partition, out Owned? owned))
        {
            NotOwnedCount++;
            return;
        }

        if (!owned.IsStarted)
        {
            return; // comes again once it is
        }

        var message = new KafkaMessage(
            result.Offset.Value, result.Message.Key.Span, result.Message.Value.Span,
            Math.Max(0, result.Message.Timestamp.UnixTimestampMs) * 1000, result.Message.Headers);
        if (owned.MustBegin is { } begin)
        {
            owned.MustBegin = null;
            if (message.Offset != begin)
            {
                // Nothing may be skipped without a word: asked for once more, and what comes then is how the topic is
                // (offsets may be missing in it, where it was compacted or written in transactions).
                owned.SeekTo = begin;
                owned.IsStarted = false;
                _isUnsettled = true;
                return;
            }
        }

        owned.Position = message.Offset + 1;
        if (owned.Sequences.Missing(message) is > 0 and var missing)
        {
            _host.SourceGap(partition, message.Offset, missing);
        }

        _host.Received(partition, message);
    }

    private void Obey()
    {
        while (_commands.TryDequeue(out Command command))
        {
            if (!_owned.TryGetValue(command.Partition, out Owned? owned) || command.Generation != _generations.GetValueOrDefault(command.Partition))
            {
                continue;
            }

            switch (command.Order)
            {
                case Order.Start:
                    owned.SeekTo = command.Offset < 0 ? Offset.Beginning.Value : command.Offset;
                    owned.SeekTries = 0;
                    owned.MustBegin = command.Offset < 0 ? null : command.Offset;
                    _isUnsettled = true;
                    owned.IsStarted = false;
                    owned.Position = -1;
                    break;
                case Order.Pause:
                    owned.IsPausedByHost = true;
                    _client.Pause([At(owned.Partition)]);
                    break;
                default:
                    owned.IsPausedByHost = false;
                    if (owned.IsStarted)
                    {
                        _client.Resume([At(owned.Partition)]);
                    }

                    break;
            }
        }

        if (_isUnsettled)
        {
            _isUnsettled = false;
            foreach (Owned owned in _owned.Values)
            {
                _isUnsettled |= !TrySettle(owned);
            }
        }
    }

    // Right after an assignment librdkafka answers "erroneous state" until it has begun with the partition: tried again every poll.
    private bool TrySettle(Owned owned)
    {
        TopicPartition at = At(owned.Partition);
        try
        {
            if (owned.MustPause)
            {
                _client.Pause([at]);
                owned.MustPause = false;
            }

            if (owned.SeekTo is not { } offset)
            {
                return true;
            }

            owned.SeekTries++;
            if (owned.IsStopped || owned.SeekTries > SeekTriesMax)
            {
                // librdkafka gave the partition up with its offset: only taking it anew begins again.
                _client.IncrementalUnassign([at]);
                _client.IncrementalAssign([new TopicPartitionOffset(at, offset)]);
                owned.IsStopped = false;
            }
            else
            {
                _client.Seek(new TopicPartitionOffset(at, offset));
            }

            owned.SeekTo = null;
            owned.IsStarted = true;
            owned.Position = Math.Max(-1, offset);
            owned.Sequences.Clear();
            if (!owned.IsPausedByHost)
            {
                _client.Resume([at]);
            }

            return true;
        }
        catch (KafkaException exception) when (exception is TopicPartitionException || exception.Error.Code is ErrorCode.Local_State or ErrorCode.Local_InProgress or ErrorCode.Local_PrevInProgress or ErrorCode.Local_UnknownPartition)
        {
            return false;
        }
    }

    private TopicPartitionOffset Assigned(TopicPartition at)
    {
        _health.Answered();
        var owned = new Owned(at.Partition.Value) { MustPause = true };
        _owned[owned.Partition] = owned;
        _isUnsettled |= !TrySettle(owned);
        Tell(owned.Partition, _host.Assigned);
        // Paused, and at an absolute offset: of a logical one (the end) librdkafka looks the place up, and takes an answer
        // that comes behind our seek for a reason to look it up once more, which loses the seek (seen with 2.15.1).
        return new TopicPartitionOffset(at, 0);
    }

    // Each may wait for the store and for brokers: together they take as long as the slowest. Threads of their own, for the
    // pool gives out few at once to those who wait.
    private void Gone(List<TopicPartitionOffset> partitions, Action<int> tell) =>
        Task.WaitAll([.. partitions.Select(at => Task.Factory.StartNew(() => Gone(at.Partition.Value, tell), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))]);

    private void Gone(int partition, Action<int> tell)
    {
        Tell(partition, tell);
        _owned.TryRemove(partition, out _);
        _generations.AddOrUpdate(partition, 1, static (_, generation) => generation + 1);
    }

    // An exception that leaves a rebalance handler leaves librdkafka waiting for an answer, in Dispose without end.
    private void Tell(int partition, Action<int> tell)
    {
        try
        {
            tell(partition);
        }
        catch (Exception exception)
        {
            _hostFailure ??= ExceptionDispatchInfo.Capture(exception);
        }
    }

    private void Took(Error error)
    {
        _health.Took(error);
        _lastError = Tuple.Create(_settings.ErrorOf(error, $"topic {_topic}"));
    }

    private void Failed(ConsumeException exception)
    {
        Error error = exception.Error;
        int partition = exception.ConsumerRecord.Partition.Value;
        if (error.Code is ErrorCode.Local_AutoOffsetReset or ErrorCode.OffsetOutOfRange && _owned.TryGetValue(partition, out Owned? owned))
        {
            owned.IsStopped = true;
            // A fetch from the place of the assignment may still have been under way: that it failed says nothing of ours.
            bool isOfAnEarlierPlace = owned.MustBegin is { } begin ? exception.ConsumerRecord.Offset.Value != begin : owned.Position < 0;
            if (owned.IsStarted && isOfAnEarlierPlace && owned.SeekTries < EarlierPlacesMax)
            {
                owned.SeekTo = owned.MustBegin ?? Offset.Beginning.Value;
                owned.IsStarted = false;
                _isUnsettled = true;
            }
            else if (owned.IsStarted)
            {
                owned.IsStarted = false;
                _host.Failed(partition, new CodedError(Risk.Core.Transactions.ErrorCode.OffsetGap,
                    $"topic {_topic}, partition {partition}: offset {owned.Position} is not there; messages were lost, or the topic was made anew. The partition stays stopped: {_settings.Scrub(error.Reason)}"));
            }

            return;
        }

        Took(error);
        if (error.IsFatal)
        {
            foreach (int lost in _owned.Keys)
            {
                Gone(lost, _host.Lost);
            }

            throw new KafkaRefusedException(_settings.ErrorOf(error, $"topic {_topic}"));
        }
    }
}
