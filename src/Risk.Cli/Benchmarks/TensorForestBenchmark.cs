using Risk.Core.Models;
using Risk.Core.Models.Tensors;
using Risk.Inference;

namespace Risk.Cli.Benchmarks;

/// <summary><c>tensor-forest</c>: the shipped forest as tensor graphs beside ONNX Runtime's own tree operator, on the processor, one thread: what the detour costs where it is not needed.</summary>
internal sealed class TensorForestBenchmark : IBenchmark
{
    private const string Unit = "ns a row and tree";
    private static readonly int[] Batches = [1, 16, 128, 1024];

    public string Name => "tensor-forest";

    public string Measures => "time a row and tree of the tensor graphs, batch 1 to 1024, one thread on the processor";

    public BenchmarkResult Run(BenchmarkContext context)
    {
        var result = new BenchmarkResult();
        BenchmarkForest forest = BenchmarkForest.Shipped() ?? BenchmarkForest.Made();
        var duration = TimeSpan.FromMilliseconds(context.IsQuick ? 20 : 150);
        using OnnxSession trees = forest.OpenSession(Batches[^1]);
        foreach (TensorStrategy strategy in Enum.GetValues<TensorStrategy>())
        {
            if (!TensorForest.TryWrite(forest.Forest, strategy, out byte[]? onnx, out ModelRefusal? refusal))
            {
                result.Skip($"{TensorForest.Name(strategy)}: {refusal.Reason}");
                continue;
            }

            using OnnxSession tensors = (forest with { Onnx = onnx }).OpenSession(Batches[^1]);
            foreach (int batch in Batches)
            {
                string name = $"{TensorForest.Name(strategy)}, batch {batch}";
                PairedRuns runs = PairedRuns.Measure(
                    context,
                    name,
                    () => Timing.NanosecondsPerRowAndTree(duration, tensors, forest, batch),
                    () => Timing.NanosecondsPerRowAndTree(duration, trees, forest, batch));
                result.Compare(name, Unit, Better.Lower, "TreeEnsemble, ONNX Runtime 1.29", runs);
            }
        }

        result.Note($"{forest.Name}. On an accelerator, which has no tree operator, measure with: risk accelerators measure.");
        return result;
    }
}
