using Microsoft.ML.OnnxRuntime;
using Risk.Core.Models.Tensors;
using Risk.Inference.Devices;

namespace Risk.Inference;

/// <summary>The values that the inputs of a model's matrix products take on rows that are like those to come: what eight bits are spread over.</summary>
public static class ActivationRanges
{
    private const int BatchSize = 512;

    /// <summary>By tensor, of all <see cref="ReducedPrecision.ProductInputs"/>.</summary>
    /// <param name="onnx">Verified, or made here from verified bytes.</param>
    /// <param name="rows">Row-major [count, <paramref name="featureCount"/>]; at least one row.</param>
    /// <exception cref="OnnxRuntimeException">The model does not run.</exception>
    public static IReadOnlyDictionary<string, ValueRange> Of(byte[] onnx, float[] rows, int featureCount)
    {
        IReadOnlyList<string> tensors = ReducedPrecision.ProductInputs(onnx);
        OnnxRuntimeLibrary.UseConfigured();
        using SessionOptions options = SessionOpening.Options();
        using var session = new InferenceSession(ReducedPrecision.Observed(onnx, tensors), options);
        using var run = new RunOptions();
        var ranges = tensors.ToDictionary(name => name, _ => new ValueRange(float.MaxValue, float.MinValue), StringComparer.Ordinal);
        for (int row = 0, count = rows.Length / featureCount; row < count; row += BatchSize)
        {
            int size = Math.Min(BatchSize, count - row);
            using OrtValue input = OrtValue.CreateTensorValueFromMemory(OrtMemoryInfo.DefaultInstance, rows.AsMemory(row * featureCount, size * featureCount), [size, featureCount]);
            using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(run, [session.InputNames[0]], [input], tensors);
            for (int t = 0; t < tensors.Count; t++)
            {
                (float low, float high) = (ranges[tensors[t]].Low, ranges[tensors[t]].High);
                foreach (float value in outputs[t].GetTensorDataAsSpan<float>())
                {
                    low = Math.Min(low, value);
                    high = Math.Max(high, value);
                }
                ranges[tensors[t]] = new ValueRange(low, high);
            }
        }
        return ranges;
    }
}
