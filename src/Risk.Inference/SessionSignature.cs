using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Risk.Core.Models;

namespace Risk.Inference;

/// <summary>What a session takes and gives.</summary>
/// <param name="OutputRank">1 for [N], 2 for [N, <paramref name="OutputWidth"/>].</param>
internal sealed record SessionShape(InferenceSession Session, string InputName, string OutputName, int FeatureCount, int OutputRank, int OutputWidth)
{
    public long[] Input(int size) => [size, FeatureCount];

    public long[] Output(int size) => OutputRank == 1 ? [size] : [size, OutputWidth];
}

/// <summary>Whether a model takes the rows that are fed, and has the score that is asked for.</summary>
internal static class SessionSignature
{
    /// <param name="shape">Null with a refusal.</param>
    public static ModelRefusal? Check(InferenceSession session, int featureCount, string outputName, out SessionShape? shape)
    {
        shape = null;
        if (session.InputMetadata.Count != 1)
        {
            return new ModelRefusal(ModelCodes.FeatureMismatch, $"the model has {session.InputMetadata.Count} inputs; one of the shape [N, {featureCount}] is fed");
        }
        (string name, NodeMetadata input) = session.InputMetadata.First();
        if (!input.IsTensor || input.ElementDataType != TensorElementType.Float || input.Dimensions is not [_, _] || input.Dimensions[1] != featureCount || input.Dimensions[0] > 0)
        {
            return new ModelRefusal(ModelCodes.FeatureMismatch, $"the model's input '{name}' is {Shown(input)}; float32 [N, {featureCount}] is fed");
        }
        if (!session.OutputMetadata.TryGetValue(outputName, out NodeMetadata? output))
        {
            return new ModelRefusal(ModelCodes.Unsupported, $"the model has no output '{outputName}'; it has {string.Join(", ", session.OutputNames.Take(8))}");
        }
        if (!output.IsTensor || output.ElementDataType != TensorElementType.Float || output.Dimensions is not ([_] or [_, 1 or 2]))
        {
            return new ModelRefusal(ModelCodes.Unsupported, $"the model's output '{outputName}' is {Shown(output)}; float32 [N], [N, 1] or [N, 2] can be a score");
        }
        shape = new SessionShape(session, session.InputNames[0], outputName, featureCount, output.Dimensions.Length, output.Dimensions.Length == 1 ? 1 : output.Dimensions[1]);
        return null;
    }

    private static string Shown(NodeMetadata metadata) =>
        metadata.IsTensor ? $"{metadata.ElementDataType} [{string.Join(", ", metadata.Dimensions.Select(d => d < 0 ? "N" : d.ToString(CultureInfo.InvariantCulture)))}]" : metadata.OnnxValueType.ToString();
}
