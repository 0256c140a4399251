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
        output.WriteLine($"{comparison.Inputs.ModelReference}, {Numbers.Of(comparison.Load)} decisions a second, {Numbers.Micros(comparison.DeadlineMicros)} from arrival to answer; expected (low – high).");
        Table table = output.CreateTable("device", "basis", $"1,000 decisions, millionths of {comparison.Inputs.Book.Currency}", "J", "p50, p99", "cheaper from/s", "for good from/s", "p50, p99 there");
        foreach (ComparedDevice row in comparison.Devices)
        {
            table.AddRow(
                Markup.Escape(row.Device.Profile.Name), $"{Numbers.Basis(row.Device.Profile.Basis)}, {(row.Device.Rates.Tenure == Tenure.Owned ? "owned" : "rented")}",
                Numbers.Millionths(row.PerThousand), row.JoulesPerThousand is { } joules ? Numbers.Of(joules) : "", row.At is { } point ? Numbers.Latency(point.Latency) : "",
                row.BreakEven is { } even ? Numbers.Load(even.Expected.First) : "", row.BreakEven is { } lasting ? Numbers.Lasting(lasting) : "",
                row.AtBreakEven is { } there ? Numbers.Latency(there.Latency) : "");
        }

        foreach (TableColumn column in table.Columns)
        {
            column.NoWrap();
        }

        output.People.Write(table);
        output.WriteLine($"Cheaper from: the first load at which the device costs no more than the CPU. For good from: the load from which it stays so up to {Numbers.Short(BreakEven.LoadMax)} a second; low and high from the ranges of all prices and times.");
        foreach (ComparedDevice row in comparison.Accelerators.Where(row => row.BreakEven!.Expected.Intervals.Count > 1))
        {
            output.WriteLine($"{row.Device.Profile.Name} comes in whole devices and is cheaper at these loads only: {Numbers.Intervals(row.BreakEven!.Expected)}.");
        }

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
        foreach (ComparedDevice row in comparison.Devices)
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
        WriteLatency(json, row.At?.Latency);
        json.WriteNumber("capacityPerSecond", row.Device.Carried(double.PositiveInfinity, 1, comparison.DeadlineMicros, comparison.Utilisation));
        if (row.BreakEven is { } even)
        {
            json.WriteStartObject("breakEvenLoad");
            Number(json, "low", even.Low.Lasting);
            Number(json, "value", even.Expected.Lasting);
            Number(json, "high", even.High.Lasting);
            Number(json, "first", even.Expected.First);
            WriteLatency(json, row.AtBreakEven?.Latency);
            WriteIntervals(json, "cheaperAtLow", even.Low);
            WriteIntervals(json, "cheaperAt", even.Expected);
            WriteIntervals(json, "cheaperAtHigh", even.High);
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
            foreach ((string what, string arithmetic) in ComparisonSteps.Of(row.Device, comparison.Load, at, comparison.Utilisation, comparison.Inputs.Book.Currency))
            {
                json.WriteStringValue($"{what}: {arithmetic}");
            }
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>From and to, rows a second; to is null where there is no end.</summary>
    private static void WriteIntervals(Utf8JsonWriter json, string name, CheaperLoads loads)
    {
        json.WriteStartArray(name);
        foreach (LoadInterval interval in loads.Intervals)
        {
            json.WriteStartObject();
            json.WriteNumber("from", interval.From);
            Number(json, "to", interval.To);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    internal static void WriteLatency(Utf8JsonWriter json, BatchLatency? latency)
    {
        if (latency is not { } l)
        {
            json.WriteNull("latencyMicros");
            return;
        }

        json.WriteStartObject("latencyMicros");
        foreach ((string name, double value) in (ReadOnlySpan<(string, double)>)[("p50", l.P50), ("p99", l.P99), ("fillP50", l.FillP50), ("fillP99", l.FillP99), ("queueP50", l.QueueP50), ("queueP99", l.QueueP99), ("runP50", l.RunP50), ("runP99", l.RunP99)])
        {
            Number(json, name, value);
        }

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
