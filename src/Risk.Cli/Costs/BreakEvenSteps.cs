using Risk.Core.Costs;

namespace Risk.Cli.Costs;

/// <summary>
/// Why a break-even load is what it is: at each end of the figures both sides' hour at that load, in one line and then line by
/// line; where there is none, at the load at which a row costs the device least.
/// </summary>
internal static class BreakEvenSteps
{
    public static IEnumerable<Step> Of(Comparison comparison, Pairing pairing, ComparedDevice row)
    {
        if (row.BreakEven is not { } even)
        {
            return [];
        }

        IEnumerable<Step> steps =
        [
            .. Lines(comparison, pairing, row, "low", even.Low, Scenario.Low, Scenario.High),
            .. Lines(comparison, pairing, row, "expected", even.Expected, Scenario.Expected, Scenario.Expected),
            .. Lines(comparison, pairing, row, "high", even.High, Scenario.High, Scenario.Low),
        ];
        return row.ByUtilisation is not var (least, most) ? steps : steps.Append(new Step(
            "break-even by utilisation", $"low and high above hold utilisation at {Numbers.Of(pairing.Utilisation)}, for both sides; expected figures at {Numbers.Of(pairing.Machine.Utilisation.Low)} and at {Numbers.Of(pairing.Machine.Utilisation.High)}, for good from",
            $"{Numbers.Load(least.Lasting)}, {Numbers.Load(most.Lasting)}", [pairing.UtilisationIn(comparison.Inputs)]));
    }

    private static IEnumerable<Step> Lines(Comparison comparison, Pairing pairing, ComparedDevice row, string end, CheaperLoads loads, Scenario ofDevice, Scenario ofCpu)
    {
        string what = $"break-even, {end}", currency = comparison.Inputs.Book.Currency;
        if (Shown(comparison, pairing, row, loads, ofDevice, ofCpu) is not var (load, there, here))
        {
            yield return new Step(what, $"no batch answers within {Numbers.Micros(comparison.DeadlineMicros)} at any load beside the CPU", "never", []);
            yield break;
        }

        string where = loads.Lasting is not null ? "at" : loads.Intervals.Count == 0 ? "its cheapest row, at" : $"not for good, only at {Numbers.Intervals(loads)}; at";
        string times = loads.Lasting is not null ? "" : $"; {Numbers.Of(there.MoneyPerHour / here.MoneyPerHour)} times the CPU's";
        yield return new Step(
            what, $"{where} {Numbers.Exact(load)} a second: {Hour(row.Paired, there, ofDevice)}; the CPU {Hour(pairing.Cpu.Paired, here, ofCpu)}{times}", Numbers.Load(loads.Lasting), [pairing.UtilisationIn(comparison.Inputs)]);
        foreach (Step step in Side(row.Paired, there, ofDevice).Select(step => step with { What = $"{end}: {row.Name}, {step.What}" })
            .Concat(Side(pairing.Cpu.Paired, here, ofCpu).Select(step => step with { What = $"{end}: the CPU, {step.What}" })))
        {
            yield return step;
        }

        string Hour(PricedDevice device, OperatingPoint at, Scenario scenario) =>
            $"{HourSteps.Money(device, at, pairing.Utilisation, scenario)} = {Numbers.Exact(at.MoneyPerHour)} {currency} an hour, in batches of {at.Batch}";

        // Expected rates stand above, with the device's own lines.
        IEnumerable<Step> Side(PricedDevice device, OperatingPoint at, Scenario scenario)
        {
            PricedDevice known = CostInputs.At(scenario, device, pairing.Book, pairing.Machine);
            IEnumerable<Step> rates = scenario == Scenario.Expected ? [] : HourSteps.MoneyLines(known.Rates)
                .Select(line => new Step(line.What, line.Arithmetic, $"{Numbers.Exact(line.Result.Value)} {line.Unit}", [.. line.Paths.Select(path => HourSteps.InBook(comparison.Inputs, path))]));
            IEnumerable<Step> latency = scenario == Scenario.Expected ? ComparisonSteps.Latency(comparison.Inputs, device, load, at) : [];
            return [.. rates, .. HourSteps.Of(comparison.Inputs, pairing, known, load, at, scenario), .. latency];
        }
    }

    /// <summary>The break-even load; where it is never cheaper, its cheapest row; where it is at times, the last load at which it is not. Null where no load is answered in time.</summary>
    private static (double Load, OperatingPoint There, OperatingPoint Here)? Shown(Comparison comparison, Pairing pairing, ComparedDevice row, CheaperLoads loads, Scenario ofDevice, Scenario ofCpu)
    {
        if (loads.Lasting is { } lasting && TryBoth(lasting, out OperatingPoint there, out OperatingPoint here))
        {
            return (lasting, there, here);
        }

        (double Load, OperatingPoint There, OperatingPoint Here)? shown = null;
        foreach (double load in Comparison.Loads)
        {
            if (TryBoth(load, out there, out here)
                && (loads.Intervals.Count == 0 ? !(shown is { } s && s.There.MoneyPerHour / s.Load <= there.MoneyPerHour / load) : there.MoneyPerHour > here.MoneyPerHour))
            {
                shown = (load, there, here);
            }
        }

        return shown;

        bool TryBoth(double load, out OperatingPoint device, out OperatingPoint cpu)
        {
            cpu = default;
            return row.Paired.TryOperate(load, comparison.DeadlineMicros, pairing.Utilisation, ofDevice, out device)
                && pairing.Cpu.Paired.TryOperate(load, comparison.DeadlineMicros, pairing.Utilisation, ofCpu, out cpu);
        }
    }
}
