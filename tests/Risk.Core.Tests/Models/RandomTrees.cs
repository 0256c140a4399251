using Risk.Core.Models;

namespace Risk.Core.Tests.Models;

/// <summary>Small random forests with cover, for whoever wants to compare two ways of reading or explaining them.</summary>
internal static class RandomTrees
{
    public static Forest Forest(int seed, int trees, int depth, int features, double earlyLeafShare = 0.15)
    {
        var random = new Random(seed);
        var all = Enumerable.Range(0, trees).Select(_ =>
        {
            var nodes = new List<ForestNode>();
            Grow(random, nodes, depth, features, earlyLeafShare, 1000);
            return nodes.ToArray();
        }).ToList();
        return Build(all, features);
    }

    public static Forest Build(IReadOnlyList<ForestNode[]> trees, int features, ForestLink link = ForestLink.Logistic)
    {
        Assert.True(Risk.Core.Models.Forest.TryBuild(trees, features, 0.3f, link, "features", "score", out var forest, out var refusal), refusal?.Reason);
        return forest;
    }

    public static float[] Row(Random random, int features) =>
        Enumerable.Range(0, features).Select(_ => random.Next(8) == 0 ? float.NaN : (random.NextSingle() * 2.4f) - 1.2f).ToArray();

    private static int Grow(Random random, List<ForestNode> nodes, int depth, int features, double earlyLeafShare, float cover)
    {
        var index = nodes.Count;
        if (depth == 0 || random.NextDouble() < earlyLeafShare)
        {
            nodes.Add(ForestNode.Leaf((random.NextSingle() * 2) - 1, cover));
            return index;
        }

        nodes.Add(default);
        var share = random.Next(10) == 0 ? 0 : random.NextSingle(); // some sides were never reached in training
        var left = Grow(random, nodes, depth - 1, features, earlyLeafShare, cover * share);
        var right = Grow(random, nodes, depth - 1, features, earlyLeafShare, cover * (1 - share));
        nodes[index] = ForestNode.Split(random.Next(features), (random.NextSingle() * 2) - 1, left, right, random.Next(2) == 0, cover);
        return index;
    }
}
