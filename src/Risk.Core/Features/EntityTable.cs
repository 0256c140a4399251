using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Risk.Core.Transactions;

namespace Risk.Core.Features;

/// <summary>
/// The entities of one kind: key to state record, open addressing with linear probing. Records are a fixed number of
/// words, zero when new, at an address that never changes. An idle entity is dropped by <see cref="Sweep"/>.
/// </summary>
internal sealed unsafe class EntityTable
{
    /// <summary>Word 0 of every record: the newest event time seen, which <see cref="Sweep"/> reads.</summary>
    internal const int LastTimeWord = 0;

    private struct Slot
    {
        public EntityKey Key;
        public long* Record; // null = empty
    }

    private readonly BlockArena _arena;
    private readonly int _recordWords;
    private Slot[] _slots;
    private Slot* _first;
    private int _mask;
    private int _sweepPosition;

    public EntityTable(BlockArena arena, int recordWords, int initialCapacity = 1024)
    {
        _arena = arena;
        _recordWords = recordWords;
        _slots = [];
        Resize(initialCapacity);
    }

    public int Count { get; private set; }
    public int RecordWords => _recordWords;
    public long IndexBytes => _slots.LongLength * sizeof(Slot);

    /// <summary>Brings the slot of a key that is needed soon into the cache. Bench: feature-update.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prefetch(in EntityKey key)
    {
        if (Sse.IsSupported) { Sse.Prefetch0(_first + ((int)key.Low & _mask)); }
    }

    /// <summary>The record of a key, created when new.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public long* FindOrAdd(in EntityKey key)
    {
        for (int i = (int)key.Low & _mask; ; i = (i + 1) & _mask)
        {
            Slot* slot = _first + i;
            if (slot->Record == null) { return Add(key); }
            if (slot->Key == key) { return slot->Record; }
        }
    }

    public bool TryFind(in EntityKey key, out long* record)
    {
        for (int i = (int)key.Low & _mask; ; i = (i + 1) & _mask)
        {
            Slot* slot = _first + i;
            record = slot->Record;
            if (record == null) { return false; }
            if (slot->Key == key) { return true; }
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private long* Add(in EntityKey key)
    {
        if ((Count + 1) * 4L > _slots.Length * 3L) { Resize(_slots.Length * 2); }
        int words = _recordWords;
        long* record = _arena.Rent(ref words);
        new Span<long>(record, _recordWords).Clear();
        Place(key, record);
        Count++;
        return record;
    }

    private void Place(in EntityKey key, long* record)
    {
        int i = (int)key.Low & _mask;
        while (_first[i].Record != null) { i = (i + 1) & _mask; }
        _first[i].Key = key;
        _first[i].Record = record;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Resize(int capacity)
    {
        Slot[] old = _slots;
        _slots = GC.AllocateArray<Slot>(capacity, pinned: true);
        _first = (Slot*)Unsafe.AsPointer(ref _slots[0]);
        _mask = capacity - 1;
        foreach (ref readonly Slot slot in old.AsSpan())
        {
            if (slot.Record != null) { Place(slot.Key, slot.Record); }
        }
    }

    /// <summary>
    /// Looks at the next <paramref name="slots"/> slots and drops the entities whose newest event lies before
    /// <paramref name="before"/>; <paramref name="release"/> returns what their records point to.
    /// </summary>
    public void Sweep(int slots, long before, EntityHistory release)
    {
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
        int words = _recordWords;
        _arena.Return(record, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)words));
        Count--;
        // Backward shift: no tombstones, so a probe never grows longer than the table is full.
        for (int i = (hole + 1) & _mask; _first[i].Record != null; i = (i + 1) & _mask)
        {
            int home = (int)_first[i].Key.Low & _mask;
            if (((i - home) & _mask) >= ((i - hole) & _mask))
            {
                _first[hole] = _first[i];
                hole = i;
            }
        }
        _first[hole] = default;
    }

    /// <summary>Calls <paramref name="visit"/> for every entity, in table order.</summary>
    public void ForEach(Action<EntityKey, nint> visit)
    {
        foreach (ref readonly Slot slot in _slots.AsSpan())
        {
            if (slot.Record != null) { visit(slot.Key, (nint)slot.Record); }
        }
    }
}
