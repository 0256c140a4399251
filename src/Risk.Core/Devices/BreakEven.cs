using Risk.Core.Costs;

namespace Risk.Core.Devices;

/// <summary>
/// The load from which an accelerator costs no more than the CPU. Low takes the accelerator's figures at their least and the
/// CPU's at their most, high the other way round; null means at no load.
/// </summary>
public readonly record struct BreakEven(double? Low, double? Value, double? High)
{
    /// <summary>Loads looked at, rows a second.</summary>
    public const double LoadMin = 1, LoadMax = 1e9;

    private const int StepsPerDecade = 40;

    public static BreakEven Find(PricedDevice cpu, PricedDevice accelerator, double deadlineMicros, double utilisationMax) => new(
        Find(cpu, accelerator, deadlineMicros, utilisationMax, Scenario.Low, Scenario.High),
        Find(cpu, accelerator, deadlineMicros, utilisationMax, Scenario.Expected, Scenario.Expected),
        Find(cpu, accelerator, deadlineMicros, utilisationMax, Scenario.High, Scenario.Low));

    private static double? Find(PricedDevice cpu, PricedDevice accelerator, double deadline, double utilisation, Scenario ofAccelerator, Scenario ofCpu)
    {
        double above = 0;
        double factor = Math.Pow(10, 1.0 / StepsPerDecade);
        for (double load = LoadMin; load <= LoadMax * 1.000001; load *= factor)
        {
            if (!IsCheaper(load))
            {
                above = load;
                continue;
            }
            if (above == 0)
                return LoadMin;
            double low = above, high = load;
            for (int i = 0; i < 60; i++)
            {
                double middle = Math.Sqrt(low * high);
                if (IsCheaper(middle))
                    high = middle;
                else
                    low = middle;
            }
            return high;
        }
        return null;

        // A CPU that cannot meet the deadline at any price is no alternative.
        bool IsCheaper(double load) => accelerator.TryOperate(load, deadline, utilisation, ofAccelerator, out OperatingPoint there)
            && (!cpu.TryOperate(load, deadline, utilisation, ofCpu, out OperatingPoint here) || there.MoneyPerHour <= here.MoneyPerHour);
    }
}
