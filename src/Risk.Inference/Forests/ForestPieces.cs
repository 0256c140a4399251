using Risk.Core.Models;

namespace Risk.Inference.Forests;

/// <summary>
/// A forest cut into pieces of depth 6: 63 nodes in heap order (the children of i are 2i and 2i + 1, the root is 1) and 64
/// exits, each a leaf's value or the piece that goes on. A tree of depth ≤ 6 is one piece; shallower ones are padded.
/// Piece t is the root piece of tree t.
/// </summary>
internal sealed class ForestPieces
{
    public const int Depth = 6;
    public const int Width = 1 << Depth;

    /// <summary>Past this, pieces would take more memory than they are worth and the scalar walk serves: 640 bytes each.</summary>
    public const int CountMax = 131_072;

    private ForestPieces(List<Piece> pieces, int treeCount) => (Pieces, TreeCount) = (pieces, treeCount);

    public IReadOnlyList<Piece> Pieces { get; }

    public int TreeCount { get; }

    /// <summary>True when no exit leads on, so that a walk is always six steps.</summary>
    public bool IsSingleStep => Pieces.Count == TreeCount;

    /// <summary>The pieces, or null when there would be more than <see cref="CountMax"/>.</summary>
    public static ForestPieces? TryCut(Forest forest)
    {
        var pieces = new List<Piece>();
        var pending = new Queue<(int Tree, int Node, int Piece)>();
        for (var t = 0; t < forest.TreeCount; t++)
        {
            pieces.Add(new Piece());
            pending.Enqueue((t, 0, t));
        }

        while (pending.TryDequeue(out var root))
        {
            if (pieces.Count > CountMax)
            {
                return null;
            }

            Fill(forest.Tree(root.Tree), root.Node, 1, 0, pieces[root.Piece], next =>
            {
                pieces.Add(new Piece());
                pending.Enqueue((root.Tree, next, pieces.Count - 1));
                return pieces.Count - 1;
            });
        }

        return new ForestPieces(pieces, forest.TreeCount);
    }

    private static void Fill(ReadOnlySpan<ForestNode> tree, int node, int place, int depth, Piece piece, Func<int, int> goOn)
    {
        if (tree[node].IsLeaf || depth == Depth)
        {
            var width = Width >> depth;
            var exit = (place << (Depth - depth)) - Width;
            piece.ExitValues.AsSpan(exit, width).Fill(tree[node].Value);
            if (!tree[node].IsLeaf)
            {
                piece.ExitPieces[exit] = goOn(node);
            }

            return;
        }

        piece.Nodes[place] = tree[node];
        piece.Depth = Math.Max(piece.Depth, depth + 1);
        Fill(tree, tree[node].Left, 2 * place, depth + 1, piece, goOn);
        Fill(tree, tree[node].Right, (2 * place) + 1, depth + 1, piece, goOn);
    }

    internal sealed class Piece
    {
        /// <summary>Inner nodes in heap order; null where the tree is shallower, and at 0.</summary>
        public ForestNode?[] Nodes { get; } = new ForestNode?[Width];

        /// <summary>The leaf's value for each exit; 0 where the walk goes on.</summary>
        public float[] ExitValues { get; } = new float[Width];

        /// <summary>The piece that goes on, or 0 for a leaf (piece 0 is a root, so nothing leads there).</summary>
        public int[] ExitPieces { get; } = new int[Width];

        /// <summary>Decisions on the longest path inside the piece.</summary>
        public int Depth { get; set; }
    }
}
