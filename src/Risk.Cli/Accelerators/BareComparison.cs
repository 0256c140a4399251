using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using Risk.Core.Models;
using Risk.Inference;
using Risk.Inference.Devices;

namespace Risk.Cli.Accelerators;

/// <summary>
/// A call of ours beside the bare call of ONNX Runtime on the same device with the same bytes, in turns: what our copies, checks and
/// bindings cost, or save.
/// </summary>
/// <param name="Ratio">Median over the pairs of ours to bare; 1.05 is five in a hundred slower.</param>
internal sealed record BareComparison(int Batch, double OursMicros, double BareMicros, double Ratio)
{
    /// <summary>What the engine may add to a bare call on an accelerator.</summary>
    public const double RatioMax = 1.05;

    private const int Pairs = 7;

    public static readonly int[] Batches = [1, 8, 64, 512, 4096];

    public static List<BareComparison> Run(IScorer ours, DeviceModel model, AcceleratorDevice device, float[] rows, Action progress, CancellationToken cancellation)
    {
        using SessionOptions options = SessionOpening.Options(device);
        using var bare = new InferenceSession(model.Onnx, options);
        using var runOptions = new Microsoft.ML.OnnxRuntime.RunOptions();
        int width = bare.OutputMetadata[model.OutputName].Dimensions is [_, var columns] ? columns : 1;
        List<BareComparison> found = [];
        foreach (int batch in Batches.Where(b => b <= ours.BatchSizeMax && b * model.FeatureCount <= rows.Length))
        {
            cancellation.ThrowIfCancellationRequested();
            float[] values = rows[..(batch * model.FeatureCount)], scores = new float[batch];
            using OrtValue input = OrtValue.CreateTensorValueFromMemory(values, [batch, model.FeatureCount]);
            using OrtValue output = OrtValue.CreateTensorValueFromMemory(new float[batch * width], bare.OutputMetadata[model.OutputName].Dimensions.Length == 1 ? [batch] : [batch, width]);
            string[] inputNames = [bare.InputNames[0]], outputNames = [model.OutputName];
            OrtValue[] inputs = [input], outputs = [output];
            void Ours()
            {
                if (ours.Score(values, batch, scores) != ScoringStatus.Scored) { throw new InvalidOperationException($"{ours.Device} gave no scores at batches of {batch}"); }
            }
            void Bare() => bare.Run(runOptions, inputNames, inputs, outputNames, outputs); // on this thread, one after the other: no gate is needed
            Bare(); // compiles, takes memory
            double once = Median(1, Bare);
            int calls = Math.Clamp((int)(100_000 / Math.Max(1, once)), 5, 2000);
            (double Ours, double Bare)[] pairs = [.. Enumerable.Range(0, Pairs).Select(i => i % 2 == 0 ? (Median(calls, Ours), Median(calls, Bare)) : Swap(Median(calls, Bare), Median(calls, Ours)))];
            found.Add(new BareComparison(batch, Middle(pairs.Select(p => p.Ours)), Middle(pairs.Select(p => p.Bare)), Middle(pairs.Select(p => p.Ours / p.Bare))));
            progress();
        }
        return found;
    }

    private static (double Ours, double Bare) Swap(double bare, double ours) => (ours, bare);

    private static double Median(int calls, Action call)
    {
        double[] micros = new double[calls];
        for (int i = 0; i < calls; i++)
        {
            long startedAt = Stopwatch.GetTimestamp();
            call();
            micros[i] = Stopwatch.GetElapsedTime(startedAt).TotalMicroseconds;
        }
        return Middle(micros);
    }

    private static double Middle(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }
}
