using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Risk.Core.Features;

/// <summary>
/// One entity's history: applies an event to its state record and writes the features read from it. Windows are exact an
/// event: (t − delay − W, t − delay], ties included. Each event enters and leaves each window once (amortised O(1));
/// an event that arrives out of order is rare and is answered by scanning the ring.
/// </summary>
internal sealed unsafe class EntityHistory
{
    private const int RingCapacityMin = 4;
    private const long Never = long.MaxValue;
    private const long NoEvent = -1;

    private readonly EntityPlan _plan;
    private readonly BlockArena _arena;
    private readonly long _grace;
    private readonly long* _scratch;
    // Place in the ring of the event that is being answered again, which is not one of the events before it.
    private long _answered = NoEvent;

    public EntityHistory(EntityPlan plan, BlockArena arena, long grace)
    {
        _plan = plan;
        _arena = arena;
        _grace = grace;
        _scratch = arena.CutZeroed(plan.RecordWords);
    }

    /// <summary>
    /// Writes the features of the event and takes the event into the history. <paramref name="e"/>: the event in ring form
    /// (word 0 time and flags). <paramref name="late"/>: beyond grace, so it is answered but changes nothing.
    /// <paramref name="expiry"/>: a history whose newest event lies before it is over, whether the sweep was here or not.
    /// </summary>
    public void Apply(long* record, long* e, bool late, long expiry, Span<double> view)
    {
        long time = Time(e);
        if (record[EntityPlan.LastTime] < expiry) { Forget(record); }
        long newest = record[EntityPlan.LastTime];
        if (late || time < newest)
        {
            ApplyOutOfOrder(record, e, late, view);
            return;
        }
        if (newest == 0 || time - newest > _plan.IdleRetention) { StartAfresh(record, time); }

        foreach (EntityPlan.Group group in _plan.Groups)
        {
            if (group.Finite) { Advance(record, group, time); }
        }
        foreach (ref readonly EntityPlan.Emission emission in _plan.Before.AsSpan()) { Emit(record, emission, time, view); }

        uint index = _plan.EventWords > 0 ? Append(record, e) : 0;
        foreach (EntityPlan.Group group in _plan.Groups)
        {
            if (!group.Finite) { EnterHistory(record, group, e); }
            else if (group.Delay == 0) { EnterNow(record, group, e, index); }
            else if (record[group.Offset + EntityPlan.NextEnter] == Never) { record[group.Offset + EntityPlan.NextEnter] = time + group.Delay; }
        }
        record[EntityPlan.LastTime] = time;
        foreach (ref readonly EntityPlan.Emission emission in _plan.After.AsSpan()) { Emit(record, emission, time, view); }
    }

    /// <summary>The features of a transaction that has no such entity (an absent key): no events, nothing kept.</summary>
    public void ApplyAbsent(Span<double> view)
    {
        foreach (ref readonly EntityPlan.Emission emission in _plan.Before.AsSpan()) { view[emission.Output] = WithoutEvents(emission); }
        foreach (ref readonly EntityPlan.Emission emission in _plan.After.AsSpan()) { view[emission.Output] = WithoutEvents(emission); }
    }

    /// <summary>A fraud label for an event of this entity arrived; false when the event is gone (older than every window) or was never taken in.</summary>
    public bool ApplyLabel(long* record, long time, long filterFlags)
    {
        bool found = false;
        // An event of before the entity started afresh: it is forgotten, and so is its label.
        if (record[EntityPlan.LastTime] == 0 || time < record[EntityPlan.FirstTime]) { return false; }
        if (_plan.EventWords > 0)
        {
            for (uint i = UpperBound(record, time); i != First(record); i--)
            {
                long* e = Event(record, i - 1);
                if (Time(e) != time) { break; }
                // Equal time and equal filters: such events are interchangeable in every label aggregate.
                if ((*e & ((1L << EntityPlan.FlagBits) - 1)) != filterFlags) { continue; }
                *e |= EntityPlan.LabelFlag;
                foreach (EntityPlan.Group group in _plan.Groups)
                {
                    if (group.Finite && Passes(group, filterFlags) && Inside(record + group.Offset, i - 1)) { record[group.Offset + EntityPlan.FiniteCounts] += 1L << 32; }
                }
                found = true;
                break;
            }
        }
        foreach (EntityPlan.Group group in _plan.Groups)
        {
            if (!group.Finite && Passes(group, filterFlags)) { record[group.Offset + EntityPlan.HistoryCounts] += 1L << 32; }
        }
        return found;
    }

