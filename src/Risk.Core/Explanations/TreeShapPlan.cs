using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Risk.Core.Models;

namespace Risk.Core.Explanations;

/// <summary>An inner node as <see cref="TreeShap"/> walks it; indices count from the tree's first node.</summary>
/// <param name="Previous">The nearest ancestor that splits on the same feature, or −1.</param>
/// <param name="UnderRight">Whether this node lies on that ancestor's right side (1) or left side (0).</param>
/// <param name="LeftShare">Share of the node's training weight that went left.</param>
/// <param name="Factors">Index of the node's factors while its feature is still hot; 0 when no ancestor splits on it.</param>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct ShapNode(
    int Place, int Feature, float Threshold, int Left, int Right, int Missing, int Previous, int UnderRight, int Factors, double LeftShare);

/// <summary>A leaf: where its value goes in the tree's working memory.</summary>
internal readonly record struct ShapLeaf(int Place, double Value);

/// <summary>Where a tree's inner nodes and leaves begin.</summary>
internal readonly record struct ShapTree(int FirstNode, int FirstLeaf);

/// <summary>
/// What <see cref="TreeShap"/> computes once a forest: preordered inner nodes, leaves, and the factors q and g of each node
/// whose feature was split on before (see there), four quadrature points a vector, <see cref="BlockCount"/> vectors a node.
/// </summary>
internal sealed class TreeShapPlan
{
    /// <summary>Points a vector.</summary>
    public const int Lanes = 4;

    /// <summary>Factors of a node whose feature is new on the path.</summary>
    private const int NewFeature = 0;

    /// <summary>Factors of a node whose feature is already cold: it only averages and contributes nothing.</summary>
    public const int ColdFeature = 1;

    private readonly List<ShapNode> _nodes = [];
    private readonly List<ShapLeaf> _leaves = [];
    private readonly List<double> _hotShares = [1, 1]; // by factors index: z of the feature's earlier splits, all hot

    public TreeShapPlan(Forest forest)
    {
        var trees = new ShapTree[forest.TreeCount + 1];
        var featuresOnPathMax = 1;
        var expected = (double)forest.BaseMargin;
        for (var t = 0; t < forest.TreeCount; t++)
        {
            trees[t] = new ShapTree(_nodes.Count, _leaves.Count);
            expected += Add(forest.Tree(t), ref featuresOnPathMax);
            PlaceCountMax = Math.Max(PlaceCountMax, forest.Tree(t).Length);
        }

        trees[^1] = new ShapTree(_nodes.Count, _leaves.Count);
        (Trees, Nodes, Leaves, ExpectedMargin) = (trees, [.. _nodes], [.. _leaves], expected);

        // A path of m features is a polynomial of degree m − 1, for which m / 2 points are exact.
        BlockCount = (featuresOnPathMax + (2 * Lanes) - 1) / (2 * Lanes);
        (Weights, Q, G) = Factors();
    }

    public ShapTree[] Trees { get; }

    public ShapNode[] Nodes { get; }

    public ShapLeaf[] Leaves { get; }

    /// <summary>Nodes of the largest tree, leaves included.</summary>
    public int PlaceCountMax { get; }

    /// <summary>Mean margin over the training weight.</summary>
    public double ExpectedMargin { get; }

    public int BlockCount { get; }

    /// <summary>Quadrature weights, [block].</summary>
    public Vector256<double>[] Weights { get; }

    /// <summary>Factor q, [block, factors index].</summary>
    public Vector256<double>[] Q { get; }

    /// <summary>Factor g, [block, factors index].</summary>
    public Vector256<double>[] G { get; }

    public int FactorsCount => _hotShares.Count;

    /// <summary>Adds one tree; returns its mean over the training weight.</summary>
    private double Add(ReadOnlySpan<ForestNode> tree, ref int featuresOnPathMax)
    {
        var parents = new int[tree.Length];
        var mean = new double[tree.Length];
        var plannedAt = new int[tree.Length]; // index among this tree's inner nodes
        var hotShares = new double[tree.Length]; // an inner node's z before its own split
        var distinct = new int[tree.Length]; // features on the path to a node
        var shares = new double[tree.Length]; // left share of an inner node
        var first = _nodes.Count;
        parents[0] = -1;
        for (var i = 0; i < tree.Length; i++)
        {
            var node = tree[i];
            if (node.IsLeaf)
            {
                _leaves.Add(new ShapLeaf(i, node.Value));
                featuresOnPathMax = Math.Max(featuresOnPathMax, distinct[i]);
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
            var factors = NewFeature;
            if (ancestor >= 0)
            {
                factors = _hotShares.Count;
                _hotShares.Add(hotShares[i]);
            }

            plannedAt[i] = _nodes.Count - first;
            _nodes.Add(new ShapNode(
                i, node.Feature, node.Threshold, node.Left, node.Right, node.MissingRight ? node.Right : node.Left,
                ancestor < 0 ? -1 : plannedAt[ancestor], isRight ? 1 : 0, factors, shares[i]));
            parents[node.Left] = parents[node.Right] = i;
            distinct[node.Left] = distinct[node.Right] = distinct[i] + (ancestor < 0 ? 1 : 0);
        }

        for (var i = tree.Length - 1; i >= 0; i--)
        {
            mean[i] = tree[i].IsLeaf ? tree[i].Value : (shares[i] * mean[tree[i].Left]) + ((1 - shares[i]) * mean[tree[i].Right]);
        }

        return mean[0];
    }

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

            qs[(block * FactorsCount) + ColdFeature] = Vector256<double>.One;
            gs[(block * FactorsCount) + ColdFeature] = Vector256<double>.Zero;
        }

        return (weightVectors, qs, gs);
    }
}
