using System.Buffers;
using System.Diagnostics;
using Risk.Core;
using Risk.Core.Features;
using Risk.Core.Log;
using Risk.Core.Transactions;
using Risk.Service.Engine;

namespace Risk.Service.Serving.Entities;

/// <summary>How the owners of entities are reached.</summary>
internal interface IEntityOwners
{
    /// <summary>How many there are; owner n lives where partition n is served.</summary>
    int Count { get; }

    /// <summary>Sends a request (<see cref="EntityMessage"/>); null when nobody answers there now.</summary>
    Task<byte[]?> Ask(int owner, byte[] request, CancellationToken cancellation);
}

/// <summary>
/// A shard's links to the owners of the entities that its transactions meet and that are not its own: one question an owner and
/// micro-batch, all at once. An owner that does not answer in time holds nobody up: the rows are decided without it, marked
/// INCOMPLETE, and what it missed is sent again from the log when it answers. On the deciding thread.
/// </summary>
internal sealed class EntityLinks
{
    private const int ChunkRows = 512, AgainMillis = 10;
    private static readonly Task<byte[]?> s_none = Task.FromResult<byte[]?>(null);
    private static readonly TimeSpan s_durableMax = TimeSpan.FromSeconds(5);

    private sealed class Link(OwnerLink core)
    {
        public OwnerLink Core { get; } = core;
        public List<int> Rows { get; } = [];
        public Task<byte[]?> Pending = s_none;
        public OwnerRequest Request;
        // Rows below this sequence were decided without the owner; it lacks them.
        public bool IsBehind;
        public long DownUntil;
        public long LabelsOfEpoch;
    }

    private readonly Shard _shard;
    private readonly IEntityOwners _owners;
    private readonly RemoteColumns _columns;
    private readonly Link[] _links;
    private readonly TimeSpan _wait;
    private readonly TransactionBatch _batch;
    private readonly TransactionCodec _codec;
    private readonly ArrayBufferWriter<byte> _message = new(64 * 1024);
    private readonly LogEntry _entry = new();
    private readonly double[] _values;
    private readonly Action<string, long> _fault;

    /// <param name="epoch">Of the shard's ownership.</param>
    /// <param name="wait">How long a batch waits for its owners.</param>
    /// <param name="fault">Counts a fault: code, how many.</param>
    public EntityLinks(Shard shard, IEntityOwners owners, TransactionKeys keys, long epoch, TimeSpan wait, Action<string, long> fault)
    {
        _shard = shard;
        _owners = owners;
        _columns = new RemoteColumns(shard.Path.Definition.Catalog);
        _links = [.. Enumerable.Range(0, owners.Count).Select(_ => new Link(new OwnerLink(shard.Partition, epoch, shard.Log.Size)))];
        _wait = wait;
        _batch = new TransactionBatch(shard.Path.Definition.Schema, 1);
        _codec = new TransactionCodec(shard.Path.Definition.Schema, keys);
        _values = new double[_columns.Count];
        _fault = fault;
    }

    private DecisionLogException Fenced()
    {
        _fault(LogCodes.Fenced, 1);
        return new DecisionLogException(LogCodes.Fenced, $"partition {_shard.Partition} has another owner, an entity owner says");
    }

    /// <summary>Fills the columns of other owners for the admitted rows of a batch.</summary>
    public void Fetch(ScoringBatch batch)
    {
        for (int k = 0; k < batch.Count; k++)
        {
            batch.PutRemoteAbsent(_columns, k);
            ulong owners = _columns.OwnersOf(batch.Transactions, batch.Admitted[k], _links.Length);
            for (int owner = 0; owner < _links.Length; owner++)
            {
                if ((owners >> owner & 1) != 0) { _links[owner].Rows.Add(k); }
            }
        }
        long first = batch.Group.FirstSequence, started = Stopwatch.GetTimestamp();
        using var limit = new CancellationTokenSource(_wait);
        for (int owner = 0; owner < _links.Length; owner++)
        {
            Link link = _links[owner];
            if (link.Rows.Count == 0) { continue; }
            if (link.DownUntil > started || (link.IsBehind && !TryCatchUp(owner, first, limit.Token))) { continue; }
            Begin(owner, batch, first, limit.Token);
        }
        for (int owner = 0; owner < _links.Length; owner++)
        {
            Link link = _links[owner];
            if (link.Rows.Count == 0) { continue; }
            if (!TryFinish(owner, batch, first, limit.Token))
            {
                link.IsBehind = true;
                _fault("ENTITY_OWNER_UNAVAILABLE", 1);
                foreach (int k in link.Rows) { batch.MarkIncomplete(k); }
            }
            link.Rows.Clear();
        }
    }

