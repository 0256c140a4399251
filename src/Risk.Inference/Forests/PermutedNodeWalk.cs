using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Risk.Inference.Forests;

/// <summary>
/// Walks one ranked row through a piece of 63 nodes at a time (AVX-512 VBMI). The row is a register of 64 slots (or two, 128):
/// one byte permute brings each node its slot, one unsigned compare answers all 63 nodes, and six steps
/// <c>i = 2i + bit i</c> through the 64-bit answer end at the exit. It costs the same a row at any batch size, so it serves
/// small batches and deep trees; <see cref="TileWalk{TLanes, TVector}"/> is faster once some 16 rows share a tree.
/// Intrinsics and pointers are paid for by <c>risk bench tree-score</c>.
/// </summary>
internal sealed unsafe class PermutedNodeWalk
{
    public const int SlotCountMax = 128;
    private const int Width = ForestPieces.Width;

    private readonly AlignedBuffer<byte> _nodes; // a piece: 64 slot numbers, 64 ranks
    private readonly AlignedBuffer<float> _exitValues; // [piece, 64]
    private readonly AlignedBuffer<int> _exitPieces; // [piece, 64]; empty when every piece is a whole tree
    private readonly int _treeCount;

    public PermutedNodeWalk(ForestPieces pieces, RankPlan plan)
    {
        _treeCount = pieces.TreeCount;
        RowSize = plan.Slots.Count <= Width ? Width : 2 * Width;
        _nodes = new AlignedBuffer<byte>(pieces.Pieces.Count * 2 * Width);
        _exitValues = new AlignedBuffer<float>(pieces.Pieces.Count * Width);
        _exitPieces = new AlignedBuffer<int>(pieces.IsSingleStep ? 0 : pieces.Pieces.Count * Width);
        for (var p = 0; p < pieces.Pieces.Count; p++)
        {
            var piece = pieces.Pieces[p];
            var slots = _nodes.Span.Slice(p * 2 * Width, Width);
            var ranks = _nodes.Span.Slice((p * 2 * Width) + Width, Width);
            ranks.Fill(byte.MaxValue); // nothing is above: a padded node goes left
            for (var i = 1; i < Width; i++)
            {
                if (piece.Nodes[i] is { } node)
                {
                    var (slot, rank) = plan.Place(node);
                    (slots[i], ranks[i]) = ((byte)slot, rank);
                }
            }

            piece.ExitValues.CopyTo(_exitValues.Span[(p * Width)..]);
            if (_exitPieces.Length > 0)
            {
                piece.ExitPieces.CopyTo(_exitPieces.Span[(p * Width)..]);
            }
        }
    }

    public static bool IsSupported => Avx512Vbmi.IsSupported;

    /// <summary>Bytes of one ranked row: 64 or 128, one a slot.</summary>
    public int RowSize { get; }

    /// <summary>Adds each row's leaves, in tree order, to its margin.</summary>
    /// <param name="ranks">Row-major, <see cref="RowSize"/> bytes a row, 64-byte aligned.</param>
    /// <param name="margins">One float a row; starts at 0.</param>
    public void Add(byte* ranks, int rowCount, float* margins)
    {
        if (_exitPieces.Length > 0)
        {
            AddDeep(ranks, rowCount, margins);
        }
        else if (RowSize == Width)
        {
            Add<OneRegister>(ranks, rowCount, margins);
        }
        else
        {
            Add<TwoRegisters>(ranks, rowCount, margins);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // never at tier 0, where vectors are slower than a binary search (risk bench tree-score)
    private void Add<TRow>(byte* ranks, int rowCount, float* margins)
        where TRow : struct, IRankedRow
    {
        var nodes = _nodes.Pointer;
        var exits = _exitValues.Pointer;
        for (var t = 0; t < _treeCount; t++, nodes += 2 * Width, exits += Width)
        {
            var slots = Vector512.LoadAligned(nodes);
            var thresholds = Vector512.LoadAligned(nodes + Width);
            var row = ranks;
            for (var r = 0; r < rowCount; r++, row += TRow.Size)
            {
                margins[r] += exits[Exit(Vector512.GreaterThan(TRow.Permute(row, slots), thresholds).ExtractMostSignificantBits())];
            }
        }
    }

    private void AddDeep(byte* ranks, int rowCount, float* margins)
    {
        for (var t = 0; t < _treeCount; t++)
        {
            for (var r = 0; r < rowCount; r++)
            {
                margins[r] += RowSize == Width ? Leaf<OneRegister>(ranks + ((nint)r * Width), t) : Leaf<TwoRegisters>(ranks + ((nint)r * 2 * Width), t);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // never at tier 0, where vectors are slower than a binary search (risk bench tree-score)
    private float Leaf<TRow>(byte* row, int tree)
        where TRow : struct, IRankedRow
    {
        var piece = (nint)tree;
        while (true)
        {
            var nodes = _nodes.Pointer + (piece * 2 * Width);
            var exit = (piece * Width) + Exit(Vector512.GreaterThan(TRow.Permute(row, Vector512.LoadAligned(nodes)), Vector512.LoadAligned(nodes + Width)).ExtractMostSignificantBits());
            piece = _exitPieces.Pointer[exit];
            if (piece == 0)
            {
                return _exitValues.Pointer[exit];
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static nint Exit(ulong goesRight)
    {
        var i = 2 + ((goesRight >> 1) & 1);
        i = (2 * i) + ((goesRight >> (int)i) & 1);
        i = (2 * i) + ((goesRight >> (int)i) & 1);
        i = (2 * i) + ((goesRight >> (int)i) & 1);
        i = (2 * i) + ((goesRight >> (int)i) & 1);
        i = (2 * i) + ((goesRight >> (int)i) & 1);
        return (nint)i - Width;
    }

    private interface IRankedRow
    {
        static abstract int Size { get; }

        static abstract Vector512<byte> Permute(byte* row, Vector512<byte> slots);
    }

    private readonly struct OneRegister : IRankedRow
    {
        public static int Size => Width;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<byte> Permute(byte* row, Vector512<byte> slots) => Avx512Vbmi.PermuteVar64x8(Vector512.LoadAligned(row), slots);
    }

    private readonly struct TwoRegisters : IRankedRow
    {
        public static int Size => 2 * Width;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<byte> Permute(byte* row, Vector512<byte> slots) =>
            Avx512Vbmi.PermuteVar64x8x2(Vector512.LoadAligned(row), slots, Vector512.LoadAligned(row + Width));
    }
}
