namespace Risk.Core.Models;

/// <summary>
/// Writes a forest as an ONNX file of one TreeEnsembleRegressor (ai.onnx.ml 3), which <see cref="OnnxForestReader"/> reads
/// back to the same forest and ONNX Runtime computes to the same scores. Benchmarks and tests make their models with it.
/// The logistic function is a Sigmoid node of its own: ONNX Runtime ignores post_transform LOGISTIC for one target
/// (https://github.com/microsoft/onnxruntime/issues/26596).
/// </summary>
public static class OnnxForestWriter
{
    private const int AttributeFloats = 6;
    private const int AttributeInt = 2;
    private const int AttributeInts = 7;
    private const int AttributeString = 3;
    private const int AttributeStrings = 8;

    /// <summary>The file's bytes.</summary>
    /// <param name="mode">The comparison to express every split in: BRANCH_LT, BRANCH_LEQ, BRANCH_GT or BRANCH_GTE; all mean the same forest.</param>
    public static byte[] Write(Forest forest, string mode = "BRANCH_LT") => Write([forest], mode, forest.Link == ForestLink.Logistic, "NONE");

    /// <summary>The bytes of a file of one TreeEnsembleRegressor with a target for each forest; <see cref="OnnxForestReader.TryReadTargets"/> reads it back.</summary>
    public static byte[] Write(ForestTargets targets, string mode = "BRANCH_LT") =>
        Write(targets.Forests, mode, targets.Link == TargetLink.Logistic, targets.Link == TargetLink.Softmax ? "SOFTMAX" : "NONE");

    private static byte[] Write(IReadOnlyList<Forest> forests, string mode, bool hasLink, string postTransform)
    {
        var forest = forests[0];
        var node = new ProtoWriter().Text(1, forest.InputName).Text(2, hasLink ? "margin" : forest.OutputName).Text(3, "trees").Text(4, "TreeEnsembleRegressor");
        new Columns(forests, mode).WriteTo(node, forests.All(f => f.HasCover));
        node.Message(5, Attribute("n_targets", AttributeInt).Varint(3, forests.Count))
            .Message(5, Attribute("aggregate_function", AttributeString).Text(4, "SUM"))
            .Message(5, Attribute("post_transform", AttributeString).Text(4, postTransform))
            .Message(5, Attribute("base_values", AttributeFloats).Floats(7, [.. forests.Select(f => f.BaseMargin)]))
            .Text(7, "ai.onnx.ml");

        var graph = new ProtoWriter().Message(1, node);
        if (hasLink)
        {
            graph.Message(1, new ProtoWriter().Text(1, "margin").Text(2, forest.OutputName).Text(3, "link").Text(4, "Sigmoid"));
        }

        graph.Text(2, "forest")
            .Message(11, Value(forest.InputName, forest.FeatureCount))
            .Message(12, Value(forest.OutputName, forests.Count));
        return new ProtoWriter()
            .Varint(1, 8)
            .Text(2, "risk")
            .Message(7, graph)
            .Message(8, new ProtoWriter().Text(1, "").Varint(2, 15))
            .Message(8, new ProtoWriter().Text(1, "ai.onnx.ml").Varint(2, 3))
            .ToArray();
    }

    internal static ProtoWriter Attribute(string name, int type) => new ProtoWriter().Text(1, name).Varint(20, type);

    /// <summary>A float32 tensor of the shape [N, columns].</summary>
    internal static ProtoWriter Value(string name, int columns)
    {
        var shape = new ProtoWriter().Message(1, new ProtoWriter().Text(2, "N")).Message(1, new ProtoWriter().Varint(1, columns));
        return new ProtoWriter().Text(1, name).Message(2, new ProtoWriter().Message(1, new ProtoWriter().Varint(1, 1).Message(2, shape)));
    }

    /// <summary>The parallel lists of the operator, one entry a node or a leaf.</summary>
    private sealed class Columns
    {
        private readonly List<long> _treeIds = [], _nodeIds = [], _features = [], _whenTrue = [], _whenFalse = [], _missingTracksTrue = [];
        private readonly List<string> _modes = [];
        private readonly List<float> _values = [], _covers = [], _weights = [];
        private readonly List<long> _leafTreeIds = [], _leafNodeIds = [], _leafTargets = [];

        public Columns(IReadOnlyList<Forest> forests, string mode)
        {
            for (var target = 0; target < forests.Count; target++)
            {
                Add(forests[target], mode, target, firstTree: forests.Take(target).Sum(f => f.TreeCount));
            }
        }

        private void Add(Forest forest, string mode, int target, int firstTree)
        {
            var trueIsRight = mode is "BRANCH_GT" or "BRANCH_GTE";
            var moves = mode is "BRANCH_GT" or "BRANCH_LEQ";
            for (var t = 0; t < forest.TreeCount; t++)
            {
                var tree = forest.Tree(t);
                for (var i = 0; i < tree.Length; i++)
                {
                    var node = tree[i];
                    _treeIds.Add(firstTree + t);
                    _nodeIds.Add(i);
                    _covers.Add(node.Cover);
                    _features.Add(Math.Max(node.Feature, 0));
                    _values.Add(node.IsLeaf || !moves ? node.Threshold : MathF.BitDecrement(node.Threshold));
                    _modes.Add(node.IsLeaf ? "LEAF" : mode);
                    _whenTrue.Add(node.IsLeaf ? 0 : trueIsRight ? node.Right : node.Left);
                    _whenFalse.Add(node.IsLeaf ? 0 : trueIsRight ? node.Left : node.Right);
                    _missingTracksTrue.Add(!node.IsLeaf && node.MissingRight == trueIsRight ? 1 : 0);
                    if (node.IsLeaf)
                    {
                        _leafTreeIds.Add(firstTree + t);
                        _leafNodeIds.Add(i);
                        _leafTargets.Add(target);
                        _weights.Add(node.Value);
                    }
                }
            }
        }

        public void WriteTo(ProtoWriter node, bool hasCover)
        {
            Integers(node, "nodes_treeids", _treeIds);
            Integers(node, "nodes_nodeids", _nodeIds);
            Integers(node, "nodes_featureids", _features);
            Integers(node, "nodes_truenodeids", _whenTrue);
            Integers(node, "nodes_falsenodeids", _whenFalse);
            Integers(node, "nodes_missing_value_tracks_true", _missingTracksTrue);
            Integers(node, "target_treeids", _leafTreeIds);
            Integers(node, "target_nodeids", _leafNodeIds);
            Integers(node, "target_ids", _leafTargets);
            Floats(node, "nodes_values", _values);
            Floats(node, "target_weights", _weights);
            if (hasCover)
            {
                Floats(node, "nodes_hitrates", _covers);
            }

            var modes = Attribute("nodes_modes", AttributeStrings);
            _modes.ForEach(mode => modes.Text(9, mode));
            node.Message(5, modes);
        }

        private static void Integers(ProtoWriter node, string name, List<long> values) => node.Message(5, Attribute(name, AttributeInts).Varints(8, values));

        private static void Floats(ProtoWriter node, string name, List<float> values) => node.Message(5, Attribute(name, AttributeFloats).Floats(7, values));
    }
}
