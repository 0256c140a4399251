using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Risk.Core.Models;

namespace Risk.Core.Explanations;

/// <summary>
/// An inner node as <see cref="TreeShap"/> walks it. Everything that is looked up by it is given as an offset in bytes, so
/// that the walk multiplies nothing; vectors take 32 bytes.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ShapSplit
{
    /// <summary>Vectors of this node and of its children. A twig, both of whose children are leaves, uses only the first.</summary>
    public uint Place, Left, Right;

    /// <summary>The feature's vector of sums; its value in the row lies at an eighth of it.</summary>
    public uint Feature;

    public float Threshold;

    /// <summary>1 if a missing value goes right, else 0.</summary>
    public int MissingRight;

    /// <summary>State of the nearest ancestor that splits on the same feature; 0 without one.</summary>
    public uint Previous;

    /// <summary>Whether this node lies on that ancestor's right side (1) or left side (0); 0 without one.</summary>
    public int Side;

    /// <summary>Where this node's own state goes; unused by a twig, below which nothing splits.</summary>
    public uint State;

    /// <summary>Vectors q and g while the feature is still hot; 0 when no ancestor splits on it.</summary>
    public uint Factors;

    /// <summary>Shares of the node's training weight that went right and left: the cold child's share if the row goes left, if it goes right.</summary>
    public double RightShare, LeftShare;

    /// <summary>A twig's leaves.</summary>
    public double LeftValue, RightValue;
}

/// <summary>A leaf beside an inner node: where its value goes in the tree's working memory.</summary>
internal readonly record struct ShapLeaf(uint Place, double Value);

/// <summary>Where a tree's splits, twigs and leaves begin.</summary>
internal readonly record struct ShapTree(int Splits, int Twigs, int Leaves);

/// <summary>
/// What <see cref="TreeShap"/> computes once a forest: for each tree its inner nodes in preorder, twigs apart from the others,
/// the remaining leaves, and the factors q and g of each node whose feature was split on before (see there), four quadrature
/// points a vector, <see cref="BlockCount"/> vectors a node.
/// </summary>
internal sealed class TreeShapPlan
{
    /// <summary>Points a vector.</summary>
    public const int Lanes = 4;

    /// <summary>Bytes of a vector.</summary>
    public const uint VectorSize = 32;

    /// <summary>Offset of the factors of a node whose feature is already cold: it only averages and contributes nothing.</summary>
    public const uint ColdFeature = VectorSize;

    private readonly List<ShapSplit> _splits = [];
    private readonly List<ShapSplit> _twigs = [];
    private readonly List<ShapLeaf> _leaves = [];
    private readonly List<double> _hotShares = [1, 1]; // by factors: z of the feature's earlier splits, all hot; [0] new, [1] cold feature
    private int _featuresOnPathMax = 1;

    public TreeShapPlan(Forest forest)
    {
        Trees = new ShapTree[forest.TreeCount + 1];
        ExpectedMargin = forest.BaseMargin;
        for (var t = 0; t < forest.TreeCount; t++)
        {
            Trees[t] = new ShapTree(_splits.Count, _twigs.Count, _leaves.Count);
            ExpectedMargin += Add(forest.Tree(t));
            PlaceCountMax = Math.Max(PlaceCountMax, forest.Tree(t).Length);
        }

        Trees[^1] = new ShapTree(_splits.Count, _twigs.Count, _leaves.Count);
        (Splits, Twigs, Leaves) = ([.. _splits], [.. _twigs], [.. _leaves]);

        // A path of m features is a polynomial of degree m − 1, for which m / 2 points are exact.
        BlockCount = (_featuresOnPathMax + (2 * Lanes) - 1) / (2 * Lanes);
        (Weights, Q, G) = Factors();
    }

    public ShapTree[] Trees { get; }

    public ShapSplit[] Splits { get; }

    public ShapSplit[] Twigs { get; }

    public ShapLeaf[] Leaves { get; }

    /// <summary>Nodes of the largest tree, leaves included.</summary>
    public int PlaceCountMax { get; }

    /// <summary>Mean margin over the training weight.</summary>
    public double ExpectedMargin { get; }

    public int BlockCount { get; }

    /// <summary>Quadrature weights, [block].</summary>
    public Vector256<double>[] Weights { get; }

    /// <summary>Factor q, [block, factors].</summary>
    public Vector256<double>[] Q { get; }

    /// <summary>Factor g, [block, factors].</summary>
    public Vector256<double>[] G { get; }

    public int FactorsCount => _hotShares.Count;

