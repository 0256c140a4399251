namespace Risk.Core.Models;

/// <summary>Checks that nodes are a tree and lays them out in preorder. Loops only: a hostile file cannot exhaust the stack.</summary>
internal static class TreePreorder
{
    /// <summary>Writes the tree's nodes with the root first, left subtree before the right one.</summary>
    /// <param name="source">Nodes in any order, root at 0.</param>
    /// <param name="treeIndex">For the messages.</param>
    /// <param name="target">As long as <paramref name="source"/>.</param>
    /// <param name="depth">Decisions on the longest path.</param>
    /// <returns>What is wrong, or null.</returns>
    public static ModelRefusal? Write(ReadOnlySpan<ForestNode> source, int treeIndex, int featureCount, Span<ForestNode> target, out int depth)
    {
        depth = 0;
        if (source.IsEmpty)
        {
            return Refuse(treeIndex, "has no nodes");
        }

        // One entry a pending subtree: the source node, whose link in the target to fill (−1: none), its depth.
        var pending = new Stack<(int Source, int Parent, bool IsRight, int Depth)>();
        pending.Push((0, -1, false, 0));
        var seen = new bool[source.Length];
        var written = 0;
        while (pending.TryPop(out var next))
        {
            if ((uint)next.Source >= (uint)source.Length)
            {
                return Refuse(treeIndex, $"points to node {next.Source} of {source.Length}");
            }

            if (seen[next.Source])
            {
                return Refuse(treeIndex, $"reaches node {next.Source} twice");
            }

            seen[next.Source] = true;
            var node = source[next.Source];
            var fault = CheckNode(node, featureCount);
            if (fault is not null || next.Depth > ModelLimits.DepthMax)
            {
                return Refuse(treeIndex, fault ?? $"is deeper than {ModelLimits.DepthMax}");
            }

            depth = Math.Max(depth, next.Depth);
            if (next.Parent >= 0)
            {
                var parent = target[next.Parent];
                target[next.Parent] = next.IsRight ? parent with { Right = written } : parent with { Left = written };
            }

            target[written] = node;
            if (!node.IsLeaf)
            {
                pending.Push((node.Right, written, true, next.Depth + 1));
                pending.Push((node.Left, written, false, next.Depth + 1));
            }

            written++;
        }

        return written == source.Length ? null : Refuse(treeIndex, $"has {source.Length - written} nodes that its root does not reach");
    }

    private static string? CheckNode(in ForestNode node, int featureCount)
    {
        if (node.IsLeaf)
        {
            return float.IsFinite(node.Value) ? null : $"has a leaf of {node.Value}";
        }

        if (node.Feature >= featureCount)
        {
            return $"splits on feature {node.Feature} of {featureCount}";
        }

        return float.IsNaN(node.Threshold) ? "has a threshold that is NaN" : null;
    }

    private static ModelRefusal Refuse(int treeIndex, string what) => new(ModelCodes.Unsupported, $"tree {treeIndex} {what}");
}
