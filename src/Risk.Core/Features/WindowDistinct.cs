using System.Runtime.CompilerServices;

namespace Risk.Core.Features;

/// <summary>
/// Distinct count over a sliding window: value hash to the number of its events in the window, open addressing, deletion
/// by backward shift. State words: pointer, used and capacity (two uint32). Entry: hash (0 = empty), count.
/// </summary>
internal static unsafe class WindowDistinct
{
    private const int Pointer = 0, Sizes = 1, EntryWords = 2, CapacityMin = 4;

    public static uint Count(long* state) => (uint)state[Sizes];

    public static void Enter(long* state, BlockArena arena, ulong hash)
    {
        uint used = (uint)state[Sizes], capacity = (uint)(state[Sizes] >> 32);
        if ((used + 1) * 4UL > capacity * 3UL)
        {
            Grow(state, arena);
            capacity = (uint)(state[Sizes] >> 32);
        }
        long* entries = (long*)state[Pointer];
        hash |= 1; // 0 marks an empty entry
        for (uint i = (uint)(hash >> 32) & (capacity - 1); ; i = (i + 1) & (capacity - 1))
        {
            long* entry = entries + i * EntryWords;
            if (*entry == 0)
            {
                entry[0] = (long)hash;
                entry[1] = 1;
                state[Sizes]++;
                return;
            }
            if (*entry == (long)hash) { entry[1]++; return; }
        }
    }

    public static void Leave(long* state, ulong hash)
    {
        uint mask = (uint)(state[Sizes] >> 32) - 1;
        long* entries = (long*)state[Pointer];
        hash |= 1;
        uint i = (uint)(hash >> 32) & mask;
        while (entries[i * EntryWords] != (long)hash) { i = (i + 1) & mask; }
        if (--entries[i * EntryWords + 1] > 0) { return; }
        state[Sizes]--;
        uint hole = i;
        for (uint next = (i + 1) & mask; entries[next * EntryWords] != 0; next = (next + 1) & mask)
        {
            uint home = (uint)((ulong)entries[next * EntryWords] >> 32) & mask;
            if (((next - home) & mask) >= ((next - hole) & mask))
            {
                entries[hole * EntryWords] = entries[next * EntryWords];
                entries[hole * EntryWords + 1] = entries[next * EntryWords + 1];
                hole = next;
            }
        }
        entries[hole * EntryWords] = 0;
    }

    public static void Clear(long* state)
    {
        long capacity = state[Sizes] >> 32;
        if (capacity > 0) { new Span<long>((long*)state[Pointer], (int)capacity * EntryWords).Clear(); }
        state[Sizes] = capacity << 32;
    }

    public static void Release(long* state, BlockArena arena)
    {
        int capacity = (int)(state[Sizes] >> 32);
        if (capacity > 0) { arena.Return((long*)state[Pointer], capacity * EntryWords); }
        state[Pointer] = state[Sizes] = 0;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Grow(long* state, BlockArena arena)
    {
        uint oldCapacity = (uint)(state[Sizes] >> 32);
        long* old = (long*)state[Pointer];
        uint capacity = Math.Max(CapacityMin, oldCapacity * 2);
        int words = (int)capacity * EntryWords;
        long* grown = arena.Rent(ref words);
        new Span<long>(grown, (int)capacity * EntryWords).Clear();
        for (uint n = 0; n < oldCapacity; n++)
        {
            ulong hash = (ulong)old[n * EntryWords];
            if (hash == 0) { continue; }
            uint i = (uint)(hash >> 32) & (capacity - 1);
            while (grown[i * EntryWords] != 0) { i = (i + 1) & (capacity - 1); }
            grown[i * EntryWords] = (long)hash;
            grown[i * EntryWords + 1] = old[n * EntryWords + 1];
        }
        if (old != null) { arena.Return(old, (int)oldCapacity * EntryWords); }
        state[Pointer] = (long)grown;
        state[Sizes] = (long)capacity << 32 | (uint)state[Sizes];
    }
}