    /// <summary>Adds one tree; returns its mean over the training weight.</summary>
    private double Add(ReadOnlySpan<ForestNode> tree)
    {
        var parents = new int[tree.Length];
        var shares = new double[tree.Length]; // of the weight that went left
        var hotShares = new double[tree.Length]; // z of an inner node's feature before its own split
        var distinct = new int[tree.Length]; // features on the path to a node
        parents[0] = -1;
        for (var i = 0; i < tree.Length; i++)
        {
            var node = tree[i];
            if (node.IsLeaf)
            {
                _featuresOnPathMax = Math.Max(_featuresOnPathMax, distinct[i]);
                if (i == 0 || !IsTwig(tree, parents[i]))
                {
                    _leaves.Add(new ShapLeaf((uint)i * VectorSize, node.Value));
                }

                continue;
            }

            shares[i] = Share(tree[node.Left].Cover, tree[node.Right].Cover);
            var (child, ancestor) = (i, parents[i]);
            while (ancestor >= 0 && tree[ancestor].Feature != node.Feature)
            {
                (child, ancestor) = (ancestor, parents[ancestor]);
            }

            var isRight = ancestor >= 0 && tree[ancestor].Right == child;
            hotShares[i] = ancestor < 0 ? 1 : hotShares[ancestor] * (isRight ? 1 - shares[ancestor] : shares[ancestor]);
            (IsTwig(tree, i) ? _twigs : _splits).Add(Split(tree, i, shares[i], ancestor, isRight, hotShares[i]));
            parents[node.Left] = parents[node.Right] = i;
            distinct[node.Left] = distinct[node.Right] = distinct[i] + (ancestor < 0 ? 1 : 0);
        }

        var mean = new double[tree.Length];
        for (var i = tree.Length - 1; i >= 0; i--)
        {
            mean[i] = tree[i].IsLeaf ? tree[i].Value : (shares[i] * mean[tree[i].Left]) + ((1 - shares[i]) * mean[tree[i].Right]);
        }

        return mean[0];
    }

    private ShapSplit Split(ReadOnlySpan<ForestNode> tree, int index, double leftShare, int ancestor, bool isRight, double hotShare)
    {
        var node = tree[index];
        var factors = 0;
        if (ancestor >= 0)
        {
            factors = _hotShares.Count;
            _hotShares.Add(hotShare);
        }

        return new ShapSplit
        {
            Place = (uint)index * VectorSize,
            Left = (uint)node.Left * VectorSize,
            Right = (uint)node.Right * VectorSize,
            Feature = (uint)node.Feature * VectorSize,
            Threshold = node.Threshold,
            MissingRight = node.MissingRight ? 1 : 0,
            Previous = (uint)(ancestor + 1) * sizeof(int),
            Side = isRight ? 1 : 0,
            State = (uint)(index + 1) * sizeof(int),
            Factors = (uint)factors * VectorSize,
            LeftShare = leftShare,
            RightShare = 1 - leftShare,
            LeftValue = tree[node.Left].Value,
            RightValue = tree[node.Right].Value,
        };
    }

    private static bool IsTwig(ReadOnlySpan<ForestNode> tree, int index) => tree[tree[index].Left].IsLeaf && tree[tree[index].Right].IsLeaf;

    /// <summary>Shares add up to 1 whatever rounding the covers went through; a node that no training row reached counts both sides alike.</summary>
    private static double Share(double left, double right) => left + right > 0 ? left / (left + right) : 0.5;

    private (Vector256<double>[] Weights, Vector256<double>[] Q, Vector256<double>[] G) Factors()
    {
        var (points, weights) = GaussLegendre.Rule(BlockCount * Lanes);
        var weightVectors = new Vector256<double>[BlockCount];
        var (qs, gs) = (new Vector256<double>[BlockCount * FactorsCount], new Vector256<double>[BlockCount * FactorsCount]);
        for (var block = 0; block < BlockCount; block++)
        {
            weightVectors[block] = Vector256.Create(weights.AsSpan(block * Lanes, Lanes));
            var t = Vector256.Create(points.AsSpan(block * Lanes, Lanes));
            var s = Vector256<double>.One - t;
            for (var f = 0; f < FactorsCount; f++)
            {
                var z = Vector256.Create(_hotShares[f]);
                var a = (z * s) + t;
                qs[(block * FactorsCount) + f] = s * z / a;
                gs[(block * FactorsCount) + f] = z / (a * a);
            }

            qs[(block * FactorsCount) + 1] = Vector256<double>.One;
            gs[(block * FactorsCount) + 1] = Vector256<double>.Zero;
        }

        return (weightVectors, qs, gs);
    }
}
