using System.Buffers;
using System.Runtime.InteropServices;
using Risk.Core.Transactions;

namespace Risk.Core.Features;

/// <summary>What an owner says to a request: the asker's place as the owner knows it, and whether the rows were taken.</summary>
/// <param name="Epoch">Of the owner's activation; a lower one than seen before is of an owner that was replaced.</param>
/// <param name="Covered">Every transaction of the asking partition below this sequence that concerns the owner has been taken in.</param>
/// <param name="IsAccepted">False: nothing was taken, because something before the request is missing; send from <paramref name="Covered"/> on first.</param>
public readonly record struct OwnerReply(long Epoch, long Covered, bool IsAccepted);

/// <summary>Which transactions a request holds: all of the asking partition in [<paramref name="From"/>, <paramref name="UpTo"/>) that concern the owner.</summary>
/// <param name="Partition">Who asks.</param>
/// <param name="AskerEpoch">Of the asking partition's activation.</param>
public readonly record struct OwnerRequest(int Partition, long AskerEpoch, long From, long UpTo);

/// <summary>
/// The history of entities that meet transactions of every partition (the terminal of a card's transaction), one of
/// several owners. It counts each transaction once, however often it comes, and answers it as of its event time.
/// <para>
/// <b>Order.</b> Transactions of different partitions do not arrive in event-time order. Within the scope's skew of the
/// newest event the order does not matter for the state; further back an event is late: answered, marked, not counted. So
/// the skew must be more than the partitions' lag behind each other (default of a host: minutes), whatever the stream's grace.
/// </para>
/// <para>
/// <b>Loss.</b> The state is memory. A new owner takes the transactions of all partitions' logs again (<see cref="Take"/>,
/// in order of event time as far as that is easy), and knows of each partition how far it has come. A request that begins
/// further on is refused, so whatever was sent to the lost owner and was not yet in a log then is sent again by who has it:
/// see <see cref="OwnerLink"/>.
/// </para>
/// <para>
/// <b>Memory.</b> That of <see cref="FeatureEngine"/>, with events kept for the skew longer, and about 30 bytes for each
/// transaction of the last two skews, by which repetitions are known. An older repetition is late, and so not counted either.
/// </para>
/// Single threaded and deterministic.
/// </summary>
public sealed class EntityShard
{
    private readonly FeatureEngine _engine;
    private readonly RemoteColumns _columns;
    private readonly long _skew;
    private readonly long[] _covered, _askerEpochs;
    private HashSet<EntityKey> _young = [], _old = [];
    private long _turn;
    private double[] _views = [];
    private int[] _rows = [];

