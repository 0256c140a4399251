using System.Globalization;
using Risk.Core.Costs;

namespace Risk.Core.Devices;

/// <summary>
/// Turns a data sheet into time, where nobody has measured: the roofline model (Williams, Waterman, Patterson, 2009,
/// https://doi.org/10.1145/1498765.1498785) and fixed times for what a small model really waits for.
/// <code>
/// time(batch) = launch + kernels × kernel + batch × transfer / link
///             + max( batch × operations / (peak × efficiency), (weights + batch × traffic) / (bandwidth × efficiency) )
/// </code>
/// Low takes every figure at its better end, high at its worse. It says nothing of p99: high stands in for it. A card's
/// published images a second at ResNet-50 (about 8.2 GFLOP an image) bound the efficiency where they are known.
/// </summary>
public static class DataSheetModel
{
    /// <summary>In every report that uses such a profile.</summary>
    public const string Sentence =
        "not measured: time = launch + kernels × time a kernel + transfer over the link + the larger of arithmetic and memory traffic at a share of the data sheet's peaks; low and high from the ranges of these figures";

    /// <summary>Batch sizes that curves are made for.</summary>
    private static ReadOnlySpan<int> Batches => [1, 4, 16, 64, 256, 512, 1024, 2048, 4096, 8192, 16384];

    public static ModelCurve Curve(DataSheet sheet, ModelWorkload workload)
    {
        List<CostPoint> points = [];
        foreach (int batch in Batches)
        {
            if (batch > sheet.BatchMax)
                break;
            Estimate micros = Micros(sheet, workload, batch);
            // The host prepares and launches; the rest of the time it can do something else.
            double host = Math.Min(micros.Value, sheet.Launch.Value * 0.5);
            points.Add(new CostPoint(batch, micros.Value, micros.High, (micros.High - micros.Low) / 2, host, null, micros.Low, micros.High));
        }
        return new ModelCurve(workload.Model, workload.Version, workload.Variant, null, points);
    }

    public static Estimate Micros(DataSheet sheet, ModelWorkload workload, int batch)
    {
        Estimate efficiency = Estimate.Of(sheet.Efficiency);
        Estimate fixedTime = Estimate.Of(sheet.Launch) + (Estimate.Of(workload.Kernels) * Estimate.Of(sheet.Kernel));
        Estimate link = Estimate.Of(workload.Transfer) * batch / Estimate.Of(sheet.Link) * 1e6;
        Estimate compute = Estimate.Of(workload.Operations) * batch / (Estimate.Of(sheet.Operations) * efficiency) * 1e6;
        Estimate memory = (Estimate.Of(workload.Weights) + (Estimate.Of(workload.Traffic) * batch)) / (Estimate.Of(sheet.Memory) * efficiency) * 1e6;
        Estimate roof = new(Math.Max(compute.Low, memory.Low), Math.Max(compute.Value, memory.Value), Math.Max(compute.High, memory.High));
        return fixedTime + link + roof;
    }

    /// <summary>The arithmetic of one batch size with its numbers, for a report.</summary>
    public static string Describe(DataSheet sheet, ModelWorkload workload, int batch) => string.Create(
        CultureInfo.InvariantCulture,
        $"{sheet.Launch.Value:0.###} µs + {workload.Kernels.Value:0} × {sheet.Kernel.Value:0.###} µs + {batch} × {workload.Transfer.Value:0} B ÷ {sheet.Link.Value:0.##e+0} B/s + max({batch} × {workload.Operations.Value:0.##e+0} op ÷ ({sheet.Operations.Value:0.##e+0} op/s × {sheet.Efficiency.Value:0.###}), ({workload.Weights.Value:0.##e+0} B + {batch} × {workload.Traffic.Value:0.##e+0} B) ÷ ({sheet.Memory.Value:0.##e+0} B/s × {sheet.Efficiency.Value:0.###})) = {Micros(sheet, workload, batch).Value:0.#} µs");
}
