using System.Numerics;
using Risk.Core.Explanations;
using Risk.Core.Models;
using Risk.Core.Tests.Models;

namespace Risk.Core.Tests.Explanations;

public sealed class TreeShapTests
{
    [Theory]
    [InlineData(1, 0, 1)]
    [InlineData(3, 1, 2)]
    [InlineData(5, 3, 2)]
    [InlineData(5, 4, 4)]
    [InlineData(4, 6, 3)]
    [InlineData(3, 6, 7)]
    [InlineData(2, 9, 5)]
    [InlineData(2, 10, 10)]
    [InlineData(1, 12, 11)]
    public void Contributions_AreShapleysByEnumeration(int trees, int depth, int features)
    {
        for (var seed = 0; seed < 5; seed++)
        {
            var forest = RandomTrees.Forest(seed, trees, depth, features);
            var explainer = Explainer(forest);
            var random = new Random(seed);
            for (var r = 0; r < 5; r++)
            {
                var row = RandomTrees.Row(random, features);
                var actual = new double[features];
                explainer.Explain(row, actual);
                var expected = Shapley(forest, row, out var empty);
                Assert.Equal(empty, explainer.ExpectedMargin, 1e-9);
                for (var f = 0; f < features; f++)
                {
                    Assert.True(Math.Abs(expected[f] - actual[f]) < 1e-9, $"seed {seed}, feature {f}: {actual[f]}, expected {expected[f]}");
                }
            }
        }
    }

    [Theory]
    [InlineData(50, 6, 15)]
    [InlineData(20, 10, 40)]
    [InlineData(5, 14, 40)]
    public void Contributions_AddUpToTheMargin(int trees, int depth, int features)
    {
        var forest = RandomTrees.Forest(3, trees, depth, features);
        var explainer = Explainer(forest);
        var random = new Random(4);
        for (var r = 0; r < 50; r++)
        {
            var row = RandomTrees.Row(random, features);
            var contributions = new double[features];
            explainer.Explain(row, contributions);
            Assert.Equal(forest.Margin(row), explainer.ExpectedMargin + contributions.Sum(), 1e-4);
        }
    }

    [Fact]
    public void SameRow_HasTheSameBits_WhateverWasExplainedBefore()
    {
        var forest = RandomTrees.Forest(5, 30, 6, 12);
        var (explainer, random) = (Explainer(forest), new Random(6));
        var row = RandomTrees.Row(random, 12);
        var (first, again) = (new double[12], new double[12]);
        explainer.Explain(row, first);
        explainer.Explain(RandomTrees.Row(random, 12), again);
        explainer.Explain(row, again);
        Assert.Equal(first, again);
    }

    [Fact]
    public void WithoutCover_ThereIsNoExplanation_WithItsCode()
    {
        var forest = RandomTrees.Build([[ForestNode.Split(0, 0, 1, 2), ForestNode.Leaf(1), ForestNode.Leaf(2)]], 1);
        Assert.False(TreeShap.TryCreate(forest, out _, out var refusal));
        Assert.Equal("EXPLANATION_COVER_MISSING", refusal.Code);
    }

    [Fact]
    public void Explain_AllocatesNothing()
    {
        var forest = RandomTrees.Forest(7, 40, 6, 20);
        var explainer = Explainer(forest);
        var (row, contributions) = (RandomTrees.Row(new Random(8), 20), new double[20]);
        for (var i = 0; i < 200; i++)
        {
            explainer.Explain(row, contributions);
        }

        var least = long.MaxValue;
        for (var attempt = 0; attempt < 5; attempt++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            explainer.Explain(row, contributions);
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, least);
    }

    [Fact]
    public void TooShortSpans_Throw()
    {
        var explainer = Explainer(RandomTrees.Forest(9, 2, 2, 3));
        Assert.Throws<ArgumentException>(() => explainer.Explain(new float[2], new double[3]));
        Assert.Throws<ArgumentException>(() => explainer.Explain(new float[3], new double[2]));
    }

    [Theory]
    [InlineData(4)]
    [InlineData(8)]
    [InlineData(64)]
    public void Quadrature_IsExactToItsDegree(int count)
    {
        var (nodes, weights) = GaussLegendre.Rule(count);
        for (var degree = 0; degree < 2 * count; degree++)
        {
            var integral = nodes.Zip(weights, (t, w) => w * Math.Pow(t, degree)).Sum();
            Assert.Equal(1.0 / (degree + 1), integral, 1e-14);
        }
    }

    [Theory]
    [InlineData(new double[] { 0.1, 0.5, -1, 0.3 }, 2, new[] { 1, 3 })]
    [InlineData(new double[] { 0.2, 0.2, 0.2 }, 2, new[] { 0, 1 })]
    [InlineData(new double[] { -1, 0, double.NaN }, 3, new int[0])]
    [InlineData(new double[] { 1, 2, 3, 4 }, 4, new[] { 3, 2, 1, 0 })]
    [InlineData(new double[] { 1 }, 0, new int[0])]
    public void TopContributions_ArePositive_LargestFirst_TiesByIndex(double[] contributions, int wanted, int[] expected)
    {
        var features = new int[wanted];
        Assert.Equal(expected.Length, TopContributions.Select(contributions, features));
        Assert.Equal(expected, features[..expected.Length]);
    }

    private static TreeShap Explainer(Forest forest)
    {
        Assert.True(TreeShap.TryCreate(forest, out var explainer, out var refusal), refusal?.Reason);
        return explainer;
    }

    /// <summary>Shapley's definition: every coalition of features, each tree's expectation with the others left open.</summary>
    private static double[] Shapley(Forest forest, float[] row, out double empty)
    {
        var features = forest.FeatureCount;
        var value = new double[1 << features];
        for (var coalition = 0; coalition < value.Length; coalition++)
        {
            value[coalition] = forest.BaseMargin;
            for (var t = 0; t < forest.TreeCount; t++)
            {
                value[coalition] += Expectation(forest.Tree(t), 0, row, coalition);
            }
        }

        empty = value[0];
        var factorial = new double[features + 1];
        factorial[0] = 1;
        for (var i = 1; i <= features; i++)
        {
            factorial[i] = factorial[i - 1] * i;
        }

        var result = new double[features];
        for (var f = 0; f < features; f++)
        {
            for (var coalition = 0; coalition < value.Length; coalition++)
            {
                if ((coalition & (1 << f)) == 0)
                {
                    var size = BitOperations.PopCount((uint)coalition);
                    result[f] += factorial[size] * factorial[features - size - 1] / factorial[features] * (value[coalition | (1 << f)] - value[coalition]);
                }
            }
        }

        return result;
    }

    private static double Expectation(ReadOnlySpan<ForestNode> tree, int node, float[] row, int coalition)
    {
        var n = tree[node];
        if (n.IsLeaf)
        {
            return n.Value;
        }

        if ((coalition & (1 << n.Feature)) != 0)
        {
            return Expectation(tree, n.Next(row[n.Feature]), row, coalition);
        }

        double left = tree[n.Left].Cover, right = tree[n.Right].Cover;
        var share = left + right > 0 ? left / (left + right) : 0.5;
        return (share * Expectation(tree, n.Left, row, coalition)) + ((1 - share) * Expectation(tree, n.Right, row, coalition));
    }
}
