using Microsoft.ML.OnnxRuntime;
using Risk.Core.Models;
using Risk.Core.Models.Tensors;
using static Risk.Inference.Tests.RandomForests;

namespace Risk.Inference.Tests;

/// <summary>Tensor graphs of forests, run by ONNX Runtime, against the plain walk of the forest.</summary>
public sealed class TensorForestTests
{
    private const int RowCount = 257;

    public static TheoryData<TensorStrategy, int> Shapes()
    {
        var cases = new TheoryData<TensorStrategy, int>();
        for (var depth = 0; depth <= 12; depth++)
        {
            if (depth <= 7)
            {
                cases.Add(TensorStrategy.Gemm, depth);
            }

            cases.Add(TensorStrategy.TreeTraversal, depth);
            cases.Add(TensorStrategy.PerfectTreeTraversal, depth);
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void RandomForest_OfAnyDepth_IsReproduced(TensorStrategy strategy, int depth)
    {
        for (var seed = 0; seed < 4; seed++)
        {
            var shape = new Shape(
                Trees: 1 + (seed * 7), depth, Features: 1 + (seed * 5), ThresholdsPerFeature: 30,
                MissingRightShare: seed / 3.0, EarlyLeafShare: seed == 2 ? 0.5 : 0.15, Link: seed == 3 ? ForestLink.None : ForestLink.Logistic, LeafScale: 0.05f);
            var forest = Create((100 * depth) + seed, shape);
            AssertSame(forest, Write(forest, strategy), Rows(seed, forest, RowCount));
        }
    }

    [Theory]
    [InlineData(TensorStrategy.Gemm)]
    [InlineData(TensorStrategy.TreeTraversal)]
    [InlineData(TensorStrategy.PerfectTreeTraversal)]
    public void LopsidedTrees_AndSingleLeaves_AreReproduced(TensorStrategy strategy)
    {
        // A chain of seven splits, a single leaf, and a tree whose sides take missing values either way.
        var chain = new List<ForestNode>();
        for (var i = 0; i < 7; i++)
        {
            chain.Add(ForestNode.Split(0, i, chain.Count + 1, chain.Count + 2, missingRight: i % 2 == 0));
            chain.Add(ForestNode.Leaf(0.01f * i));
        }

        chain.Add(ForestNode.Leaf(0.5f));
        ForestNode[] mixed = [ForestNode.Split(1, 0.5f, 1, 2, missingRight: true), ForestNode.Leaf(0.2f), ForestNode.Leaf(-0.2f)];
        var forest = Build([chain.ToArray(), [ForestNode.Leaf(0.125f)], mixed], 2);
        AssertSame(forest, Write(forest, strategy), Rows(7, forest, RowCount));
    }

    [Theory]
    [InlineData("BRANCH_LT")]
    [InlineData("BRANCH_LEQ")]
    [InlineData("BRANCH_GT")]
    [InlineData("BRANCH_GTE")]
    public void EveryComparison_OfAFile_SurvivesTheConversion_OnTiesToo(string mode)
    {
        var written = Create(5, new Shape(30, 5, 6, ThresholdsPerFeature: 6, MissingRightShare: 0.5));
        Assert.True(OnnxForestReader.TryRead(OnnxForestWriter.Write(written, mode), out var forest, out _));
        foreach (var strategy in Enum.GetValues<TensorStrategy>())
        {
            AssertSame(written, Write(forest, strategy), Rows(6, written, RowCount));
        }
    }

    [Fact]
    public void ZeroItself_IsAskedAboutWithoutSubnormals()
    {
        // x <= 0 goes left. On a device that takes 1.4e-45 for 0 the plain question x >= 1.4e-45 sends 0 to the right.
        ForestNode[] tree = [ForestNode.Split(0, float.Epsilon, 1, 2), ForestNode.Leaf(0.25f), ForestNode.Leaf(0.75f)];
        ForestNode[] missingRight = [ForestNode.Split(0, float.Epsilon, 1, 2, missingRight: true), ForestNode.Leaf(0), ForestNode.Leaf(0.125f)];
        var forest = Build([tree, missingRight], 1, ForestLink.None, 0);
        foreach (var strategy in Enum.GetValues<TensorStrategy>())
        {
            var onnx = Write(forest, strategy);
            Assert.True(onnx.AsSpan().IndexOf("is_above_zero"u8) > 0, "the subnormal itself is compared with");
            AssertSame(forest, onnx, [0f, -0f, 1e-30f, -1e-30f, float.NaN, 1f]);
        }
    }

    [Theory]
    [InlineData(TargetLink.None)]
    [InlineData(TargetLink.Logistic)]
    [InlineData(TargetLink.Softmax)]
    public void SeveralClasses_AreReadAndReproduced(TargetLink link)
    {
        // Classes with different counts of trees, one of them a single leaf.
        Forest[] forests = [
            Create(31, new Shape(9, 4, 5, MissingRightShare: 0.3, Link: ForestLink.None)),
            Create(32, new Shape(4, 6, 5, Link: ForestLink.None)),
            Build([[ForestNode.Leaf(0.5f)]], 5, ForestLink.None, -0.25f),
        ];
        var file = OnnxForestWriter.Write(new ForestTargets(forests, link));
        Assert.True(OnnxForestReader.TryReadTargets(file, out var targets, out var refusal), refusal?.Reason);
        Assert.Equal(link, targets.Link);
        Assert.False(OnnxForestReader.TryRead(file, out _, out refusal));
        Assert.Equal(ModelCodes.Unsupported, refusal.Code); // several targets are no single score

        var rows = Rows(33, forests[0], RowCount);
        var expected = Outputs(file, rows, 5);
        foreach (var strategy in Enum.GetValues<TensorStrategy>())
        {
            Assert.True(TensorForest.TryWrite(targets, strategy, out var onnx, out refusal), refusal?.Reason);
            var actual = Outputs(onnx, rows, 5);
            Assert.Equal(3 * RowCount, actual.Length);
            for (var i = 0; i < actual.Length; i++)
            {
                Assert.True(Math.Abs(expected[i] - actual[i]) <= 1e-6, $"{strategy}, row {i / 3}, class {i % 3}: {actual[i]:R} for {expected[i]:R}");
            }
        }
    }

    private static float[] Outputs(byte[] onnx, float[] rows, int features)
    {
        using var options = SessionOpening.Options();
        using var session = new InferenceSession(onnx, options);
        using var input = OrtValue.CreateTensorValueFromMemory(rows, [rows.Length / features, features]);
        using var run = new RunOptions();
        using var outputs = session.Run(run, [session.InputNames[0]], [input], [session.OutputNames[0]]);
        return outputs[0].GetTensorDataAsSpan<float>().ToArray();
    }

    [Fact]
    public void ScoresDoNotDependOnTheBatch()
    {
        var forest = Create(11, new Shape(40, 6, 9, MissingRightShare: 0.4));
        var rows = Rows(12, forest, 64);
        foreach (var strategy in Enum.GetValues<TensorStrategy>())
        {
            using var session = Open(forest, Write(forest, strategy), 64);
            var (together, alone) = (new float[64], new float[1]);
            Assert.Equal(ScoringStatus.Scored, session.Score(rows, 64, together));
            for (var r = 0; r < 64; r++)
            {
                Assert.Equal(ScoringStatus.Scored, session.Score(rows.AsSpan(r * 9, 9), 1, alone));
                Assert.Equal(together[r], alone[0], 1e-6f);
            }
        }
    }

    [Fact]
    public void SameForest_GivesTheSameBytes()
    {
        var forest = Create(13, new Shape(10, 5, 4, MissingRightShare: 0.5));
        Assert.All(Enum.GetValues<TensorStrategy>(), strategy => Assert.Equal(Write(forest, strategy), Write(forest, strategy)));
    }

    [Theory]
    [InlineData(TensorTarget.Cpu, 3, 128, TensorStrategy.Gemm)]
    [InlineData(TensorTarget.Cpu, 5, 128, TensorStrategy.PerfectTreeTraversal)]
    [InlineData(TensorTarget.Cpu, 12, 128, TensorStrategy.TreeTraversal)]
    [InlineData(TensorTarget.Accelerator, 5, 4096, TensorStrategy.Gemm)]
    [InlineData(TensorTarget.Accelerator, 5, 8192, TensorStrategy.PerfectTreeTraversal)]
    [InlineData(TensorTarget.Accelerator, 8, 512, TensorStrategy.Gemm)]
    [InlineData(TensorTarget.Accelerator, 8, 4096, TensorStrategy.PerfectTreeTraversal)]
    [InlineData(TensorTarget.Accelerator, 12, 128, TensorStrategy.TreeTraversal)]
    public void Choice_FollowsDepthAndBatch(TensorTarget target, int depth, int batchSizeMax, TensorStrategy expected)
    {
        var choice = TensorForest.Choose(Create(3, new Shape(20, depth, 8, EarlyLeafShare: 0)), target, batchSizeMax);
        Assert.Equal(expected, choice.Strategy);
        Assert.Contains($"20 trees of depth {depth}", choice.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void TreesTooDeepToFill_AreRefused()
    {
        var forest = Create(3, new Shape(2, 14, 8, EarlyLeafShare: 0.3));
        Assert.False(TensorForest.TryWrite(forest, TensorStrategy.PerfectTreeTraversal, out _, out var refusal));
        Assert.Equal(ModelCodes.Unsupported, refusal.Code);
        Assert.Contains("tree-traversal", refusal.Reason, StringComparison.Ordinal);
        AssertSame(forest, Write(forest, TensorStrategy.TreeTraversal), Rows(1, forest, RowCount));
    }

    private static byte[] Write(Forest forest, TensorStrategy strategy)
    {
        Assert.True(TensorForest.TryWrite(forest, strategy, out var onnx, out var refusal), refusal?.Reason);
        Assert.Null(OnnxInspector.Inspect(onnx));
        return onnx;
    }

    private static OnnxSession Open(Forest forest, byte[] onnx, int batchSizeMax)
    {
        Assert.True(OnnxSession.TryOpen(onnx, forest.FeatureCount, forest.OutputName, batchSizeMax, out var session, out var refusal), refusal?.Reason);
        return session;
    }

    private static void AssertSame(Forest forest, byte[] onnx, float[] rows)
    {
        var count = rows.Length / forest.FeatureCount;
        using var session = Open(forest, onnx, count);
        var scores = new float[count];
        session.Score(rows, count, scores); // margins outside of [0,1] are no scores, but they are there
        for (var r = 0; r < count; r++)
        {
            var expected = forest.Output(forest.Margin(rows.AsSpan(r * forest.FeatureCount, forest.FeatureCount)));
            Assert.True(Math.Abs(expected - scores[r]) <= 1e-6, $"row {r}: {scores[r]:R} for {expected:R}");
        }
    }
}
