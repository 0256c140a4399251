using System.Runtime.CompilerServices;
using Risk.Core.Decisions;
using Risk.Core.Transactions;

namespace Risk.Core.Features;

/// <summary>
/// All history of one shard: turns transactions into feature views, exactly as of each event, in the order given. Single
/// threaded and deterministic; the same ordered input gives the same bytes. After warm-up it allocates nothing.
/// <para>
/// Memory: an entity costs 22 to 43 bytes of index, <see cref="EntityPlan.RecordWords"/> × 8 bytes of state, and
/// <see cref="EntityPlan.EventWords"/> × 8 bytes for each event inside its longest window (times 2 at most, for growth).
/// </para>
/// </summary>
public sealed unsafe class FeatureEngine
{
    // How many rows ahead of its turn a row's keys are looked up: DRAM takes longer to answer than a row takes to compute, but
    // answers many requests at once. A power of two. Bench: feature-update.
    private const int AheadRows = 8;

    // How often the tables are swept while one retention passes: an entity is kept at most a sixteenth longer than it need be.
    private const int SweepsARetention = 16;

    private readonly FeatureCatalog _catalog;
    private readonly BlockArena _arena;
    private readonly EntityPlan[] _plans;
    private readonly EntityTable[] _tables;
    private readonly EntityHistory[] _histories;
    private readonly Calendar _calendar;
    private readonly FeatureDefinition[] _stateless;
    private readonly int[] _statelessOutput;
    private readonly FeatureDefinition[] _derived;
    private readonly int[] _derivedOutput;
    private readonly ILabelSource? _labels;
    private readonly LabelQueue _labelQueue;
    private readonly int[] _labelPlans;
    private readonly EntityKey[] _keys;
    private readonly nint[] _records;
    private readonly long* _event;
    private readonly long[] _filterFlags;
    private readonly long _grace;
    private readonly FeatureScope _scope;
    private readonly LearnedLabels _learned;

    /// <param name="labels">Outcomes that become known while the stream runs; null for none.</param>
    /// <param name="newMemory">Told address and bytes of each large piece of state memory before it is used, so that a host may ask its system for huge pages; null for nothing.</param>
    /// <param name="scope">The entities whose history is kept here; null for all.</param>
    public FeatureEngine(FeatureCatalog catalog, ILabelSource? labels = null, Action<nint, nint>? newMemory = null, FeatureScope? scope = null)
    {
        _scope = scope ?? FeatureScope.All;
        _arena = new BlockArena(newMemory);
        _catalog = catalog;
        _labels = labels;
        _grace = Math.Max(catalog.Schema.Grace, _scope.Skew);
        _calendar = new Calendar(catalog.Zone);
        var indexed = catalog.Features.Select((f, i) => (Feature: f, Output: i)).Where(f => IsBuilt(f.Feature, f.Output)).ToArray();
        _stateless = [.. indexed.Where(f => f.Feature.Source is FeatureSource.Field or FeatureSource.Calendar).Select(f => f.Feature)];
        _statelessOutput = [.. indexed.Where(f => f.Feature.Source is FeatureSource.Field or FeatureSource.Calendar).Select(f => f.Output)];
        // Derived from features of several owners: only the subject's shard has them all.
        _derived = [.. indexed.Where(f => _scope.HasView && f.Feature.Source is (FeatureSource.Ratio or FeatureSource.Difference)).Select(f => f.Feature)];
        _derivedOutput = [.. indexed.Where(f => _scope.HasView && f.Feature.Source is (FeatureSource.Ratio or FeatureSource.Difference)).Select(f => f.Output)];
        _plans = [.. indexed.Where(f => f.Feature.Source == FeatureSource.Aggregate && _scope.Holds(catalog, f.Feature.Entity)).GroupBy(f => f.Feature.Entity).OrderBy(g => g.Key)
            .Select(g => EntityPlan.Compile(g.Key, catalog.Entities[g.Key], [.. g], _grace))];
        _tables = [.. _plans.Select(p => new EntityTable(_arena, p.RecordWords))];
        _histories = [.. _plans.Select(p => new EntityHistory(p, _arena, _grace))];
        _labelPlans = [.. Enumerable.Range(0, _plans.Length).Where(i => _plans[i].HasLabels)];
        _labelQueue = new LabelQueue(_labelPlans.Length);
        // A label that is due later than this after its event finds no event in any window any more.
        _learned = new LearnedLabels(_grace + _labelPlans.Select(i => _plans[i].IdleRetention).DefaultIfEmpty(0).Max());
        _keys = new EntityKey[AheadRows * 2 * _plans.Length];
        _records = new nint[AheadRows * 2 * _plans.Length];
        _filterFlags = new long[_plans.Length];
        _event = _arena.CutZeroed(Math.Max(1, _plans.Select(p => 1 + p.EventNumbers.Length + p.EventKeys.Length).DefaultIfEmpty(1).Max()));
    }

