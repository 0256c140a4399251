using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Risk.Core.Models;

/// <summary>
/// Reads a <see cref="Forest"/> out of an ONNX file whose graph is one TreeEnsembleRegressor with one target, or one binary
/// TreeEnsembleClassifier with logistic output (ai.onnx.ml up to 3), with nothing but Identity and a closing Sigmoid around it.
/// Whatever else is in a file is refused with <see cref="ModelCodes.Unsupported"/> and the reason: ONNX Runtime serves it then.
/// </summary>
public static class OnnxForestReader
{
    private const int FloatElement = 1;

    /// <summary>The forest of a file, or why it cannot be read as one.</summary>
    /// <param name="onnx">The whole file; inspected with <see cref="OnnxInspector"/> first.</param>
    public static bool TryRead(ReadOnlySpan<byte> onnx, [NotNullWhen(true)] out Forest? forest, [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        forest = null;
        refusal = OnnxInspector.Inspect(onnx);
        if (refusal is not null)
        {
            return false;
        }

        var graph = new GraphParts();
        var fault = graph.Read(onnx) ?? CheckNode(graph.Trees!);
        List<ForestNode[]> trees = [];
        fault ??= ReadTrees(graph.Trees!, trees);
        if (fault is not null)
        {
            refusal = new ModelRefusal(ModelCodes.Unsupported, fault);
            return false;
        }

        var node = graph.Trees!;
        var baseMargin = node.BaseValues.Count == 0 ? 0 : node.BaseValues[0];
        var link = node.PostTransform == "LOGISTIC" || graph.HasSigmoid ? ForestLink.Logistic : ForestLink.None;
        return Forest.TryBuild(trees, graph.FeatureCount, baseMargin, link, graph.InputName, graph.OutputName, out forest, out refusal);
    }

    /// <summary>
    /// The forests of a file with several targets or classes, one each, in their order: a TreeEnsembleRegressor with
    /// n_targets, or a TreeEnsembleClassifier of three classes and more. They serve conversion; the engine scores with one.
    /// </summary>
    public static bool TryReadTargets(ReadOnlySpan<byte> onnx, [NotNullWhen(true)] out ForestTargets? targets, [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        targets = null;
        refusal = OnnxInspector.Inspect(onnx);
        if (refusal is not null)
        {
            return false;
        }

        var graph = new GraphParts();
        var forests = new List<Forest>();
        var fault = graph.Read(onnx) ?? CheckTargets(graph.Trees!);
        for (var target = 0; fault is null && target < TargetCount(graph.Trees!); target++)
        {
            List<ForestNode[]> trees = [];
            fault = ReadTrees(graph.Trees!, trees, target);
            if (fault is not null)
            {
                break;
            }

            var baseMargin = graph.Trees!.BaseValues.Count == 0 ? 0 : graph.Trees!.BaseValues[target];
            if (!Forest.TryBuild(trees.Count == 0 ? [[ForestNode.Leaf(0)]] : trees, graph.FeatureCount, baseMargin, ForestLink.None, graph.InputName, graph.OutputName, out var forest, out refusal))
            {
                return false;
            }

            forests.Add(forest);
        }

        if (fault is not null)
        {
            refusal = new ModelRefusal(ModelCodes.Unsupported, fault);
            return false;
        }

        var link = graph.Trees!.PostTransform == "SOFTMAX" ? TargetLink.Softmax : graph.Trees!.PostTransform == "LOGISTIC" || graph.HasSigmoid ? TargetLink.Logistic : TargetLink.None;
        targets = new ForestTargets(forests, link);
        return true;
    }

    private static long TargetCount(OnnxTreeNode node) => node.OpType == "TreeEnsembleClassifier" ? node.ClassLabelCount : node.TargetCount;

    private static string? CheckTargets(OnnxTreeNode node) => node switch
    {
        { AggregateFunction: not "SUM" } => $"leaves are aggregated by {node.AggregateFunction}, not SUM",
        { PostTransform: not ("NONE" or "LOGISTIC" or "SOFTMAX") } => $"the output is transformed by {node.PostTransform}, not NONE, LOGISTIC or SOFTMAX",
        { OpType: "TreeEnsembleClassifier", ClassLabelCount: < 3 } => "a classifier of two classes has one score: read it as a single forest",
        _ when TargetCount(node) is < 1 or > ModelLimits.TargetCountMax => $"there are {TargetCount(node)} targets; 1 to {ModelLimits.TargetCountMax} can be read",
        _ when node.BaseValues.Count != 0 && node.BaseValues.Count != TargetCount(node) => $"there are {node.BaseValues.Count} base values for {TargetCount(node)} targets",
        _ when node.WeightIds.Any(id => id < 0 || id >= TargetCount(node)) => "a weight belongs to a target that is not there",
        _ => null,
    };

    private static string? CheckNode(OnnxTreeNode node)
    {
        var isClassifier = node.OpType == "TreeEnsembleClassifier";
        return node switch
        {
            { AggregateFunction: not "SUM" } => $"leaves are aggregated by {node.AggregateFunction}, not SUM",
            { PostTransform: not ("NONE" or "LOGISTIC") } => $"the output is transformed by {node.PostTransform}, not NONE or LOGISTIC",
            { TargetCount: not 1 } when !isClassifier => $"there are {node.TargetCount} targets, not 1",
            { BaseValues.Count: > 1 } => $"there are {node.BaseValues.Count} base values, not 1",
            { ClassLabelCount: not 2 } when isClassifier => $"there are {node.ClassLabelCount} classes, not 2",
            { PostTransform: not "LOGISTIC" } when isClassifier => "a classifier without logistic output is not read here",
            // ONNX Runtime leaves out the logistic function when no weight is negative; better it serves such a model itself.
            _ when isClassifier && node.Weights.All(w => w >= 0) => "a classifier without negative weights is not read here",
            _ when isClassifier && node.WeightIds.Distinct().Count() != 1 => "a classifier with weights for both classes is not read here",
            _ when !isClassifier && node.WeightIds.Any(id => id != 0) => "a weight belongs to a target that is not there",
            _ => null,
        };
    }

    /// <param name="target">Whose weights count, and whose trees are read: those with a weight of it; null for the only one.</param>
    private static string? ReadTrees(OnnxTreeNode source, List<ForestNode[]> trees, int? target = null)
    {
        var count = source.NodeIds.Count;
        if (new[] { source.TreeIds.Count, source.FeatureIds.Count, source.TrueNodeIds.Count, source.FalseNodeIds.Count, source.Modes.Count, source.Values.Count }.Any(c => c != count)
            || (source.MissingTracksTrue.Count != 0 && source.MissingTracksTrue.Count != count)
            || (source.HitRates.Count != 0 && source.HitRates.Count != count))
        {
            return "the lists of the nodes differ in length";
        }

        if (source.WeightTreeIds.Count != source.Weights.Count || source.WeightNodeIds.Count != source.Weights.Count || source.WeightIds.Count != source.Weights.Count)
        {
            return "the lists of the leaf weights differ in length";
        }

        if (count > ModelLimits.NodeCountMax)
        {
            return $"{count} nodes; at most {ModelLimits.NodeCountMax} can be read";
        }

        // The place of each node in its tree; trees in the order of their first node, which is the order ONNX Runtime adds them up in.
        var places = new Dictionary<(long Tree, long Node), int>(count);
        var treeIndexes = new Dictionary<long, int>();
        var sizes = new List<int>();
        var own = target is null ? null : source.WeightTreeIds.Where((_, w) => source.WeightIds[w] == target).ToHashSet();
        for (var i = 0; i < count; i++)
        {
            if (own?.Contains(source.TreeIds[i]) == false)
            {
                continue;
            }

            if (treeIndexes.TryAdd(source.TreeIds[i], sizes.Count))
            {
                sizes.Add(0);
            }

            if (!places.TryAdd((source.TreeIds[i], source.NodeIds[i]), sizes[treeIndexes[source.TreeIds[i]]]++))
            {
                return $"tree {source.TreeIds[i]} has the node {source.NodeIds[i]} twice";
            }
        }

        var weights = new Dictionary<(long Tree, long Node), float>(source.Weights.Count);
        for (var i = 0; i < source.Weights.Count; i++)
        {
            if (target is not null && source.WeightIds[i] != target)
            {
                continue;
            }

            if (!weights.TryAdd((source.WeightTreeIds[i], source.WeightNodeIds[i]), source.Weights[i]))
            {
                return $"node {source.WeightNodeIds[i]} of tree {source.WeightTreeIds[i]} has two weights";
            }
        }

        trees.AddRange(sizes.Select(size => new ForestNode[size]));
        for (var i = 0; i < count; i++)
        {
            if (own?.Contains(source.TreeIds[i]) == false)
            {
                continue;
            }

            var fault = ReadNode(source, i, places, weights, isOneOfMany: target is not null, out var node);
            if (fault is not null)
            {
                return $"node {source.NodeIds[i]} of tree {source.TreeIds[i]} {fault}";
            }

            trees[treeIndexes[source.TreeIds[i]]][places[(source.TreeIds[i], source.NodeIds[i])]] = node;
        }

        return null;
    }

    private static string? ReadNode(
        OnnxTreeNode source, int i, Dictionary<(long Tree, long Node), int> places, Dictionary<(long Tree, long Node), float> weights, bool isOneOfMany, out ForestNode node)
    {
        node = default;
        var tree = source.TreeIds[i];
        var cover = source.HitRates.Count == 0 ? float.NaN : source.HitRates[i];
        var hasWeight = weights.TryGetValue((tree, source.NodeIds[i]), out var weight);
        if (source.Modes[i] == "LEAF")
        {
            node = ForestNode.Leaf(weight, cover);
            return hasWeight || isOneOfMany ? null : "is a leaf without a weight"; // of this target: another one may have it
        }

        if (hasWeight)
        {
            return "has a weight and is no leaf";
        }

        if (!places.TryGetValue((tree, source.TrueNodeIds[i]), out var whenTrue) || !places.TryGetValue((tree, source.FalseNodeIds[i]), out var whenFalse))
        {
            return "leads to a node that is not there";
        }

        if (source.FeatureIds[i] is < 0 or >= ModelLimits.FeatureCountMax)
        {
            return $"splits on feature {source.FeatureIds[i]}";
        }

        var (trueIsRight, moves) = source.Modes[i] switch
        {
            "BRANCH_LT" => (false, false),
            "BRANCH_LEQ" => (false, true),
            "BRANCH_GTE" => (true, false),
            "BRANCH_GT" => (true, true),
            _ => ((bool?)null, false),
        };
        var threshold = source.Values[i];
        if (trueIsRight is null || float.IsNaN(threshold) || (moves && float.IsPositiveInfinity(threshold)))
        {
            return $"compares by {source.Modes[i]} with {threshold}, which is not read here";
        }

        var missingIsTrue = source.MissingTracksTrue.Count != 0 && source.MissingTracksTrue[i] != 0;
        node = ForestNode.Split(
            (int)source.FeatureIds[i],
            moves ? MathF.BitIncrement(threshold) : threshold, // x ≤ t is x < nextafter(t), x > t is x ≥ nextafter(t)
            trueIsRight.Value ? whenFalse : whenTrue,
            trueIsRight.Value ? whenTrue : whenFalse,
            missingRight: missingIsTrue == trueIsRight.Value,
            cover);
        return null;
    }

    /// <summary>What is needed of a GraphProto: node 1, input 11, output 12.</summary>
    private sealed class GraphParts
    {
        private readonly List<(string Name, int Element, long[] Shape)> _inputs = [];
        private readonly List<(string Name, int Element, long[] Shape)> _outputs = [];
        private readonly Dictionary<string, string> _sameAs = new(StringComparer.Ordinal);
        private (string Input, string Output)? _sigmoid;

        public OnnxTreeNode? Trees { get; private set; }

        /// <summary>Whether the score is the Sigmoid of what the trees give.</summary>
        public bool HasSigmoid { get; private set; }

        public string InputName { get; private set; } = "";

        public string OutputName { get; private set; } = "";

        public int FeatureCount { get; private set; }

        public string? Read(ReadOnlySpan<byte> model)
        {
            var reader = new ProtoReader(model);
            while (reader.Next(out var field))
            {
                if (field is { Number: 7, IsBytes: true } && ReadGraph(field.Bytes) is { } fault)
                {
                    return fault;
                }
            }

            return Trees is null ? "the graph has no TreeEnsembleRegressor or TreeEnsembleClassifier" : Connect(Trees);
        }

        private string? ReadGraph(ReadOnlySpan<byte> graph)
        {
            var reader = new ProtoReader(graph);
            while (reader.Next(out var field))
            {
                string? fault = null;
                switch (field.Number)
                {
                    case 1:
                        fault = ReadNode(field.Bytes);
                        break;
                    case 5 or 15:
                        fault = "the graph has constants beside the trees";
                        break;
                    case 11:
                        _inputs.Add(ReadValue(field.Bytes));
                        break;
                    case 12:
                        _outputs.Add(ReadValue(field.Bytes));
                        break;
                }

                if (fault is not null)
                {
                    return fault;
                }
            }

            return null;
        }

        private string? ReadNode(ReadOnlySpan<byte> message)
        {
            var op = "";
            var reader = new ProtoReader(message);
            while (reader.Next(out var field))
            {
                if (field is { Number: 4, IsBytes: true })
                {
                    op = Encoding.UTF8.GetString(field.Bytes);
                }
            }

            if (op is not ("TreeEnsembleRegressor" or "TreeEnsembleClassifier" or "Identity" or "Sigmoid"))
            {
                return $"the graph has a node of the type {op}";
            }

            var node = new OnnxTreeNode();
            if (node.Read(message) is { } fault)
            {
                return fault;
            }

            if (op == "Identity")
            {
                return node.Inputs.Count == 1 && node.Outputs.Count == 1 && _sameAs.TryAdd(node.Outputs[0], node.Inputs[0]) ? null : "an Identity node is malformed";
            }

            if (op == "Sigmoid")
            {
                var isFirst = _sigmoid is null && node is { Domain: "" or "ai.onnx", Inputs.Count: 1, Outputs.Count: 1 };
                _sigmoid = isFirst ? (node.Inputs[0], node.Outputs[0]) : null;
                return isFirst ? null : "the graph has two Sigmoid nodes, or one that is malformed";
            }

            if (Trees is not null || node.Domain != "ai.onnx.ml" || node.Inputs.Count != 1)
            {
                return "the graph has more than one ensemble of trees, or one that is malformed";
            }

            Trees = node;
            return null;
        }

        private string? Connect(OnnxTreeNode trees)
        {
            var scoreOutput = trees.OpType == "TreeEnsembleClassifier" ? 1 : 0;
            var input = _inputs.Find(i => i.Name == Origin(trees.Inputs[0]));
            var scoreName = trees.Outputs.Count > scoreOutput ? trees.Outputs[scoreOutput] : null;
            if (_sigmoid is { } sigmoid)
            {
                if (trees.PostTransform != "NONE" || Origin(sigmoid.Input) != scoreName)
                {
                    return "the Sigmoid does not follow upon the trees' margin";
                }

                (HasSigmoid, scoreName) = (true, sigmoid.Output);
            }

            var output = scoreName is null ? default : _outputs.Find(o => Origin(o.Name) == scoreName);
            if (_inputs.Count != 1 || input.Name is null || output.Name is null)
            {
                return "the graph does not lead from one input through the trees to an output";
            }

            if (input.Element != FloatElement || input.Shape is not [_, >= 1 and <= ModelLimits.FeatureCountMax])
            {
                return $"the input '{input.Name}' is not float32 of the shape [N, features]";
            }

            (InputName, OutputName, FeatureCount) = (input.Name, output.Name, (int)input.Shape[1]);
            return null;
        }

        private string Origin(string name)
        {
            for (var hops = 0; hops < 16 && _sameAs.TryGetValue(name, out var before); hops++)
            {
                name = before;
            }

            return name;
        }

        /// <summary>ValueInfoProto: name 1, type 2 · tensor_type 1 (elem_type 1, shape 2 · dim 1 · dim_value 1); −1 for a dimension without a value.</summary>
        private static (string Name, int Element, long[] Shape) ReadValue(ReadOnlySpan<byte> message)
        {
            var tensor = Field(Field(message, 2).Bytes, 1).Bytes;
            var shape = new List<long>();
            var reader = new ProtoReader(Field(tensor, 2).Bytes);
            while (reader.Next(out var dimension))
            {
                var value = Field(dimension.Bytes, 1);
                shape.Add(value is { Number: 1, Wire: ProtoWire.Varint } ? (long)value.Scalar : -1);
            }

            return (Encoding.UTF8.GetString(Field(message, 1).Bytes), (int)Field(tensor, 1).Scalar, shape.ToArray());
        }

        private static ProtoField Field(ReadOnlySpan<byte> message, int number)
        {
            var reader = new ProtoReader(message);
            while (reader.Next(out var field))
            {
                if (field.Number == number)
                {
                    return field;
                }
            }

            return default;
        }
    }
}
