using System.CommandLine;
using System.Text.Json;
using Risk.Cli.CommandLine;
using Risk.Core.Costs;
using Risk.Core.Decisions;
using Risk.Core.Devices;
using Risk.Core.Devices.Simulation;
using Spectre.Console;

namespace Risk.Cli.Costs;

/// <summary><c>risk cost plan</c>: how many of what a load needs, and what that costs in a month.</summary>
internal static class PlanCommand
{
    private static readonly Option<string> Load = new("--load") { Description = "A trace of arrivals by second: a file, or a name below ops/traces.", HelpName = "TRACE", DefaultValueFactory = _ => "card-payments-day" };
    private static readonly Option<double> Scale = new("--scale") { Description = "Multiplies the trace's load.", HelpName = "N", DefaultValueFactory = _ => 1 };
    private static readonly Option<string?> Fleet = new("--fleet") { Description = "Devices to plan with, with commas between them; the CPU is always among them. All that have a profile when left out.", HelpName = "A,B,C" };

    public static Command Create()
    {
        var command = new Command("plan", "How many of what a load needs: monthly money and energy, scaling down, mixed fleets, purchase against rent.")
        {
            Load, Scale, CompareCommand.Deadline, Fleet, CostInputs.Model, CostInputs.Cpu, CostInputs.Machine, CostInputs.Prices, CostInputs.Profiles, CostInputs.AgeMax,
        };
        command.SetVerb(Run);
        return command;
    }

    private sealed record Option(string Name, Tenure Tenure, DeviceBasis Basis, FleetOption Fleet);

    private static ExitCode Run(VerbContext context)
    {
        double scale = CompareCommand.Positive(context, Scale, 1e9), deadline = CompareCommand.Positive(context, CompareCommand.Deadline, 1e6) * 1000;
        ArrivalTrace trace = ReadTrace(context.Get(Load)!);
        CostInputs inputs = new(context);
        IReadOnlyList<(double Mean, double Peak)> hours = FleetPlan.Hours(trace.Counts, scale);
        double peak = hours.Max(hour => hour.Peak);
        IReadOnlyList<string>? asked = CompareCommand.Names(context.Get(Fleet))?.Where(name => name != "cpu" && name != inputs.CpuProfile.Name).ToList();
        var options = new List<Option>();
        var faces = new List<string>();
        foreach (MachinePrice machine in inputs.Tenures(null).Select(inputs.MachineFor))
        {
            faces.Add($"{Numbers.Word(machine.Tenure)}: {machine.Name}, {machine.Cores} cores");
            options.AddRange(Options(inputs, machine, asked, new FleetPlan(hours, inputs.Core(machine, isWhole: false), machine.Cores, deadline, machine.Utilisation.Value)));
        }

        if (asked?.FirstOrDefault(name => options.All(o => o.Fleet.Accelerator?.Profile.Name != name)) is { } missing && options.Count > 0)
        {
            context.Output.ErrorLine("DEADLINE_UNMET", $"{missing} does not answer within {Numbers.Micros(deadline)} at this load, or is not to be had like its machine.");
        }

        options.Sort((a, b) => a.Fleet.Cost.MoneyScaled.Value.CompareTo(b.Fleet.Cost.MoneyScaled.Value));
        string face = Face(inputs, options, faces);
        if (context.Output.Json)
        {
            context.Output.WriteJson(json => Write(json, inputs, trace, peak, scale, deadline, face, options));
        }
        else
        {
            Show(context.Output, inputs, trace, peak, scale, deadline, face, options);
        }

        if (options.Count == 0)
        {
            context.Output.ErrorLine("DEADLINE_UNMET", $"No device answers within {Numbers.Micros(deadline)} at this load.");
            return ExitCode.No;
        }

        return ExitCode.Done;
    }

    private static IEnumerable<Option> Options(CostInputs inputs, MachinePrice machine, IReadOnlyList<string>? asked, FleetPlan plan)
    {
        if (plan.CpuOnly() is { } cpu)
        {
            yield return new Option($"CPU only ({machine.Name})", machine.Tenure, DeviceBasis.Of(inputs, inputs.Core(machine, isWhole: false)), cpu);
        }

        foreach (PricedDevice device in inputs.Accelerators(asked, machine, isWhole: false, isTenureAsked: false))
        {
            DeviceBasis basis = DeviceBasis.Of(inputs, device);
            if (plan.Only(device) is { } only)
            {
                yield return new Option($"{device.Profile.Name} only", machine.Tenure, basis, only);
            }

            if (plan.Mixed(device) is { } mixed && mixed.Cost != plan.Only(device)?.Cost)
            {
                yield return new Option($"{device.Profile.Name} with CPU", machine.Tenure, basis, mixed);
            }
        }
    }

