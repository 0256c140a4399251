namespace Risk.Core.Models.Tensors;

/// <summary>
/// As <see cref="WalkedTrees"/>, but every tree is filled up to the full depth, so that a row's place on the next level is
/// twice its place on this one, and one more to the right: no children to look up ("perfect tree traversal" in Hummingbird's
/// paper). Costs 2^depth leaves a tree, whatever the tree has.
/// </summary>
internal static class PerfectTrees
{
    /// <summary>Leaves of one tree are bounded by this depth: 4,096.</summary>
    public const int DepthMax = 12;

    /// <summary>Adds the nodes up to the leaves that are reached.</summary>
    /// <returns>The name of a tensor [targets, trees of a target, N]; its sum over the second axis is the margin.</returns>
    public static string Write(OnnxGraphWriter graph, TensorTrees trees, string table)
    {
        var steps = Math.Max(trees.Depth, 1);
        var levels = Enumerable.Range(0, steps + 1).Select(level => new Level(trees.Count << level)).ToArray();
        for (var t = 0; t < trees.Count; t++)
        {
            Fill(trees, t, levels);
        }

        // A level holds tree 0's nodes, then tree 1's, ...: twice the place of a node is the place of its left child.
        var asked = graph.Node("Gather", "asked_0", ("axis", 0), table, graph.Ints("columns_0", levels[0].Columns, trees.Count));
        var isRight = graph.Node("GreaterOrEqual", "is_right_0", asked, graph.Floats("thresholds_0", levels[0].Thresholds, trees.Count, 1));
        var firsts = Enumerable.Range(0, trees.Count).Select(t => 2 * t).ToArray();
        var place = graph.Node("Add", "place_1", graph.ToInt("turn_0", isRight), graph.Ints("firsts", firsts, trees.Count, 1));
        for (var step = 1; step < steps; step++)
        {
            var level = levels[step];
            var columns = graph.Ints($"columns_{step}", level.Columns, level.Columns.Length);
            var thresholds = graph.Floats($"thresholds_{step}", level.Thresholds, level.Thresholds.Length);
            asked = graph.Node("GatherElements", $"asked_{step}", ("axis", 0), table, graph.Node("Gather", $"column_{step}", ("axis", 0), columns, place));
            isRight = graph.Node("GreaterOrEqual", $"is_right_{step}", asked, graph.Node("Gather", $"threshold_{step}", ("axis", 0), thresholds, place));
            var left = graph.Node("Add", $"left_{step}", place, place);
            place = graph.Node("Add", $"place_{step + 1}", left, graph.ToInt($"turn_{step}", isRight));
        }

        var leaves = graph.Node("Gather", "leaves", ("axis", 0), graph.Floats("leaf_values", levels[steps].Values, levels[steps].Values.Length), place);
        return graph.Reshape("leaves_of_target", leaves, trees.TargetCount, trees.Count / trees.TargetCount, -1);
    }

    private static void Fill(TensorTrees trees, int t, Level[] levels)
    {
        var tree = trees[t];
        var open = new Stack<(int Node, int Level, int Place)>();
        open.Push((0, 0, t));
        while (open.TryPop(out var at))
        {
            var node = tree[at.Node];
            var level = levels[at.Level];
            if (at.Level == levels.Length - 1)
            {
                level.Values[at.Place] = node.Value;
                continue;
            }

            if (!node.IsLeaf)
            {
                (level.Columns[at.Place], level.Thresholds[at.Place]) = trees.Columns.Question(node);
            }

            // Below a leaf of the tree both ways lead to copies of it, whatever is asked there.
            open.Push((node.IsLeaf ? at.Node : node.Right, at.Level + 1, (2 * at.Place) + 1));
            open.Push((node.IsLeaf ? at.Node : node.Left, at.Level + 1, 2 * at.Place));
        }
    }

    private sealed class Level(int size)
    {
        public int[] Columns { get; } = new int[size];

        public float[] Thresholds { get; } = new float[size];

        public float[] Values { get; } = new float[size];
    }
}
