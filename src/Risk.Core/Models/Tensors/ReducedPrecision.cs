using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Text;

namespace Risk.Core.Models.Tensors;

/// <summary>How numbers are kept inside of the matrix products.</summary>
public enum Precision
{
    /// <summary><c>fp16</c>: IEEE half precision, for weights, inputs and sums.</summary>
    Half,

    /// <summary><c>int8</c>: eight bits for weights and inputs, 32 for sums.</summary>
    EightBits,
}

/// <summary>The smallest and largest value that a tensor had.</summary>
public readonly record struct ValueRange(float Low, float High);

/// <summary>
/// Writes an ONNX model with the matrix products by constant weights (Gemm, MatMul) in fewer bits, and everything else as it is:
/// that is where the time goes, and what lies between (logarithms, softmax) is where few bits hurt.
/// <para>
/// Half precision casts at the borders of each product. Eight bits quantise the input with a constant scale, from the ranges that
/// were seen on calibration rows: a scale taken from each batch (<c>DynamicQuantizeLinear</c>) would let the rows of a batch change
/// each other's scores. Weights have one scale a column and are unsigned around 128: the product of two unsigned bytes is exact on
/// every processor, while signed by unsigned saturates where there is no VNNI
/// (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html). Field numbers:
/// https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
/// </para>
/// </summary>
public static class ReducedPrecision
{
    private const int Float32 = 1, Unsigned8 = 2, Float16 = 10, Graph = 7, NodeField = 1, InitializerField = 5, OutputField = 12;

    public static string Name(Precision precision) => precision == Precision.Half ? "fp16" : "int8";

    /// <summary>The tensors that the products take in, in the order of the graph; each once.</summary>
    public static IReadOnlyList<string> ProductInputs(ReadOnlySpan<byte> onnx) =>
        Parsed.TryRead(onnx, out Parsed? model) ? [.. model.Products.Select(p => p.Inputs[0]).Distinct(StringComparer.Ordinal)] : [];

    /// <summary>The model with those tensors as further outputs, to see what ranges they have.</summary>
    public static byte[] Observed(ReadOnlySpan<byte> onnx, IReadOnlyList<string> tensors)
    {
        var outputs = tensors.Select(name => new ProtoWriter().Text(1, name).Message(2, new ProtoWriter().Message(1, new ProtoWriter().Varint(1, Float32)))).ToList();
        return Rewrite(onnx, (graph, number, bytes) => graph.Bytes(number, bytes), graph => outputs.ForEach(output => graph.Message(OutputField, output)));
    }

