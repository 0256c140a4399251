using System.Runtime.CompilerServices;

namespace Risk.Inference.Forests;

/// <summary>
/// Walks a tile of rows (64, or 32 with AVX2) through one tree at a time, the rows in the lanes. All nodes of a level are
/// compared for all rows, one instruction a node, and the answers that count are picked level by level: the root's answer
/// picks between its children's answers, those two pick among the four below, and so on. After six levels six vectors hold
/// the six bits of each row's exit. A tree of depth 6 takes about 300 instructions, whatever the number of rows in the tile.
/// Ranks lie slot-major, so any number of slots will do. Serves forests of depth ≤ 6 only.
/// Intrinsics and pointers are paid for by <c>risk bench tree-score</c>.
/// </summary>
internal sealed unsafe class TileWalk<TLanes, TVector> : ITileWalk
    where TLanes : struct, ITileLanes<TVector>
    where TVector : struct
{
    private const int Width = ForestPieces.Width;

    private readonly AlignedBuffer<int> _slotOffsets; // [tree, 64]: slot · rows of a tile
    private readonly AlignedBuffer<byte> _addends; // [tree, 64]: 254 − k, see ITileLanes.Compare
    private readonly AlignedBuffer<float> _exits; // [tree, 64]
    private readonly byte[] _depths;

    public TileWalk(ForestPieces pieces, RankPlan plan)
    {
        var count = pieces.TreeCount;
        _slotOffsets = new AlignedBuffer<int>(count * Width);
        _addends = new AlignedBuffer<byte>(count * Width);
        _exits = new AlignedBuffer<float>(count * Width);
        _depths = new byte[count];
        for (var t = 0; t < count; t++)
        {
            var piece = pieces.Pieces[t];
            _depths[t] = (byte)piece.Depth;
            piece.ExitValues.CopyTo(_exits.Span[(t * Width)..]);
            for (var i = 1; i < Width; i++)
            {
                // A padded node may answer what it likes: both of its sides end at the same leaf.
                if (piece.Nodes[i] is { } node)
                {
                    var (slot, rank) = plan.Place(node);
                    _slotOffsets.Span[(t * Width) + i] = slot * TLanes.RowCount;
                    _addends.Span[(t * Width) + i] = (byte)(254 - rank);
                }
            }
        }
    }

    public int RowCount => TLanes.RowCount;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // never at tier 0, where vectors are slower than a binary search (risk bench tree-score)
    public void Add(byte* ranks, float* margins)
    {
        for (var t = 0; t < _depths.Length; t++)
        {
            var tree = new Tree(ranks, _slotOffsets.Pointer + (t * Width), _addends.Pointer + (t * Width));
            var (a, b, c, d, e, f) = (default(TVector), default(TVector), default(TVector), default(TVector), default(TVector), default(TVector));
            var depth = _depths[t];
            if (depth > 0)
            {
                a = tree.Answer(1);
            }

            if (depth > 1)
            {
                b = tree.Pick2(2, a);
            }

            if (depth > 2)
            {
                c = tree.Pick4(4, a, b);
            }

            if (depth > 3)
            {
                d = tree.Pick8(8, a, b, c);
            }

            if (depth > 4)
            {
                e = tree.Pick16(16, a, b, c, d);
            }

            if (depth > 5)
            {
                f = TLanes.Select(a, tree.Pick16(48, b, c, d, e), tree.Pick16(32, b, c, d, e));
            }

            TLanes.AddExits(a, b, c, d, e, f, _exits.Pointer + (t * Width), margins);
        }
    }

    /// <summary>One tree's nodes over one tile; <c>PickN(first, …)</c> answers for N neighbouring nodes of a level, the picking bits from the top down.</summary>
    private readonly struct Tree(byte* ranks, int* slotOffsets, byte* addends)
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVector Answer(int node) => TLanes.Compare(ranks + slotOffsets[node], addends + node);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVector Pick2(int first, TVector a) => TLanes.Select(a, Answer(first + 1), Answer(first));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVector Pick4(int first, TVector a, TVector b) => TLanes.Select(a, Pick2(first + 2, b), Pick2(first, b));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVector Pick8(int first, TVector a, TVector b, TVector c) => TLanes.Select(a, Pick4(first + 4, b, c), Pick4(first, b, c));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVector Pick16(int first, TVector a, TVector b, TVector c, TVector d) => TLanes.Select(a, Pick8(first + 8, b, c, d), Pick8(first, b, c, d));
    }
}

/// <summary>A walk over whole tiles, whichever the lanes.</summary>
internal unsafe interface ITileWalk
{
    /// <summary>Rows of a tile; always all of them are walked.</summary>
    int RowCount { get; }

    /// <summary>Adds the leaves of every tree, in tree order, to the rows' margins.</summary>
    /// <param name="ranks">Slot-major, <see cref="RowCount"/> bytes a slot, aligned to that size.</param>
    /// <param name="margins"><see cref="RowCount"/> floats, aligned to 64 bytes; start at 0.</param>
    void Add(byte* ranks, float* margins);
}
