using System.Diagnostics.CodeAnalysis;

namespace Risk.Core.Models;

/// <summary>What turns a forest's margin into its output.</summary>
public enum ForestLink
{
    /// <summary>The margin is the output.</summary>
    None = 0,

    /// <summary>Output = 1 / (1 + e^−margin).</summary>
    Logistic = 1,
}

/// <summary>
/// One node. Every comparison is brought into one form when a forest is read: <b>right if x ≥ Threshold</b>, left otherwise,
/// and a missing value (NaN) by its own bit. The other forms convert without loss: x ≤ t is x &lt; nextafter(t).
/// </summary>
/// <param name="Feature">0-based index of the feature that decides, or −1 for a leaf.</param>
/// <param name="Threshold">Split value; never NaN. 0 for a leaf.</param>
/// <param name="Left">Index in the same tree of the child for x &lt; Threshold.</param>
/// <param name="Right">Index in the same tree of the child for x ≥ Threshold.</param>
/// <param name="MissingRight">Where a missing value goes.</param>
/// <param name="Value">A leaf's addend to the margin; 0 for an inner node.</param>
/// <param name="Cover">Training weight that passed here (xgboost's sum of Hessians); NaN when the model does not say.</param>
public readonly record struct ForestNode(int Feature, float Threshold, int Left, int Right, bool MissingRight, float Value, float Cover)
{
    public bool IsLeaf => Feature < 0;

    public static ForestNode Leaf(float value, float cover = float.NaN) => new(-1, 0, -1, -1, false, value, cover);

    public static ForestNode Split(int feature, float threshold, int left, int right, bool missingRight = false, float cover = float.NaN) =>
        new(feature, threshold, left, right, missingRight, 0, cover);

    /// <summary>The child a value leads to.</summary>
    public int Next(float x) => float.IsNaN(x) ? (MissingRight ? Right : Left) : (x >= Threshold ? Right : Left);
}

/// <summary>
/// An immutable ensemble of decision trees with one output: margin = sum of the leaves reached, in tree order, in float32,
/// plus the base; then the link. That is the arithmetic of ONNX Runtime's TreeEnsemble on one thread, to the bit up to the link.
/// Each tree's nodes lie in preorder, the root first, so every child comes after its parent.
/// Operator: https://github.com/onnx/onnx/blob/main/docs/Operators-ml.md#ai.onnx.ml.TreeEnsembleRegressor
/// </summary>
public sealed class Forest
{
    private readonly ForestNode[] _nodes;
    private readonly int[] _treeStarts; // [TreeCount + 1]

    private Forest(ForestNode[] nodes, int[] treeStarts, int featureCount, float baseMargin, ForestLink link, string inputName, string outputName, int depth, bool hasCover)
    {
        (_nodes, _treeStarts) = (nodes, treeStarts);
        (FeatureCount, BaseMargin, Link, InputName, OutputName, Depth, HasCover) = (featureCount, baseMargin, link, inputName, outputName, depth, hasCover);
    }

    /// <summary>Floats of one row.</summary>
    public int FeatureCount { get; }

    public int TreeCount => _treeStarts.Length - 1;

    /// <summary>Nodes of all trees, leaves included.</summary>
    public int NodeCount => _nodes.Length;

    /// <summary>Decisions on the longest path; 0 when every tree is a single leaf.</summary>
    public int Depth { get; }

    /// <summary>Added to the sum of the leaves.</summary>
    public float BaseMargin { get; }

    public ForestLink Link { get; }

    /// <summary>The graph input that takes the rows.</summary>
    public string InputName { get; }

    /// <summary>The graph output that this forest computes.</summary>
    public string OutputName { get; }

    /// <summary>Whether every node says how much training weight passed it, without which there is no TreeSHAP.</summary>
    public bool HasCover { get; }

    /// <summary>The nodes of one tree in preorder; child indices count from the tree's own root at 0.</summary>
    public ReadOnlySpan<ForestNode> Tree(int index) => _nodes.AsSpan(_treeStarts[index], _treeStarts[index + 1] - _treeStarts[index]);

    /// <summary>Builds a forest, or says what is wrong with the trees.</summary>
    /// <param name="trees">Each tree's nodes in any order with the root at 0; every other node is the child of exactly one.</param>
    /// <param name="featureCount">1 to <see cref="ModelLimits.FeatureCountMax"/>; every split's feature is below it.</param>
    public static bool TryBuild(
        IReadOnlyList<ForestNode[]> trees,
        int featureCount,
        float baseMargin,
        ForestLink link,
        string inputName,
        string outputName,
        [NotNullWhen(true)] out Forest? forest,
        [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        forest = null;
        refusal = CheckSizes(trees, featureCount, baseMargin);
        if (refusal is not null)
        {
            return false;
        }

        var nodes = new ForestNode[trees.Sum(t => t.Length)];
        var starts = new int[trees.Count + 1];
        var depth = 0;
        for (var t = 0; t < trees.Count; t++)
        {
            starts[t + 1] = starts[t] + trees[t].Length;
            var place = nodes.AsSpan(starts[t], trees[t].Length);
            refusal = TreePreorder.Write(trees[t], t, featureCount, place, out var treeDepth);
            if (refusal is not null)
            {
                return false;
            }

            depth = Math.Max(depth, treeDepth);
        }

        var hasCover = nodes.All(n => float.IsFinite(n.Cover) && n.Cover >= 0);
        forest = new Forest(nodes, starts, featureCount, baseMargin, link, inputName, outputName, depth, hasCover);
        return true;
    }

    /// <summary>The sum of the leaves in tree order plus the base: the plain walk that every faster one is tested against.</summary>
    /// <param name="row">At least <see cref="FeatureCount"/> floats; NaN is missing.</param>
    public float Margin(ReadOnlySpan<float> row)
    {
        float sum = 0;
        for (var t = 0; t < TreeCount; t++)
        {
            var tree = Tree(t);
            var node = 0;
            while (!tree[node].IsLeaf)
            {
                node = tree[node].Next(row[tree[node].Feature]);
            }

            sum += tree[node].Value;
        }

        return sum + BaseMargin;
    }

    /// <summary>The forest's output for a margin.</summary>
    public float Output(float margin) => Link == ForestLink.Logistic ? (float)Logistic.Of(margin) : margin;

    private static ModelRefusal? CheckSizes(IReadOnlyList<ForestNode[]> trees, int featureCount, float baseMargin)
    {
        long nodeCount = trees.Sum(t => (long)t.Length);
        return (trees.Count, featureCount, nodeCount) switch
        {
            ( < 1 or > ModelLimits.TreeCountMax, _, _) => Unsupported($"{trees.Count} trees; 1 to {ModelLimits.TreeCountMax} can be read"),
            (_, < 1 or > ModelLimits.FeatureCountMax, _) => Unsupported($"{featureCount} features; 1 to {ModelLimits.FeatureCountMax} can be read"),
            (_, _, > ModelLimits.NodeCountMax) => Unsupported($"{nodeCount} nodes; at most {ModelLimits.NodeCountMax} can be read"),
            _ when !float.IsFinite(baseMargin) => Unsupported($"the base value is {baseMargin}"),
            _ => null,
        };
    }

    private static ModelRefusal Unsupported(string reason) => new(ModelCodes.Unsupported, reason);
}
