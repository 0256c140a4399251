using System.Globalization;
using Risk.Core.Costs;
using Risk.Core.Devices;

namespace Risk.Cli.Costs;

/// <summary>The CPU beside accelerators, for one model, deadline and load: rented beside rented, owned beside owned.</summary>
/// <param name="Load">Decisions a second.</param>
internal sealed record Comparison(CostInputs Inputs, double Load, double DeadlineMicros, IReadOnlyList<Pairing> Pairings)
{
    private const int PointsPerDecade = 24;

    /// <summary>Loads of the pictures, rows a second.</summary>
    public static IReadOnlyList<double> Loads { get; } = [.. Enumerable.Range(0, (8 * PointsPerDecade) + 1).Select(i => Math.Pow(10, (double)i / PointsPerDecade))];

    public IEnumerable<ComparedDevice> Accelerators => Pairings.SelectMany(pairing => pairing.Accelerators);

    /// <summary>What to say on its face: what was not measured, how it was counted.</summary>
    public IReadOnlyList<string> Warnings()
    {
        List<string> warnings = [];
        string[] sheets = [.. Names(Accelerators.Where(d => d.Device.Profile.Basis != FigureBasis.Measured))];
        if (sheets.Length > 0)
        {
            warnings.Add($"Made from data sheets and assumptions, not from measurements: {string.Join(", ", sheets)}. Time is {DataSheetModel.Sentence}.");
        }

        if (Inputs.CpuProfile.Basis != FigureBasis.Measured)
        {
            warnings.Add($"The CPU's profile {Inputs.CpuProfile.Name} was not measured either.");
        }

        foreach (IGrouping<string, ComparedDevice> fewer in Accelerators.Where(d => d.PrecisionNote is not null).GroupBy(d => d.PrecisionNote!.Text))
        {
            warnings.Add($"Timed in {fewer.Key} ({string.Join(", ", Names(fewer))}); the model's own precision is {PrecisionNotes.Full}.");
        }

        string[] old = [.. Pairings.SelectMany(p => p.Devices).SelectMany(d => d.Old.Select(price => $"{d.Name} {price.What} of {price.Date:yyyy-MM}")).Distinct()];
        if (old.Length > 0)
        {
            warnings.Add($"PRICE_OLD: prices older than {Inputs.Book.AgeDaysOld} days, look them up again: {string.Join(", ", old)}.");
        }

        warnings.Add(Counting());
        warnings.Add($"Prices: {Path.GetFileName(Inputs.BookFile)} ({Inputs.Book.Name} {Inputs.Book.Version}), each with its source and date. Scoring alone: the rest of a decision (features, record, commit) costs the same beside every device.");
        warnings.Add($"The {BatchLatency.Sentence}.");
        return warnings;
    }

    private string Counting()
    {
        string pairs = string.Join(", ", Pairings.Select(p => $"{Numbers.Word(p.Tenure)} CPU (machines of {p.Machine.Cores} cores, {p.Machine.Name}) beside {Numbers.Word(p.Tenure)} cards"));
        return $"Like beside like: {pairs}. Everything is had whole: the CPU in machines, cards one by one, a rented card with its host, owned cards in machines of the same kind as the CPU's{Slots()}. \"Cores shared\" counts cores by their share on both sides instead, for whoever has other work for the rest of a machine; cards stay whole. Where both sides are owned, low and high of a break-even leave server, power and PUE at their values: they are the same for both; where both are rented, the exchange rate of the CPU's price. Devices and cores compute at most {string.Join(" and ", Pairings.Select(p => p.Utilisation).Distinct().Select(u => u.ToString("P0", CultureInfo.InvariantCulture)))} of the time, at every end of a break-even; how far that moves it (the book's range is {string.Join("; ", Pairings.Select(p => $"{Numbers.Of(p.Machine.Utilisation.Low)} to {Numbers.Of(p.Machine.Utilisation.High)}").Distinct())}) stands with each device's arithmetic. A measured time's low and high are the quartiles of its calls.";
    }

    private string Slots() => Pairings.FirstOrDefault(p => p.Tenure == Tenure.Owned)?.Machine.Slots is { } slots ? $", at most {Numbers.Of(slots.Value)} in one" : "";

    private static IEnumerable<string> Names(IEnumerable<ComparedDevice> devices) => devices.Select(d => d.Name).Distinct();

    public static Comparison Make(CostInputs inputs, double load, double deadlineMicros, IReadOnlyList<string>? asked, Tenure? tenure)
    {
        Pairing[] pairings = [.. inputs.Tenures(tenure).Select(one => Pairing.Make(inputs, one, load, deadlineMicros, asked, isTenureAsked: tenure is not null))];
        return new Comparison(inputs, load, deadlineMicros, pairings);
    }
}

/// <summary>The CPU and accelerators that are paid in the same way.</summary>
/// <param name="Machine">The CPU's, and where cards are owned theirs.</param>
/// <param name="Book">With what both sides share at its value, as break-even loads are found.</param>
internal sealed record Pairing(Tenure Tenure, MachinePrice Machine, PriceBook Book, ComparedDevice Cpu, IReadOnlyList<ComparedDevice> Accelerators)
{
    /// <summary>Share of the time that devices and cores may compute; the same for both.</summary>
    public double Utilisation => Machine.Utilisation.Value;

    public FigureReference UtilisationIn(CostInputs inputs) =>
        HourSteps.InBook(inputs, $"$.machines[{inputs.Book.Machines.ToList().FindIndex(machine => machine.Name == Machine.Name)}].utilisation");

