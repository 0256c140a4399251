using Risk.Core.Models;
using Risk.Inference;

namespace Risk.Cli.Benchmarks;

/// <summary><c>tree-score</c>: the forest kernel, ranking of the rows included, beside ONNX Runtime and libxgboost on the same trees, one thread each.</summary>
internal sealed class TreeScoreBenchmark : IBenchmark
{
    private const string Unit = "ns a row and tree";
    private static readonly int[] Batches = [1, 16, 128, 1024];

    public string Name => "tree-score";

    public string Measures => "time a row and tree, ranking of the row included, batch 1 to 1024, one thread";

    public BenchmarkResult Run(BenchmarkContext context)
    {
        var result = new BenchmarkResult();
        BenchmarkForest[] forests = [BenchmarkForest.Made(), .. BenchmarkForest.Shipped() is { } shipped ? [shipped] : Array.Empty<BenchmarkForest>()];
        foreach (BenchmarkForest forest in forests)
        {
            Run(context, forest, isMade: forest == forests[0], result);
        }

        result.Note("ONNX Runtime 1.29 through buffers bound once, one thread; libxgboost by XGBoosterPredictFromDense, nthread 1.");
        return result;
    }

    private static void Run(BenchmarkContext context, BenchmarkForest forest, bool isMade, BenchmarkResult result)
    {
        using var kernel = new ForestKernel(forest.Forest, Batches[^1]);
        using OnnxSession session = forest.OpenSession(Batches[^1]);
        using XgboostPeer? xgboost = XgboostPeer.TryOpen(forest.Forest, out string? whyNot);
        var duration = TimeSpan.FromMilliseconds(context.IsQuick ? 20 : 150);
        var once = TimeSpan.FromTicks(1);
        Timing.WarmUp([.. Batches.Select(batch => (Action)(() => Timing.NanosecondsPerRowAndTree(once, kernel, forest, batch)))]);
        foreach (int batch in Batches)
        {
            // The bars are set for the made forest.
            double? bar = isMade ? batch switch { 1 => 4, 128 => 8, _ => null } : null;
            PairedRuns runs = PairedRuns.Measure(
                context,
                $"{forest.Name}, batch {batch}",
                () => Timing.NanosecondsPerRowAndTree(duration, kernel, forest, batch),
                () => Timing.NanosecondsPerRowAndTree(duration, session, forest, batch));
            result.Compare($"{forest.Name}, batch {batch}", Unit, Better.Lower, "ONNX Runtime 1.29", runs, bar);
            if (xgboost is not null)
            {
                runs = PairedRuns.Measure(
                    context,
                    $"{forest.Name}, batch {batch}, xgboost",
                    () => Timing.NanosecondsPerRowAndTree(duration, kernel, forest, batch),
                    () => xgboost.NanosecondsPerRowAndTree(duration, forest, batch));
                result.Compare($"{forest.Name}, batch {batch}", Unit, Better.Lower, xgboost.Version, runs);
            }
        }

        if (xgboost is null)
        {
            result.Skip($"libxgboost: {whyNot}");
        }

        Parity(forest, kernel, session, xgboost, result);
    }

    private static void Parity(BenchmarkForest forest, ForestKernel kernel, OnnxSession session, XgboostPeer? xgboost, BenchmarkResult result)
    {
        var golden = new GoldenRows(forest.Rows, new float[BenchmarkForest.RowCount], forest.Forest.FeatureCount);
        golden.Run(session, golden.Scores);
        result.Figure($"{forest.Name}: largest distance to ONNX Runtime", "× 1e-6", Better.Lower, golden.Check(kernel).MaxAbsoluteDifference / 1e-6, 1);
        if (xgboost is not null)
        {
            xgboost.Predict(forest.Rows, BenchmarkForest.RowCount).CopyTo(golden.Scores);
            result.Figure($"{forest.Name}: largest distance to libxgboost", "× 1e-6", Better.Lower, golden.Check(kernel).MaxAbsoluteDifference / 1e-6, 1);
        }

        result.Note($"{forest.Name}: {kernel.ExecutionProvider}.");
    }
}
