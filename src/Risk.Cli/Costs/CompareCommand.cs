using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Risk.Cli.CommandLine;
using Risk.Core.Costs;
using Spectre.Console;

namespace Risk.Cli.Costs;

/// <summary><c>risk cost compare</c>: the CPU against accelerators.</summary>
internal static class CompareCommand
{
    internal static readonly Option<double> Load = new("--load") { Description = "Decisions a second that costs are given for.", HelpName = "N", DefaultValueFactory = _ => 10_000 };
    internal static readonly Option<double> Deadline = new("--deadline") { Description = "Milliseconds from arrival to answer.", HelpName = "MS", DefaultValueFactory = _ => 50 };
    private static readonly Option<string?> Devices = new("--devices") { Description = "Accelerators, with commas between them; all that have a profile when left out.", HelpName = "A,B" };
    private static readonly Option<string?> TenureOption = new("--tenure") { Description = "rented or owned; each device's own in the price book when left out.", HelpName = "rented|owned" };
    private static readonly Option<string?> Html = new("--html") { Description = "Also write a page with picture and arithmetic.", HelpName = "FILE" };

    public static Command Create()
    {
        var command = new Command("compare", "The CPU against accelerators: cost of 1,000 decisions, break-even load, latency.")
        {
            CostInputs.Model, Load, Deadline, Devices, TenureOption, CostInputs.Cpu, CostInputs.Machine, CostInputs.Prices, CostInputs.Profiles, CostInputs.AgeMax, Html,
        };
        command.SetVerb(Run);
        return command;
    }

    internal static Tenure? ReadTenure(string? word) => word switch
    {
        null => null,
        "rented" => Tenure.Rented,
        "owned" => Tenure.Owned,
        _ => throw CommandFailure.BadInput("USAGE", $"--tenure {word} is neither rented nor owned."),
    };

    internal static double Positive(VerbContext context, Option<double> option, double max) => context.Get(option) is var value && value > 0 && value <= max
        ? value
        : throw CommandFailure.BadInput("USAGE", $"{option.Name} {value.ToString(CultureInfo.InvariantCulture)} is not above 0 and at most {max.ToString(CultureInfo.InvariantCulture)}.");

    private static ExitCode Run(VerbContext context)
    {
        double load = Positive(context, Load, 1e9), deadline = Positive(context, Deadline, 1e6) * 1000;
        Tenure? tenure = ReadTenure(context.Get(TenureOption));
        CostInputs inputs = new(context);
        IEnumerable<string> names = context.Get(Devices)?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? inputs.AcceleratorNames;
        Comparison comparison = Comparison.Make(inputs, load, deadline, names, tenure);
        if (context.Get(Html) is { } file)
        {
            File.WriteAllText(file, ComparePage.Write(comparison));
        }

        Output output = context.Output;
        if (output.Json)
        {
            output.WriteJson(json => Write(json, comparison));
        }
        else
        {
            Show(output, comparison, context.Get(Html));
        }

        return ExitCode.Done;
    }

    private static void Show(Output output, Comparison comparison, string? page)
    {
        foreach (string warning in comparison.Warnings())
        {
            output.WriteLine(warning);
        }

        output.WriteLine();
        output.WriteLine($"{comparison.Inputs.ModelReference}, {Numbers.Of(comparison.Load)} decisions a second, {Numbers.Micros(comparison.DeadlineMicros)} from arrival to answer; {comparison.Inputs.Book.Currency}, expected (low – high).");
        Table table = output.CreateTable("device", "basis", "1,000 decisions", "low", "high", "J", "latency", "break-even/s", "low", "high", "latency");
        foreach (ComparedDevice row in (IEnumerable<ComparedDevice>)[comparison.Cpu, .. comparison.Accelerators])
        {
            table.AddRow(
                Markup.Escape(row.Device.Profile.Name), $"{Numbers.Basis(row.Device.Profile.Basis)}, {(row.Device.Rates.Tenure == Tenure.Owned ? "owned" : "rented")}",
                row.PerThousand is { } cost ? Numbers.Of(cost.Value) : "too slow", row.PerThousand is { } least ? Numbers.Of(least.Low) : "", row.PerThousand is { } most ? Numbers.Of(most.High) : "",
                row.JoulesPerThousand is { } joules ? Numbers.Of(joules) : "", row.At is { } point ? Numbers.Micros(point.LatencyMicros) : "",
                row.BreakEven is { } even ? Numbers.Load(even.Value) : "", row.BreakEven is { } low ? Numbers.Load(low.Low) : "", row.BreakEven is { } high ? Numbers.Load(high.High) : "",
                row.AtBreakEven is { } there ? Numbers.Micros(there.LatencyMicros) : "");
        }

        foreach (TableColumn column in table.Columns)
        {
            column.NoWrap();
        }

        output.People.Write(table);
        output.WriteLine("Break-even: the load from which the device costs no more than the CPU; low and high from the ranges of all prices and times; never: at no load.");
        output.WriteLine(page is null ? "With --html FILE: the picture, and the arithmetic line by line." : $"The picture and the arithmetic: {page}");
    }

