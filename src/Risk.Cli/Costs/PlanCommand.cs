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

    private sealed record Option(string Name, string Tenure, FigureBasis Basis, FleetOption Fleet);

    private static ExitCode Run(VerbContext context)
    {
        double scale = CompareCommand.Positive(context, Scale, 1e9), deadline = CompareCommand.Positive(context, CompareCommand.Deadline, 1e6) * 1000;
        ArrivalTrace trace = ReadTrace(context.Get(Load)!);
        CostInputs inputs = new(context);
        double utilisation = inputs.CpuMachine.Utilisation.Value;
        var plan = new FleetPlan(FleetPlan.Hours(trace.Counts, scale), inputs.CpuDevice, inputs.CpuMachine.Cores, deadline, utilisation);
        var options = new List<Option>();
        if (plan.CpuOnly() is { } cpu)
        {
            options.Add(new Option($"CPU only ({inputs.CpuMachine.Name})", Word(inputs.CpuMachine.Tenure), inputs.CpuDevice.Profile.Basis, cpu));
        }

        IEnumerable<string> names = context.Get(Fleet)?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Where(name => name != "cpu" && name != inputs.CpuDevice.Profile.Name) ?? inputs.AcceleratorNames;
        foreach (string name in names)
        {
            Tenure[] tenures = inputs.Book.Devices.FirstOrDefault(d => d.Name == name) is { } price ? [.. ((Tenure[])[Tenure.Rented, Tenure.Owned]).Where(price.CanBe)] : [Tenure.Rented];
            foreach (Tenure tenure in tenures)
            {
                if (inputs.Accelerator(name, tenure) is not { } device)
                {
                    continue;
                }

                if (plan.Only(device) is { } only)
                {
                    options.Add(new Option($"{name} only", Word(tenure), device.Profile.Basis, only));
                }

                if (plan.Mixed(device) is { } mixed && mixed.CoreCount > 0)
                {
                    options.Add(new Option($"{name} with CPU", Word(tenure), device.Profile.Basis, mixed));
                }
            }
        }

        options.Sort((a, b) => a.Fleet.Cost.MoneyScaled.Value.CompareTo(b.Fleet.Cost.MoneyScaled.Value));
        string face = Face(inputs, options, utilisation);
        if (context.Output.Json)
        {
            context.Output.WriteJson(json => Write(json, inputs, trace, plan, scale, deadline, face, options));
        }
        else
        {
            Show(context.Output, inputs, trace, plan, scale, deadline, face, options);
        }

        if (options.Count == 0)
        {
            context.Output.ErrorLine("DEADLINE_UNMET", $"No device answers within {Numbers.Micros(deadline)} at this load.");
            return ExitCode.No;
        }

        return ExitCode.Done;
    }

    private static string Face(CostInputs inputs, List<Option> options, double utilisation)
    {
        string[] sheets = [.. options.Where(o => o.Basis != FigureBasis.Measured).Select(o => o.Fleet.Accelerator?.Profile.Name ?? inputs.CpuDevice.Profile.Name).Distinct()];
        string published = sheets.Length == 0 ? "Devices as measured." : $"Made from published and assumed figures, not from measurements: {string.Join(", ", sheets)}; time is {DataSheetModel.Sentence}.";
        return $"{published} Prices: {inputs.Book.Name} {inputs.Book.Version}, each with source and date. Sized for the busiest minute of each hour at {utilisation:P0} utilisation, its 99th percentile in time; the trace repeats for a month. Low and high: sized again with every figure at that end. What is owned is written off whether it is on or off; starts are paid. The {BatchLatency.Sentence}.";
    }

    private static void Show(Output output, CostInputs inputs, ArrivalTrace trace, FleetPlan plan, double scale, double deadline, string face, List<Option> options)
    {
        output.WriteLine(face);
        output.WriteLine();
        output.WriteLine($"{inputs.ModelReference}, {trace.Name} × {Numbers.Of(scale)}: {Numbers.Of(trace.Total * scale)} decisions in {Numbers.Of(trace.Counts.Count / 3600.0)} hours, busiest minute {Numbers.Of(plan.PeakLoad)} a second; {Numbers.Micros(deadline)} from arrival to answer; {inputs.Book.Currency} and kWh a month, expected (low – high).");
        Table table = output.CreateTable("fleet", "", "basis", "accelerators", "cores", "money, scaled down", "money, always on", "saving", "kWh, scaled down", "kWh, always on", "p50, p99 at peak");
        foreach (Option option in options)
        {
            MonthlyCost cost = option.Fleet.Cost;
            table.AddRow(
                Markup.Escape(option.Name), option.Tenure, Numbers.Basis(option.Basis), Markup.Escape(Count(option.Fleet.Accelerators)), Markup.Escape(Count(option.Fleet.Cores)),
                Markup.Escape(Numbers.Range(cost.MoneyScaled)), Numbers.Of(cost.Money.Value), Numbers.Of(cost.Saving.Value), Numbers.Of(cost.KilowattHoursScaled.Value), Numbers.Of(cost.KilowattHours.Value), Numbers.Latency(option.Fleet.Peak));
        }

        output.People.Write(table);
        if (options.Count > 0)
        {
            Option best = options[0];
            output.WriteLine($"Cheapest: {best.Name}, {best.Tenure}, {Numbers.Range(best.Fleet.Cost.MoneyScaled)} {inputs.Book.Currency} a month; switching off what an hour does not need saves {Numbers.Of(best.Fleet.Cost.Saving.Value)}.");
        }
    }

    private static void Write(Utf8JsonWriter json, CostInputs inputs, ArrivalTrace trace, FleetPlan plan, double scale, double deadline, string face, List<Option> options)
    {
        json.WriteString("basis", face);
        json.WriteString("model", inputs.ModelReference);
        json.WriteString("trace", trace.Name);
        json.WriteNumber("scale", scale);
        json.WriteNumber("decisions", trace.Total * scale);
        json.WriteNumber("peakPerSecond", plan.PeakLoad);
        json.WriteNumber("deadlineMillis", deadline / 1000);
        json.WriteString("currency", inputs.Book.Currency);
        json.WriteStartArray("fleets");
        foreach (Option option in options)
        {
            json.WriteStartObject();
            json.WriteString("name", option.Name);
            json.WriteString("device", option.Fleet.Accelerator?.Profile.Name ?? "cpu");
            json.WriteString("tenure", option.Tenure);
            json.WriteString("basis", Numbers.Basis(option.Basis));
            json.WriteNumber("accelerators", option.Fleet.AcceleratorCount);
            json.WriteNumber("cores", option.Fleet.CoreCount);
            Range(json, "acceleratorsRange", option.Fleet.Accelerators);
            Range(json, "coresRange", option.Fleet.Cores);
            CompareCommand.WriteLatency(json, option.Fleet.Peak);
            Range(json, "monthlyMoney", option.Fleet.Cost.Money);
            Range(json, "monthlyMoneyScaledDown", option.Fleet.Cost.MoneyScaled);
            Range(json, "monthlySaving", option.Fleet.Cost.Saving);
            Range(json, "monthlyKilowattHours", option.Fleet.Cost.KilowattHours);
            Range(json, "monthlyKilowattHoursScaledDown", option.Fleet.Cost.KilowattHoursScaled);
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

    private static string Word(Tenure tenure) => tenure == Tenure.Owned ? "owned" : "rented";
}
