using System.Runtime.InteropServices;
using System.Text;

namespace Risk.Core.Models;

/// <summary>
/// The attributes of one TreeEnsembleRegressor or TreeEnsembleClassifier node (ai.onnx.ml 1 to 3), as they stand in the file:
/// parallel lists, one entry a node or one a leaf weight.
/// https://github.com/onnx/onnx/blob/main/docs/Operators-ml.md#ai.onnx.ml.TreeEnsembleRegressor
/// </summary>
internal sealed class OnnxTreeNode
{
    private readonly HashSet<string> _seen = new(StringComparer.Ordinal);

    public string OpType { get; private set; } = "";

    public string Domain { get; private set; } = "";

    public List<string> Inputs { get; } = [];

    public List<string> Outputs { get; } = [];

    public string AggregateFunction { get; private set; } = "SUM";

    public string PostTransform { get; private set; } = "NONE";

    public long TargetCount { get; private set; } = 1;

    public List<float> BaseValues { get; } = [];

    public List<long> TreeIds { get; } = [];

    public List<long> NodeIds { get; } = [];

    public List<long> FeatureIds { get; } = [];

    public List<long> TrueNodeIds { get; } = [];

    public List<long> FalseNodeIds { get; } = [];

    public List<long> MissingTracksTrue { get; } = [];

    public List<string> Modes { get; } = [];

    public List<float> Values { get; } = [];

    public List<float> HitRates { get; } = [];

    public List<long> WeightTreeIds { get; } = [];

    public List<long> WeightNodeIds { get; } = [];

    /// <summary>Target of a regressor's weight, class of a classifier's.</summary>
    public List<long> WeightIds { get; } = [];

    public List<float> Weights { get; } = [];

    public int ClassLabelCount { get; private set; }

    /// <summary>Reads a NodeProto; the reason why it cannot be, or null.</summary>
    public string? Read(ReadOnlySpan<byte> nodeProto)
    {
        var reader = new ProtoReader(nodeProto);
        while (reader.Next(out var field))
        {
            string? fault = null;
            switch (field.Number)
            {
                case 1:
                    Inputs.Add(Text(field.Bytes));
                    break;
                case 2:
                    Outputs.Add(Text(field.Bytes));
                    break;
                case 4:
                    OpType = Text(field.Bytes);
                    break;
                case 5:
                    fault = ReadAttribute(field.Bytes);
                    break;
                case 7:
                    Domain = Text(field.Bytes);
                    break;
            }

            if (fault is not null)
            {
                return fault;
            }
        }

        return reader.IsMalformed ? "a node is truncated" : null;
    }

    /// <summary>AttributeProto: name 1, f 2, i 3, s 4, t 5, floats 7, ints 8, strings 9. The name may stand anywhere, so it is looked up first.</summary>
    private string? ReadAttribute(ReadOnlySpan<byte> attribute)
    {
        var name = "";
        var reader = new ProtoReader(attribute);
        while (reader.Next(out var field))
        {
            if (field is { Number: 1, IsBytes: true })
            {
                name = Text(field.Bytes);
            }
        }

        if (reader.IsMalformed || !_seen.Add(name))
        {
            return $"the attribute '{name}' is truncated or stands there twice";
        }

        switch (name)
        {
            case "aggregate_function":
                AggregateFunction = Scalar(attribute);
                return null;
            case "post_transform":
                PostTransform = Scalar(attribute);
                return null;
            case "n_targets":
                TargetCount = Integer(attribute);
                return null;
            case "classlabels_int64s":
                ClassLabelCount += Count(attribute, 8);
                return null;
            case "classlabels_strings":
                ClassLabelCount += Count(attribute, 9);
                return null;
            case "base_values":
                return Floats(attribute, BaseValues);
            case "nodes_treeids":
                return Integers(attribute, TreeIds);
            case "nodes_nodeids":
                return Integers(attribute, NodeIds);
            case "nodes_featureids":
                return Integers(attribute, FeatureIds);
            case "nodes_truenodeids":
                return Integers(attribute, TrueNodeIds);
            case "nodes_falsenodeids":
                return Integers(attribute, FalseNodeIds);
            case "nodes_missing_value_tracks_true":
                return Integers(attribute, MissingTracksTrue);
            case "nodes_modes":
                return Texts(attribute, Modes);
            case "nodes_values":
                return Floats(attribute, Values);
            case "nodes_hitrates":
                return Floats(attribute, HitRates);
            case "target_treeids" or "class_treeids":
                return Integers(attribute, WeightTreeIds);
            case "target_nodeids" or "class_nodeids":
                return Integers(attribute, WeightNodeIds);
            case "target_ids" or "class_ids":
                return Integers(attribute, WeightIds);
            case "target_weights" or "class_weights":
                return Floats(attribute, Weights);
            default:
                return $"the attribute '{name}' is not read here";
        }
    }