    private static string Face(CostInputs inputs, List<Option> options, List<string> machines)
    {
        string[] sheets = [.. options.Select(o => o.Fleet.Accelerator?.Profile ?? inputs.CpuProfile).Where(profile => profile.Basis != FigureBasis.Measured).Select(profile => profile.Name).Distinct()];
        string published = sheets.Length == 0 ? "Devices as measured." : $"Made from data sheets and assumptions, not from measurements: {string.Join(", ", sheets)}; time is {DataSheetModel.Sentence}.";
        string[] old = [.. options.Where(o => o.Fleet.Accelerator is not null).Select(o => (o.Fleet.Accelerator!, o.Tenure)).Distinct()
            .SelectMany(pair => inputs.Old(pair.Item1, inputs.MachineFor(pair.Tenure)).Select(price => $"{pair.Item1.Profile.Name} {price.What} of {price.Date:yyyy-MM}")).Distinct()];
        string aged = old.Length == 0 ? "" : $" PRICE_OLD: prices older than {inputs.Book.AgeDaysOld} days: {string.Join(", ", old)}.";
        return $"{published} Prices: {inputs.Book.Name} {inputs.Book.Version}, each with source and date.{aged} A fleet is of one kind throughout, machines and cards alike ({string.Join("; ", machines)}); cards and machines are had whole, and owned cards' hosts are among the machines. Sized for the busiest minute of each hour at the machine's utilisation, its 99th percentile in time; the trace repeats for a month. Low and high: sized again with every figure at that end. What is owned is written off whether it is on or off; starts are paid. The {BatchLatency.Sentence}.";
    }

    private static void Show(Output output, CostInputs inputs, ArrivalTrace trace, double peak, double scale, double deadline, string face, List<Option> options)
    {
        output.WriteLine(face);
        output.WriteLine();
        output.WriteLine($"{inputs.ModelReference}, {trace.Name} × {Numbers.Of(scale)}: {Numbers.Of(trace.Total * scale)} decisions in {Numbers.Of(trace.Counts.Count / 3600.0)} hours, busiest minute {Numbers.Of(peak)} a second; {Numbers.Micros(deadline)} from arrival to answer; {inputs.Book.Currency} and kWh a month, expected (low – high).");
        Table table = output.CreateTable("fleet", "", "basis", "accelerators", "used", "cores", "money, scaled down", "money, always on", "saving", "kWh, scaled down", "kWh, always on", "p50, p99 at peak");
        foreach (Option option in options)
        {
            MonthlyCost cost = option.Fleet.Cost;
            table.AddRow(
                Markup.Escape(option.Name), Numbers.Word(option.Tenure), option.Basis.Words, Markup.Escape(Count(option.Fleet.Accelerators)), Used(option.Fleet, trace), Markup.Escape(Count(option.Fleet.Cores)),
                Markup.Escape(Numbers.Range(cost.MoneyScaled)), Numbers.Of(cost.Money.Value), Saving(option), Numbers.Of(cost.KilowattHoursScaled.Value), Numbers.Of(cost.KilowattHours.Value), Numbers.Latency(option.Fleet.Peak));
        }

        output.People.Write(table);
        if (options.Exists(IsLeftOut))
        {
            output.WriteLine("Not used: at no hour of this load is the device worth switching on. Its fleet is the CPU's, and what always on costs more is the idle device, saved by not having it rather than by scaling down.");
        }

        if (options.Count > 0)
        {
            Option best = options[0];
            output.WriteLine($"Cheapest: {best.Name}, {Numbers.Word(best.Tenure)}, {Numbers.Range(best.Fleet.Cost.MoneyScaled)} {inputs.Book.Currency} a month; switching off what an hour does not need saves {Numbers.Of(best.Fleet.Cost.Saving.Value)}.");
        }

        foreach ((string device, Option bought, Option rented) in BoughtAndRented(options))
        {
            output.WriteLine($"{device}: bought {Numbers.Range(bought.Fleet.Cost.MoneyScaled)} ({bought.Name}), rented {Numbers.Range(rented.Fleet.Cost.MoneyScaled)} ({rented.Name}) a month.");
        }
    }

    /// <summary>Its accelerator runs at no hour: what it saves is the accelerator itself.</summary>
    private static bool IsLeftOut(Option option) => option.Fleet is { Accelerator: not null, UsedHours: 0 };

    private static string Saving(Option option) => $"{Numbers.Of(option.Fleet.Cost.Saving.Value)}{(!IsLeftOut(option) ? "" : option.Tenure == Tenure.Rented ? " (not renting it)" : " (leaving it off)")}";