    private static void Write(Utf8JsonWriter json, Comparison comparison)
    {
        json.WriteString("model", comparison.Inputs.ModelReference);
        json.WriteNumber("load", comparison.Load);
        json.WriteNumber("deadlineMillis", comparison.DeadlineMicros / 1000);
        json.WriteNumber("utilisation", comparison.Utilisation);
        json.WriteString("currency", comparison.Inputs.Book.Currency);
        json.WriteString("priceBook", $"{comparison.Inputs.Book.Name} {comparison.Inputs.Book.Version}");
        json.WriteString("priceBookDigest", $"sha256:{comparison.Inputs.Book.Digest}");
        json.WriteStartArray("warnings");
        foreach (string warning in comparison.Warnings())
        {
            json.WriteStringValue(warning);
        }

        json.WriteEndArray();
        json.WriteStartArray("devices");
        foreach (ComparedDevice row in (IEnumerable<ComparedDevice>)[comparison.Cpu, .. comparison.Accelerators])
        {
            Write(json, row, comparison);
        }

        json.WriteEndArray();
    }

    private static void Write(Utf8JsonWriter json, ComparedDevice row, Comparison comparison)
    {
        json.WriteStartObject();
        json.WriteString("name", row.Device.Profile.Name);
        json.WriteString("device", row.Device.Profile.Device);
        json.WriteString("basis", Numbers.Basis(row.Device.Profile.Basis));
        json.WriteString("tenure", row.Device.Rates.Tenure == Tenure.Owned ? "owned" : "rented");
        WriteRange(json, "perThousand", row.PerThousand);
        Number(json, "joulesPerThousand", row.JoulesPerThousand);
        Number(json, "devices", row.At?.DeviceCount);
        Number(json, "batch", row.At?.Batch);
        Number(json, "latencyMicros", row.At?.LatencyMicros);
        json.WriteNumber("capacityPerSecond", row.Device.Carried(double.PositiveInfinity, 1, comparison.DeadlineMicros, 1));
        if (row.BreakEven is { } even)
        {
            json.WriteStartObject("breakEvenLoad");
            Number(json, "low", even.Low);
            Number(json, "value", even.Value);
            Number(json, "high", even.High);
            Number(json, "latencyMicros", row.AtBreakEven?.LatencyMicros);
            json.WriteEndObject();
        }

        json.WriteStartArray("arithmetic");
        foreach (CostLine line in row.Device.Rates.Lines)
        {
            json.WriteStartObject();
            json.WriteString("what", line.What);
            json.WriteString("arithmetic", line.Arithmetic);
            WriteRange(json, "result", line.Result);
            json.WriteString("unit", line.Unit);
            json.WriteStartArray("figures");
            foreach (string path in line.Paths)
            {
                json.WriteStringValue(path);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("steps");
        if (row.At is { } at)
        {
            foreach ((string what, string arithmetic) in row.Steps(comparison.Load, at, comparison.Inputs.Book.Currency))
            {
                json.WriteStringValue($"{what}: {arithmetic}");
            }
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteRange(Utf8JsonWriter json, string name, Estimate? estimate)
    {
        if (estimate is not { } e)
        {
            json.WriteNull(name);
            return;
        }

        json.WriteStartObject(name);
        Number(json, "low", e.Low);
        Number(json, "value", e.Value);
        Number(json, "high", e.High);
        json.WriteEndObject();
    }

    internal static void Number(Utf8JsonWriter json, string name, double? value)
    {
        if (value is { } number && double.IsFinite(number))
        {
            json.WriteNumber(name, number);
        }
        else
        {
            json.WriteNull(name);
        }
    }
}
