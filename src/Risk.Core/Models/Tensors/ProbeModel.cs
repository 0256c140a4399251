namespace Risk.Core.Models.Tensors;

/// <summary>
/// Small ONNX models that are made here, for asking a device something: does it work at all, how long does a call take that
/// computes next to nothing, what does it do with an operator that it lacks.
/// </summary>
public static class ProbeModel
{
    public const string InputName = "features", OutputName = "score";

    /// <summary>float32 [N, features] to [N, 1]: the logistic function of the first feature. What remains of a call is copies, checks and launches.</summary>
    public static byte[] Empty(int features)
    {
        var graph = new OnnxGraphWriter(InputName, OutputName);
        string first = graph.Node("Gather", "first", ("axis", 1), InputName, graph.Ints("column", [0], 1));
        graph.Node("Sigmoid", OnnxGraphWriter.Result, first);
        return graph.ToArray("probe-empty", features, 1);
    }

    /// <summary>
    /// Two layers of multiply and add with a logistic end. The weights follow from their places, so every machine makes the same bytes.
    /// </summary>
    /// <param name="isSilentOnCpu">One operator more that accelerators lack (NonZero); what it computes adds 0.</param>
    public static byte[] Layers(int features, int width, bool isSilentOnCpu = false)
    {
        var graph = new OnnxGraphWriter(InputName, OutputName);
        string hidden = graph.Node("MatMul", "hidden", InputName, graph.Floats("w1", Weights(features * width, 31), features, width));
        string active = graph.Node("Relu", "active", graph.Node("Add", "biased", hidden, graph.Floats("b1", Weights(width, 17), 1, width)));
        string margin = graph.Node("MatMul", "margin", active, graph.Floats("w2", Weights(width, 13), width, 1));
        if (isSilentOnCpu)
        {
            string places = graph.ToFloat("places", graph.Node("NonZero", "lacking", active));
            string none = graph.Node("Mul", "none", graph.Node("ReduceMax", "most", ("keepdims", 0), places), graph.Floats("zero", [0], 1));
            margin = graph.Node("Add", "same", margin, none);
        }
        graph.Node("Sigmoid", OnnxGraphWriter.Result, margin);
        return graph.ToArray("probe-layers", features, 1);
    }

    private static float[] Weights(int count, int step)
    {
        var weights = new float[count];
        for (int i = 0; i < count; i++) { weights[i] = ((i * step % 97) - 48) / 256f; }
        return weights;
    }
}