    private static string Text(ReadOnlySpan<byte> utf8) => Encoding.UTF8.GetString(utf8);

    private static string Scalar(ReadOnlySpan<byte> attribute)
    {
        var reader = new ProtoReader(attribute);
        while (reader.Next(out var field))
        {
            if (field is { Number: 4, IsBytes: true })
            {
                return Text(field.Bytes);
            }
        }

        return "";
    }

    private static long Integer(ReadOnlySpan<byte> attribute)
    {
        var reader = new ProtoReader(attribute);
        while (reader.Next(out var field))
        {
            if (field.Number == 3)
            {
                return (long)field.Scalar;
            }
        }

        return 0;
    }

    private static int Count(ReadOnlySpan<byte> attribute, int number)
    {
        if (number == 8)
        {
            var labels = new List<long>();
            return Integers(attribute, labels) is null ? labels.Count : 0;
        }

        var texts = new List<string>();
        return Texts(attribute, texts) is null ? texts.Count : 0;
    }

    private static string? Integers(ReadOnlySpan<byte> attribute, List<long> target)
    {
        var reader = new ProtoReader(attribute);
        while (reader.Next(out var field))
        {
            if (field.Number != 8)
            {
                continue;
            }

            if (!field.IsBytes)
            {
                target.Add((long)field.Scalar);
                continue;
            }

            var rest = field.Bytes;
            while (!rest.IsEmpty)
            {
                if (!ProtoReader.TryVarint(ref rest, out var value))
                {
                    return "a list of integers is truncated";
                }

                target.Add((long)value);
            }
        }

        return null;
    }

    private static string? Floats(ReadOnlySpan<byte> attribute, List<float> target)
    {
        var reader = new ProtoReader(attribute);
        while (reader.Next(out var field))
        {
            if (field.Number != 7)
            {
                continue;
            }

            if (field.Bytes.Length % sizeof(float) != 0)
            {
                return "a list of floats is truncated";
            }

            foreach (var bits in MemoryMarshal.Cast<byte, uint>(field.Bytes))
            {
                target.Add(BitConverter.UInt32BitsToSingle(BitConverter.IsLittleEndian ? bits : System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(bits)));
            }
        }

        return null;
    }

    private static string? Texts(ReadOnlySpan<byte> attribute, List<string> target)
    {
        var reader = new ProtoReader(attribute);
        while (reader.Next(out var field))
        {
            if (field is { Number: 9, IsBytes: true })
            {
                target.Add(Mode(field.Bytes));
            }
        }

        return null;
    }

    /// <summary>One string for each of the few modes instead of one a node.</summary>
    private static string Mode(ReadOnlySpan<byte> utf8) =>
        utf8.SequenceEqual("LEAF"u8) ? "LEAF" :
        utf8.SequenceEqual("BRANCH_LT"u8) ? "BRANCH_LT" :
        utf8.SequenceEqual("BRANCH_LEQ"u8) ? "BRANCH_LEQ" :
        utf8.SequenceEqual("BRANCH_GT"u8) ? "BRANCH_GT" :
        utf8.SequenceEqual("BRANCH_GTE"u8) ? "BRANCH_GTE" :
        Text(utf8[..Math.Min(utf8.Length, 64)]);
}
