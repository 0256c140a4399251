using Risk.Core.Models;

namespace Risk.Inference.Tests;

/// <summary>Random forests of any shape and rows that look for trouble: ties on thresholds, denormals, infinities, missing values.</summary>
internal static class RandomForests
{
    /// <summary>A small pool makes features share thresholds often; it holds what float32 has at its edges.</summary>
    private static readonly float[] Edges = [0f, -0f, 1f, -1f, float.Epsilon, -float.Epsilon, 1.1754942E-38f, float.MaxValue, -float.MaxValue, float.NegativeInfinity, 0.1f];

    public sealed record Shape(
        int Trees, int Depth, int Features, int ThresholdsPerFeature = 40, double MissingRightShare = 0, double EarlyLeafShare = 0.1, ForestLink Link = ForestLink.Logistic, float LeafScale = 0.1f);

    public static Forest Create(int seed, Shape shape)
    {
        var random = new Random(seed);
        var thresholds = new float[shape.Features][];
        for (var f = 0; f < shape.Features; f++)
        {
            thresholds[f] = Enumerable.Range(0, shape.ThresholdsPerFeature)
                .Select(_ => random.Next(8) == 0 ? Edges[random.Next(Edges.Length)] : (random.NextSingle() * 20) - 10)
                .ToArray();
        }

        var trees = Enumerable.Range(0, shape.Trees).Select(_ =>
        {
            var nodes = new List<ForestNode>();
            Grow(random, shape, thresholds, nodes, 0, 1000);
            return nodes.ToArray();
        }).ToList();
        return Build(trees, shape.Features, shape.Link);
    }

    public static Forest Build(IReadOnlyList<ForestNode[]> trees, int features, ForestLink link = ForestLink.Logistic, float baseMargin = 0.25f)
    {
        Assert.True(Forest.TryBuild(trees, features, baseMargin, link, "features", "score", out var forest, out var refusal), refusal?.Reason);
        return forest;
    }

    /// <summary>Rows of ordinary values, the forest's own thresholds, their neighbours, edges and missing values.</summary>
    public static float[] Rows(int seed, Forest forest, int count)
    {
        var random = new Random(seed);
        var thresholds = new List<float>[forest.FeatureCount];
        for (var f = 0; f < thresholds.Length; f++)
        {
            thresholds[f] = [];
        }

        for (var t = 0; t < forest.TreeCount; t++)
        {
            foreach (var node in forest.Tree(t))
            {
                if (!node.IsLeaf)
                {
                    thresholds[node.Feature].Add(node.Threshold);
                }
            }
        }

        return Enumerable.Range(0, count * forest.FeatureCount).Select(i => Value(random, thresholds[i % forest.FeatureCount])).ToArray();
    }

    private static float Value(Random random, List<float> thresholds)
    {
        var own = thresholds.Count == 0 ? 0f : thresholds[random.Next(thresholds.Count)];
        return random.Next(10) switch
        {
            0 => own,
            1 => MathF.BitIncrement(own),
            2 => MathF.BitDecrement(own),
            3 => float.NaN,
            4 => Edges[random.Next(Edges.Length)],
            5 => float.PositiveInfinity,
            _ => (random.NextSingle() * 22) - 11,
        };
    }

    private static int Grow(Random random, Shape shape, float[][] thresholds, List<ForestNode> nodes, int depth, float cover)
    {
        var index = nodes.Count;
        if (depth == shape.Depth || (depth > 0 && random.NextDouble() < shape.EarlyLeafShare))
        {
            nodes.Add(ForestNode.Leaf((random.NextSingle() - 0.5f) * shape.LeafScale, cover));
            return index;
        }

        var feature = random.Next(shape.Features);
        var threshold = thresholds[feature][random.Next(thresholds[feature].Length)];
        nodes.Add(default);
        var share = random.NextSingle();
        var left = Grow(random, shape, thresholds, nodes, depth + 1, cover * share);
        var right = Grow(random, shape, thresholds, nodes, depth + 1, cover * (1 - share));
        nodes[index] = ForestNode.Split(feature, threshold, left, right, random.NextDouble() < shape.MissingRightShare, cover);
        return index;
    }
}
