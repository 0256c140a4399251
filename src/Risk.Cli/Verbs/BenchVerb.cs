using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Risk.Cli.Benchmarks;
using Risk.Cli.CommandLine;
using Spectre.Console;

namespace Risk.Cli.Verbs;

/// <summary><c>risk bench [NAME]</c>: ours beside the peer. Exit 0 whatever the ratios are; 1 with <c>--gate</c> when a bar was missed.</summary>
internal static class BenchVerb
{
    private static readonly Argument<string?> Name = new("NAME") { Description = "One benchmark; all of them when left out.", Arity = ArgumentArity.ZeroOrOne };
    private static readonly Option<bool> Quick = new("--quick") { Description = "Seconds instead of minutes, to see that it works; not to be quoted." };
    private static readonly Option<bool> List = new("--list") { Description = "Only say which there are." };
    private static readonly Option<bool> Gate = new("--gate") { Description = "Exit 1 when a bar was not reached." };

    public static Command Create()
    {
        var command = new Command("bench", "Runs the benchmarks, each beside its peer in the same run.") { Name, Quick, List, Gate };
        command.SetVerb(Run);
        return command;
    }

    private static ExitCode Run(VerbContext context)
    {
        List<IBenchmark> chosen = Choose(context.Get(Name));
        if (context.Get(List))
        {
            ShowList(context.Output, chosen);
            return ExitCode.Done;
        }

        var results = new List<(IBenchmark Benchmark, BenchmarkResult Result)>();
        foreach (IBenchmark benchmark in chosen)
        {
            BenchmarkResult result = context.Output.Run(benchmark.Name, "runs", total: null, progress => benchmark.Run(new BenchmarkContext(context.Get(Quick), progress, context.Cancellation)));
            results.Add((benchmark, result));
            if (!context.Output.Json)
            {
                Show(context.Output, benchmark, result);
            }
        }

        bool isQuick = context.Get(Quick);
        if (context.Output.Json)
        {
            context.Output.WriteJson(json => Write(json, isQuick, results));
        }
        else
        {
            context.Output.WriteLine($"{Machine()}; {DateTime.UtcNow:yyyy-MM-dd}{(isQuick ? "; quick run, not to be quoted" : "")}");
        }

        bool missed = results.Exists(r => r.Result.Rows.Any(row => row.Reached == false));
        return context.Get(Gate) && missed ? ExitCode.No : ExitCode.Done;
    }

    private static List<IBenchmark> Choose(string? name)
    {
        List<IBenchmark> all = [.. BenchmarkRegistry.All.Select(create => create())];
        if (name is null)
        {
            return all;
        }

        List<IBenchmark> chosen = all.FindAll(b => b.Name == name);
        return chosen.Count > 0
            ? chosen
            : throw CommandFailure.BadInput("BENCHMARK_UNKNOWN", $"There is no benchmark '{name}'; there are {string.Join(", ", all.Select(b => b.Name))}.");
    }

    private static void ShowList(Output output, List<IBenchmark> benchmarks)
    {
        if (output.Json)
        {
            output.WriteJson(json =>
            {
                json.WriteStartArray("benchmarks");
                foreach (IBenchmark benchmark in benchmarks)
                {
                    json.WriteStartObject();
                    json.WriteString("name", benchmark.Name);
                    json.WriteString("measures", benchmark.Measures);
                    json.WriteEndObject();
                }

                json.WriteEndArray();
            });
            return;
        }

        Table table = output.CreateTable("name", "measures");
        foreach (IBenchmark benchmark in benchmarks)
        {
            table.AddRow(Markup.Escape(benchmark.Name), Markup.Escape(benchmark.Measures));
        }

        output.People.Write(table);
    }

    private static void Show(Output output, IBenchmark benchmark, BenchmarkResult result)
    {
        output.WriteLine($"{benchmark.Name}: {benchmark.Measures}");
        Table table = output.CreateTable("case", "unit", "ours", "peer", "", "ratio", "spread", "to reach", "");
        foreach (BenchmarkRow row in result.Rows)
        {
            table.AddRow(
                Markup.Escape(row.Case), Markup.Escape(row.Unit), Number(row.Ours), Markup.Escape(row.Peer ?? ""), Number(row.PeerFigure), Times(row.Ratio),
                row.RatioLow is null ? "" : $"{Times(row.RatioLow)} to {Times(row.RatioHigh)}", row.Bar ?? "",
                row.Reached switch { true => "[green]reached[/]", false => "[red]missed[/]", null => "" });
        }

        output.People.Write(table);
        foreach (string line in result.Skipped.Select(s => $"skipped: {s}").Concat(result.Notes))
        {
            output.WriteLine($"  {line}");
        }

        output.WriteLine();
    }

    private static void Write(Utf8JsonWriter json, bool isQuick, List<(IBenchmark Benchmark, BenchmarkResult Result)> results)
    {
        json.WriteString("machine", Machine());
        json.WriteString("date", $"{DateTime.UtcNow:yyyy-MM-dd}");
        json.WriteBoolean("quick", isQuick);
        json.WriteStartArray("benchmarks");
        foreach ((IBenchmark benchmark, BenchmarkResult result) in results)
        {
            json.WriteStartObject();
            json.WriteString("name", benchmark.Name);
            json.WriteString("measures", benchmark.Measures);
            json.WriteStartArray("rows");
            foreach (BenchmarkRow row in result.Rows)
            {
                Write(json, row);
            }

            json.WriteEndArray();
            Lines(json, "notes", result.Notes);
            Lines(json, "skipped", result.Skipped);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void Write(Utf8JsonWriter json, BenchmarkRow row)
    {
        json.WriteStartObject();
        json.WriteString("case", row.Case);
        json.WriteString("unit", row.Unit);
        json.WriteNumber("ours", row.Ours);
        if (row.Peer is not null)
        {
            json.WriteString("peer", row.Peer);
            json.WriteNumber("peerFigure", row.PeerFigure!.Value);
            json.WriteNumber("ratio", row.Ratio!.Value);
            json.WriteNumber("ratioLow", row.RatioLow!.Value);
            json.WriteNumber("ratioHigh", row.RatioHigh!.Value);
        }

        if (row.Reached is { } reached)
        {
            json.WriteString("bar", row.Bar);
            json.WriteBoolean("reached", reached);
        }

        json.WriteEndObject();
    }

    private static void Lines(Utf8JsonWriter json, string name, IReadOnlyList<string> lines)
    {
        json.WriteStartArray(name);
        foreach (string line in lines)
        {
            json.WriteStringValue(line);
        }

        json.WriteEndArray();
    }

    private static string Machine()
    {
        const string prefix = "model name";
        string? line = File.Exists("/proc/cpuinfo") ? File.ReadLines("/proc/cpuinfo").FirstOrDefault(l => l.StartsWith(prefix, StringComparison.Ordinal)) : null;
        string processor = line is null ? RuntimeInformation.ProcessArchitecture.ToString() : line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
        return $"{Environment.ProcessorCount} × {processor}, {RuntimeInformation.FrameworkDescription}";
    }

    private static string Times(double? ratio) => ratio is { } r ? string.Create(CultureInfo.InvariantCulture, $"{r:0.00}×") : "";

    private static string Number(double? figure) => figure switch
    {
        null => "",
        >= 100 => figure.Value.ToString("#,0", CultureInfo.InvariantCulture),
        _ => figure.Value.ToString("0.###", CultureInfo.InvariantCulture),
    };
}