    /// <summary>The CPU first.</summary>
    public IReadOnlyList<ComparedDevice> Devices => [Cpu, .. Accelerators];

    public string Title => Tenure == Tenure.Rented ? "Rented beside rented" : "Owned beside owned";

    public static Pairing Make(CostInputs inputs, Tenure tenure, double load, double deadlineMicros, IReadOnlyList<string>? asked, bool isTenureAsked)
    {
        MachinePrice machine = inputs.MachineFor(tenure);
        double utilisation = machine.Utilisation.Value;
        // Owned, both sides are in the same kind of machine and pay the same power; rented, in the same currency.
        PriceBook book = tenure == Tenure.Owned ? inputs.Book.Sharing(machine.Name) : inputs.Book.SharingRateOf(machine.Hourly);
        MachinePrice exact = book.Machines.First(m => m.Name == machine.Name) with { Tenure = tenure };
        PricedDevice core = inputs.Core(exact, isWhole: true, book), sharedCore = inputs.Core(exact, isWhole: false, book);
        IReadOnlyList<PricedDevice> devices = inputs.Accelerators(asked, machine, isWhole: true, isTenureAsked), sharing = inputs.Accelerators(asked, machine, isWhole: false, isTenureAsked),
            paired = inputs.Accelerators(asked, exact, isWhole: true, isTenureAsked, book), shared = inputs.Accelerators(asked, exact, isWhole: false, isTenureAsked, book);
        return new Pairing(tenure, machine, book, ComparedDevice.Make(inputs, machine, inputs.Core(machine, isWhole: true), inputs.Core(machine, isWhole: false), core, null, null, load, deadlineMicros),
        [
            .. devices.Select((device, i) => ComparedDevice.Make(
                inputs, machine, device, sharing[i], paired[i], BreakEven.Find(core, paired[i], deadlineMicros, utilisation), BreakEven.Find(sharedCore, shared[i], deadlineMicros, utilisation), load, deadlineMicros) switch
            {
                var row => row with
                {
                    CpuAtBreakEven = row.BreakEvenLoad is { } even && core.TryOperate(even, deadlineMicros, utilisation, Scenario.Expected, out OperatingPoint here) ? here : null,
                    ByUtilisation = (BreakEven.FindExpected(core, paired[i], deadlineMicros, machine.Utilisation.Low), BreakEven.FindExpected(core, paired[i], deadlineMicros, machine.Utilisation.High)),
                },
            }),
        ]);
    }
}

/// <summary>One device of a comparison.</summary>
/// <param name="Paired">With what both sides share at its value, as break-even loads are found.</param>
/// <param name="At">At the comparison's load; null when no row is answered in time.</param>
/// <param name="PerThousand">Cost of a thousand decisions at that load; null likewise.</param>
/// <param name="SharedPerThousand">The same with cores counted by their share.</param>
/// <param name="BreakEven">Against the CPU; null for the CPU itself.</param>
/// <param name="Shared">The same with cores counted by their share, on both sides.</param>
/// <param name="AtBreakEven">How it is run at <see cref="BreakEvenLoad"/>.</param>
/// <param name="Old">Prices that are old.</param>
internal sealed record ComparedDevice(
    PricedDevice Device, PricedDevice Paired, DeviceBasis Basis, PrecisionNote? PrecisionNote, IReadOnlyList<(string What, DateOnly Date)> Old, OperatingPoint? At, Estimate? PerThousand, Estimate? SharedPerThousand, double? JoulesPerThousand,
    BreakEven? BreakEven, BreakEven? Shared, OperatingPoint? AtBreakEven)
{
    public string Name => Device.Profile.Name;

    /// <summary>How the CPU is run at <see cref="BreakEvenLoad"/>.</summary>
    public OperatingPoint? CpuAtBreakEven { get; init; }

    /// <summary>Expected loads at the least and at the most utilisation of the book's range; null for the CPU itself.</summary>
    public (CheaperLoads Least, CheaperLoads Most)? ByUtilisation { get; init; }

    /// <summary>Of the arithmetic that its times stand for.</summary>
    public string Precision => Device.Profile.Sheet?.Precision ?? PrecisionNotes.Full;

    /// <summary>The expected load from which it stays cheaper; where there is none, the first at which it is cheaper.</summary>
    public double? BreakEvenLoad => BreakEven?.Expected.Lasting ?? BreakEven?.Expected.First;

    public static ComparedDevice Make(CostInputs inputs, MachinePrice machine, PricedDevice device, PricedDevice sharing, PricedDevice paired, BreakEven? breakEven, BreakEven? shared, double load, double deadlineMicros)
    {
        double utilisation = machine.Utilisation.Value;
        OperatingPoint? at = device.TryOperate(load, deadlineMicros, utilisation, Scenario.Expected, out OperatingPoint point) ? point : null;
        PrecisionNote? note = device.Profile.Sheet is { } sheet && device.Curve.Digest is null ? PrecisionNotes.Of(inputs.ModelName, inputs.ModelVersion, sheet.Precision) : null;
        var compared = new ComparedDevice(
            device, paired, DeviceBasis.Of(inputs, device), note, inputs.Old(device, machine), at, PerThousandAt(device, load, deadlineMicros, utilisation), PerThousandAt(sharing, load, deadlineMicros, utilisation), at is { } p ? p.Watts / load * 1000 : null, breakEven, shared, null);
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
