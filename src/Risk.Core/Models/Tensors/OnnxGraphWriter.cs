using System.Buffers.Binary;

namespace Risk.Core.Models.Tensors;

/// <summary>
/// Collects the nodes and constants of an ONNX graph of standard operators (opset 15, IR 8) and writes the file. The same calls
/// give the same bytes. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
/// </summary>
internal sealed class OnnxGraphWriter(string input, string output)
{
    /// <summary>As the name of a node's output: the graph's own output.</summary>
    public const string Result = "";

    private const string InnerPrefix = "trees/"; // no inner name may be the model's own input or output
    private const int Float32 = 1;
    private const int Int32 = 6;
    private const int Int64 = 7;
    private const int AttributeInt = 2;
    private const int AttributeInts = 7;

    private readonly string _output = output;
    private readonly List<ProtoWriter> _nodes = [];
    private readonly List<ProtoWriter> _constants = [];

    /// <summary>The graph's input.</summary>
    public string Input { get; } = input;

    /// <summary>Adds a node with one output.</summary>
    /// <param name="output">The output's name in the graph, or <see cref="Result"/>.</param>
    /// <returns>The output's full name, for other nodes to take.</returns>
    public string Node(string op, string output, params ReadOnlySpan<string> inputs) => Add(op, output, inputs, null);

    /// <summary>Adds a node with one integer attribute.</summary>
    public string Node(string op, string output, (string Name, long Value) attribute, params ReadOnlySpan<string> inputs) =>
        Add(op, output, inputs, OnnxForestWriter.Attribute(attribute.Name, AttributeInt).Varint(3, attribute.Value));

    public string Transpose(string output, string input) =>
        Add("Transpose", output, [input], OnnxForestWriter.Attribute("perm", AttributeInts).Varints(8, [1, 0]));

    /// <summary>A cast to float32.</summary>
    public string ToFloat(string output, string input) => Node("Cast", output, ("to", Float32), input);

    /// <summary>A cast to int32, the one integer that every execution provider has kernels for.</summary>
    public string ToInt(string output, string input) => Node("Cast", output, ("to", Int32), input);

    public string Reshape(string output, string input, params long[] shape) => Node("Reshape", output, input, Longs($"{output}/shape", shape));

    /// <summary>The sum over one axis, which is left out of the result.</summary>
    public string Sum(string output, string input, int axis) => Node("ReduceSum", output, ("keepdims", 0), input, Longs($"{output}/axes", [axis]));

    public string Floats(string name, ReadOnlySpan<float> values, params long[] shape)
    {
        var raw = new byte[values.Length * sizeof(float)];
        for (var i = 0; i < values.Length; i++)
        {
            BinaryPrimitives.WriteSingleLittleEndian(raw.AsSpan(i * sizeof(float)), values[i]);
        }

        return Constant(name, Float32, raw, shape);
    }

    public string Ints(string name, ReadOnlySpan<int> values, params long[] shape)
    {
        var raw = new byte[values.Length * sizeof(int)];
        for (var i = 0; i < values.Length; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(raw.AsSpan(i * sizeof(int)), values[i]);
        }

        return Constant(name, Int32, raw, shape);
    }

    /// <summary>The file: one input and one output, float32 of the shapes [N, columns].</summary>
    public byte[] ToArray(string name, int inputColumns, int outputColumns)
    {
        var graph = new ProtoWriter();
        _nodes.ForEach(node => graph.Message(1, node));
        graph.Text(2, name);
        _constants.ForEach(constant => graph.Message(5, constant));
        graph.Message(11, OnnxForestWriter.Value(Input, inputColumns)).Message(12, OnnxForestWriter.Value(_output, outputColumns));
        return new ProtoWriter()
            .Varint(1, 8)
            .Text(2, "risk")
            .Message(7, graph)
            .Message(8, new ProtoWriter().Text(1, "").Varint(2, 15))
            .ToArray();
    }

    /// <summary>Shapes and axes, which ONNX wants as int64; the execution providers read them on the host.</summary>
    private string Longs(string name, long[] values)
    {
        var raw = new byte[values.Length * sizeof(long)];
        for (var i = 0; i < values.Length; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(raw.AsSpan(i * sizeof(long)), values[i]);
        }

        return Constant(name, Int64, raw, [values.Length]);
    }

    /// <summary>TensorProto: dims 1, data_type 2, name 8, raw_data 9.</summary>
    private string Constant(string name, int type, byte[] raw, long[] shape)
    {
        name = InnerPrefix + name;
        _constants.Add(new ProtoWriter().Varints(1, shape).Varint(2, type).Text(8, name).Bytes(9, raw));
        return name;
    }

    /// <summary>NodeProto: input 1, output 2, name 3, op_type 4, attribute 5.</summary>
    private string Add(string op, string output, ReadOnlySpan<string> inputs, ProtoWriter? attribute)
    {
        var node = new ProtoWriter();
        foreach (var input in inputs)
        {
            node.Text(1, input);
        }

        output = output == Result ? _output : InnerPrefix + output;
        node.Text(2, output).Text(3, output).Text(4, op);
        if (attribute is not null)
        {
            node.Message(5, attribute);
        }

        _nodes.Add(node);
        return output;
    }
}
