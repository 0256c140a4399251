using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Risk.Inference.Forests;

/// <summary>
/// Turns feature values into ranks: how many of a slot's thresholds are ≤ x, by two compare-and-count steps over 16 lanes.
/// A slot's thresholds lie in blocks of 16; the first step counts the blocks that are passed whole, the second counts inside
/// the block where x falls. Unused lanes are NaN, which is ≤ nothing.
/// Intrinsics and pointers are paid for by <c>risk bench tree-score</c>: a binary search took longer than the trees.
/// </summary>
internal sealed unsafe class RankTable
{
    private const int BlockSize = 16;

    private readonly Entry[] _entries;
    private readonly AlignedBuffer<float> _thresholds;

    public RankTable(RankPlan plan)
    {
        SlotCount = plan.Slots.Count;
        _entries = new Entry[SlotCount];
        var size = 0;
        for (var s = 0; s < SlotCount; s++)
        {
            var slot = plan.Slots[s];
            var blocks = (slot.Thresholds.Length + BlockSize - 1) / BlockSize;
            _entries[s] = new Entry(slot.Feature, size, blocks == 1, slot.MissingRight ? RankPlan.MissingRightRank : (byte)0);
            size += (blocks == 1 ? 1 : 1 + blocks) * BlockSize;
        }

        _thresholds = new AlignedBuffer<float>(size);
        _thresholds.Span.Fill(float.NaN);
        for (var s = 0; s < SlotCount; s++)
        {
            var source = plan.Slots[s].Thresholds;
            var target = _thresholds.Span[_entries[s].Start..];
            if (!_entries[s].IsOneBlock)
            {
                for (var last = BlockSize - 1; last < source.Length - 1; last += BlockSize)
                {
                    target[last / BlockSize] = source[last];
                }

                target = target[BlockSize..];
            }

            source.CopyTo(target);
        }
    }

    public int SlotCount { get; }


    /// <summary>Ranks some rows, slot after slot, so that a slot's thresholds stay in the nearest cache.</summary>
    /// <param name="rows">Row-major, <paramref name="featureCount"/> floats a row.</param>
    /// <param name="ranks">The rank of row r in slot s goes to <c>ranks[r · rowStride + s · slotStride]</c>.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // never at tier 0, where vectors are slower than a binary search (risk bench tree-score)
    public void RankAvx512(float* rows, int rowCount, int featureCount, byte* ranks, int rowStride, int slotStride)
    {
        var table = _thresholds.Pointer;
        for (var s = 0; s < _entries.Length; s++)
        {
            ref readonly var entry = ref _entries[s];
            var first = table + entry.Start;
            var pivots = Vector512.LoadAligned(first);
            var value = rows + entry.Feature;
            var target = ranks + ((nint)s * slotStride);
            for (var r = 0; r < rowCount; r++, value += featureCount, target += rowStride)
            {
                var x = Vector512.Create(*value);
                var rank = Count(pivots, x);
                if (!entry.IsOneBlock)
                {
                    rank = (rank * BlockSize) + Count(Vector512.LoadAligned(first + ((rank + 1) * BlockSize)), x);
                }

                *target = float.IsNaN(*value) ? entry.MissingRank : (byte)rank;
            }
        }
    }

    /// <summary>As <see cref="RankAvx512"/>, to the same ranks.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // never at tier 0, where vectors are slower than a binary search (risk bench tree-score)
    public void RankAvx2(float* rows, int rowCount, int featureCount, byte* ranks, int rowStride, int slotStride)
    {
        var table = _thresholds.Pointer;
        for (var s = 0; s < _entries.Length; s++)
        {
            ref readonly var entry = ref _entries[s];
            var first = table + entry.Start;
            var value = rows + entry.Feature;
            var target = ranks + ((nint)s * slotStride);
            for (var r = 0; r < rowCount; r++, value += featureCount, target += rowStride)
            {
                var x = Vector256.Create(*value);
                var rank = Count(first, x);
                if (!entry.IsOneBlock)
                {
                    rank = (rank * BlockSize) + Count(first + ((rank + 1) * BlockSize), x);
                }

                *target = float.IsNaN(*value) ? entry.MissingRank : (byte)rank;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Count(Vector512<float> thresholds, Vector512<float> x) =>
        BitOperations.PopCount(Vector512.LessThanOrEqual(thresholds, x).ExtractMostSignificantBits());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Count(float* thresholds, Vector256<float> x) =>
        BitOperations.PopCount(
            Vector256.LessThanOrEqual(Vector256.LoadAligned(thresholds), x).ExtractMostSignificantBits()
            | (Vector256.LessThanOrEqual(Vector256.LoadAligned(thresholds + 8), x).ExtractMostSignificantBits() << 8));

    /// <param name="Start">Offset of the slot's first block; with more than one block, of the pivots before them.</param>
    private readonly record struct Entry(int Feature, int Start, bool IsOneBlock, byte MissingRank);
}
