using Risk.Core.Models;
using static Risk.Inference.Tests.RandomForests;

namespace Risk.Inference.Tests;

public sealed class OnnxSessionTests
{
    [Fact]
    public void Score_AllocatesNothing()
    {
        var forest = Create(1, new Shape(50, 6, 30));
        var rows = Rows(2, forest, 100);
        var scores = new float[100];
        using var session = Open(forest, 100);
        Allocations.AssertNone(() =>
        {
            session.Score(rows, 1, scores);
            session.Score(rows, 37, scores);
            session.Score(rows, 100, scores);
        });
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(300)]
    public void EveryBatchSize_IsScored(int batchSizeMax)
    {
        var forest = Create(3, new Shape(20, 5, 12));
        var rows = Rows(4, forest, batchSizeMax);
        using var session = Open(forest, batchSizeMax);
        var scores = new float[batchSizeMax];
        for (var count = 0; count <= batchSizeMax; count++)
        {
            scores.AsSpan().Fill(-1);
            Assert.Equal(ScoringStatus.Scored, session.Score(rows, count, scores));
            for (var r = 0; r < batchSizeMax; r++)
            {
                var expected = r < count ? forest.Output(forest.Margin(rows.AsSpan(r * 12, 12))) : -1;
                Assert.Equal(expected, scores[r], 1e-6f);
            }
        }
    }

    [Fact]
    public void BatchSizes_WasteAtMostAnEighth()
    {
        var sizes = OnnxSession.BatchSizes(5000);
        Assert.Equal(1, sizes[0]);
        Assert.Equal(5000, sizes[^1]);
        Assert.All(sizes.Zip(sizes.Skip(1)), pair => Assert.True(pair.Second - pair.First <= Math.Max(1, pair.First / 8)));
    }

    [Theory]
    [InlineData(1.5f)]
    [InlineData(-0.5f)]
    public void OutputOutsideOfZeroToOne_IsAValueNotAScore(float leaf)
    {
        using var session = Open(Build([[ForestNode.Leaf(leaf)]], 2, ForestLink.None, 0), 4);
        Assert.Equal(ScoringStatus.OutputInvalid, session.Score([0f, 0f], 1, new float[1]));
    }

    [Fact]
    public void OtherFeatureCount_IsFeatureMismatch()
    {
        var onnx = OnnxForestWriter.Write(Create(5, new Shape(3, 3, 10)));
        Assert.False(OnnxSession.TryOpen(onnx, 11, "score", 8, out _, out var refusal));
        Assert.Equal(ModelCodes.FeatureMismatch, refusal.Code);
        Assert.Contains("[N, 10]", refusal.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void OtherOutputName_IsUnsupported()
    {
        var onnx = OnnxForestWriter.Write(Create(5, new Shape(3, 3, 10)));
        Assert.False(OnnxSession.TryOpen(onnx, 10, "probability", 8, out _, out var refusal));
        Assert.Equal(ModelCodes.Unsupported, refusal.Code);
    }

    [Fact]
    public void TruncatedFile_IsUntrusted_AtEveryLength()
    {
        var onnx = OnnxForestWriter.Write(Create(5, new Shape(1, 2, 3)));
        for (var length = 0; length < onnx.Length; length += 7)
        {
            Assert.False(OnnxSession.TryOpen(onnx[..length], 3, "score", 8, out _, out var refusal));
            Assert.True(refusal.Code is ModelCodes.Untrusted or ModelCodes.Unsupported, $"{length}: {refusal}");
        }
    }

    private static OnnxSession Open(Forest forest, int batchSizeMax)
    {
        Assert.True(OnnxSession.TryOpen(OnnxForestWriter.Write(forest), forest.FeatureCount, "score", batchSizeMax, out var session, out var refusal), refusal?.Reason);
        return session;
    }
}
