using Risk.Core.Costs;
using Risk.Core.Devices;

namespace Risk.Cli.Costs;

/// <summary>One line of arithmetic of a report.</summary>
/// <param name="What">What comes out.</param>
/// <param name="Result">With its unit; empty where the arithmetic ends in it.</param>
/// <param name="Figures">That it is made of.</param>
internal sealed record Step(string What, string Arithmetic, string Result, IReadOnlyList<FigureReference> Figures);

/// <summary>How long a batch takes on a device, from the figures of its profile and of the model's workload.</summary>
internal static class TimeSteps
{
    public static IEnumerable<Step> Of(PricedDevice device, CostInputs inputs, int batch)
    {
        string file = inputs.FileOf(device.Profile);
        if (device.Profile.Sheet is not { } sheet || device.Curve.Digest is not null || inputs.Workload is not { } workload)
        {
            int model = device.Profile.Models.ToList().IndexOf(device.Curve), place = device.Curve.Points.ToList().FindIndex(p => p.Batch == batch);
            CostPoint point = device.Curve.Points[place];
            yield return new Step("time of a batch", $"{point.Batch} rows as {device.Curve.Variant}, measured; p99 {Of(point.P99Micros)} µs", $"{Of(point.MedianMicros)} µs",
                [new FigureReference(file, $"$.models[{model}].points[{place}].medianMicros"), new FigureReference(file, $"$.models[{model}].points[{place}].p99Micros")]);
            yield break;
        }

        FigureReference inSheet(string name) => new(file, $"$.dataSheet.{name}");
        FigureReference inWorkload(string name) => new(Path.GetFileName(inputs.WorkloadFile), $"$.workloads[{inputs.WorkloadIndex}].{name}");
        SheetTime time = DataSheetModel.Parts(sheet, workload, batch);
        yield return new Step("launch", "a call, whatever its batch", Micros(time.Launch), [inSheet("launch")]);
        yield return new Step("kernels", $"{Of(workload.Kernels.Value)} × {Of(sheet.Kernel.Value)} µs", Micros(time.Kernels), [inWorkload("kernels"), inSheet("kernel")]);
        yield return new Step("transfer", $"{batch} rows × {Of(workload.Transfer.Value)} B ÷ {Of(sheet.Link.Value)} B/s", Micros(time.Transfer), [inWorkload("transfer"), inSheet("link")]);
        yield return new Step("arithmetic", $"{batch} rows × {Of(workload.Operations.Value)} op ÷ ({Of(sheet.Operations.Value)} op/s in {sheet.Precision} × {Of(sheet.Efficiency.Value)})", Micros(time.Arithmetic),
            [inWorkload("operations"), inSheet("operations"), inSheet("efficiency")]);
        yield return new Step("memory", $"({Of(workload.Weights.Value)} B + {batch} rows × {Of(workload.Traffic.Value)} B) ÷ ({Of(sheet.Memory.Value)} B/s × {Of(sheet.Efficiency.Value)})", Micros(time.Memory),
            [inWorkload("weights"), inWorkload("traffic"), inSheet("memory"), inSheet("efficiency")]);
        yield return new Step("time of a batch", $"{batch} rows: launch + kernels + transfer + the larger of arithmetic and memory", Micros(time.Total), []);
    }

    private static string Micros(Estimate estimate) => $"{Numbers.Range(estimate)} µs";

    private static string Of(double value) => Numbers.Of(value);
}
