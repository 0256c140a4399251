using Risk.Core.Costs;
using Risk.Core.Devices;

namespace Risk.Cli.Costs;

/// <summary>The CPU beside accelerators, for one model, deadline and load.</summary>
/// <param name="Load">Decisions a second.</param>
/// <param name="Utilisation">Share of the time that devices may compute.</param>
internal sealed record Comparison(CostInputs Inputs, double Load, double DeadlineMicros, double Utilisation, ComparedDevice Cpu, IReadOnlyList<ComparedDevice> Accelerators)
{
    private const int PointsPerDecade = 24;

    /// <summary>Loads of the picture, rows a second.</summary>
    public static IReadOnlyList<double> Loads { get; } = [.. Enumerable.Range(0, (8 * PointsPerDecade) + 1).Select(i => Math.Pow(10, (double)i / PointsPerDecade))];

    /// <summary>The CPU first.</summary>
    public IReadOnlyList<ComparedDevice> Devices => [Cpu, .. Accelerators];

    public static Comparison Make(CostInputs inputs, double load, double deadlineMicros, IEnumerable<string> accelerators, Tenure? tenure)
    {
        double utilisation = inputs.CpuMachine.Utilisation.Value;
        ComparedDevice cpu = ComparedDevice.Make(inputs.CpuDevice, load, deadlineMicros, utilisation, null);
        return new Comparison(inputs, load, deadlineMicros, utilisation, cpu,
            [.. accelerators.Select(name => inputs.Accelerator(name, tenure)).OfType<PricedDevice>().Select(device =>
                ComparedDevice.Make(device, load, deadlineMicros, utilisation, BreakEven.Find(inputs.CpuDevice, device, deadlineMicros, utilisation)))]);
    }

    /// <summary>Some of it was not measured; what to say on its face.</summary>
    public IReadOnlyList<string> Warnings()
    {
        List<string> warnings = [];
        string[] sheets = [.. Accelerators.Where(d => d.Device.Profile.Basis != FigureBasis.Measured).Select(d => d.Device.Profile.Name)];
        if (sheets.Length > 0)
        {
            warnings.Add($"Made from published and assumed figures, not from measurements: {string.Join(", ", sheets)}. Time is {DataSheetModel.Sentence}.");
        }

        if (Cpu.Device.Profile.Basis != FigureBasis.Measured)
        {
            warnings.Add($"The CPU's profile {Cpu.Device.Profile.Name} was not measured either.");
        }

        warnings.Add($"Prices: {System.IO.Path.GetFileName(Inputs.BookFile)} ({Inputs.Book.Name} {Inputs.Book.Version}), each with its source and date; what is assumed there has a wide range. Devices compute at most {Utilisation:P0} of the time; an accelerator is charged for the host's cores that feed it. Scoring alone: the rest of a decision (features, record, commit) costs the same beside every device.");
        warnings.Add($"The {BatchLatency.Sentence}.");
        return warnings;
    }
}

/// <summary>One device of a comparison.</summary>
/// <param name="At">At the comparison's load; null when no row is answered in time.</param>
/// <param name="PerThousand">Cost of a thousand decisions at that load; null likewise.</param>
/// <param name="BreakEven">Against the CPU; null for the CPU itself.</param>
/// <param name="AtBreakEven">How it is run at <see cref="BreakEvenLoad"/>.</param>
internal sealed record ComparedDevice(PricedDevice Device, OperatingPoint? At, Estimate? PerThousand, double? JoulesPerThousand, BreakEven? BreakEven, OperatingPoint? AtBreakEven)
{
    /// <summary>The expected load from which it stays cheaper; where there is none, the first at which it is cheaper.</summary>
    public double? BreakEvenLoad => BreakEven?.Expected.Lasting ?? BreakEven?.Expected.First;

    public static ComparedDevice Make(PricedDevice device, double load, double deadlineMicros, double utilisation, BreakEven? breakEven)
    {
        OperatingPoint? at = device.TryOperate(load, deadlineMicros, utilisation, Scenario.Expected, out OperatingPoint point) ? point : null;
        var compared = new ComparedDevice(device, at, PerThousandAt(device, load, deadlineMicros, utilisation), at is { } p ? p.Watts / load * 1000 : null, breakEven, null);
        return compared.BreakEvenLoad is { } even && device.TryOperate(even, deadlineMicros, utilisation, Scenario.Expected, out OperatingPoint there) ? compared with { AtBreakEven = there } : compared;
    }

    public static Estimate? PerThousandAt(PricedDevice device, double load, double deadlineMicros, double utilisation)
    {
        if (!device.TryOperate(load, deadlineMicros, utilisation, Scenario.Expected, out OperatingPoint point))
        {
            return null;
        }

        double thousands = load * 3.6;
        double low = device.TryOperate(load, deadlineMicros, utilisation, Scenario.Low, out OperatingPoint best) ? best.MoneyPerHour : point.MoneyPerHour;
        double high = device.TryOperate(load, deadlineMicros, utilisation, Scenario.High, out OperatingPoint worst) ? worst.MoneyPerHour : double.PositiveInfinity;
        return new Estimate(low / thousands, point.MoneyPerHour / thousands, high / thousands);
    }
}