    /// <summary>Brings the places of the ring into the cache that an event of <paramref name="time"/> will need: where it goes, and what enters and leaves each window. Bench: feature-update.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void PrefetchRing(long* record, long time)
    {
        if (!Sse.IsSupported || record[EntityPlan.RingPointer] == 0) { return; }
        Sse.Prefetch0(Event(record, (uint)(record[EntityPlan.RingBounds] >> 32)));
        foreach (EntityPlan.Group group in _plan.Groups)
        {
            if (!group.Finite) { continue; }
            long* g = record + group.Offset;
            if (g[EntityPlan.NextLeave] <= time)
            {
                Sse.Prefetch0(Event(record, Start(g)));
                Sse.Prefetch0(Event(record, Start(g) + 1)); // the next to leave
            }
            if (group.Delay > 0 && g[EntityPlan.NextEnter] <= time) { Sse.Prefetch0(Event(record, End(g))); }
        }
    }

    /// <summary>Writes the record and its ring; extremes and distinct counters follow from the ring.</summary>
    public void Save(long* record, System.Buffers.IBufferWriter<byte> output)
    {
        // Addresses mean nothing outside this run: without them the same state gives the same bytes.
        new ReadOnlySpan<long>(record, _plan.RecordWords).CopyTo(new Span<long>(_scratch, _plan.RecordWords));
        _scratch[EntityPlan.RingPointer] = 0;
        foreach (EntityPlan.Group group in _plan.Groups)
        {
            foreach (ref readonly EntityPlan.Part part in group.Parts.AsSpan())
            {
                if (FollowsFromRing(group, part)) { new Span<long>(_scratch + part.Offset, EntityPlan.PartWords(part.Kind, true)).Clear(); }
            }
        }
        SnapshotWords.Write(output, new ReadOnlySpan<long>(_scratch, _plan.RecordWords)); // the key comes first
        if (_plan.EventWords == 0) { return; }
        for (uint i = First(record); i != (uint)(record[EntityPlan.RingBounds] >> 32); i++)
        {
            SnapshotWords.Write(output, new ReadOnlySpan<long>(Event(record, i), _plan.EventWords));
        }
    }

    /// <summary>Reads what <see cref="Save"/> wrote, from behind the key, into a fresh record.</summary>
    public void Restore(long* record, ref SnapshotWords.Reader input)
    {
        int words = _plan.RecordWords - EntityPlan.KeyWords;
        input.Next(words).CopyTo(new Span<long>(record + EntityPlan.KeyWords, words));
        if (_plan.EventWords == 0) { return; }
        if (record[EntityPlan.RingCapacity] > 0)
        {
            int ringWords = RingWords((int)record[EntityPlan.RingCapacity]);
            record[EntityPlan.RingPointer] = (long)_arena.Rent(ref ringWords);
        }
        for (uint i = First(record); i != (uint)(record[EntityPlan.RingBounds] >> 32); i++)
        {
            input.Next(_plan.EventWords).CopyTo(new Span<long>(Event(record, i), _plan.EventWords));
        }
        foreach (EntityPlan.Group group in _plan.Groups)
        {
            foreach (ref readonly EntityPlan.Part part in group.Parts.AsSpan())
            {
                if (FollowsFromRing(group, part)) { RefillPart(record, group, part); }
            }
        }
    }