    /// <summary>Writes the model. The same bytes and ranges give the same bytes.</summary>
    /// <param name="ranges">By tensor, of all <see cref="ProductInputs"/>; for eight bits only.</param>
    /// <param name="refusal"><see cref="ModelCodes.Unsupported"/>: no such products, or numbers that the precision cannot hold.</param>
    public static bool TryWrite(ReadOnlySpan<byte> onnx, Precision precision, IReadOnlyDictionary<string, ValueRange>? ranges, [NotNullWhen(true)] out byte[]? written, [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        written = null;
        if (!Parsed.TryRead(onnx, out Parsed? model) || model.Products.Count == 0)
        {
            refusal = new ModelRefusal(ModelCodes.Unsupported, "the model has no matrix product by constant weights: there is nothing to keep in fewer bits");
            return false;
        }
        refusal = model.Products.Select(p => p.Inputs[0]).FirstOrDefault(name => precision == Precision.EightBits && ranges?.ContainsKey(name) != true) is { } unseen
            ? new ModelRefusal(ModelCodes.Unsupported, $"the range of '{unseen}' is not known: calibrate on rows")
            : model.Products.FirstOrDefault(p => precision == Precision.Half && p.Numbers(model).Any(v => !float.IsFinite((float)(Half)v))) is { } large
            ? new ModelRefusal(ModelCodes.Unsupported, $"'{large.Name}' has weights beyond 65,504, the largest number of half precision")
            : null;
        if (refusal is not null) { return false; }

        var constants = new List<ProtoWriter>();
        var products = model.Products.ToDictionary(p => p.Position);
        HashSet<string> replaced = [.. model.Products.SelectMany(p => p.Inputs.Skip(1))], prepared = [];
        int position = 0;
        written = Rewrite(onnx, (graph, number, bytes) =>
        {
            if (number == InitializerField && replaced.Contains(Parsed.Text(bytes, 8)) && model.Uses[Parsed.Text(bytes, 8)] == 1) { return; }
            if (number != NodeField || !products.TryGetValue(position++, out Product? product)) { graph.Bytes(number, bytes); }
            else if (precision == Precision.Half) { WriteHalf(graph, product, model, prepared, constants); }
            else { WriteEightBits(graph, product, model, ranges![product.Inputs[0]], prepared, constants); }
        }, graph => constants.ForEach(constant => graph.Message(InitializerField, constant)));
        return true;
    }

    private static void WriteHalf(ProtoWriter graph, Product product, Parsed model, HashSet<string> prepared, List<ProtoWriter> constants)
    {
        string half = product.Inputs[0] + "/half";
        if (prepared.Add(half)) { graph.Message(NodeField, Node("Cast", half, [product.Inputs[0]], ("to", Float16))); }
        List<string> inputs = [half];
        foreach (string name in product.Inputs[1..])
        {
            (long[] shape, float[] values) = model.Constants[name];
            if (prepared.Add(name + "/half")) { constants.Add(Constant(name + "/half", Float16, MemoryMarshal.AsBytes<Half>(Array.ConvertAll(values, v => (Half)v)).ToArray(), shape)); }
            inputs.Add(name + "/half");
        }
        graph.Message(NodeField, Node(product.Operator, product.Name + "/in-half", inputs));
        graph.Message(NodeField, Node("Cast", product.Name, [product.Name + "/in-half"], ("to", Float32)));
    }

    private static void WriteEightBits(ProtoWriter graph, Product product, Parsed model, ValueRange range, HashSet<string> prepared, List<ProtoWriter> constants)
    {
        string input = product.Inputs[0], eight = input + "/eight", scaleName = input + "/scale", zeroName = input + "/zero";
        // Zero must be one of the steps: what is absent is zero, and must stay so.
        float low = Math.Min(0, range.Low), high = Math.Max(0, range.High), scale = high > low ? (high - low) / 255 : 1;
        byte zero = (byte)Math.Clamp(MathF.Round(-low / scale), 0, 255);
        if (prepared.Add(eight))
        {
            constants.Add(Constant(scaleName, Float32, BitConverter.GetBytes(scale), []));
            constants.Add(Constant(zeroName, Unsigned8, [zero], []));
            graph.Message(NodeField, Node("QuantizeLinear", eight, [input, scaleName, zeroName]));
        }
        (long[] shape, float[] values) = model.Constants[product.Inputs[1]];
        int columns = (int)shape[1];
        var scales = new float[columns];
        for (int i = 0; i < values.Length; i++) { scales[i % columns] = Math.Max(scales[i % columns], Math.Abs(values[i]) / 127); }
        var bytes = new byte[values.Length];
        for (int i = 0; i < values.Length; i++) { bytes[i] = scales[i % columns] == 0 ? (byte)128 : (byte)Math.Clamp(128 + MathF.Round(values[i] / scales[i % columns]), 1, 255); }
        constants.Add(Constant(product.Name + "/weight", Unsigned8, bytes, shape));
        constants.Add(Constant(product.Name + "/weight-zero", Unsigned8, [128], []));
        constants.Add(Constant(product.Name + "/weight-scale", Float32, MemoryMarshal.AsBytes<float>(Array.ConvertAll(scales, s => s * scale)).ToArray(), [columns]));
        bool hasBias = product.Inputs.Length > 2;
        graph.Message(NodeField, Node("MatMulInteger", product.Name + "/sum", [eight, product.Name + "/weight", zeroName, product.Name + "/weight-zero"]));
        graph.Message(NodeField, Node("Cast", product.Name + "/sum-float", [product.Name + "/sum"], ("to", Float32)));
        graph.Message(NodeField, Node("Mul", hasBias ? product.Name + "/scaled" : product.Name, [product.Name + "/sum-float", product.Name + "/weight-scale"]));
        if (!hasBias) { return; }
        (long[] biasShape, float[] bias) = model.Constants[product.Inputs[2]];
        constants.Add(Constant(product.Name + "/bias", Float32, MemoryMarshal.AsBytes<float>(bias).ToArray(), biasShape));
        graph.Message(NodeField, Node("Add", product.Name, [product.Name + "/scaled", product.Name + "/bias"]));
    }

    /// <summary>Copies the file, with the graph's fields through <paramref name="field"/> and more at its end.</summary>
    private static byte[] Rewrite(ReadOnlySpan<byte> onnx, FieldWriter field, Action<ProtoWriter> more)
    {
        var model = new ProtoWriter();
        var reader = new ProtoReader(onnx);
        while (reader.Next(out ProtoField top))
        {
            if (!top.IsBytes) { model.Varint(top.Number, (long)top.Scalar); }
            else if (top.Number != Graph) { model.Bytes(top.Number, top.Bytes); }
            else
            {
                var graph = new ProtoWriter();
                var fields = new ProtoReader(top.Bytes);
                while (fields.Next(out ProtoField each)) { field(graph, each.Number, each.Bytes); }
                more(graph);
                model.Message(Graph, graph);
            }
        }
        return model.ToArray();
    }

    private delegate void FieldWriter(ProtoWriter graph, int number, ReadOnlySpan<byte> bytes);

    private static ProtoWriter Node(string op, string output, IReadOnlyList<string> inputs, (string Name, long Value)? attribute = null)
    {
        var node = new ProtoWriter();
        foreach (string input in inputs) { node.Text(1, input); }
        node.Text(2, output).Text(3, output).Text(4, op);
        return attribute is { } given ? node.Message(5, OnnxForestWriter.Attribute(given.Name, 2).Varint(3, given.Value)) : node;
    }

    /// <summary>TensorProto: dims 1, data_type 2, name 8, raw_data 9.</summary>
    private static ProtoWriter Constant(string name, int type, byte[] raw, long[] shape) =>
        (shape.Length == 0 ? new ProtoWriter() : new ProtoWriter().Varints(1, shape)).Varint(2, type).Text(8, name).Bytes(9, raw);

    /// <summary>A product [N, k] by constant [k, m], and a constant bias or none.</summary>
    private sealed record Product(int Position, string Operator, string Name, string[] Inputs)
    {
        public IEnumerable<float> Numbers(Parsed model) => Inputs.Skip(1).SelectMany(name => model.Constants[name].Values);
    }

    /// <summary>What of a model matters here.</summary>
    private sealed class Parsed
    {
        public Dictionary<string, (long[] Shape, float[] Values)> Constants { get; } = new(StringComparer.Ordinal);

        public Dictionary<string, int> Uses { get; } = new(StringComparer.Ordinal);

        public List<Product> Products { get; } = [];

        public static bool TryRead(ReadOnlySpan<byte> onnx, [NotNullWhen(true)] out Parsed? model)
        {
            model = null;
            var parsed = new Parsed();
            var nodes = new List<byte[]>();
            var reader = new ProtoReader(onnx);
            while (reader.Next(out ProtoField top))
            {
                if (top is not { Number: Graph, IsBytes: true }) { continue; }
                var fields = new ProtoReader(top.Bytes);
                while (fields.Next(out ProtoField field))
                {
                    // Everything in a graph is a message or a text; what is not, this does not know how to copy.
                    if (!field.IsBytes) { return false; }
                    if (field.Number == NodeField) { nodes.Add(field.Bytes.ToArray()); }
                    else if (field.Number == InitializerField) { parsed.AddConstant(field.Bytes); }
                }
                if (fields.IsMalformed) { return false; }
            }
            if (reader.IsMalformed) { return false; }
            for (int position = 0; position < nodes.Count; position++) { parsed.AddNode(nodes[position], position); }
            model = parsed;
            return true;
        }

        public static string Text(ReadOnlySpan<byte> message, int number)
        {
            var reader = new ProtoReader(message);
            while (reader.Next(out ProtoField field))
            {
                if (field.Number == number && field.IsBytes) { return Encoding.UTF8.GetString(field.Bytes); }
            }
            return "";
        }

        private void AddConstant(ReadOnlySpan<byte> tensor)
        {
            List<long> shape = [];
            ReadOnlySpan<byte> raw = default;
            ulong type = 0;
            var reader = new ProtoReader(tensor);
            while (reader.Next(out ProtoField field))
            {
                switch (field.Number)
                {
                    case 1 when !field.IsBytes: shape.Add((long)field.Scalar); break;
                    case 1:
                        ReadOnlySpan<byte> packed = field.Bytes;
                        while (ProtoReader.TryVarint(ref packed, out ulong size)) { shape.Add((long)size); }
                        break;
                    case 2: type = field.Scalar; break;
                    case 4 or 9 when field.IsBytes: raw = field.Bytes; break; // packed floats and raw bytes are the same bytes
                }
            }
            if (type != Float32 || raw.Length != shape.Aggregate(4L, (bytes, size) => bytes * size)) { return; }
            var values = new float[raw.Length / 4];
            for (int i = 0; i < values.Length; i++) { values[i] = BinaryPrimitives.ReadSingleLittleEndian(raw[(4 * i)..]); }
            Constants[Text(tensor, 8)] = ([.. shape], values);
        }

        private void AddNode(ReadOnlySpan<byte> node, int position)
        {
            List<string> inputs = [];
            bool isPlain = true; // no transposition, no factors, no domain of somebody's own
            var reader = new ProtoReader(node);
            while (reader.Next(out ProtoField field))
            {
                if (field is { Number: 1, IsBytes: true }) { inputs.Add(Encoding.UTF8.GetString(field.Bytes)); }
                isPlain &= field.Number != 5 && !(field.Number == 7 && field.Bytes.Length > 0);
            }
            foreach (string input in inputs) { Uses[input] = Uses.GetValueOrDefault(input) + 1; }
            string op = Text(node, 4);
            if (isPlain && op is "Gemm" or "MatMul" && inputs.Count is 2 or 3 && inputs.Skip(1).All(Constants.ContainsKey) && Constants[inputs[1]].Shape.Length == 2)
            {
                Products.Add(new Product(position, op, Text(node, 2), [.. inputs]));
            }
        }
    }
}
