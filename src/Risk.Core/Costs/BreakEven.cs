namespace Risk.Core.Costs;

/// <summary>Loads between which an accelerator costs no more than the CPU, rows a second.</summary>
/// <param name="To">The last of them; infinite where it is so up to <see cref="BreakEven.LoadMax"/>.</param>
public readonly record struct LoadInterval(double From, double To);

/// <summary>
/// All of these intervals, ascending. There can be many: devices and machines are had whole, so that their cost is a
/// staircase, and right after a step of the device the CPU can be the cheaper one again.
/// </summary>
public sealed record CheaperLoads(IReadOnlyList<LoadInterval> Intervals)
{
    /// <summary>Where it is cheaper for the first time; null for never.</summary>
    public double? First => Intervals is [var first, ..] ? first.From : null;

    /// <summary>The load from which it stays cheaper; null where there is none.</summary>
    public double? Lasting => Intervals is [.., { To: double.PositiveInfinity } last] ? last.From : null;
}

/// <summary>
/// The loads at which an accelerator costs no more than the CPU. <paramref name="Low"/> takes the accelerator's figures at
/// their least and the CPU's at their most, <paramref name="High"/> the other way round, also of figures that both share (price
/// of power, PUE): the range is wider than any one site's.
/// </summary>
public sealed record BreakEven(CheaperLoads Low, CheaperLoads Expected, CheaperLoads High)
{
    /// <summary>Loads looked at, rows a second.</summary>
    public const double LoadMin = 1, LoadMax = 1e9;

    private const int StepsPerDecade = 40;

    // Further steps of the staircase are closer to each other than the grid is.
    private const int StaircaseSteps = 24;

    public static BreakEven Find(PricedDevice cpu, PricedDevice accelerator, double deadlineMicros, double utilisationMax) => new(
        Find(cpu, accelerator, deadlineMicros, utilisationMax, Scenario.Low, Scenario.High),
        Find(cpu, accelerator, deadlineMicros, utilisationMax, Scenario.Expected, Scenario.Expected),
        Find(cpu, accelerator, deadlineMicros, utilisationMax, Scenario.High, Scenario.Low));

    /// <summary>The expected loads alone.</summary>
    public static CheaperLoads FindExpected(PricedDevice cpu, PricedDevice accelerator, double deadlineMicros, double utilisationMax) =>
        Find(cpu, accelerator, deadlineMicros, utilisationMax, Scenario.Expected, Scenario.Expected);

    private static CheaperLoads Find(PricedDevice cpu, PricedDevice accelerator, double deadline, double utilisation, Scenario ofAccelerator, Scenario ofCpu)
    {
        List<LoadInterval> intervals = [];
        double before = LoadMin, from = double.NaN;
        foreach (double load in Loads([.. accelerator.LoadsOfOne(utilisation, ofAccelerator), .. cpu.LoadsOfOne(utilisation, ofCpu)]))
        {
            if (IsCheaper(load) == double.IsFinite(from))
            {
                before = load;
                continue;
            }
            if (double.IsFinite(from))
            {
                intervals.Add(new LoadInterval(from, Edge(before, load, isCheaperAtLow: true)));
                from = double.NaN;
            }
            else
                from = load <= LoadMin ? LoadMin : Edge(before, load, isCheaperAtLow: false);
            before = load;
        }
        if (double.IsFinite(from))
            intervals.Add(new LoadInterval(from, double.PositiveInfinity));
        return new CheaperLoads(intervals);

        // A CPU that cannot meet the deadline at any price is no alternative.
        bool IsCheaper(double load) => accelerator.TryOperate(load, deadline, utilisation, ofAccelerator, out OperatingPoint there)
            && (!cpu.TryOperate(load, deadline, utilisation, ofCpu, out OperatingPoint here) || there.MoneyPerHour <= here.MoneyPerHour);

        // The last or the first load at which it is cheaper.
        double Edge(double low, double high, bool isCheaperAtLow)
        {
            for (int i = 0; i < 60; i++)
            {
                double middle = Math.Sqrt(low * high);
                if (IsCheaper(middle) == isCheaperAtLow)
                    low = middle;
                else
                    high = middle;
            }
            return isCheaperAtLow ? low : high;
        }
    }

    /// <summary>A fine grid, and both sides of each step of the staircases, where an interval begins or ends that the grid could miss.</summary>
    private static IEnumerable<double> Loads(IEnumerable<double> loadsOfOne)
    {
        List<double> loads = [];
        for (int i = 0; i <= StepsPerDecade * 9; i++)
            loads.Add(LoadMin * Math.Pow(10, (double)i / StepsPerDecade));
        foreach (double one in loadsOfOne)
        {
            for (int count = 1; count <= StaircaseSteps; count++)
                loads.AddRange([one * count, one * count * (1 + 1e-6)]);
        }
        return loads.Where(load => load is >= LoadMin and <= LoadMax).Order();
    }
}