    /// <summary>Asks every owner for nothing: one that lost its state meanwhile says so, and gets what it lacks below <paramref name="first"/>.</summary>
    public void Greet(long first)
    {
        using var limit = new CancellationTokenSource(_wait);
        for (int owner = 0; owner < _links.Length; owner++)
        {
            Link link = _links[owner];
            if (link.DownUntil > Stopwatch.GetTimestamp()) { continue; }
            OwnerRequest request = link.Core.Request(link.Core.Acknowledged);
            EntityMessage.Begin(_message, EntityMessage.Kind.Ask, request);
            byte[]? reply = Wait(_owners.Ask(owner, EntityMessage.End(_message, 0), limit.Token));
            if (reply is null || !EntityMessage.TryReadReply(reply, 0, _columns.Count, out OwnerReply told)) { continue; }
            LinkStep step = link.Core.OnReply(request, told);
            if (step == LinkStep.Fenced) { throw Fenced(); }
            if (step == LinkStep.Resend || link.IsBehind) { TryCatchUp(owner, first, limit.Token); }
            if (step == LinkStep.Answered && link.LabelsOfEpoch != told.Epoch && SendLabels(owner, limit.Token)) { link.LabelsOfEpoch = told.Epoch; }
        }
    }

    /// <summary>Tells the owners of a transaction that it turned out positive.</summary>
    public void Learn(TransactionBatch transaction, long? knownAt)
    {
        ulong owners = _columns.OwnersOf(transaction, 0, _links.Length);
        using var limit = new CancellationTokenSource(_wait);
        for (int owner = 0; owner < _links.Length; owner++)
        {
            if ((owners >> owner & 1) == 0) { continue; }
            EntityMessage.Begin(_message, EntityMessage.Kind.Learn, new OwnerRequest(_shard.Partition, 0, 0, 0));
            EntityMessage.AddLabelled(_message, transaction.Canonical(0), knownAt);
            byte[]? reply = Wait(_owners.Ask(owner, EntityMessage.End(_message, 1), limit.Token));
            // An owner that is away learns every label again when it is back.
            if (reply is null || !EntityMessage.TryReadReply(reply, 0, 0, out OwnerReply told) || told.Epoch != _links[owner].LabelsOfEpoch) { _links[owner].LabelsOfEpoch = 0; }
        }
    }

    private void Begin(int owner, ScoringBatch batch, long first, CancellationToken limit)
    {
        Link link = _links[owner];
        link.Request = link.Core.Request(first + batch.Count);
        EntityMessage.Begin(_message, EntityMessage.Kind.Ask, link.Request);
        foreach (int k in link.Rows) { EntityMessage.Add(_message, batch.Transactions.Canonical(batch.Admitted[k])); }
        link.Pending = _owners.Ask(owner, EntityMessage.End(_message, link.Rows.Count), limit);
    }

    private bool TryFinish(int owner, ScoringBatch batch, long first, CancellationToken limit)
    {
        Link link = _links[owner];
        while (link.Request.UpTo == first + batch.Count)
        {
            byte[]? reply = Wait(link.Pending);
            link.Pending = s_none;
            OwnerRequest request = link.Request;
            link.Request = default;
            if (reply is null || !EntityMessage.TryReadReply(reply, link.Rows.Count, _columns.Count, out OwnerReply told))
            {
                // It is being rebuilt, or has died and comes up elsewhere.
                if (!limit.WaitHandle.WaitOne(AgainMillis))
                {
                    Begin(owner, batch, first, limit);
                    continue;
                }
                // Nobody waits for it again for a while.
                link.DownUntil = Stopwatch.GetTimestamp() + Stopwatch.Frequency / 5;
                return false;
            }
            switch (link.Core.OnReply(request, told))
            {
                case LinkStep.Answered:
                    if (link.LabelsOfEpoch != told.Epoch && SendLabels(owner, limit))
                    {
                        // The answer was without them: once more. A row that comes again is not counted again.
                        link.LabelsOfEpoch = told.Epoch;
                        if (_shard.Labels is { Count: > 0 }) { break; }
                    }
                    for (int i = 0; i < link.Rows.Count; i++)
                    {
                        bool late = EntityMessage.ReadRow(reply, i, link.Rows.Count, _values);
                        batch.PutRemote(_columns, link.Rows[i], owner, _links.Length, _values, late);
                    }
                    return true;
                case LinkStep.Fenced:
                    throw Fenced();
                case LinkStep.Resend:
                    link.IsBehind = true;
                    if (!TryCatchUp(owner, first, limit)) { return false; }
                    break;
                default:
                    break;
            }
            if (limit.IsCancellationRequested) { return false; }
            Begin(owner, batch, first, limit);
        }
        return false;
    }

