namespace Risk.Core.Models.Tensors;

/// <summary>
/// Every split of a tree is asked at once; a matrix product then finds the leaf all of whose splits were answered as its path
/// wants ("GEMM" in Hummingbird's paper). With answers P (1 right, 0 left) and, for leaf l and split i on its
/// path, C[l,i] = 1 if it lies to the right and −1 if to the left, (C·P)[l] is the number of right turns on l's path for the
/// leaf that is reached and less for every other. So max(0, (C·P)[l] − rights[l] + 1) is 1 for that leaf and 0 elsewhere.
/// All of these are small whole numbers: exact in any float format and any order of addition, also where a device rounds
/// the factors of a product to ten bits. The leaf values do not go through a matrix product, for the same reason.
/// </summary>
internal static class MatrixTrees
{
    /// <summary>Leaf slots of a tree and splits of a tree, each the largest of all trees.</summary>
    public static (int Leaves, int Splits) Size(TensorTrees trees)
    {
        var splits = 0;
        for (var t = 0; t < trees.Count; t++)
        {
            splits = Math.Max(splits, trees[t].Length / 2); // a binary tree has one leaf more than splits
        }

        return (splits + 1, Math.Max(splits, 1));
    }

    /// <summary>Adds the nodes up to the leaves that are reached.</summary>
    /// <returns>The name of a tensor [targets, values of a target, N]; its sum over the second axis is the margin.</returns>
    public static string Write(OnnxGraphWriter graph, TensorTrees trees, string table)
    {
        var (leafCount, splitCount) = Size(trees);
        var columns = new int[trees.Count * splitCount];
        var thresholds = new float[trees.Count * splitCount];
        var paths = new float[trees.Count * leafCount * splitCount];
        var offsets = new float[trees.Count * leafCount];
        var values = new float[trees.Count * leafCount];
        Array.Fill(offsets, -1f); // a slot without a leaf is never reached: 0 + (−1) is cut off at 0
        for (var t = 0; t < trees.Count; t++)
        {
            var tree = new Tree(
                trees.Columns,
                columns.AsSpan(t * splitCount, splitCount),
                thresholds.AsSpan(t * splitCount, splitCount),
                paths.AsSpan(t * leafCount * splitCount, leafCount * splitCount),
                offsets.AsSpan(t * leafCount, leafCount),
                values.AsSpan(t * leafCount, leafCount));
            tree.Place(trees[t]);
        }

        var asked = graph.Node("Gather", "asked", ("axis", 0), table, graph.Ints("split_columns", columns, columns.Length));
        var isRight = graph.Node("GreaterOrEqual", "is_right", asked, graph.Floats("split_thresholds", thresholds, thresholds.Length, 1));
        var answers = graph.Reshape("answers_of_tree", graph.ToFloat("answers", isRight), trees.Count, splitCount, -1);
        var matches = graph.Node("MatMul", "turns", graph.Floats("paths", paths, trees.Count, leafCount, splitCount), answers);
        var reached = graph.Node("Relu", "reached", graph.Node("Add", "turns_left", matches, graph.Floats("path_offsets", offsets, trees.Count, leafCount, 1)));
        var leaves = graph.Node("Mul", "leaves", reached, graph.Floats("leaf_values", values, trees.Count, leafCount, 1));
        return graph.Reshape("leaves_of_target", leaves, trees.TargetCount, trees.Count / trees.TargetCount * leafCount, -1);
    }

    /// <summary>One tree's part of the constants.</summary>
    private readonly ref struct Tree(TensorColumns table, Span<int> columns, Span<float> thresholds, Span<float> paths, Span<float> offsets, Span<float> values)
    {
        private readonly Span<int> _columns = columns;
        private readonly Span<float> _thresholds = thresholds;
        private readonly Span<float> _paths = paths;
        private readonly Span<float> _offsets = offsets;
        private readonly Span<float> _values = values;

        public void Place(ReadOnlySpan<ForestNode> nodes)
        {
            // Preorder: a node's parent is placed before it, with the path that leads there.
            var splitOf = new int[nodes.Length];
            var path = new (int Parent, bool IsRight)[nodes.Length];
            path[0] = (-1, false);
            var (splits, leaves) = (0, 0);
            for (var n = 0; n < nodes.Length; n++)
            {
                if (nodes[n].IsLeaf)
                {
                    PlaceLeaf(leaves++, n, nodes[n].Value, path, splitOf);
                    continue;
                }

                splitOf[n] = splits;
                (_columns[splits], _thresholds[splits]) = table.Question(nodes[n]);
                splits++;
                path[nodes[n].Left] = (n, false);
                path[nodes[n].Right] = (n, true);
            }
        }

        private void PlaceLeaf(int leaf, int node, float value, (int Parent, bool IsRight)[] path, int[] splitOf)
        {
            var rights = 0;
            for (var (parent, isRight) = path[node]; parent >= 0; (parent, isRight) = path[parent])
            {
                _paths[(leaf * _columns.Length) + splitOf[parent]] = isRight ? 1 : -1;
                rights += isRight ? 1 : 0;
            }

            _offsets[leaf] = 1 - rights;
            _values[leaf] = value;
        }
    }
}
