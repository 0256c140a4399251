using Risk.Core.Costs;
using Risk.Core.Devices;

namespace Risk.Cli.Accelerators;

/// <summary>Microjoules a row while batches follow each other: by the counter, or time × watts with low and high.</summary>
internal static class RowEnergy
{
    /// <summary>Null where neither a counter nor watts are known.</summary>
    public static Estimate? Micros(DevicePower? power, in CostPoint point) => point.JoulesPerBatch is { } joules
        ? Estimate.Of(joules * 1e6 / point.Batch)
        : power is { } watts ? new Estimate(point.LowMicros, point.MedianMicros, point.HighMicros) * Estimate.Of(watts.Full) * (1.0 / point.Batch) : null;

    public static string Word(DevicePower? power, in CostPoint point) => point.JoulesPerBatch is not null ? "counter" : power is not null ? "model" : "unknown";
}