    // What is read off the transaction itself is cheap, and filters want it also where a view is not at hand.
    private bool IsBuilt(FeatureDefinition feature, int output) => _scope.Given?.Has(output) != true || feature.Source is FeatureSource.Field or FeatureSource.Calendar;

    public FeatureCatalog Catalog => _catalog;
    public int FeatureCount => _catalog.Count;
    /// <summary>The highest event time seen, microseconds.</summary>
    public long Watermark { get; private set; }
    public long EntityCount => _tables.Sum(t => (long)t.Count);
    /// <summary>Bytes of state taken from the runtime.</summary>
    public long StateBytes => _arena.AllocatedBytes + _tables.Sum(t => t.IndexBytes);
    public int PendingLabels => _labelQueue.Count;

    /// <summary>
    /// Applies the rows in order and writes their views. <paramref name="rows"/>: row numbers of the batch, ascending;
    /// <paramref name="views"/>: shape [rows × FeatureCount], row-major; <paramref name="late"/>: shape [rows], whether the
    /// event came after the grace period (answered, but not taken into the history). Columns that this engine's scope leaves
    /// to others are read, for what is derived from them, and not written.
    /// </summary>
    public void Build(TransactionBatch batch, ReadOnlySpan<int> rows, Span<double> views, Span<bool> late)
    {
        // Each row's entities are on their way from memory while the rows before it are computed.
        for (int i = -AheadRows; i < rows.Length; i++)
        {
            if (i + AheadRows < rows.Length) { FindKeys(batch, rows[i + AheadRows], Place(i + AheadRows)); }
            if ((uint)(i + AheadRows / 2) < (uint)rows.Length) { FindRecords(Place(i + AheadRows / 2)); }
            if ((uint)(i + AheadRows / 4) < (uint)rows.Length) { ConfirmRecords(Place(i + AheadRows / 4), batch.EventTimes[rows[i + AheadRows / 4]]); }
            if (i >= 0) { late[i] = Apply(batch, rows[i], Place(i), views.Slice(i * FeatureCount, FeatureCount), late[i]); }
        }
        for (int p = 0; p < _tables.Length; p++)
        {
            _tables[p].Sweep(rows.Length * 2, Expiry(_plans[p]), _plans[p].IdleRetention / SweepsARetention, _histories[p]);
        }
    }

    /// <summary>Moves the watermark without an event, for a source that is idle: labels become due, and what comes behind it by more than the grace is late.</summary>
    public void AdvanceWatermark(long micros)
    {
        if (micros > Watermark) { Watermark = micros; }
        ApplyDueLabels(Watermark);
    }

    // Past it no event that is still in time can find the entity's history young enough: it is over, and may be swept at any
    // moment without any view telling the difference.
    private long Expiry(EntityPlan plan) => Watermark - plan.IdleRetention - _grace;

    /// <summary>Where a row's keys and records stand until it is applied.</summary>
    private int Place(int i) => (i & (AheadRows * 2 - 1)) * _plans.Length;

    private void FindKeys(TransactionBatch batch, int row, int place)
    {
        ReadOnlySpan<EntityKey> keys = batch.Keys.Slice(row * batch.Schema.KeyFields.Count, batch.Schema.KeyFields.Count);
        for (int p = 0; p < _plans.Length; p++)
        {
            EntityKey key = _plans[p].KeyOf(keys);
            if (_scope.Owners > 1 && !_scope.Owns(key)) { key = default; } // another owner's: asked elsewhere, absent here
            _keys[place + p] = key;
            _tables[p].Prefetch(key);
        }
    }

    private void FindRecords(int place)
    {
        for (int p = 0; p < _plans.Length; p++)
        {
            // An absent key is no entity: the transactions without a device have no device in common.
            _records[place + p] = _keys[place + p] == default ? 0 : (nint)_tables[p].FindOrAddSoon(_keys[place + p]);
        }
    }