    /// <summary>Hours a day that it is worth switching on.</summary>
    private static string Used(FleetOption fleet, ArrivalTrace trace) => fleet.Accelerator is null ? ""
        : fleet.UsedHours == 0 ? "not used" : $"{fleet.UsedHours} of {Math.Ceiling(trace.Counts.Count / 3600.0)} h";

    /// <summary>Of each device that can be had both ways the cheapest fleet of each, of those in which it runs.</summary>
    private static IEnumerable<(string Device, Option Bought, Option Rented)> BoughtAndRented(List<Option> options) =>
        from option in options
        where option.Fleet is { Accelerator: not null, UsedHours: > 0 }
        group option by option.Fleet.Accelerator!.Profile.Name into device
        // Sorted: the first of each way is its cheapest.
        let bought = device.FirstOrDefault(o => o.Tenure == Tenure.Owned)
        let rented = device.FirstOrDefault(o => o.Tenure == Tenure.Rented)
        where bought is not null && rented is not null
        select (device.Key, bought, rented);

    private static void Write(Utf8JsonWriter json, CostInputs inputs, ArrivalTrace trace, double peak, double scale, double deadline, string face, List<Option> options)
    {
        json.WriteString("basis", face);
        json.WriteString("model", inputs.ModelReference);
        json.WriteString("trace", trace.Name);
        json.WriteNumber("scale", scale);
        json.WriteNumber("decisions", trace.Total * scale);
        json.WriteNumber("peakPerSecond", peak);
        json.WriteNumber("deadlineMillis", deadline / 1000);
        json.WriteString("currency", inputs.Book.Currency);
        json.WriteStartArray("fleets");
        foreach (Option option in options)
        {
            json.WriteStartObject();
            json.WriteString("name", option.Name);
            json.WriteString("device", option.Fleet.Accelerator?.Profile.Name ?? "cpu");
            json.WriteString("tenure", Numbers.Word(option.Tenure));
            json.WriteString("basis", Numbers.Basis(option.Basis.Worst));
            json.WriteNumber("accelerators", option.Fleet.AcceleratorCount);
            json.WriteNumber("usedHours", option.Fleet.UsedHours);
            json.WriteNumber("cores", option.Fleet.CoreCount);
            Range(json, "acceleratorsRange", option.Fleet.Accelerators);
            Range(json, "coresRange", option.Fleet.Cores);
            CompareCommand.WriteLatency(json, option.Fleet.Peak);
            Range(json, "monthlyMoney", option.Fleet.Cost.Money);
            Range(json, "monthlyMoneyScaledDown", option.Fleet.Cost.MoneyScaled);
            Range(json, "monthlySaving", option.Fleet.Cost.Saving);
            json.WriteString("savingBy", !IsLeftOut(option) ? "scaling down" : option.Tenure == Tenure.Rented ? "not renting the accelerator" : "leaving the accelerator off");
            Range(json, "monthlyKilowattHours", option.Fleet.Cost.KilowattHours);
            Range(json, "monthlyKilowattHoursScaledDown", option.Fleet.Cost.KilowattHoursScaled);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("boughtAndRented");
        foreach ((string device, Option bought, Option rented) in BoughtAndRented(options))
        {
            json.WriteStartObject();
            json.WriteString("device", device);
            json.WriteString("bought", bought.Name);
            Range(json, "boughtMonthly", bought.Fleet.Cost.MoneyScaled);
            json.WriteString("rented", rented.Name);
            Range(json, "rentedMonthly", rented.Fleet.Cost.MoneyScaled);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void Range(Utf8JsonWriter json, string name, Estimate estimate)
    {
        json.WriteStartObject(name);
        CompareCommand.Number(json, "low", estimate.Low);
        CompareCommand.Number(json, "value", estimate.Value);
        CompareCommand.Number(json, "high", estimate.High);
        json.WriteEndObject();
    }

    internal static ArrivalTrace ReadTrace(string name)
    {
        string file = File.Exists(name) ? name : Path.Combine(RiskHome.Find(), "ops", "traces", name + ".csv");
        if (!File.Exists(file))
        {
            throw CommandFailure.BadInput("TRACE_NOT_FOUND", $"There is no file {name} and no ops/traces/{name}.csv.");
        }

        List<DefinitionError> errors = [];
        return ArrivalTrace.TryRead(File.ReadAllText(file), Path.GetFileName(file), errors, out ArrivalTrace? trace)
            ? trace
            : throw new CommandFailure(ExitCode.BadInput, [.. errors.Select(e => (e.Code, $"{e.File} {e.Path}: {e.Sentence}"))]);
    }

    private static string Count(Estimate count) => count.Low == count.High ? Numbers.Of(count.Value) : Numbers.Range(count);
}
