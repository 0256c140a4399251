using System.Buffers;
using Risk.Core.Features;
using Risk.Core.Log;
using Risk.Core.Transactions;

namespace Risk.Service.Serving.Entities;

/// <summary>
/// Keeps the history of entities that meet transactions of every partition, for one owner number, and answers the shards that
/// ask. Rebuilt from the logs of all partitions before it answers; its snapshot is part of its partition's. Thread-safe.
/// </summary>
internal sealed class EntityOwner
{
    private const int ChunkRows = 512;

    private readonly EntityShard _shard;
    private readonly TransactionBatch _batch;
    private readonly TransactionCodec _codec;
    private readonly List<long?> _knownAt = [];
    private readonly double[] _values;
    private readonly bool[] _late;
    private readonly int _partitions;
    private readonly long _skew;
    private readonly Lock _gate = new();

    public EntityOwner(StreamSchema schema, FeatureCatalog catalog, TransactionKeys keys, int owner, int owners, int partitions, TimeSpan skew, long epoch, int rowsMax)
    {
        _skew = (long)skew.TotalMicroseconds;
        _shard = new EntityShard(catalog, owner, owners, partitions, _skew, epoch);
        _batch = new TransactionBatch(schema, Math.Max(rowsMax, ChunkRows));
        _codec = new TransactionCodec(schema, keys);
        _values = new double[_batch.Capacity * _shard.Width];
        _late = new bool[_batch.Capacity];
        _partitions = partitions;
    }

    /// <summary>It knows what the logs know, and answers.</summary>
    public bool IsReady { get; private set; }

    public long EntityCount => _shard.EntityCount;

    /// <summary>The reply to a request; null when it cannot be answered (not ready, or no request of ours).</summary>
    public byte[]? Handle(ReadOnlySpan<byte> message)
    {
        lock (_gate)
        {
            if (!IsReady || !EntityMessage.TryRead(message, _codec, _batch, _knownAt, out EntityMessage.Kind kind, out OwnerRequest request) || (uint)request.Partition >= (uint)_partitions) { return null; }
            if (kind == EntityMessage.Kind.Learn)
            {
                for (int row = 0; row < _batch.Count; row++) { _shard.Learn(_batch, row, _knownAt[row]); }
                return EntityMessage.Reply(new OwnerReply(_shard.Epoch, _shard.Covered(request.Partition), true), [], []);
            }
            int count = _batch.Count;
            OwnerReply reply = _shard.Ask(request, _batch, _values.AsSpan(0, count * _shard.Width), _late.AsSpan(0, count));
            return reply.IsAccepted ? EntityMessage.Reply(reply, _values.AsSpan(0, count * _shard.Width), _late.AsSpan(0, count)) : EntityMessage.Reply(reply, [], []);
        }
    }

    public void Save(IBufferWriter<byte> output)
    {
        lock (_gate) { _shard.Save(output); }
    }

    /// <exception cref="InvalidDataException">Of a build with another layout.</exception>
    public void Restore(ReadOnlySpan<byte> snapshot)
    {
        lock (_gate) { _shard.Restore(snapshot); }
    }

    /// <summary>Takes in what the logs of all partitions have beyond what it knows, nearly in order of event time, and is ready then.</summary>
    /// <exception cref="IOException">The store does not answer.</exception>
    public void Rebuild(IDecisionStore store)
    {
        var logs = new List<LogHead>();
        // What was learned after the snapshot of a transaction before it is told again by its shard, see EntityLinks.
        var labels = new Dictionary<EntityKey, long?>();
        try
        {
            for (int partition = 0; partition < _partitions; partition++)
            {
                foreach (Label label in store.Labels(partition).Where(l => l.IsPositive)) { labels.TryAdd(label.EventKey, label.KnownAt); }
                if (store.Read(partition, _shard.Covered(partition)) is not { } reader) { continue; }
                var head = new LogHead(partition, reader);
                if (head.Next()) { logs.Add(head); } else { reader.Dispose(); }
            }
            while (logs.Count > 0) { TakeRun(logs, labels); }
        }
        finally
        {
            foreach (LogHead head in logs) { head.Reader.Dispose(); }
        }
        lock (_gate) { IsReady = true; }
    }

    /// <summary>One run of the log whose next event is the earliest, as far as order within the skew allows.</summary>
    private void TakeRun(List<LogHead> logs, Dictionary<EntityKey, long?> labels)
    {
        LogHead first = logs.MinBy(l => l.Time)!;
        long limit = logs.Where(l => l != first).Select(l => l.Time).DefaultIfEmpty(long.MaxValue - _skew).Min() + _skew / 2;
        lock (_gate)
        {
            _batch.Clear();
            bool more = true;
            while (more && first.Time <= limit && _batch.Count < ChunkRows && !_batch.IsFull)
            {
                if (first.Canonical.Length > 0) { _codec.Append(first.Canonical, 0, 0, _batch); }
                more = first.Next();
            }
            _shard.Take(first.Partition, more ? first.Reader.Sequence : first.Reader.End, _batch);
            for (int row = 0; row < _batch.Count; row++)
            {
                if (labels.TryGetValue(_batch.EventKeys[row], out long? knownAt)) { _shard.Learn(_batch, row, knownAt); }
            }
            if (more) { return; }
        }
        first.Reader.Dispose();
        logs.Remove(first);
    }

    /// <summary>The next entry of one log.</summary>
    private sealed class LogHead(int partition, IDecisionLogReader reader)
    {
        private byte[] _canonical = [];

        public int Partition => partition;
        public IDecisionLogReader Reader => reader;
        public long Time { get; private set; }

        /// <summary>Empty for an entry that is no decision, or was erased.</summary>
        public ReadOnlySpan<byte> Canonical => _canonical;

        public bool Next()
        {
            if (!reader.Read()) { return false; }
            _canonical = [];
            if (DecisionRecordCodec.Read(reader.Record, out DecisionRecord record) != RecordFault.None) { throw new DecisionLogException(LogCodes.Corrupt, $"entry {reader.Sequence} of partition {partition} cannot be read"); }
            if (record.Kind == RecordKind.Decision && PrivatePayloadCodec.Read(reader.Payload, out PrivatePayload payload) == RecordFault.None)
            {
                _canonical = payload.Transaction.ToArray();
                Time = record.EventTimeMicros;
            }
            return true;
        }
    }
}
