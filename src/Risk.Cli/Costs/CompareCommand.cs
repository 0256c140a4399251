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
    private static readonly Option<string?> TenureOption = new("--tenure") { Description = "Only this: rented beside rented, or owned beside owned; both when left out.", HelpName = "rented|owned" };
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

    /// <summary>Devices that were asked for, each once; null when none were.</summary>
    internal static IReadOnlyList<string>? Names(string? list) => list?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) is not { } names ? null
        : names.Length > 0 ? [.. names.Distinct()] : throw CommandFailure.BadInput("USAGE", "a list of devices was asked for, and it is empty.");

    internal static double Positive(VerbContext context, Option<double> option, double max) => context.Get(option) is var value && value > 0 && value <= max
        ? value
        : throw CommandFailure.BadInput("USAGE", $"{option.Name} {value.ToString(CultureInfo.InvariantCulture)} is not above 0 and at most {max.ToString(CultureInfo.InvariantCulture)}.");

    private static ExitCode Run(VerbContext context)
    {
        double load = Positive(context, Load, 1e9), deadline = Positive(context, Deadline, 1e6) * 1000;
        Tenure? tenure = ReadTenure(context.Get(TenureOption));
        CostInputs inputs = new(context);
        Comparison comparison = Comparison.Make(inputs, load, deadline, Names(context.Get(Devices)), tenure);
        if (!comparison.Accelerators.Any())
        {
            throw CommandFailure.BadInput("PROFILE_MISSING", "no accelerator can be compared; what is wrong with each stands above.");
        }

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
        foreach (Pairing pairing in comparison.Pairings)
        {
            Show(output, pairing, comparison.Inputs.Book.Currency);
        }

        output.WriteLine();
        output.WriteLine($"For good from: the load from which the device costs no more than the CPU, at every load up to {Numbers.Short(BreakEven.LoadMax)} a second; first at: where it does so for the first time; its break-even load: the former, or where there is none the latter, by expected figures. Low and high: every price and time at that end.");
        output.WriteLine("p50 and p99 are of scoring alone, from a row's arrival to its score: not of a decision, which has its features, its record and its commit on top.");
        output.WriteLine(page is null ? "With --html FILE: the pictures, and the arithmetic line by line." : $"The pictures and the arithmetic: {page}");
    }

    private static void Show(Output output, Pairing pairing, string currency)
    {
        output.WriteLine();
        output.WriteLine($"{pairing.Title}: {pairing.Machine.Name}, {pairing.Machine.Cores} cores, price {Numbers.Basis(pairing.Cpu.Basis.Price)}; upkeep (life, host, watts) {string.Join(", ", pairing.Devices.Select(d => Numbers.Basis(d.Basis.Upkeep)).Distinct())}.");
        Table table = output.CreateTable("device", "price", "time", $"10⁻⁶ {currency} per 1,000", "scoring p50, p99", "first at/s", "for good from/s", "cores shared");
        foreach (ComparedDevice row in pairing.Devices)
        {
            table.AddRow(
                Markup.Escape($"{row.Name}{(row.Precision == PrecisionNotes.Full ? "" : $" {row.Precision}")}"), $"{Numbers.Basis(row.Basis.Price)}{string.Concat(row.Old.Where(price => price.What is "hourly" or "purchase").Select(price => $" {price.Date:yyyy-MM}"))}", Numbers.Basis(row.Basis.Time),
                Numbers.Millionths(row.PerThousand), row.At is { } point ? Numbers.Latency(point.Latency) : "",
                row.BreakEven is { } even ? Numbers.Load(even.Expected.First) : "", row.BreakEven is { } lasting ? Numbers.Lasting(lasting) : "", row.Shared is { } shared ? Numbers.Lasting(shared) : "");
        }

        Write(output, table);
        ComparedDevice[] paying = [.. pairing.Accelerators.Where(row => row.AtBreakEven is not null)];
        if (paying.Length == 0)
        {
            return;
        }

        Table there = output.CreateTable("at its break-even load", "load/s", "devices, batch", "scoring p50, p99 there", "the CPU's cores, batch", "the CPU's p50, p99 there");
        foreach (ComparedDevice row in paying)
        {
            there.AddRow(
                Markup.Escape(row.Name), $"{Numbers.Load(row.BreakEvenLoad)}{(row.BreakEven!.Expected.Lasting is null ? " (first, not for good)" : "")}", Run(row.AtBreakEven), row.AtBreakEven is { } point ? Numbers.Latency(point.Latency) : "",
                Run(row.CpuAtBreakEven), row.CpuAtBreakEven is { } cpu ? Numbers.Latency(cpu.Latency) : "too slow");
        }

        Write(output, there);

        static string Run(OperatingPoint? at) => at is { } point ? $"{Numbers.Of(point.DeviceCount)}, {point.Batch}" : "";
    }

    private static void Write(Output output, Table table)
    {
        foreach (TableColumn column in table.Columns)
        {
            column.NoWrap();
        }

        output.People.Write(table);
    }

    private static void Write(Utf8JsonWriter json, Comparison comparison)
    {
        json.WriteString("model", comparison.Inputs.ModelReference);
        json.WriteNumber("load", comparison.Load);
        json.WriteNumber("deadlineMillis", comparison.DeadlineMicros / 1000);
        json.WriteString("currency", comparison.Inputs.Book.Currency);
        json.WriteString("priceBook", $"{comparison.Inputs.Book.Name} {comparison.Inputs.Book.Version}");
        json.WriteString("priceBookDigest", $"sha256:{comparison.Inputs.Book.Digest}");
        json.WriteStartArray("warnings");
        foreach (string warning in comparison.Warnings())
        {
            json.WriteStringValue(warning);
        }

        json.WriteEndArray();
        json.WriteStartArray("pairings");
        foreach (Pairing pairing in comparison.Pairings)
        {
            json.WriteStartObject();
            json.WriteString("tenure", Numbers.Word(pairing.Tenure));
            json.WriteString("machine", pairing.Machine.Name);
            json.WriteNumber("coresPerMachine", pairing.Machine.Cores);
            json.WriteNumber("utilisation", pairing.Utilisation);
            json.WriteStartArray("devices");
            foreach (ComparedDevice row in pairing.Devices)
            {
                Write(json, row, pairing, comparison);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void Write(Utf8JsonWriter json, ComparedDevice row, Pairing pairing, Comparison comparison)
    {
        json.WriteStartObject();
        json.WriteString("name", row.Device.Profile.Name);
        json.WriteString("device", row.Device.Profile.Device);
        json.WriteString("basis", Numbers.Basis(row.Basis.Worst));
        json.WriteString("priceBasis", Numbers.Basis(row.Basis.Price));
        json.WriteString("upkeepBasis", Numbers.Basis(row.Basis.Upkeep));
        json.WriteString("timeBasis", Numbers.Basis(row.Basis.Time));
        json.WriteString("precision", row.Precision);
        if (row.PrecisionNote is { } note)
        {
            json.WriteString("precisionNote", note.Text);
        }

        json.WriteStartArray("oldPrices");
        foreach ((string what, DateOnly date) in row.Old)
        {
            json.WriteStringValue($"{what} of {date:yyyy-MM-dd}");
        }

        json.WriteEndArray();
        WriteRange(json, "perThousand", row.PerThousand);
        WriteRange(json, "perThousandCoresShared", row.SharedPerThousand);
        Number(json, "joulesPerThousand", row.JoulesPerThousand);
        Number(json, "devices", row.At?.DeviceCount);
        Number(json, "batch", row.At?.Batch);
        WriteLatency(json, row.At?.Latency);
        json.WriteNumber("capacityPerSecond", row.Device.Carried(double.PositiveInfinity, row.Device.Lot, comparison.DeadlineMicros, pairing.Utilisation));
        if (row.BreakEven is { } even)
        {
            json.WriteStartObject("breakEvenLoad");
            Number(json, "low", even.Low.Lasting);
            Number(json, "value", even.Expected.Lasting);
            Number(json, "high", even.High.Lasting);
            Number(json, "first", even.Expected.First);
            Number(json, "devices", row.AtBreakEven?.DeviceCount);
            Number(json, "batch", row.AtBreakEven?.Batch);
            WriteLatency(json, row.AtBreakEven?.Latency);
            Number(json, "cpuCores", row.CpuAtBreakEven?.DeviceCount);
            Number(json, "cpuBatch", row.CpuAtBreakEven?.Batch);
            WriteLatency(json, row.CpuAtBreakEven?.Latency, "cpuLatencyMicros");
            Number(json, "valueAtLeastUtilisation", row.ByUtilisation?.Least.Lasting);
            Number(json, "valueAtMostUtilisation", row.ByUtilisation?.Most.Lasting);
            WriteIntervals(json, "cheaperAtLow", even.Low);
            WriteIntervals(json, "cheaperAt", even.Expected);
            WriteIntervals(json, "cheaperAtHigh", even.High);
            json.WriteEndObject();
            json.WriteStartObject("breakEvenLoadCoresShared");
            Number(json, "low", row.Shared!.Low.Lasting);
            Number(json, "value", row.Shared.Expected.Lasting);
            Number(json, "high", row.Shared.High.Lasting);
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
        foreach (Step step in ComparisonSteps.All(comparison, pairing, row))
        {
            json.WriteStartObject();
            json.WriteString("what", step.What);
            json.WriteString("arithmetic", step.Arithmetic);
            json.WriteString("result", step.Result);
            json.WriteStartArray("figures");
            foreach (FigureReference figure in step.Figures)
            {
                json.WriteStringValue(figure.Text(Path.GetFileName(comparison.Inputs.BookFile)));
            }

            json.WriteEndArray();
            json.WriteEndObject();
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

    internal static void WriteLatency(Utf8JsonWriter json, BatchLatency? latency, string member = "latencyMicros")
    {
        if (latency is not { } l)
        {
            json.WriteNull(member);
            return;
        }

        json.WriteStartObject(member);
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
