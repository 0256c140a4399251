using Risk.Core.Costs;

namespace Risk.Cli.Costs;

/// <summary>
/// Why a break-even load is what it is: at each end of the figures both sides' hour at that load; where there is none, at the
/// load at which a row costs the device least.
/// </summary>
internal static class BreakEvenSteps
{
    public static IEnumerable<Step> Of(Comparison comparison, Pairing pairing, ComparedDevice row)
    {
        if (row.BreakEven is not { } even)
        {
            yield break;
        }

        yield return Line("low", even.Low, Scenario.Low, Scenario.High);
        yield return Line("expected", even.Expected, Scenario.Expected, Scenario.Expected);
        yield return Line("high", even.High, Scenario.High, Scenario.Low);

        Step Line(string end, CheaperLoads loads, Scenario ofDevice, Scenario ofCpu)
        {
            double deadline = comparison.DeadlineMicros, utilisation = pairing.Utilisation;
            string what = $"break-even, {end}";
            if (loads.Lasting is { } lasting && TryBoth(lasting, out OperatingPoint there, out OperatingPoint here))
            {
                return new Step(what, $"at {Numbers.Short(lasting)} a second: {Hour(row.Paired, there, ofDevice)}; the CPU {Hour(pairing.Cpu.Paired, here, ofCpu)}", Numbers.Load(lasting), []);
            }

            // Where it is never cheaper, its cheapest row; where it is at times, the last load at which it is not.
            (double Load, OperatingPoint There, OperatingPoint Here)? shown = null;
            foreach (double load in Comparison.Loads)
            {
                if (TryBoth(load, out there, out here)
                    && (loads.Intervals.Count == 0 ? !(shown is { } s && s.There.MoneyPerHour / s.Load <= there.MoneyPerHour / load) : there.MoneyPerHour > here.MoneyPerHour))
                {
                    shown = (load, there, here);
                }
            }

            if (shown is not { } chosen)
            {
                return new Step(what, $"no batch answers within {Numbers.Micros(deadline)} at any load beside the CPU", "never", []);
            }

            string where = loads.Intervals.Count == 0 ? $"its cheapest row, at {Numbers.Short(chosen.Load)} a second" : $"not for good, only at {Numbers.Intervals(loads)}; at {Numbers.Short(chosen.Load)} a second";
            return new Step(what, $"{where}: {Hour(row.Paired, chosen.There, ofDevice)}; the CPU {Hour(pairing.Cpu.Paired, chosen.Here, ofCpu)}; {Numbers.Of(chosen.There.MoneyPerHour / chosen.Here.MoneyPerHour)} times the CPU's", "never", []);

            bool TryBoth(double load, out OperatingPoint device, out OperatingPoint cpu)
            {
                cpu = default;
                return row.Paired.TryOperate(load, deadline, utilisation, ofDevice, out device) && pairing.Cpu.Paired.TryOperate(load, deadline, utilisation, ofCpu, out cpu);
            }

            string Hour(PricedDevice device, OperatingPoint at, Scenario scenario) =>
                $"{ComparisonSteps.Money(device, at, utilisation, scenario)} = {Numbers.Of(at.MoneyPerHour)} {comparison.Inputs.Book.Currency} an hour";
        }
    }
}
