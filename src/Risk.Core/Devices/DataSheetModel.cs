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

    public static Estimate Micros(DataSheet sheet, ModelWorkload workload, int batch) => Parts(sheet, workload, batch).Total;

    /// <summary>What a batch's time is made of, for a report.</summary>
    public static SheetTime Parts(DataSheet sheet, ModelWorkload workload, int batch)
    {
        Estimate efficiency = Estimate.Of(sheet.Efficiency);
        return new SheetTime(
            Estimate.Of(sheet.Launch),
            Estimate.Of(workload.Kernels) * Estimate.Of(sheet.Kernel),
            Estimate.Of(workload.Transfer) * batch / Estimate.Of(sheet.Link) * 1e6,
            Estimate.Of(workload.Operations) * batch / (Estimate.Of(sheet.Operations) * efficiency) * 1e6,
            (Estimate.Of(workload.Weights) + (Estimate.Of(workload.Traffic) * batch)) / (Estimate.Of(sheet.Memory) * efficiency) * 1e6);
    }
}

/// <summary>Parts of a batch's time, microseconds.</summary>
public readonly record struct SheetTime(Estimate Launch, Estimate Kernels, Estimate Transfer, Estimate Arithmetic, Estimate Memory)
{
    /// <summary>Arithmetic and memory traffic go on at the same time: the longer counts.</summary>
    public Estimate Total => Launch + Kernels + Transfer + new Estimate(Math.Max(Arithmetic.Low, Memory.Low), Math.Max(Arithmetic.Value, Memory.Value), Math.Max(Arithmetic.High, Memory.High));
}