    private void ConfirmRecords(int place, long time)
    {
        for (int p = 0; p < _plans.Length; p++)
        {
            if (_records[place + p] == 0) { continue; }
            long* record = _tables[p].Confirm(_keys[place + p], (long*)_records[place + p]);
            _records[place + p] = (nint)record;
            if (_plans[p].EventWords > 0) { _histories[p].PrefetchRing(record, time); }
        }
    }

    private bool Apply(TransactionBatch batch, int row, int place, Span<double> view, bool givenLate)
    {
        long time = batch.EventTimes[row];
        bool late = _scope.Given is null ? time < Watermark - _grace : givenLate;
        if (time > Watermark) { Watermark = time; }
        ApplyDueLabels(Watermark);

        ReadOnlySpan<double> numbers = batch.Numbers.Slice(row * batch.Schema.NumberFields.Count, batch.Schema.NumberFields.Count);
        WriteStateless(numbers, time, view);

        var inputs = new ConditionInputs(batch, row, numbers, view);
        for (int p = 0; p < _plans.Length; p++)
        {
            EntityPlan plan = _plans[p];
            long* record = (long*)_records[place + p];
            if (record == null)
            {
                _histories[p].ApplyAbsent(view);
                _filterFlags[p] = 0;
                continue;
            }
            _filterFlags[p] = FilterFlags(plan, inputs);
            WriteEvent(plan, batch, row, numbers, time, _filterFlags[p]);
            _histories[p].Apply(record, _event, late, Expiry(plan), view);
        }

        WriteDerived(view);
        if (_labels is not null && !late) { AwaitLabel(batch, row, place, time); }
        return late;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void WriteStateless(ReadOnlySpan<double> numbers, long time, Span<double> view)
    {
        long local = _calendar.ToLocal(time);
        for (int i = 0; i < _stateless.Length; i++)
        {
            FeatureDefinition feature = _stateless[i];
            double value = feature.Source == FeatureSource.Field ? numbers[feature.Field] : Calendar.Read(feature, local);
            view[_statelessOutput[i]] = double.IsNaN(value) ? feature.Default : value;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private long FilterFlags(EntityPlan plan, in ConditionInputs inputs)
    {
        long flags = 0;
        for (int f = 0; f < plan.Filters.Length; f++)
        {
            if (_catalog.Filters[plan.Filters[f]].Condition.Evaluate(inputs)) { flags |= 2L << f; }
        }
        return flags;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void WriteDerived(Span<double> view)
    {
        for (int i = 0; i < _derived.Length; i++)
        {
            FeatureDefinition feature = _derived[i];
            double left = view[feature.Left], right = view[feature.Right];
            double value = feature.Source == FeatureSource.Difference ? left - right : right == 0 ? double.NaN : left / right;
            view[_derivedOutput[i]] = double.IsNaN(value) ? feature.Default : value;
        }
    }

    /// <summary>The row in ring form, into <see cref="_event"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void WriteEvent(EntityPlan plan, TransactionBatch batch, int row, ReadOnlySpan<double> numbers, long time, long flags)
    {
        long* e = _event;
        e[0] = time << EntityPlan.FlagBits | flags;
        int word = 1;
        foreach (int number in plan.EventNumbers) { *(double*)(e + word++) = numbers[number]; }
        foreach (int key in plan.EventKeys)
        {
            EntityKey distinct = batch.Keys[row * batch.Schema.KeyFields.Count + key];
            e[word++] = (long)(distinct.High ^ distinct.Low);
        }
    }

    /// <summary>
    /// The view of a transaction that is in the history already, as of its event time: nothing is counted again. Of a
    /// whole history the smallest, largest and last value stay those of all events so far. <paramref name="view"/>: shape [FeatureCount].
    /// </summary>
    public void Answer(TransactionBatch batch, int row, Span<double> view)
    {
        long time = batch.EventTimes[row];
        ReadOnlySpan<double> numbers = batch.Numbers.Slice(row * batch.Schema.NumberFields.Count, batch.Schema.NumberFields.Count);
        WriteStateless(numbers, time, view);
        FindKeys(batch, row, 0);
        var inputs = new ConditionInputs(batch, row, numbers, view);
        for (int p = 0; p < _plans.Length; p++)
        {
            if (_keys[p] == default || !_tables[p].TryFind(_keys[p], out long* record))
            {
                _histories[p].ApplyAbsent(view);
                continue;
            }
            WriteEvent(_plans[p], batch, row, numbers, time, FilterFlags(_plans[p], inputs));
            _histories[p].Answer(record, _event, view);
        }
        WriteDerived(view);
    }

    /// <summary>
    /// Takes in that a transaction of earlier turned out positive; it must be one that <see cref="Build"/> took into the
    /// history (not late). The label counts from its due time on: <paramref name="knownAt"/>, or event time plus the
    /// stream's delay; at once when that is over. The state is then the same as if the label had been known up front.
    /// </summary>
    /// <returns>False when the label was learned before, or is due so long after its event that no window holds it any more.</returns>
    public bool Learn(TransactionBatch batch, int row, long? knownAt)
    {
        if (_labelPlans.Length == 0) { return false; }
        long time = batch.EventTimes[row], due = knownAt ?? time + _catalog.Schema.LabelDelay;
        if (!_learned.TryAdd(batch.EventKeys[row], time, due, Watermark)) { return false; }
        ReadOnlySpan<double> numbers = batch.Numbers.Slice(row * batch.Schema.NumberFields.Count, batch.Schema.NumberFields.Count);
        double[] view = new double[FeatureCount]; // only filters read it
        WriteStateless(numbers, time, view);
        FindKeys(batch, row, 0);
        var inputs = new ConditionInputs(batch, row, numbers, view);
        foreach (int p in _labelPlans) { _filterFlags[p] = _keys[p] == default ? 0 : FilterFlags(_plans[p], inputs); }
        Await(0, due, time);
        ApplyDueLabels(Watermark);
        return true;
    }

    private void AwaitLabel(TransactionBatch batch, int row, int place, long time)
    {
        if (_labelPlans.Length == 0 || !_labels!.IsPositive(batch.EventKeys[row], out long? knownAt)) { return; }
        Await(place, knownAt ?? time + _catalog.Schema.LabelDelay, time);
    }

    private void Await(int place, long due, long time)
    {
        if (due - time > _learned.Reach) { return; }
        Span<long> words = _labelQueue.Insert(due, time);
        for (int i = 0; i < _labelPlans.Length; i++)
        {
            EntityKey key = _keys[place + _labelPlans[i]];
            words[i * 3] = (long)key.High;
            words[i * 3 + 1] = (long)key.Low;
            words[i * 3 + 2] = _filterFlags[_labelPlans[i]];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void ApplyDueLabels(long now)
    {
        if (_labelQueue.Count == 0) { return; }
        while (_labelQueue.TryTake(now, out long time, out ReadOnlySpan<long> entities))
        {
            for (int i = 0; i < _labelPlans.Length; i++)
            {
                var key = new EntityKey((ulong)entities[i * 3], (ulong)entities[i * 3 + 1]);
                if (_tables[_labelPlans[i]].TryFind(key, out long* record)) { _histories[_labelPlans[i]].ApplyLabel(record, time, entities[i * 3 + 2]); }
            }
        }
    }

    // First word of a snapshot. It changes with the layout of records, so that no build reads another's.
    private const long SnapshotFormat = 0x5249_534B_0000_0003;

    /// <summary>Writes the whole state; <see cref="Restore"/> reads it into an engine of the same catalog, bit for bit.</summary>
    public void Save(System.Buffers.IBufferWriter<byte> output)
    {
        SnapshotWords.Write(output, [SnapshotFormat, Watermark, _labelQueue.Words.Length]);
        SnapshotWords.Write(output, _labelQueue.Words);
        _learned.Save(output);
        for (int p = 0; p < _plans.Length; p++)
        {
            EntityHistory history = _histories[p];
            SnapshotWords.Write(output, [_tables[p].Count]);
            _tables[p].ForEach(record => history.Save((long*)record, output));
        }
    }

    /// <summary>Reads what <see cref="Save"/> wrote into a fresh engine; the caller has checked that catalog and bytes are the same.</summary>
    /// <exception cref="InvalidDataException">The snapshot is of a build with another layout.</exception>
    public void Restore(ReadOnlySpan<byte> snapshot)
    {
        var input = new SnapshotWords.Reader(snapshot);
        if (input.Next() != SnapshotFormat) { throw new InvalidDataException("the feature snapshot is of a build that lays out its state differently"); }
        Watermark = input.Next();
        _labelQueue.Restore(input.Next((int)input.Next()));
        _learned.Restore(ref input);
        for (int p = 0; p < _plans.Length; p++)
        {
            long count = input.Next();
            for (long n = 0; n < count; n++)
            {
                var key = new EntityKey((ulong)input.Next(), (ulong)input.Next());
                _histories[p].Restore(_tables[p].FindOrAdd(key), ref input);
            }
        }
    }
}
