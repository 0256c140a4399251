using Risk.Core.Models;

namespace Risk.Inference;

/// <summary>
/// Compares two forms of one model: on the golden rows and, for a forest, on rows made to find a difference, with values on,
/// just below and just above its thresholds, zeros of both signs, subnormals, infinities and missing values.
/// </summary>
public static class VariantComparison
{
    /// <summary>Rows made beside the golden ones.</summary>
    public const int ProbeCount = 20_000;

    private static readonly float[] Edges = [0f, -0f, float.Epsilon, -float.Epsilon, 1e-39f, float.MaxValue, float.MinValue, float.PositiveInfinity, float.NegativeInfinity, float.NaN];

    /// <summary>How far two scorers of the same model are apart.</summary>
    /// <param name="forest">The model's trees; null compares on the golden rows alone.</param>
    public static ConformanceReport Run(GoldenRows golden, Forest? forest, IScorer model, IScorer variant)
    {
        var rows = forest is null ? golden.Rows : [.. golden.Rows, .. Probes(forest, golden, ProbeCount)];
        var all = new GoldenRows(rows, new float[rows.Length / golden.FeatureCount], golden.FeatureCount);
        var (expected, actual) = (new float[all.Count], new float[all.Count]);
        var name = $"{variant.ExecutionProvider} against {model.ExecutionProvider}";
        return all.Run(model, expected) == ScoringStatus.Scored && all.Run(variant, actual) == ScoringStatus.Scored
            ? ConformanceReport.Compare(name, actual, expected)
            : ConformanceReport.Failed(name, all.Count);
    }

    /// <summary>Golden rows with some values replaced; the same for the same forest.</summary>
    internal static float[] Probes(Forest forest, GoldenRows golden, int count)
    {
        var random = new Random(1);
        var thresholds = Enumerable.Range(0, forest.FeatureCount).Select(_ => new List<float>()).ToArray();
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

        var probes = new float[count * forest.FeatureCount];
        for (var r = 0; r < count; r++)
        {
            var row = probes.AsSpan(r * forest.FeatureCount, forest.FeatureCount);
            golden.Rows.AsSpan(r % golden.Count * forest.FeatureCount, forest.FeatureCount).CopyTo(row);
            for (var f = 0; f < row.Length; f++)
            {
                var own = thresholds[f].Count == 0 ? row[f] : thresholds[f][random.Next(thresholds[f].Count)];
                row[f] = random.Next(8) switch
                {
                    0 => own,
                    1 => MathF.BitDecrement(own),
                    2 => MathF.BitIncrement(own),
                    3 => Edges[random.Next(Edges.Length)],
                    _ => row[f],
                };
            }
        }

        return probes;
    }
}
