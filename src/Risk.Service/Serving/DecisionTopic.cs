using Confluent.Kafka;
using Risk.Core.Log;
using Risk.Service.Engine;
using Risk.Streams.Kafka;

namespace Risk.Service.Serving;

/// <summary>
/// Publishes a partition's decisions, in order, from the log: while it keeps up, straight from the batches that were
/// committed; when it fell behind (a new owner, no broker), from the log itself until it has caught up. So nothing durable
/// stays unpublished, and nobody waits for Kafka.
/// </summary>
internal sealed class DecisionTopic
{
    private const int PublicationMax = 512;

    private readonly Shard _shard;
    private readonly KafkaPublisher _publisher;
    private readonly KafkaFeed _feed;
    private readonly Action<(long Count, long Offset)> _passed;
    private readonly Action<Shard, Exception> _failed;
    private readonly Lock _gate = new();
    private volatile bool _isStopped;
    private Task _catchUp = Task.CompletedTask;
    private long _next;
    private long _open;

    /// <param name="next">Sequence of the first decision that the topic lacks.</param>
    /// <param name="failed">Told when a decision cannot be published: its shard is opened again, and what is missing published from the log.</param>
    /// <param name="passed">Told when decisions are acknowledged: how many, and the source's offset behind them, 0 where it did not move.</param>
    public DecisionTopic(Shard shard, KafkaPublisher publisher, KafkaFeed feed, long next, Action<(long Count, long Offset)> passed, Action<Shard, Exception> failed)
    {
        _shard = shard;
        _publisher = publisher;
        _feed = feed;
        _next = next;
        _passed = passed;
        _failed = failed;
    }

    public int Partition => _shard.Partition;
    public bool IsBehind { get; private set; }

    /// <summary>Publishes what the log has and the topic lacks, on a thread of the pool.</summary>
    public void CatchUp()
    {
        lock (_gate)
        {
            if (_isStopped || IsBehind || _next >= _shard.Log.DurableSize) { return; }
            IsBehind = true;
            _catchUp = Task.Run(PublishFromLog);
        }
    }

    /// <summary>Publishes a committed batch; never waits.</summary>
    public void Offer(ShardBatch batch)
    {
        DecisionGroup group = batch.Scoring.Group;
        bool behind = false;
        lock (_gate)
        {
            if (_isStopped || IsBehind) { return; }
            if (group.Count > 0 && group.FirstSequence > _next) { behind = true; }
            else
            {
                Publication publication = Begin(group.FirstSequence + group.Count - _next, batch.NextLine is null ? 0 : batch.Position.Line);
                for (int k = (int)(_next - group.FirstSequence); k < group.Count && !behind; k++)
                {
                    behind = !TryAdd(publication, group.Record(k));
                    if (!behind) { _next++; }
                }
                publication.Seal();
            }
        }
        if (behind) { CatchUp(); }
    }

    /// <summary>Waits until everything durable is acknowledged; false when the time is up first.</summary>
    public bool Drain(TimeSpan patience)
    {
        long end = Environment.TickCount64 + (long)patience.TotalMilliseconds;
        bool drained = SpinWait.SpinUntil(() => !IsBehind, patience);
        return Settle(TimeSpan.FromMilliseconds(Math.Max(0, end - Environment.TickCount64))) && drained;
    }

    /// <summary>Publishes nothing more, the next owner goes on; waits until what is under way is acknowledged, false when the time is up first.</summary>
    public bool Settle(TimeSpan patience)
    {
        lock (_gate) { _isStopped = true; }
        _catchUp.Wait();
        return SpinWait.SpinUntil(() => Interlocked.Read(ref _open) == 0, patience);
    }

    private void PublishFromLog()
    {
        try
        {
            while (!_isStopped)
            {
                using (IDecisionLogReader reader = _shard.Log.Read(_next))
                {
                    PublishAll(reader);
                }
                lock (_gate)
                {
                    if (_next < _shard.Log.DurableSize) { continue; }
                    IsBehind = false;
                    return;
                }
            }
        }
        catch (Exception failure)
        {
            _failed(_shard, failure);
        }
    }

    // Only what is durable: a reader may also see what was appended a moment ago.
    private void PublishAll(IDecisionLogReader reader)
    {
        long durable = _shard.Log.DurableSize;
        while (!_isStopped && _next < durable && reader.Read())
        {
            Publication publication = Begin(Math.Min(PublicationMax, durable - _next), 0);
            int count = 0;
            do
            {
                while (!TryAdd(publication, reader.Record))
                {
                    if (_isStopped)
                    {
                        publication.Seal();
                        return;
                    }
                    Thread.Sleep(5);
                }
                _next++;
            }
            while (++count < PublicationMax && _next < durable && reader.Read());
            publication.Seal();
        }
    }

    private Publication Begin(long count, long offset)
    {
        Interlocked.Increment(ref _open);
        return new Publication(_publisher, error =>
        {
            Interlocked.Decrement(ref _open);
            if (error is null) { _passed((Math.Max(0, count), offset)); }
            else { _failed(_shard, new IOException(error.ToString())); }
        });
    }

    private bool TryAdd(Publication publication, ReadOnlySpan<byte> record)
    {
        if (DecisionRecordCodec.Read(record, out DecisionRecord view) != RecordFault.None || view.Kind != RecordKind.Decision) { return true; }
        byte[] subject = new byte[view.Subject.Length * 2];
        Convert.TryToHexStringLower(view.Subject, subject, out _);
        // Every header costs as much as a tenth of the message; time and subject are in the value and the key.
        Headers headers = _feed.Events.Of(view.EventId, -1, [], CloudEvents.RiskSequenceHeader, view.Sequence);
        return publication.TryAdd(_feed.Topics.Decisions, Partition, subject, DecisionRecordJson.ToUtf8(view), headers);
    }
}