    /// <param name="owner">Which of <paramref name="owners"/> this is.</param>
    /// <param name="partitions">Of the stream.</param>
    /// <param name="skew">Microseconds, above 0; see <see cref="FeatureScope.OwnedBy"/>.</param>
    /// <param name="epoch">Of this activation; higher than that of every one before.</param>
    public EntityShard(FeatureCatalog catalog, int owner, int owners, int partitions, long skew, long epoch)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(skew, 1);
        _engine = new FeatureEngine(catalog, scope: FeatureScope.OwnedBy(owner, owners, skew));
        _columns = new RemoteColumns(catalog);
        _skew = Math.Max(skew, catalog.Schema.Grace);
        _covered = new long[partitions];
        _askerEpochs = new long[partitions];
        Epoch = epoch;
    }

    public long Epoch { get; }

    /// <summary>Values a row: the columns of <see cref="RemoteColumns"/>.</summary>
    public int Width => _columns.Count;

    public long Watermark => _engine.Watermark;
    public long EntityCount => _engine.EntityCount;
    public long StateBytes => _engine.StateBytes + (_young.Count + _old.Count) * 30L;

    /// <summary>How far a partition's transactions have been taken in.</summary>
    public long Covered(int partition) => _covered[partition];

    /// <summary>
    /// Answers a request. Only columns of entities that this owner owns are meaningful in <paramref name="values"/>.
    /// </summary>
    /// <param name="batch">The request's transactions, in the order of the asking partition.</param>
    /// <param name="values">Shape [batch.Count × Width], row-major.</param>
    /// <param name="late">Shape [batch.Count]: beyond the skew, answered but not counted.</param>
    /// <returns>When it is not accepted, nothing was taken and nothing written.</returns>
    public OwnerReply Ask(in OwnerRequest request, TransactionBatch batch, Span<double> values, Span<bool> late)
    {
        int p = request.Partition;
        if (request.AskerEpoch < _askerEpochs[p]) { return new OwnerReply(Epoch, _covered[p], false); } // a replaced asker: its log refuses it as well
        if (request.AskerEpoch > _askerEpochs[p])
        {
            // What the asker before sent and never made durable counts for nothing: its sequences are given again.
            _askerEpochs[p] = request.AskerEpoch;
            _covered[p] = Math.Min(_covered[p], request.From);
        }
        if (request.From > _covered[p]) { return new OwnerReply(Epoch, _covered[p], false); }
        Apply(batch, values, late);
        _covered[p] = Math.Max(_covered[p], request.UpTo);
        return new OwnerReply(Epoch, _covered[p], true);
    }

    /// <summary>Takes transactions of a partition's log in, up to sequence <paramref name="upTo"/> (exclusive), without answering: how an owner is rebuilt.</summary>
    public void Take(int partition, long upTo, TransactionBatch batch)
    {
        Apply(batch, [], []);
        _covered[partition] = Math.Max(_covered[partition], upTo);
    }

    /// <summary>A transaction of earlier turned out positive; see <see cref="FeatureEngine.Learn"/>. Idempotent.</summary>
    public bool Learn(TransactionBatch batch, int row, long? knownAt) => _engine.Learn(batch, row, knownAt);

    private void Apply(TransactionBatch batch, Span<double> values, Span<bool> late)
    {
        int features = _engine.FeatureCount;
        if (_rows.Length < batch.Count)
        {
            _rows = new int[batch.Capacity];
            _views = new double[batch.Capacity * features];
        }
        Span<bool> lateRows = late.IsEmpty ? new bool[batch.Count] : late;
        for (int row = 0; row < batch.Count;)
        {
            // New rows go through the engine together; one that came before is only answered.
            int first = row, count = 0;
            while (row < batch.Count && IsNew(batch, row)) { _rows[count++] = row++; }
            if (count > 0) { _engine.Build(batch, _rows.AsSpan(0, count), _views.AsSpan(first * features, count * features), lateRows.Slice(first, count)); }
            if (row < batch.Count)
            {
                lateRows[row] = false;
                if (!values.IsEmpty) { _engine.Answer(batch, row, _views.AsSpan(row * features, features)); }
                row++;
            }
        }
        if (values.IsEmpty) { return; }
        for (int row = 0; row < batch.Count; row++) { _columns.Gather(_views.AsSpan(row * features, features), values.Slice(row * Width, Width)); }
    }

    // Two generations, turned when the newest event has moved on by the skew: a key is known for one skew at least, after
    // which its event is late, and for two at most.
    private bool IsNew(TransactionBatch batch, int row)
    {
        long newest = Math.Max(_engine.Watermark, batch.EventTimes[row]);
        if (newest > _turn + _skew)
        {
            (_old, _young) = (_young, _old);
            _young.Clear();
            if (newest > _turn + 2 * _skew) { _old.Clear(); }
            _turn = newest;
        }
        // A late event is not counted, so it need not be known either.
        if (batch.EventTimes[row] < newest - _skew) { return true; }
        EntityKey key = batch.EventKeys[row];
        return !_old.Contains(key) && _young.Add(key);
    }

    /// <summary>Writes the whole state.</summary>
    public void Save(IBufferWriter<byte> output)
    {
        SnapshotWords.Write(output, [_turn, _covered.Length, _young.Count, _old.Count]);
        SnapshotWords.Write(output, _covered);
        SnapshotWords.Write(output, _askerEpochs);
        foreach (HashSet<EntityKey> keys in (HashSet<EntityKey>[])[_young, _old])
        {
            foreach (EntityKey key in keys) { SnapshotWords.Write(output, [(long)key.High, (long)key.Low]); }
        }
        _engine.Save(output);
    }

    /// <summary>Reads what <see cref="Save"/> wrote into a fresh shard of the same catalog, owners and partitions.</summary>
    /// <exception cref="InvalidDataException">It is of another number of partitions, or of a build with another layout.</exception>
    public void Restore(ReadOnlySpan<byte> snapshot)
    {
        var input = new SnapshotWords.Reader(snapshot);
        _turn = input.Next();
        if (input.Next() != _covered.Length) { throw new InvalidDataException("the snapshot is of a stream with another number of partitions"); }
        long young = input.Next(), old = input.Next();
        input.Next(_covered.Length).CopyTo(_covered);
        input.Next(_askerEpochs.Length).CopyTo(_askerEpochs);
        for (; young > 0; young--) { _young.Add(new EntityKey((ulong)input.Next(), (ulong)input.Next())); }
        for (; old > 0; old--) { _old.Add(new EntityKey((ulong)input.Next(), (ulong)input.Next())); }
        _engine.Restore(MemoryMarshal.AsBytes(input.Rest));
    }
}
