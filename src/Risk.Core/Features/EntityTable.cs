using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Risk.Core.Transactions;

namespace Risk.Core.Features;

/// <summary>
/// The entities of one kind: key to state record, open addressing with linear probing. A slot holds the low half of the key
/// and the record's address, four to a cache line; the whole key stands at the record's head. Records are a fixed number of
/// words, zero behind the key when new, at an address that never changes. An idle entity is dropped by <see cref="Sweep"/>.
/// </summary>
internal sealed unsafe class EntityTable
{
    /// <summary>This word of every record is the newest event time seen, which <see cref="Sweep"/> reads.</summary>
    internal const int LastTimeWord = EntityPlan.LastTime;

    private struct Slot
    {
        public ulong Low;
        public long* Record; // null = empty
    }

    private readonly BlockArena _arena;
    private readonly int _recordWords;
    private Slot[] _slots;
    private Slot* _first;
    private long* _freeRecords;
    private int _mask;
    private int _sweepPosition;
    private int _sweepLeft;
    private long _sweepNext;

    public EntityTable(BlockArena arena, int recordWords, int initialCapacity = 1024)
    {
        _arena = arena;
        _recordWords = recordWords;
        _slots = [];
        Resize(initialCapacity);
    }

    public int Count { get; private set; }
    public long IndexBytes => _slots.LongLength * sizeof(Slot);

    /// <summary>Brings the slot of a key that is needed soon into the cache. Bench: feature-update.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prefetch(in EntityKey key)
    {
        if (Sse.IsSupported) { Sse.Prefetch0(_first + ((int)key.Low & _mask)); }
    }

    /// <summary>
    /// The record of a key, created when new, as far as the low half of the key tells, and on its way into the cache:
    /// <see cref="Confirm"/> looks at the other half when it has arrived. Bench: feature-update.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public long* FindOrAddSoon(in EntityKey key)
    {
        for (int i = (int)key.Low & _mask; ; i = (i + 1) & _mask)
        {
            Slot* slot = _first + i;
            long* record = slot->Record;
            if (record == null) { return Add(key); }
            if (slot->Low != key.Low) { continue; }
            if (Sse.IsSupported)
            {
                for (int word = 0; word < _recordWords; word += 8) { Sse.Prefetch0(record + word); }
            }
            return record;
        }
    }

    /// <summary>The record of the whole key, from what <see cref="FindOrAddSoon"/> answered.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public long* Confirm(in EntityKey key, long* record) => (ulong)record[0] == key.High && (ulong)record[1] == key.Low ? record : FindOrAdd(key);

    [MethodImpl(MethodImplOptions.NoInlining)]
    public long* FindOrAdd(in EntityKey key) => TryFind(key, out long* record) ? record : Add(key);

    public bool TryFind(in EntityKey key, out long* record)
    {
        for (int i = (int)key.Low & _mask; ; i = (i + 1) & _mask)
        {
            Slot* slot = _first + i;
            record = slot->Record;
            if (record == null) { return false; }
            if (slot->Low == key.Low && (ulong)record[0] == key.High) { return true; }
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private long* Add(in EntityKey key)
    {
        if ((Count + 1) * 4L > _slots.Length * 3L) { Resize(_slots.Length * 2); }
        long* record = _freeRecords;
        if (record != null)
        {
            _freeRecords = (long*)*record;
            new Span<long>(record, _recordWords).Clear();
        }
        else { record = _arena.CutZeroed(_recordWords); }
        record[0] = (long)key.High;
        record[1] = (long)key.Low;
        Place(key.Low, record);
        Count++;
        return record;
    }

    private void Place(ulong low, long* record)
    {
        int i = (int)low & _mask;
        while (_first[i].Record != null) { i = (i + 1) & _mask; }
        _first[i].Low = low;
        _first[i].Record = record;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Resize(int capacity)
    {
        Slot[] old = _slots;
        _slots = GC.AllocateUninitializedArray<Slot>(capacity, pinned: true);
        _first = (Slot*)Unsafe.AsPointer(ref _slots[0]);
        _arena.Announce((nint)_first, capacity * (nint)sizeof(Slot));
        _slots.AsSpan().Clear();
        _mask = capacity - 1;
        foreach (ref readonly Slot slot in old.AsSpan())
        {
            if (slot.Record != null) { Place(slot.Low, slot.Record); }
        }
    }

    /// <summary>
    /// Looks at the next <paramref name="slots"/> slots and drops the entities whose newest event lies before
    /// <paramref name="before"/>; <paramref name="release"/> returns what their records point to. A round begins when
    /// <paramref name="before"/> has moved by <paramref name="pause"/> since the last: looking costs a cache miss a slot.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Sweep(int slots, long before, long pause, EntityHistory release)
    {
        if (before >= _sweepNext) { SweepSome(slots, before, pause, release); }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void SweepSome(int slots, long before, long pause, EntityHistory release)
    {
        if (_sweepLeft == 0) { _sweepLeft = _slots.Length; }
        slots = Math.Min(slots, _sweepLeft);
        _sweepLeft -= slots;
        if (_sweepLeft == 0) { _sweepNext = before + pause; }
        for (int n = 0; n < slots; n++)
        {
            _sweepPosition = (_sweepPosition + 1) & _mask;
            while (_first[_sweepPosition].Record != null && _first[_sweepPosition].Record[LastTimeWord] < before)
            {
                Remove(_sweepPosition, release);
            }
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Remove(int hole, EntityHistory release)
    {
        long* record = _first[hole].Record;
        release.Release(record);
        *record = (long)_freeRecords;
        _freeRecords = record;
        Count--;
        // Backward shift: no tombstones, so a probe never grows longer than the table is full.
        for (int i = (hole + 1) & _mask; _first[i].Record != null; i = (i + 1) & _mask)
        {
            int home = (int)_first[i].Low & _mask;
            if (((i - home) & _mask) >= ((i - hole) & _mask))
            {
                _first[hole] = _first[i];
                hole = i;
            }
        }
        _first[hole] = default;
    }

    /// <summary>Calls <paramref name="visit"/> for every record, in table order.</summary>
    public void ForEach(Action<nint> visit)
    {
        foreach (ref readonly Slot slot in _slots.AsSpan())
        {
            if (slot.Record != null) { visit((nint)slot.Record); }
        }
    }
}
