using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using Risk.Inference;

namespace Risk.Cli.Benchmarks;

/// <summary><c>model-run</c>: a call of ours, copies and checks included, beside the bare call of ONNX Runtime that finds its rows in place.</summary>
internal sealed class ModelRunBenchmark : IBenchmark
{
    private static readonly int[] Batches = [1, 8, 64, 512];

    public string Name => "model-run";

    public string Measures => "a call of an ONNX session, batch 1 to 512";

    public BenchmarkResult Run(BenchmarkContext context)
    {
        var result = new BenchmarkResult();
        BenchmarkForest forest = BenchmarkForest.Made();
        using OnnxSession ours = forest.OpenSession(Batches[^1]);
        using SessionOptions options = SessionOpening.Options();
        using var bare = new InferenceSession(forest.Onnx, options);
        using var runOptions = new RunOptions();
        foreach (int batch in Batches)
        {
            var scores = new float[batch];
            ReadOnlyMemory<float> rows = forest.Rows.AsMemory(0, batch * forest.Forest.FeatureCount);
            using OrtValue input = OrtValue.CreateTensorValueFromMemory(rows.ToArray(), [batch, forest.Forest.FeatureCount]);
            using OrtValue output = OrtValue.CreateTensorValueFromMemory(new float[batch], [batch, 1]);
            string[] inputNames = [forest.Forest.InputName], outputNames = [forest.Forest.OutputName];
            OrtValue[] inputs = [input], outputs = [output];

            void Ours() => ours.Score(rows.Span, batch, scores);
            void Bare() => bare.Run(runOptions, inputNames, inputs, outputNames, outputs);
            int calls = Math.Max(20, (context.IsQuick ? 500 : 4000) / batch);
            PairedRuns runs = PairedRuns.Measure(context, $"batch {batch}", () => MedianMicros(calls, Ours), () => MedianMicros(calls, Bare));
            result.Compare($"batch {batch}, p50", "µs a call", Better.Lower, "bare ONNX Runtime 1.29", runs, 1 / 1.05);
            result.Figure($"batch {batch}, allocated", "bytes a call", Better.Lower, BytesAllocated(Ours), 0);
        }

        result.Note($"{forest.Name}; the bare call finds its rows in the tensor already, ours copies them in and checks every score.");
        return result;
    }

    private static double MedianMicros(int calls, Action call)
    {
        var ticks = new long[calls];
        for (int i = 0; i < calls; i++)
        {
            long start = Stopwatch.GetTimestamp();
            call();
            ticks[i] = Stopwatch.GetTimestamp() - start;
        }

        return PairedRuns.Median(ticks.Select(t => t * 1e6 / Stopwatch.Frequency));
    }

    private static double BytesAllocated(Action call)
    {
        const int Calls = 100;
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < Calls; i++)
        {
            call();
        }

        return (GC.GetAllocatedBytesForCurrentThread() - before) / (double)Calls;
    }
}