    private static bool FollowsFromRing(EntityPlan.Group group, in EntityPlan.Part part) =>
        group.Finite && part.Kind is (EntityPlan.PartKind.Min or EntityPlan.PartKind.Max or EntityPlan.PartKind.Distinct);

    /// <summary>Gives back everything the record points to.</summary>
    public void Release(long* record)
    {
        if (_plan.EventWords > 0 && record[EntityPlan.RingPointer] != 0)
        {
            _arena.Return((long*)record[EntityPlan.RingPointer], RingWords((int)record[EntityPlan.RingCapacity]));
        }
        ReleaseParts(record);
    }

    // ---- the usual case: events in order ----

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Forget(long* record)
    {
        if (record[EntityPlan.LastTime] == 0) { return; }
        Release(record);
        new Span<long>(record + EntityPlan.KeyWords, _plan.RecordWords - EntityPlan.KeyWords).Clear();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void StartAfresh(long* record, long time)
    {
        Forget(record);
        record[EntityPlan.FirstTime] = time;
        foreach (EntityPlan.Group group in _plan.Groups)
        {
            if (group.Finite) { record[group.Offset + EntityPlan.NextLeave] = Never; }
            if (group.Delay > 0) { record[group.Offset + EntityPlan.NextEnter] = Never; }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Advance(long* record, EntityPlan.Group group, long time)
    {
        long* g = record + group.Offset;
        if (group.Delay > 0 && time >= g[EntityPlan.NextEnter]) { EnterDelayed(record, group, time); }
        if (time >= g[EntityPlan.NextLeave]) { LeaveExpired(record, group, time); }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void EnterDelayed(long* record, EntityPlan.Group group, long time)
    {
        long* g = record + group.Offset;
        uint end = End(g), ringEnd = (uint)(record[EntityPlan.RingBounds] >> 32);
        long next = Never;
        while (end != ringEnd)
        {
            long* e = Event(record, end);
            long enters = Time(e) + group.Delay;
            if (enters > time) { next = enters; break; }
            Enter(g, group, e, end);
            end++;
        }
        g[EntityPlan.Bounds] = (long)end << 32 | Start(g);
        g[EntityPlan.NextEnter] = next;
        g[EntityPlan.NextLeave] = NextLeave(record, group);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void LeaveExpired(long* record, EntityPlan.Group group, long time)
    {
        long* g = record + group.Offset;
        uint start = Start(g), end = End(g);
        long reach = group.Delay + group.Window;
        long next = Never;
        bool exact = true;
        while (start != end)
        {
            long* e = Event(record, start);
            long leaves = Time(e) + reach;
            if (leaves > time) { next = leaves; break; }
            exact &= Leave(g, group, e, start);
            start++;
        }
        g[EntityPlan.Bounds] = (long)end << 32 | start;
        g[EntityPlan.NextLeave] = next;
        if (!exact) { RebuildSums(record, group); }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void EnterNow(long* record, EntityPlan.Group group, long* e, uint index)
    {
        long* g = record + group.Offset;
        Enter(g, group, e, index);
        g[EntityPlan.Bounds] = (long)(index + 1) << 32 | Start(g);
        if (g[EntityPlan.NextLeave] == Never) { g[EntityPlan.NextLeave] = Time(e) + group.Window; }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Enter(long* g, EntityPlan.Group group, long* e, uint index)
    {
        if (!Passes(group, *e)) { return; }
        g[EntityPlan.FiniteCounts] += 1 + ((*e & EntityPlan.LabelFlag) << 32);
        foreach (ref readonly EntityPlan.Part part in group.Parts.AsSpan())
        {
            long* state = g - group.Offset + part.Offset;
            if (part.Kind == EntityPlan.PartKind.Sum) { DoubleDouble.Add((double*)state, *(double*)(e + part.EventWord)); } // by far the most frequent
            else { EnterPart(state, part, e, index); }
        }
    }

    private void EnterPart(long* state, in EntityPlan.Part part, long* e, uint index)
    {
        double value = *(double*)(e + part.EventWord);
        switch (part.Kind)
        {
            case EntityPlan.PartKind.Sum: DoubleDouble.Add((double*)state, value); break;
            case EntityPlan.PartKind.SumOfSquares: DoubleDouble.AddSquare((double*)state, value, 1); break;
            case EntityPlan.PartKind.Min: WindowExtreme.Enter(state, _arena, value, index, 1); break;
            case EntityPlan.PartKind.Max: WindowExtreme.Enter(state, _arena, value, index, -1); break;
            case EntityPlan.PartKind.Distinct: WindowDistinct.Enter(state, _arena, (ulong)e[part.EventWord]); break;
            default: break;
        }
    }

    /// <summary>False when so little of a sum is left that what it was rounded by before may show: it wants adding up anew.</summary>
    private static bool Leave(long* g, EntityPlan.Group group, long* e, uint index)
    {
        if (!Passes(group, *e)) { return true; }
        g[EntityPlan.FiniteCounts] -= 1 + ((*e & EntityPlan.LabelFlag) << 32);
        bool empty = (uint)g[EntityPlan.FiniteCounts] == 0, exact = true;
        foreach (ref readonly EntityPlan.Part part in group.Parts.AsSpan())
        {
            long* state = g - group.Offset + part.Offset;
            double value = *(double*)(e + part.EventWord);
            switch (part.Kind)
            {
                case EntityPlan.PartKind.Sum:
                    DoubleDouble.Add((double*)state, -value);
                    if (empty) { state[0] = state[1] = 0; }
                    exact &= DoubleDouble.Holds((double*)state, value) | empty;
                    break;
                case EntityPlan.PartKind.SumOfSquares:
                    DoubleDouble.AddSquare((double*)state, value, -1);
                    if (empty) { state[0] = state[1] = 0; }
                    exact &= DoubleDouble.Holds((double*)state, value * value) | empty;
                    break;
                case EntityPlan.PartKind.Min or EntityPlan.PartKind.Max: WindowExtreme.Leave(state, index); break;
                case EntityPlan.PartKind.Distinct: WindowDistinct.Leave(state, (ulong)e[part.EventWord]); break;
                default: break;
            }
        }
        return exact;
    }

    /// <summary>A payment of 10⁹ that left behind some of 10: the sums are added up again from the events.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void RebuildSums(long* record, EntityPlan.Group group)
    {
        foreach (ref readonly EntityPlan.Part part in group.Parts.AsSpan())
        {
            if (part.Kind is not (EntityPlan.PartKind.Sum or EntityPlan.PartKind.SumOfSquares)) { continue; }
            new Span<long>(record + part.Offset, EntityPlan.PartWords(part.Kind, true)).Clear();
            RefillPart(record, group, part);
        }
    }

    private static void EnterHistory(long* record, EntityPlan.Group group, long* e)
    {
        if (!Passes(group, *e)) { return; }
        long* g = record + group.Offset;
        long time = Time(e);
        bool first = (uint)g[EntityPlan.HistoryCounts] == 0;
        bool newest = first || time >= g[EntityPlan.HistoryLast];
        g[EntityPlan.HistoryCounts]++;
        if (newest) { g[EntityPlan.HistoryLast] = time; }
        if (first || time < g[EntityPlan.HistoryFirst]) { g[EntityPlan.HistoryFirst] = time; }
        foreach (ref readonly EntityPlan.Part part in group.Parts.AsSpan())
        {
            double* state = (double*)(record + part.Offset);
            double value = *(double*)(e + part.EventWord);
            switch (part.Kind)
            {
                case EntityPlan.PartKind.Sum: DoubleDouble.Add(state, value); break;
                case EntityPlan.PartKind.SumOfSquares: DoubleDouble.AddSquare(state, value, 1); break;
                case EntityPlan.PartKind.Min: *state = first ? value : Math.Min(*state, value); break;
                case EntityPlan.PartKind.Max: *state = first ? value : Math.Max(*state, value); break;
                case EntityPlan.PartKind.Last: if (newest) { *state = value; } break;
                default: break;
            }
        }
    }

    /// <summary>Puts the event at the end of the ring; its index.</summary>
    private uint Append(long* record, long* e)
    {
        uint first = First(record), end = (uint)(record[EntityPlan.RingBounds] >> 32);
        if (end - first == (uint)record[EntityPlan.RingCapacity]) { first = MakeRoom(record, Time(e)); }
        long* place = (long*)record[EntityPlan.RingPointer] + (end & ((uint)record[EntityPlan.RingCapacity] - 1)) * _plan.EventWords;
        for (int i = 0; i < _plan.EventWords; i++) { place[i] = e[i]; }
        record[EntityPlan.RingBounds] = (long)(end + 1) << 32 | first;
        return end;
    }

    /// <summary>Forgets events that no window and no late event can need any more; doubles the ring when that frees too little.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private uint MakeRoom(long* record, long time)
    {
        uint first = First(record), end = (uint)(record[EntityPlan.RingBounds] >> 32);
        uint capacity = (uint)record[EntityPlan.RingCapacity];
        long keepAfter = time - _plan.Horizon - _grace;
        while (first != end && Time(Event(record, first)) <= keepAfter) { first++; }
        if (end - first > capacity / 4 * 3 || capacity == 0)
        {
            uint grown = Math.Max(RingCapacityMin, capacity * 2);
            int words = RingWords((int)grown);
            long* ring = _arena.Rent(ref words);
            for (uint i = first; i != end; i++)
            {
                new ReadOnlySpan<long>(Event(record, i), _plan.EventWords).CopyTo(new Span<long>(ring + (i & (grown - 1)) * _plan.EventWords, _plan.EventWords));
            }
            if (capacity > 0) { _arena.Return((long*)record[EntityPlan.RingPointer], RingWords((int)capacity)); }
            record[EntityPlan.RingPointer] = (long)ring;
            record[EntityPlan.RingCapacity] = grown;
        }
        record[EntityPlan.RingBounds] = (long)end << 32 | first;
        return first;
    }

    // ---- the rare case: an event older than the entity's newest ----

    /// <summary>Answers from a scratch record filled by scanning the ring as of the event's own time, then puts the event where it belongs.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void ApplyOutOfOrder(long* record, long* e, bool late, Span<double> view)
    {
        long time = Time(e);
        BeginScratch(record);
        foreach (EntityPlan.Group group in _plan.Groups)
        {
            if (group.Finite) { FillScratch(record, group, time); }
        }
        foreach (ref readonly EntityPlan.Emission emission in _plan.Before.AsSpan()) { Emit(_scratch, emission, time, view); }

        // The event itself counts in its own view, also where it is too late to be kept.
        foreach (EntityPlan.Group group in _plan.Groups)
        {
            if (!group.Finite) { EnterHistory(_scratch, group, e); }
            else if (group.Delay == 0) { Enter(_scratch + group.Offset, group, e, End(_scratch + group.Offset)); }
        }
        foreach (ref readonly EntityPlan.Emission emission in _plan.After.AsSpan()) { Emit(_scratch, emission, time, view); }
        ReleaseParts(_scratch);
        if (!late) { Insert(record, e); }
    }

    /// <summary>
    /// The features of an event that is in the history, as of its own time, changing nothing: the event is taken out of
    /// the scratch, read before, put in again, read after. Where it is gone from the history it is answered like a late one.
    /// </summary>
    public void Answer(long* record, long* e, Span<double> view)
    {
        long time = Time(e);
        bool counted = record[EntityPlan.LastTime] != 0 && time >= record[EntityPlan.FirstTime] && time <= record[EntityPlan.LastTime];
        BeginScratch(record);
        foreach (EntityPlan.Group group in _plan.Groups)
        {
            if (group.Finite) { FillScratch(record, group, time, without: e); }
            else if (counted) { LeaveHistory(group, e); }
        }
        foreach (ref readonly EntityPlan.Emission emission in _plan.Before.AsSpan()) { Emit(_scratch, emission, time, view); }
        _answered = NoEvent;
        foreach (EntityPlan.Group group in _plan.Groups)
        {
            if (!group.Finite) { EnterHistory(_scratch, group, e); }
            else if (group.Delay == 0) { Enter(_scratch + group.Offset, group, e, End(_scratch + group.Offset)); }
        }
        foreach (ref readonly EntityPlan.Emission emission in _plan.After.AsSpan()) { Emit(_scratch, emission, time, view); }
        ReleaseParts(_scratch);
    }

    // What can be taken out of a whole history: its count and sums. Its extremes and its last value cannot.
    private void LeaveHistory(EntityPlan.Group group, long* e)
    {
        long* g = _scratch + group.Offset;
        if (!Passes(group, *e) || (uint)g[EntityPlan.HistoryCounts] == 0) { return; }
        g[EntityPlan.HistoryCounts]--;
        bool empty = (uint)g[EntityPlan.HistoryCounts] == 0;
        foreach (ref readonly EntityPlan.Part part in group.Parts.AsSpan())
        {
            double* state = (double*)(_scratch + part.Offset);
            double value = *(double*)(e + part.EventWord);
            if (part.Kind == EntityPlan.PartKind.Sum) { DoubleDouble.Add(state, -value); }
            else if (part.Kind == EntityPlan.PartKind.SumOfSquares) { DoubleDouble.AddSquare(state, value, -1); }
            else { continue; }
            if (empty) { state[0] = state[1] = 0; }
        }
    }

    private void FillScratch(long* record, EntityPlan.Group group, long time, long* without)
    {
        uint start = UpperBound(record, time - group.Delay - group.Window), end = UpperBound(record, time - group.Delay);
        long* g = _scratch + group.Offset;
        uint self = group.Delay > 0 ? end : FindSame(record, without, start, end);
        for (uint i = start; i != end; i++)
        {
            if (i != self) { Enter(g, group, Event(record, i), i); }
        }
        if (self != end) { _answered = self; }
        // The last event before this one is not this one.
        if (self + 1 == end) { end--; }
        g[EntityPlan.Bounds] = (long)end << 32 | start;
    }

    /// <summary>The event's place in the ring; <paramref name="end"/> when it is gone. Events that are alike in every word are one as good as the other.</summary>
    private uint FindSame(long* record, long* e, uint start, uint end)
    {
        for (uint i = end; i != start && Time(Event(record, i - 1)) == Time(e); i--)
        {
            if (IsSame(Event(record, i - 1), e)) { return i - 1; }
        }
        return end;
    }

    private bool IsSame(long* left, long* right)
    {
        if ((*left | EntityPlan.LabelFlag) != (*right | EntityPlan.LabelFlag)) { return false; }
        return new ReadOnlySpan<long>(left + 1, _plan.EventWords - 1).SequenceEqual(new ReadOnlySpan<long>(right + 1, _plan.EventWords - 1));
    }

    private void BeginScratch(long* record)
    {
        new ReadOnlySpan<long>(record, _plan.RecordWords).CopyTo(new Span<long>(_scratch, _plan.RecordWords));
        foreach (EntityPlan.Group group in _plan.Groups)
        {
            if (!group.Finite) { continue; }
            new Span<long>(_scratch + group.Offset, group.Words).Clear();
            foreach (ref readonly EntityPlan.Part part in group.Parts.AsSpan()) { new Span<long>(_scratch + part.Offset, EntityPlan.PartWords(part.Kind, true)).Clear(); }
        }
    }

    private void FillScratch(long* record, EntityPlan.Group group, long time)
    {
        uint start = UpperBound(record, time - group.Delay - group.Window), end = UpperBound(record, time - group.Delay);
        long* g = _scratch + group.Offset;
        for (uint i = start; i != end; i++) { Enter(g, group, Event(record, i), i); }
        g[EntityPlan.Bounds] = (long)end << 32 | start;
    }

    private void Insert(long* record, long* e)
    {
        long time = Time(e), newest = record[EntityPlan.LastTime];
        record[EntityPlan.FirstTime] = Math.Min(record[EntityPlan.FirstTime], time);
        foreach (EntityPlan.Group group in _plan.Groups)
        {
            if (!group.Finite) { EnterHistory(record, group, e); }
        }
        if (_plan.EventWords == 0) { return; }

        uint end = Append(record, e);
        uint place = end;
        for (; place != First(record) && Time(Event(record, place - 1)) > time; place--)
        {
            new ReadOnlySpan<long>(Event(record, place - 1), _plan.EventWords).CopyTo(new Span<long>(Event(record, place), _plan.EventWords));
        }
        new ReadOnlySpan<long>(e, _plan.EventWords).CopyTo(new Span<long>(Event(record, place), _plan.EventWords));

        foreach (EntityPlan.Group group in _plan.Groups)
        {
            if (!group.Finite) { continue; }
            long* g = record + group.Offset;
            uint start = Start(g), groupEnd = End(g);
            if (time <= newest - group.Delay - group.Window) { start++; groupEnd++; }
            else if (time <= newest - group.Delay)
            {
                groupEnd++;
                Enter(g, group, e, place);
            }
            g[EntityPlan.Bounds] = (long)groupEnd << 32 | start;
            RebuildExtremes(record, group);
            g[EntityPlan.NextLeave] = NextLeave(record, group);
            if (group.Delay > 0) { g[EntityPlan.NextEnter] = groupEnd == (uint)(record[EntityPlan.RingBounds] >> 32) ? Never : Time(Event(record, groupEnd)) + group.Delay; }
        }
    }

    /// <summary>Extremes name ring indices, which an insertion shifts.</summary>
    private void RebuildExtremes(long* record, EntityPlan.Group group)
    {
        foreach (ref readonly EntityPlan.Part part in group.Parts.AsSpan())
        {
            if (part.Kind is not (EntityPlan.PartKind.Min or EntityPlan.PartKind.Max)) { continue; }
            WindowExtreme.Clear(record + part.Offset);
            RefillPart(record, group, part);
        }
    }

    private void RefillPart(long* record, EntityPlan.Group group, in EntityPlan.Part part)
    {
        long* g = record + group.Offset;
        for (uint i = Start(g); i != End(g); i++)
        {
            if (Passes(group, *Event(record, i))) { EnterPart(record + part.Offset, part, Event(record, i), i); }
        }
    }

    private void ReleaseParts(long* record)
    {
        foreach (EntityPlan.Group group in _plan.Groups)
        {
            if (!group.Finite) { continue; }
            foreach (ref readonly EntityPlan.Part part in group.Parts.AsSpan())
            {
                if (part.Kind is EntityPlan.PartKind.Min or EntityPlan.PartKind.Max) { WindowExtreme.Release(record + part.Offset, _arena); }
                if (part.Kind is EntityPlan.PartKind.Distinct) { WindowDistinct.Release(record + part.Offset, _arena); }
            }
        }
    }

    // ---- reading ----

    private static double WithoutEvents(in EntityPlan.Emission emission) => emission.Kind is AggregateKind.Count or AggregateKind.LabelCount ? 0 : emission.Default;

    private void Emit(long* record, in EntityPlan.Emission emission, long time, Span<double> view)
    {
        long counts = record[emission.Counts];
        uint count = (uint)counts;
        if (emission.Kind == AggregateKind.Count)
        {
            view[emission.Output] = count;
            return;
        }
        if (emission.Kind == AggregateKind.Sum)
        {
            view[emission.Output] = count == 0 ? emission.Default : *(double*)(record + emission.Part);
            return;
        }
        EmitOther(record, emission, counts, time, view);
    }

    private void EmitOther(long* record, in EntityPlan.Emission emission, long counts, long time, Span<double> view)
    {
        long* g = record + emission.Group.Offset;
        bool finite = emission.Group.Finite;
        uint count = (uint)counts;
        double value = emission.Kind switch
        {
            AggregateKind.LabelCount => (uint)(counts >> 32),
            _ when count < emission.Nth => emission.Default,
            AggregateKind.LabelRate => (double)(uint)(counts >> 32) / count,
            AggregateKind.Mean => *(double*)(record + emission.Part) / count,
            AggregateKind.Std => Math.Sqrt(DoubleDouble.Variance((double*)(record + emission.Part), (double*)(record + emission.SecondPart), count)),
            AggregateKind.Min or AggregateKind.Max when finite => WindowExtreme.TryRead(record + emission.Part, out double extreme) ? extreme : emission.Default,
            AggregateKind.Min or AggregateKind.Max => *(double*)(record + emission.Part),
            AggregateKind.Distinct => WindowDistinct.Count(record + emission.Part),
            AggregateKind.Last when !finite => *(double*)(record + emission.Part),
            AggregateKind.TimeSinceLast when !finite => Seconds(Math.Max(0, time - g[EntityPlan.HistoryLast])),
            AggregateKind.TimeSinceFirst when !finite => Seconds(Math.Max(0, time - g[EntityPlan.HistoryFirst])),
            _ => ReadEvent(record, emission, time),
        };
        view[emission.Output] = value;
    }

    /// <summary>Windowed last values and times: the nth newest (or the oldest) event of the window that passes the filter; there are as many.</summary>
    private double ReadEvent(long* record, in EntityPlan.Emission emission, long time)
    {
        long* g = record + emission.Group.Offset;
        bool forward = emission.Kind == AggregateKind.TimeSinceFirst;
        bool isSkipping = emission.Group.FilterFlag != 0 || _answered != NoEvent;
        uint i = forward ? Start(g) : End(g) - (isSkipping ? 1 : (uint)emission.Nth);
        for (int left = emission.Nth; isSkipping; i += forward ? 1u : uint.MaxValue)
        {
            if (i != _answered && Passes(emission.Group, *Event(record, i)) && --left == 0) { break; }
        }
        long* e = Event(record, i);
        return emission.Kind == AggregateKind.Last ? *(double*)(e + emission.EventWord) : Seconds(time - Time(e));
    }

    // ---- words ----

    private static double Seconds(long micros) => micros * 1e-6;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static long Time(long* e) => *e >> EntityPlan.FlagBits;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Passes(EntityPlan.Group group, long flags) => (flags & group.FilterFlag) == group.FilterFlag;

    private static uint Start(long* g) => (uint)g[EntityPlan.Bounds];
    private static uint End(long* g) => (uint)(g[EntityPlan.Bounds] >> 32);
    private static uint First(long* record) => (uint)record[EntityPlan.RingBounds];
    private static bool Inside(long* g, uint index) => index - Start(g) < End(g) - Start(g);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private long* Event(long* record, uint index) =>
        (long*)record[EntityPlan.RingPointer] + (index & ((uint)record[EntityPlan.RingCapacity] - 1)) * _plan.EventWords;

    private int RingWords(int capacity) => (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)(capacity * _plan.EventWords));

    private long NextLeave(long* record, EntityPlan.Group group)
    {
        long* g = record + group.Offset;
        return Start(g) == End(g) ? Never : Time(Event(record, Start(g))) + group.Delay + group.Window;
    }

    /// <summary>Index after the last event with time ≤ <paramref name="time"/>.</summary>
    private uint UpperBound(long* record, long time)
    {
        uint low = First(record), high = (uint)(record[EntityPlan.RingBounds] >> 32);
        while (low != high)
        {
            uint middle = low + (high - low) / 2;
            if (Time(Event(record, middle)) <= time) { low = middle + 1; } else { high = middle; }
        }
        return low;
    }
}