    /// <summary>Sends what the owner lacks up to the batch in hand, from the log; waits until it is there.</summary>
    private bool TryCatchUp(int owner, long first, CancellationToken limit)
    {
        Link link = _links[owner];
        // The other stages go on meanwhile, so what was decided becomes durable.
        if (!SpinWait.SpinUntil(() => _shard.Log.DurableSize >= first || _shard.Failure is not null, s_durableMax) || _shard.Failure is not null) { return false; }
        while (link.Core.Acknowledged < first)
        {
            (byte[] request, OwnerRequest asked, int rows) = Missing(owner, link.Core, first);
            byte[]? reply = Wait(_owners.Ask(owner, request, limit));
            if (reply is null || !EntityMessage.TryReadReply(reply, rows, _columns.Count, out OwnerReply told))
            {
                link.DownUntil = Stopwatch.GetTimestamp() + Stopwatch.Frequency / 5;
                return false;
            }
            if (link.Core.OnReply(asked, told) == LinkStep.Fenced) { throw Fenced(); }
            int late = told.IsAccepted ? Enumerable.Range(0, rows).Count(row => EntityMessage.ReadRow(reply, row, rows, _values)) : 0;
            // The others were ahead of it by more than the skew: the owner never counts these.
            if (late > 0) { _fault("ENTITY_ROW_LATE", late); }
        }
        link.IsBehind = false;
        return true;
    }

    private (byte[] Request, OwnerRequest Asked, int Rows) Missing(int owner, OwnerLink core, long first)
    {
        long from = core.Acknowledged, upTo = from;
        var rows = new List<byte[]>();
        int bytes = 0;
        using (IDecisionLogReader reader = _shard.Log.Read(from))
        {
            while (upTo < first && rows.Count < ChunkRows && bytes < Limits.BatchBytesMax / 2 && reader.Read())
            {
                upTo = reader.Sequence + 1;
                if (TryRow(reader.Record, reader.Payload, out _) && (_columns.OwnersOf(_batch, 0, _links.Length) >> owner & 1) != 0)
                {
                    rows.Add(_batch.Canonical(0).ToArray());
                    bytes += rows[^1].Length;
                }
            }
        }
        OwnerRequest asked = core.Request(upTo);
        EntityMessage.Begin(_message, EntityMessage.Kind.Ask, asked);
        foreach (byte[] row in rows) { EntityMessage.Add(_message, row); }
        return (EntityMessage.End(_message, rows.Count), asked, rows.Count);
    }

    /// <summary>A new owner hears of every label again: what it had of them may be lost. It counts none twice.</summary>
    private bool SendLabels(int owner, CancellationToken limit)
    {
        if (_shard.Labels is not { Count: > 0 } labels) { return true; }
        int rows = 0;
        EntityMessage.Begin(_message, EntityMessage.Kind.Learn, new OwnerRequest(_shard.Partition, 0, 0, 0));
        for (int i = 0; i < labels.Count; i++)
        {
            if (!_shard.Path.Known.TryFind(labels[i].EventKey, out long sequence) || sequence >= _shard.Log.Size || !_shard.Log.TryRead(sequence, _entry)
                || !TryRow(_entry.Record, _entry.Payload, out bool late) || late || (_columns.OwnersOf(_batch, 0, _links.Length) >> owner & 1) == 0) { continue; }
            EntityMessage.AddLabelled(_message, _batch.Canonical(0), labels[i].KnownAt);
            if (++rows < ChunkRows) { continue; }
            if (Wait(_owners.Ask(owner, EntityMessage.End(_message, rows), limit)) is null) { return false; }
            rows = 0;
            EntityMessage.Begin(_message, EntityMessage.Kind.Learn, new OwnerRequest(_shard.Partition, 0, 0, 0));
        }
        return rows == 0 || Wait(_owners.Ask(owner, EntityMessage.End(_message, rows), limit)) is not null;
    }

    private bool TryRow(ReadOnlySpan<byte> record, ReadOnlySpan<byte> payload, out bool late)
    {
        late = false;
        _batch.Clear();
        if (DecisionRecordCodec.Read(record, out DecisionRecord view) != RecordFault.None || view.Kind != RecordKind.Decision || PrivatePayloadCodec.Read(payload, out PrivatePayload parts) != RecordFault.None) { return false; }
        late = view.Flags.HasFlag(RecordFlags.Late);
        return _codec.Append(parts.Transaction, view.SourceOffset, view.EventTimeMicros, _batch);
    }

    // The deciding thread has nothing else to do: a batch's features come before the next batch's.
    private static byte[]? Wait(Task<byte[]?> answer)
    {
        try
        {
            return answer.GetAwaiter().GetResult();
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or HttpRequestException)
        {
            return null;
        }
    }
}
