using Risk.Core.Models;
using Risk.Core.Models.Tensors;

namespace Risk.Inference.Tests;

/// <summary>The shipped sequence model with its matrix products in fewer bits.</summary>
public sealed class ReducedPrecisionTests
{
    private static readonly Lazy<ModelBundle> s_bundle = new(Load);

    private static ModelBundle Bundle => s_bundle.Value;

    [Theory]
    [InlineData(Precision.Half, 1e-6, 5e-3)]
    [InlineData(Precision.EightBits, 1e-4, 0.1)]
    public void ScoresAreNearTheModels_ButOtherOnes(Precision precision, double least, double most)
    {
        float[] scores = Score(Write(precision), 64);
        double furthest = scores.Zip(Bundle.Golden.Scores, (found, expected) => Math.Abs((double)found - expected)).Max();
        Assert.InRange(furthest, least, most);
    }

    // Constant scales: eight bits are sums of integers. Half precision rounds each sum, and its order changes with the batch's size.
    [Theory]
    [InlineData(Precision.Half, 1e-3f)]
    [InlineData(Precision.EightBits, 1e-6f)]
    public void ScoreOfARow_DoesNotDependOnTheOthersOfItsBatch(Precision precision, float rounding)
    {
        byte[] onnx = Write(precision);
        float[] alone = Score(onnx, 1), together = Score(onnx, 256);
        for (int row = 0; row < alone.Length; row++) { Assert.Equal(alone[row], together[row], rounding); }
    }

    [Theory]
    [InlineData(Precision.Half)]
    [InlineData(Precision.EightBits)]
    public void SameBytes_EveryTime_AndFewerOfThem(Precision precision)
    {
        byte[] onnx = Write(precision);
        Assert.Equal(onnx, Write(precision));
        Assert.True(onnx.Length < Bundle.Onnx.Length * 0.7, $"{onnx.Length} of {Bundle.Onnx.Length}");
        Assert.Null(OnnxInspector.Inspect(onnx));
    }

    [Fact]
    public void EightBits_WithoutRanges_IsRefused()
    {
        Assert.False(ReducedPrecision.TryWrite(Bundle.Onnx, Precision.EightBits, null, out _, out ModelRefusal? refusal));
        Assert.Equal(ModelCodes.Unsupported, refusal.Code);
        Assert.Contains("calibrate", refusal.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void ModelWithoutProducts_OrNoModelAtAll_IsRefused()
    {
        foreach (byte[] onnx in (byte[][])[[1, 2, 3], [], Bundle.Onnx[..1000]])
        {
            Assert.False(ReducedPrecision.TryWrite(onnx, Precision.Half, null, out _, out ModelRefusal? refusal));
            Assert.Equal(ModelCodes.Unsupported, refusal.Code);
        }
    }

    private static ModelBundle Load()
    {
        var top = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(top.FullName, "Risk.sln"))) { top = top.Parent!; }
        return ModelBundle.TryLoad(Path.Combine(top.FullName, "models", "card-fraud-sequence", "1"), out ModelBundle? bundle, out ModelRefusal? refusal) ? bundle : throw new InvalidOperationException(refusal.Reason);
    }

    private static byte[] Write(Precision precision)
    {
        IReadOnlyDictionary<string, ValueRange>? ranges = precision == Precision.EightBits ? ActivationRanges.Of(Bundle.Onnx, Bundle.Golden.Rows, Bundle.Golden.FeatureCount) : null;
        Assert.True(ReducedPrecision.TryWrite(Bundle.Onnx, precision, ranges, out byte[]? onnx, out ModelRefusal? refusal), refusal?.Reason);
        return onnx;
    }

    private static float[] Score(byte[] onnx, int batchSizeMax)
    {
        Assert.True(OnnxSession.TryOpen(onnx, Bundle.Golden.FeatureCount, Bundle.Manifest.Output, batchSizeMax, out OnnxSession? session, out ModelRefusal? refusal), refusal?.Reason);
        using (session)
        {
            float[] scores = new float[Bundle.Golden.Count];
            Assert.Equal(ScoringStatus.Scored, Bundle.Golden.Run(session, scores));
            return scores;
        }
    }
}
