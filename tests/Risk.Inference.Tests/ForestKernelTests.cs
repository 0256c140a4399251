using Risk.Core.Models;
using static Risk.Inference.Tests.RandomForests;

namespace Risk.Inference.Tests;

public sealed class ForestKernelTests
{
    private const int RowCount = 203; // whole tiles of 64 and of 32, and a rest

    /// <summary>Name, shape: each stresses one property of the kernel.</summary>
    public static TheoryData<string, int, int, int, int, double, double> Shapes => new()
    {
        // name, trees, depth, features, thresholds a feature, share of missing-goes-right, share of early leaves
        { "single leaves", 5, 0, 1, 1, 0, 0 },
        { "stumps", 40, 1, 3, 5, 0.5, 0 },
        { "depth 2", 40, 2, 5, 9, 0, 0 },
        { "depth 3", 33, 3, 7, 17, 1, 0.1 },
        { "depth 5, ragged", 61, 5, 15, 60, 0.5, 0.3 },
        { "depth 6, full", 64, 6, 63, 30, 0, 0 },
        { "depth 6, both directions", 50, 6, 40, 40, 0.5, 0.05 },
        { "one feature, 600 thresholds", 60, 6, 1, 600, 0.5, 0.05 },
        { "three features, 300 thresholds", 80, 6, 3, 300, 0, 0.05 },
        { "64 features", 50, 6, 64, 20, 0, 0.1 },
        { "126 features, two registers", 60, 6, 126, 12, 0, 0.1 },
        { "130 features, too many for registers", 60, 6, 130, 12, 0.5, 0.1 },
        { "depth 7", 30, 7, 20, 30, 0.5, 0.05 },
        { "depth 9, ragged", 20, 9, 30, 30, 0.5, 0.2 },
        { "depth 12", 6, 12, 60, 50, 0.3, 0.1 },
        { "depth 12, 130 features", 6, 12, 130, 20, 0.3, 0.1 },
        { "one tree", 1, 6, 10, 20, 0.5, 0.1 },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void EveryWalk_GivesTheBitsOfThePlainWalk(string name, int trees, int depth, int features, int thresholds, double missingRight, double early)
    {
        var forest = Create(name.Length, new Shape(trees, depth, features, thresholds, missingRight, early));
        var rows = Rows(7, forest, RowCount);
        var expected = new float[RowCount];
        for (var r = 0; r < RowCount; r++)
        {
            expected[r] = forest.Output(forest.Margin(rows.AsSpan(r * features, features)));
        }

        foreach (var instructions in Enum.GetValues<ForestInstructions>())
        {
            using var kernel = new ForestKernel(forest, RowCount, instructions);
            var actual = new float[RowCount];
            Assert.Equal(ScoringStatus.Scored, kernel.Score(rows, RowCount, actual));
            AssertSameBits(expected, actual, $"{name} by {instructions} ({kernel.ExecutionProvider})");
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Kernel_IsWithinAMillionthOfOnnxRuntime(string name, int trees, int depth, int features, int thresholds, double missingRight, double early)
    {
        foreach (var (seed, mode) in new[] { (1, "BRANCH_LT"), (2, "BRANCH_LEQ"), (3, "BRANCH_GT"), (4, "BRANCH_GTE") })
        {
            var written = Create(seed, new Shape(trees, depth, features, thresholds, missingRight, early));
            // -infinity has no float below it: x < −∞ cannot be said as x ≤ t.
            var onnx = OnnxForestWriter.Write(WithoutNegativeInfinity(written), mode);
            Assert.True(OnnxForestReader.TryRead(onnx, out var forest, out var refusal), refusal?.Reason);
            var rows = Rows(seed + 10, forest, RowCount);
            Assert.True(OnnxSession.TryOpen(onnx, features, "score", RowCount, out var session, out refusal), refusal?.Reason);
            using var kernel = new ForestKernel(forest, RowCount);
            var (ours, theirs) = (new float[RowCount], new float[RowCount]);
            using (session)
            {
                Assert.Equal(ScoringStatus.Scored, kernel.Score(rows, RowCount, ours));
                Assert.Equal(ScoringStatus.Scored, session.Score(rows, RowCount, theirs));
            }

            var report = ConformanceReport.Compare(name, ours, theirs);
            Assert.True(report.Conforms, $"{name}, {mode}: {report.MaxAbsoluteDifference} at row {report.WorstRow}");
        }
    }

    [Fact]
    public void WithoutLink_KernelAndOnnxRuntimeAddUpToTheSameBits()
    {
        // Leaves around 1/trees keep the sum inside [0,1], where it counts as a score.
        var forest = Create(5, new Shape(200, 6, 30, 60, 0.5, 0.1, ForestLink.None, LeafScale: 0.004f));
        var rows = Rows(6, forest, RowCount);
        Assert.True(OnnxSession.TryOpen(OnnxForestWriter.Write(forest), 30, "score", RowCount, out var session, out var refusal), refusal?.Reason);
        using var kernel = new ForestKernel(forest, RowCount);
        var (ours, theirs) = (new float[RowCount], new float[RowCount]);
        using (session)
        {
            Assert.Equal(ScoringStatus.Scored, session.Score(rows, RowCount, theirs));
        }

        Assert.Equal(ScoringStatus.Scored, kernel.Score(rows, RowCount, ours));
        AssertSameBits(theirs, ours, "sums");
    }

    [Theory]
    [InlineData(6, 30)]
    [InlineData(6, 130)]
    [InlineData(9, 30)]
    public void ARow_HasTheSameBitsInAnyBatch(int depth, int features)
    {
        var forest = Create(11, new Shape(100, depth, features, 40, 0.5));
        var rows = Rows(12, forest, RowCount);
        foreach (var instructions in Enum.GetValues<ForestInstructions>())
        {
            using var kernel = new ForestKernel(forest, RowCount, instructions);
            var whole = new float[RowCount];
            kernel.Score(rows, RowCount, whole);
            foreach (var size in new[] { 1, 2, 13, 14, 31, 32, 33, 64, 65, 130 })
            {
                var parts = new float[RowCount];
                for (var first = 0; first < RowCount; first += size)
                {
                    var count = Math.Min(size, RowCount - first);
                    kernel.Score(rows.AsSpan(first * features, count * features), count, parts.AsSpan(first, count));
                }

                AssertSameBits(whole, parts, $"batches of {size} by {instructions}");
            }
        }
    }

    [Theory]
    [InlineData(6, 30)]
    [InlineData(9, 30)]
    [InlineData(6, 130)]
    public void Score_AllocatesNothing(int depth, int features)
    {
        var forest = Create(13, new Shape(50, depth, features, 40, 0.5));
        var rows = Rows(14, forest, RowCount);
        var scores = new float[RowCount];
        foreach (var instructions in Enum.GetValues<ForestInstructions>())
        {
            using var kernel = new ForestKernel(forest, RowCount, instructions);
            Allocations.AssertNone(() =>
            {
                kernel.Score(rows, 1, scores);
                kernel.Score(rows, RowCount, scores);
            });
        }
    }

    [Theory]
    [InlineData(1.5f)]
    [InlineData(-0.1f)]
    public void OutputOutsideOfZeroToOne_IsAValueNotAScore(float leaf)
    {
        var forest = Build([[ForestNode.Leaf(leaf)]], 1, ForestLink.None, baseMargin: 0);
        using var kernel = new ForestKernel(forest, 4);
        Assert.Equal(ScoringStatus.OutputInvalid, kernel.Score([0f], 1, new float[1]));
        Assert.Equal("MODEL_OUTPUT_INVALID", ScoringStatus.OutputInvalid.Code());
    }

    [Fact]
    public void OverflowToNaN_IsAValueNotAScore()
    {
        var forest = Build([[ForestNode.Leaf(float.MaxValue)], [ForestNode.Leaf(float.MaxValue)]], 1, ForestLink.None, baseMargin: 0);
        using var kernel = new ForestKernel(forest, 4);
        Assert.Equal(ScoringStatus.OutputInvalid, kernel.Score([0f], 1, new float[1]));
    }

    [Fact]
    public void EmptyBatch_IsScored()
    {
        using var kernel = new ForestKernel(Build([[ForestNode.Leaf(0)]], 3), 4);
        Assert.Equal(ScoringStatus.Scored, kernel.Score([], 0, []));
    }

    [Theory]
    [InlineData(5, 100, 100)]
    [InlineData(-1, 100, 100)]
    [InlineData(4, 11, 4)]
    [InlineData(4, 12, 3)]
    public void WrongArguments_Throw(int count, int values, int scores)
    {
        using var kernel = new ForestKernel(Build([[ForestNode.Leaf(0)]], 3), 4);
        Assert.Throws<ArgumentException>(() => kernel.Score(new float[values], count, new float[scores]));
    }

    private static Forest WithoutNegativeInfinity(Forest forest)
    {
        var trees = Enumerable.Range(0, forest.TreeCount)
            .Select(t => forest.Tree(t).ToArray().Select(n => n.Threshold == float.NegativeInfinity ? n with { Threshold = -5 } : n).ToArray())
            .ToList();
        return Build(trees, forest.FeatureCount, forest.Link, forest.BaseMargin);
    }

    private static void AssertSameBits(float[] expected, float[] actual, string what)
    {
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.True(
                BitConverter.SingleToInt32Bits(expected[i]) == BitConverter.SingleToInt32Bits(actual[i]),
                $"{what}: row {i} is {actual[i]:R}, expected {expected[i]:R}");
        }
    }
}
