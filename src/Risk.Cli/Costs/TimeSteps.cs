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
    /// <param name="end">Which end of the figures is shown; at the expected one, results have their ranges.</param>
    public static IEnumerable<Step> Of(PricedDevice device, CostInputs inputs, int batch, Scenario end = Scenario.Expected)
    {
        if (Sheet(device, inputs) is not var (expected, asked))
        {
            (ModelCurve measured, string path) = Measured(device, batch);
            CostPoint point = measured.Points.First(p => p.Batch == batch), ranged = point.BetweenQuartiles();
            string half = $"{Of(point.SpreadMicros)} µs ÷ 2, half of the quartiles' distance";
            string arithmetic = $"{batch} rows as {measured.Variant}, measured: " + end switch
            {
                Scenario.Low => ranged.LowMicros > point.MedianMicros / 10 ? $"{Of(point.MedianMicros)} µs − {half}" : $"a tenth of {Of(point.MedianMicros)} µs",
                Scenario.High => $"{Of(point.MedianMicros)} µs + {half}",
                _ => $"the median, ± {half}; p99 {Of(point.P99Micros)} µs",
            };
            string result = end == Scenario.Expected ? Micros(new Estimate(ranged.LowMicros, ranged.MedianMicros, ranged.HighMicros)) : $"{Of(ranged.MicrosAt(end))} µs";
            yield return new Step("time of a batch", arithmetic, result, [InProfile("medianMicros"), InProfile("spreadMicros"), InProfile("p99Micros")]);
            FigureReference InProfile(string name) => new(inputs.FileOf(device.Profile), $"{path}.{name}");
            yield break;
        }

        bool isRanged = end == Scenario.Expected;
        DataSheet sheet = isRanged ? expected : expected.At(end);
        ModelWorkload workload = isRanged ? asked : asked.At(end);
        FigureReference inSheet(string name) => InSheet(device, inputs, name);
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

    /// <summary>The figures of what a batch keeps the host busy for: measured, or half of a data sheet's launch.</summary>
    public static FigureReference[] HostFigures(PricedDevice device, CostInputs inputs, int batch) => Sheet(device, inputs) is null
        ? [new FigureReference(inputs.FileOf(device.Profile), $"{Measured(device, batch).Path}.hostMicros")]
        : [InSheet(device, inputs, "launch")];

    private static (DataSheet Sheet, ModelWorkload Workload)? Sheet(PricedDevice device, CostInputs inputs) =>
        device.Profile.Sheet is { } sheet && device.Curve.Digest is null && inputs.Workload is { } workload ? (sheet, workload) : null;

    /// <summary>The curve as the profile has it, and the path of one of its points.</summary>
    private static (ModelCurve Curve, string Path) Measured(PricedDevice device, int batch)
    {
        List<ModelCurve> curves = [.. device.Profile.Models];
        int model = curves.FindIndex(c => c.Model == device.Curve.Model && c.Version == device.Curve.Version && c.Variant == device.Curve.Variant);
        return (curves[model], $"$.models[{model}].points[{curves[model].Points.ToList().FindIndex(p => p.Batch == batch)}]");
    }

    private static FigureReference InSheet(PricedDevice device, CostInputs inputs, string name) => new(inputs.FileOf(device.Profile), $"$.dataSheet.{name}");

    private static string Micros(Estimate estimate) => $"{(estimate.Low == estimate.High ? Of(estimate.Value) : $"{Of(estimate.Value)} ({Of(estimate.Low)} – {Of(estimate.High)})")} µs";

    private static string Of(double value) => Numbers.Exact(value);
}
