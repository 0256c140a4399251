using Risk.Core.Models;
using Risk.Inference;

namespace Risk.Cli.Benchmarks;

/// <summary>A forest and rows to score with it: the shipped model, and a made one of 300 full trees of depth 6 over 64 features.</summary>
/// <param name="Name">For the table.</param>
/// <param name="Rows">Row-major, <see cref="RowCount"/> rows.</param>
internal sealed record BenchmarkForest(string Name, Forest Forest, byte[] Onnx, float[] Rows)
{
    /// <summary>So many different rows that no branch predictor learns them.</summary>
    public const int RowCount = 4096;

    private const int Trees = 300;
    private const int Depth = 6;
    private const int Features = 64;
    private const int ThresholdsPerFeature = 254;

    /// <summary>The made forest. Missing values, one in fifty, go left; thresholds and values are uniform.</summary>
    public static BenchmarkForest Made()
    {
        var random = new Random(1);
        var trees = Enumerable.Range(0, Trees).Select(_ =>
        {
            var nodes = new List<ForestNode>();
            Grow(random, nodes, 0, 10_000);
            return nodes.ToArray();
        }).ToList();
        if (!Forest.TryBuild(trees, Features, 0, ForestLink.Logistic, "features", "score", out Forest? forest, out ModelRefusal? refusal))
        {
            throw new InvalidOperationException(refusal.Reason);
        }

        float[] rows = [.. Enumerable.Range(0, RowCount * Features).Select(_ => random.Next(50) == 0 ? float.NaN : random.NextSingle())];
        return new BenchmarkForest($"{Trees} trees, depth {Depth}, {Features} features", forest, OnnxForestWriter.Write(forest), rows);
    }

    /// <summary>The shipped model over its own golden rows, repeated; null when it is not there or no forest.</summary>
    public static BenchmarkForest? Shipped()
    {
        string directory = Path.Combine(RiskHome.Find(), "models", "card-fraud", "1");
        if (!ModelBundle.TryLoad(directory, out ModelBundle? bundle, out _) || !OnnxForestReader.TryRead(bundle.Onnx, out Forest? forest, out _))
        {
            return null;
        }

        var rows = new float[RowCount * forest.FeatureCount];
        for (int i = 0; i < rows.Length; i++)
        {
            rows[i] = bundle.Golden.Rows[i % bundle.Golden.Rows.Length];
        }

        // Written anew, so that ONNX Runtime computes the same output whichever way the file says it.
        return new BenchmarkForest($"card-fraud, {forest.TreeCount} trees, depth {forest.Depth}, {forest.FeatureCount} features", forest, OnnxForestWriter.Write(forest), rows);
    }

    /// <summary>Opens ONNX Runtime on it.</summary>
    public OnnxSession OpenSession(int batchSizeMax) =>
        OnnxSession.TryOpen(Onnx, Forest.FeatureCount, Forest.OutputName, batchSizeMax, out OnnxSession? session, out ModelRefusal? refusal)
            ? session
            : throw new InvalidOperationException(refusal.Reason);

    private static int Grow(Random random, List<ForestNode> nodes, int depth, float cover)
    {
        int index = nodes.Count;
        if (depth == Depth)
        {
            nodes.Add(ForestNode.Leaf((random.NextSingle() - 0.5f) * 0.1f, cover));
            return index;
        }

        nodes.Add(default);
        float share = 0.1f + (0.8f * random.NextSingle());
        int left = Grow(random, nodes, depth + 1, cover * share);
        int right = Grow(random, nodes, depth + 1, cover * (1 - share));
        float threshold = (random.Next(ThresholdsPerFeature) + 1) / (float)(ThresholdsPerFeature + 1);
        nodes[index] = ForestNode.Split(random.Next(Features), threshold, left, right, missingRight: false, cover);
        return index;
    }
}
