using Risk.Core.Costs;
using Risk.Core.Devices;

namespace Risk.Cli.Costs;

/// <summary>The CPU beside accelerators, for one model, deadline and load.</summary>
/// <param name="Load">Decisions a second.</param>
/// <param name="Utilisation">Share of the time that devices may compute.</param>
internal sealed record Comparison(CostInputs Inputs, double Load, double DeadlineMicros, double Utilisation, ComparedDevice Cpu, IReadOnlyList<ComparedDevice> Accelerators)
{
    private const int PointsPerDecade = 8;

    /// <summary>Loads of the picture, rows a second.</summary>
    public static IReadOnlyList<double> Loads { get; } = [.. Enumerable.Range(0, (7 * PointsPerDecade) + 1).Select(i => Math.Pow(10, (double)i / PointsPerDecade))];

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

        warnings.Add($"Prices: {System.IO.Path.GetFileName(Inputs.BookFile)} ({Inputs.Book.Name} {Inputs.Book.Version}), each with its source and date; what is assumed there has a wide range. Devices compute at most {Utilisation:P0} of the time; waiting in queues is not in the latencies. Scoring alone: the rest of a decision (features, record, commit) costs the same beside every device.");
        return warnings;
    }
}

/// <summary>One device of a comparison.</summary>
/// <param name="At">At the comparison's load; null when no row is answered in time.</param>
/// <param name="PerThousand">Cost of a thousand decisions at that load; null likewise.</param>
/// <param name="BreakEven">Against the CPU; null for the CPU itself.</param>
/// <param name="AtBreakEven">How it is run at its expected break-even load.</param>
internal sealed record ComparedDevice(PricedDevice Device, OperatingPoint? At, Estimate? PerThousand, double? JoulesPerThousand, BreakEven? BreakEven, OperatingPoint? AtBreakEven)
{
    public static ComparedDevice Make(PricedDevice device, double load, double deadlineMicros, double utilisation, BreakEven? breakEven)
    {
        OperatingPoint? at = device.TryOperate(load, deadlineMicros, utilisation, Scenario.Expected, out OperatingPoint point) ? point : null;
        return new ComparedDevice(
            device, at, PerThousandAt(device, load, deadlineMicros, utilisation), at is { } p ? p.Watts / load * 1000 : null, breakEven,
            breakEven?.Value is { } even && device.TryOperate(even, deadlineMicros, utilisation, Scenario.Expected, out OperatingPoint there) ? there : null);
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

    /// <summary>The steps from the book's hourly price to the cost of a thousand decisions at a load.</summary>
    public IEnumerable<(string What, string Arithmetic)> Steps(double load, OperatingPoint at, string currency)
    {
        CostPoint point = Device.Curve.Points.First(p => p.Batch == at.Batch);
        string unit = Device.IsDivisible ? "cores" : "devices";
        yield return ("time of a batch", Device.Profile.Basis == FigureBasis.Measured
            ? $"{Numbers.Of(point.MedianMicros)} µs for {point.Batch} rows, measured ({Device.Curve.Variant}, {Device.Profile.Name}.json)"
            : $"{Numbers.Of(point.MedianMicros)} µs for {point.Batch} rows, {Numbers.Of(point.LowMicros)} to {Numbers.Of(point.HighMicros)}, by the data-sheet model ({Device.Curve.Variant}, {Device.Profile.Name}.json)");
        yield return ("busy", $"{Numbers.Of(load)} a second × {Numbers.Of(point.MedianMicros)} µs ÷ {point.Batch} rows = {Numbers.Of(at.BusyCount)} {unit} computing");
        yield return (unit, Device.IsDivisible ? $"÷ utilisation = {Numbers.Of(at.DeviceCount)} cores" : $"÷ utilisation, rounded up = {Numbers.Of(at.DeviceCount)}");
        yield return ("an hour", $"{Numbers.Of(at.DeviceCount)} × {Numbers.Of(Device.Rates.OnPerHour.Value)} + {Numbers.Of(at.BusyCount)} × {Numbers.Of(Device.Rates.BusyPerHour.Value)} = {Numbers.Of(at.MoneyPerHour)} {currency}");
        yield return ("a thousand decisions", $"{Numbers.Of(at.MoneyPerHour)} {currency} ÷ ({Numbers.Of(load)} × 3.6) = {Numbers.Of(at.MoneyPerHour / load / 3.6)} {currency}");
    }
}
