using Risk.Core.Explanations;

namespace Risk.Cli.Benchmarks;

/// <summary><c>explain</c>: exact TreeSHAP, one thread, beside xgboost's <c>pred_contribs</c> on the same trees.</summary>
internal sealed class ExplainBenchmark : IBenchmark
{
    /// <summary>Rows that xgboost is given at once, in a matrix made beforehand.</summary>
    private const int PeerRowCount = 32;

    public string Name => "explain";

    public string Measures => "exact TreeSHAP of one row, one thread";

    public BenchmarkResult Run(BenchmarkContext context)
    {
        var result = new BenchmarkResult();
        Run(context, BenchmarkForest.Made(), result);
        if (BenchmarkForest.Shipped() is { } shipped)
        {
            Run(context, shipped, result);
        }

        return result;
    }

    private static void Run(BenchmarkContext context, BenchmarkForest forest, BenchmarkResult result)
    {
        if (!TreeShap.TryCreate(forest.Forest, out TreeShap? explainer, out var refusal))
        {
            result.Skip($"{forest.Name}: {refusal}");
            return;
        }

        int width = forest.Forest.FeatureCount;
        var contributions = new double[width];
        var duration = TimeSpan.FromMilliseconds(context.IsQuick ? 20 : 150);
        double Ours() => Timing.NanosecondsPerCall(duration, call => explainer.Explain(forest.Rows.AsSpan(call % BenchmarkForest.RowCount * width, width), contributions)) / 1000;

        Timing.WarmUp(() => explainer.Explain(forest.Rows.AsSpan(0, width), contributions));
        using XgboostPeer? xgboost = XgboostPeer.TryOpen(forest.Forest, out string? whyNot);
        if (xgboost is null)
        {
            result.Figure(forest.Name, "µs a row", Better.Lower, PairedRuns.Median(Enumerable.Range(0, context.PairCount).Select(_ => Ours())));
            result.Skip($"libxgboost: {whyNot}");
            return;
        }

        using XgboostPeer.Matrix matrix = xgboost.CreateMatrix(forest.Rows, PeerRowCount);
        PairedRuns runs = PairedRuns.Measure(
            context, forest.Name, Ours, () => Timing.NanosecondsPerCall(duration, _ => xgboost.Contributions(matrix)) / 1000 / PeerRowCount);
        result.Compare(forest.Name, "µs a row", Better.Lower, $"{xgboost.Version} pred_contribs", runs, 3);

        float[] theirs = xgboost.Contributions(matrix);
        double distance = 0;
        for (int r = 0; r < PeerRowCount; r++)
        {
            explainer.Explain(forest.Rows.AsSpan(r * width, width), contributions);
            for (int f = 0; f < width; f++)
            {
                distance = Math.Max(distance, Math.Abs(contributions[f] - theirs[(r * (width + 1)) + f]));
            }

            distance = Math.Max(distance, Math.Abs(explainer.ExpectedMargin - theirs[(r * (width + 1)) + width]));
        }

        result.Figure($"{forest.Name}: largest distance of a contribution", "× 1e-6 log-odds", Better.Lower, distance / 1e-6, 10);
        result.Note($"{forest.Name}: xgboost computes in float32, ours in float64; its matrix of {PeerRowCount} rows is made before the clock starts.");
    }
}
