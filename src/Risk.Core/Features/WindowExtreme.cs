using System.Runtime.CompilerServices;

namespace Risk.Core.Features;

/// <summary>
/// Sliding minimum or maximum: a queue of (value, ring index) in which values only rise (minimum) or fall (maximum), so
/// the answer is its head and each event enters and leaves once. State words: pointer, head and tail (two uint32), capacity.
/// </summary>
internal static unsafe class WindowExtreme
{
    private const int Pointer = 0, Bounds = 1, Capacity = 2, EntryWords = 2, CapacityMin = 4;

    /// <summary>Appends a value; <paramref name="sign"/> +1 keeps a minimum, -1 a maximum.</summary>
    public static void Enter(long* state, BlockArena arena, double value, uint index, int sign)
    {
        uint head = (uint)state[Bounds], tail = (uint)(state[Bounds] >> 32);
        uint mask = (uint)state[Capacity] - 1;
        long* entries = (long*)state[Pointer];
        while (head != tail && sign * *(double*)&entries[((tail - 1) & mask) * EntryWords] >= sign * value) { tail--; }
        if (tail - head == (uint)state[Capacity])
        {
            entries = Grow(state, arena, head, tail);
            mask = (uint)state[Capacity] - 1;
        }
        long* entry = entries + (tail & mask) * EntryWords;
        *(double*)entry = value;
        entry[1] = index;
        state[Bounds] = (long)(tail + 1) << 32 | head;
    }

    /// <summary>The event at <paramref name="index"/> left the window.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Leave(long* state, uint index)
    {
        uint head = (uint)state[Bounds], tail = (uint)(state[Bounds] >> 32);
        if (head == tail) { return; }
        long* entry = (long*)state[Pointer] + (head & ((uint)state[Capacity] - 1)) * EntryWords;
        if ((uint)entry[1] == index) { state[Bounds] = (long)tail << 32 | (head + 1); }
    }

    /// <summary>The extreme; false when the window is empty.</summary>
    public static bool TryRead(long* state, out double value)
    {
        uint head = (uint)state[Bounds], tail = (uint)(state[Bounds] >> 32);
        value = head == tail ? 0 : *(double*)((long*)state[Pointer] + (head & ((uint)state[Capacity] - 1)) * EntryWords);
        return head != tail;
    }

    public static void Clear(long* state) => state[Bounds] = 0;

    public static void Release(long* state, BlockArena arena)
    {
        if (state[Pointer] != 0) { arena.Return((long*)state[Pointer], (int)state[Capacity] * EntryWords); }
        state[Pointer] = state[Bounds] = state[Capacity] = 0;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static long* Grow(long* state, BlockArena arena, uint head, uint tail)
    {
        uint oldMask = (uint)state[Capacity] - 1;
        long* old = (long*)state[Pointer];
        int capacity = Math.Max(CapacityMin, (int)state[Capacity] * 2);
        int words = capacity * EntryWords;
        long* grown = arena.Rent(ref words);
        for (uint i = head; i != tail; i++)
        {
            long* from = old + (i & oldMask) * EntryWords;
            long* to = grown + (i & (uint)(capacity - 1)) * EntryWords;
            to[0] = from[0];
            to[1] = from[1];
        }
        if (old != null) { arena.Return(old, (int)state[Capacity] * EntryWords); }
        state[Pointer] = (long)grown;
        state[Capacity] = capacity;
        return grown;
    }
}
