using Risk.Core.Costs;

namespace Risk.Core.Devices.Simulation;

/// <summary>
/// A CPU and an accelerator that exist nowhere, for tests and for the benchmark where nothing measured fits: chosen so that
/// the recorded day passes their break-even load in the morning and in the evening. CPU: 50 µs and 700 µs a row, up to 64
/// cores at 0.037 EUR an hour. Accelerator: 300 µs and 5 µs a row, padded to 1, 8, 32, 128, 512, at 0.48 EUR an hour, one
/// minute to start. All marked assumed.
/// </summary>
public static class ReferencePair
{
    public const long DeadlineMicros = 20_000;

    /// <summary>Seconds of the trace in one second of the simulation; hours and starts keep their proportion to the trace.</summary>
    public const int Speed = 1_000;

    private static readonly int[] s_cpuBatches = [1, 2, 4, 8, 16, 32, 64];
    private static readonly int[] s_paddedBatches = [1, 8, 32, 128, 512];

    public static RouterOptions Options { get; } = new(GuardMicros: 200, MissMoney: 0.001);

    /// <param name="acceleratorHourly">EUR an hour.</param>
    /// <param name="microsPerRow">Of the accelerator, beside its 300 µs a batch.</param>
    public static IReadOnlyList<RoutedDevice> Devices(double acceleratorHourly = 0.48, double microsPerRow = 5)
    {
        ModelCurve cpu = new("reference", "1", "cpu", null, [.. s_cpuBatches.Select(batch => Point(batch, 50 + (700.0 * batch)))]);
        ModelCurve accelerator = new("reference", "1", "accelerator", null, [.. s_paddedBatches.Select(batch => Point(batch, 300 + (microsPerRow * batch)))]);
        return
        [
            new RoutedDevice("reference CPU", new CostCurve(cpu, isPadded: false), Rates("reference CPU", 0.037, 1, 6), isElastic: true, slots: 64),
            new RoutedDevice("reference accelerator", new CostCurve(accelerator, isPadded: true), Rates("reference accelerator", acceleratorHourly, 15, 70), isElastic: false)
            {
                StartMicros = 60_000_000 / Speed,
            },
        ];
    }

    private static CostPoint Point(int batch, double micros) => new(batch, micros, micros * 1.2, micros * 0.05, micros * 0.1);

    private static DeviceRates Rates(string name, double hourly, double idleWatts, double fullWatts)
    {
        PriceFigure figure(double value, string unit) => new(value, value, value, unit, "reference pair", new DateOnly(2026, 1, 1), FigureBasis.Assumed);
        MachinePrice machine = new(name, Tenure.Rented, 1, default, default, figure(hourly, "EUR/h"), figure(idleWatts, "W"), figure(fullWatts, "W"), default, default);
        return DeviceRates.OfCore(new PriceBook("reference", 1, "EUR", figure(0.2, "EUR/kWh"), figure(1, "1"), [machine], default), machine);
    }
}
