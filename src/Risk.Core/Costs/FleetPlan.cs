namespace Risk.Core.Costs;

/// <summary>What a fleet costs in a month.</summary>
/// <param name="Money">With every device switched on all the time.</param>
/// <param name="MoneyScaled">With devices switched off in the hours that do not need them, their starts paid; what is owned is written off all the same.</param>
/// <param name="KilowattHours">At the meter, always on.</param>
/// <param name="KilowattHoursScaled">At the meter, scaled down.</param>
public readonly record struct MonthlyCost(Estimate Money, Estimate MoneyScaled, Estimate KilowattHours, Estimate KilowattHoursScaled)
{
    /// <summary>Not a number at an end where no fleet is in time: its money is infinite there.</summary>
    public Estimate Saving => new(Money.Low - MoneyScaled.Low, Money.Value - MoneyScaled.Value, Money.High - MoneyScaled.High);
}

/// <summary>One way to carry a load: sized once with expected figures, once with every figure at its least, once at its most.</summary>
/// <param name="Accelerators">How many; 0 for the CPU alone, infinite at an end where no number is in time.</param>
/// <param name="Cores">In whole machines, those that feed the accelerators included where they are not in a rent.</param>
/// <param name="UsedHours">Hours of the trace, by expected figures, in which an accelerator is worth switching on; 0: a fleet of CPUs beside which it idles.</param>
/// <param name="Peak">Of the row that waits longest, in the busiest minute, expected figures.</param>
public sealed record FleetOption(PricedDevice? Accelerator, Estimate Accelerators, Estimate Cores, int UsedHours, BatchLatency Peak, MonthlyCost Cost)
{
    /// <summary>By expected figures.</summary>
    public int AcceleratorCount => (int)Accelerators.Value;

    /// <summary>By expected figures.</summary>
    public int CoreCount => (int)Cores.Value;
}

/// <summary>
/// Sizes fleets for a day that repeats: hour by hour, as many devices as the hour's busiest minute needs with room to spare
/// and with its 99th percentile in time (<see cref="BatchLatency"/>). A mixed fleet's accelerators take what they can, the
/// CPU the rest; each hour runs as many of them as are cheapest.
/// </summary>
/// <param name="hours">For each hour of the day, rows a second: mean, and in the busiest minute.</param>
/// <param name="coresPerMachine">CPUs come in machines of so many cores.</param>
public sealed class FleetPlan(IReadOnlyList<(double Mean, double Peak)> hours, PricedDevice core, int coresPerMachine, double deadlineMicros, double utilisationMax)
{
    public const double HoursPerMonth = DeviceRates.HoursPerYear / 12;

    /// <summary>The hours of a trace: counts by second, times <paramref name="scale"/>.</summary>
    public static IReadOnlyList<(double Mean, double Peak)> Hours(IReadOnlyList<int> counts, double scale) =>
        [.. counts.Chunk(3600).Select(hour => (hour.Sum() * scale / hour.Length, hour.Chunk(60).Max(minute => minute.Sum() * scale / minute.Length)))];

    /// <summary>The CPU alone; null when it cannot meet the deadline.</summary>
    public FleetOption? CpuOnly() => Option(null, scenario => new FleetSizing(hours, core, null, coresPerMachine, deadlineMicros, utilisationMax, scenario).CpuOnly());

    /// <summary>Accelerators alone, as many as the busiest minute needs; null when they cannot meet the deadline.</summary>
    public FleetOption? Only(PricedDevice accelerator) => Option(accelerator, scenario => Sizing(accelerator, scenario).Only());

    /// <summary>
    /// The cheapest mix of one kind of accelerator, at least one, with the CPU; null when either cannot meet the deadline. The
    /// CPU has at least the cores that the accelerators leave it in any hour, or more, to carry quieter hours alone.
    /// </summary>
    public FleetOption? Mixed(PricedDevice accelerator) => Option(accelerator, scenario => Sizing(accelerator, scenario).Mixed());

    public double PeakLoad => hours.Max(hour => hour.Peak);

    private FleetSizing Sizing(PricedDevice accelerator, Scenario scenario) => new(hours, core, accelerator, coresPerMachine, deadlineMicros, utilisationMax, scenario);

    private FleetOption? Option(PricedDevice? accelerator, Func<Scenario, SizedFleet?> size)
    {
        if (size(Scenario.Expected) is not { } expected)
            return null;
        SizedFleet low = size(Scenario.Low) ?? expected, high = size(Scenario.High) ?? SizedFleet.Impossible;
        double month = HoursPerMonth / hours.Count;
        Estimate of(Func<SizedFleet, double> part, double factor = 1) => new Estimate(part(low), part(expected), part(high)) * factor;
        return new FleetOption(accelerator, of(static f => f.Accelerators), of(static f => f.Cores), expected.UsedHours, expected.Peak, new MonthlyCost(
            of(static f => f.Money, month), of(static f => f.MoneyScaled, month), of(static f => f.WattHours, month / 1000), of(static f => f.WattHoursScaled, month / 1000)));
    }
}
