namespace Risk.Core.Models.Tensors;

/// <summary>
/// All trees take one step at a time: the node each row stands on looks up its column, threshold and children ("tree
/// traversal" in Hummingbird's paper). Two children lie side by side, so a node keeps the left one's place and a
/// step right is one more. A leaf above the last step keeps the place of two copies of itself, which lead to themselves.
/// </summary>
internal static class WalkedTrees
{
    /// <summary>Adds the nodes up to the leaves that are reached.</summary>
    /// <returns>The name of a tensor [targets, trees of a target, N]; its sum over the second axis is the margin.</returns>
    public static string Write(OnnxGraphWriter graph, TensorTrees trees, string table)
    {
        var steps = Math.Max(trees.Depth, 1);
        var slots = new Slots(trees, steps);
        var count = slots.Columns.Count;
        var (columns, thresholds, children) = ("", "", "");
        if (steps > 1)
        {
            columns = graph.Ints("node_columns", slots.Columns.ToArray(), count);
            thresholds = graph.Floats("node_thresholds", slots.Thresholds.ToArray(), count);
            children = graph.Ints("node_children", slots.Children.ToArray(), count);
        }

        var values = graph.Floats("node_values", slots.Values.ToArray(), count);

        // The roots are the first slots, the same for every row, so the first step looks nothing up.
        var asked = graph.Node("Gather", "asked_0", ("axis", 0), table, graph.Ints("root_columns", slots.Columns.ToArray().AsSpan(0, trees.Count), trees.Count));
        var isRight = graph.Node("GreaterOrEqual", "is_right_0", asked, graph.Floats("root_thresholds", slots.Thresholds.ToArray().AsSpan(0, trees.Count), trees.Count, 1));
        var place = graph.Node("Add", "place_1", graph.ToInt("turn_0", isRight), graph.Ints("root_children", slots.Children.ToArray().AsSpan(0, trees.Count), trees.Count, 1));
        for (var step = 1; step < steps; step++)
        {
            asked = graph.Node("GatherElements", $"asked_{step}", ("axis", 0), table, graph.Node("Gather", $"column_{step}", ("axis", 0), columns, place));
            isRight = graph.Node("GreaterOrEqual", $"is_right_{step}", asked, graph.Node("Gather", $"threshold_{step}", ("axis", 0), thresholds, place));
            var left = graph.Node("Gather", $"left_{step}", ("axis", 0), children, place);
            place = graph.Node("Add", $"place_{step + 1}", left, graph.ToInt($"turn_{step}", isRight));
        }

        var leaves = graph.Node("Gather", "leaves", ("axis", 0), values, place);
        return graph.Reshape("leaves_of_target", leaves, trees.TargetCount, trees.Count / trees.TargetCount, -1);
    }

    /// <summary>The nodes of all trees as parallel lists: all roots, then pairs of children.</summary>
    private sealed class Slots
    {
        private readonly TensorTrees _trees;
        private readonly int _steps;

        public Slots(TensorTrees trees, int steps)
        {
            (_trees, _steps) = (trees, steps);
            for (var t = 0; t < trees.Count; t++)
            {
                Put(trees[t][0]);
            }

            for (var t = 0; t < trees.Count; t++)
            {
                Expand(t);
            }
        }

        public List<int> Columns { get; } = [];

        public List<float> Thresholds { get; } = [];

        public List<int> Children { get; } = [];

        public List<float> Values { get; } = [];

        private void Expand(int t)
        {
            var tree = _trees[t];
            var open = new Stack<(int Node, int Slot, int Depth)>();
            open.Push((0, t, 0));
            while (open.TryPop(out var at))
            {
                var node = tree[at.Node];
                if (!node.IsLeaf)
                {
                    var left = Put(tree[node.Left]);
                    var right = Put(tree[node.Right]);
                    Children[at.Slot] = left;
                    open.Push((node.Right, right, at.Depth + 1));
                    open.Push((node.Left, left, at.Depth + 1));
                }
                else if (at.Depth < _steps)
                {
                    var copy = Put(node);
                    var other = Put(node);
                    Children[at.Slot] = Children[copy] = Children[other] = copy;
                }
            }
        }

        private int Put(ForestNode node)
        {
            var (column, threshold) = node.IsLeaf ? (0, 0f) : _trees.Columns.Question(node);
            Columns.Add(column);
            Thresholds.Add(threshold);
            Children.Add(0);
            Values.Add(node.Value);
            return Columns.Count - 1;
        }
    }
}
