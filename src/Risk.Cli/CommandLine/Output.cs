using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Spectre.Console;

namespace Risk.Cli.CommandLine;

/// <summary>
/// Where a verb speaks. Standard output takes the answer: one JSON object with <c>--json</c>, else text and tables for
/// people. Standard error takes errors and progress. Without a terminal everything is plain text.
/// </summary>
internal sealed class Output
{
    private const int WidthWithoutTerminal = 160;

    private readonly TextWriter _output;
    private readonly TextWriter _error;

    public Output(TextWriter output, TextWriter error, bool json)
    {
        _output = output;
        _error = error;
        Json = json;
        IsTerminal = ReferenceEquals(output, Console.Out) && !Console.IsOutputRedirected;
        People = CreateConsole(output, IsTerminal);
    }

    /// <summary>Scripts read the answer: call <see cref="WriteJson"/> once, and nothing else that writes to standard output.</summary>
    public bool Json { get; }

    /// <summary>Standard output is a terminal.</summary>
    public bool IsTerminal { get; }

    /// <summary>For people: tables, panels and charts on standard output.</summary>
    public IAnsiConsole People { get; }

    /// <summary>Writes the answer; <paramref name="members"/> writes what stands between the braces.</summary>
    public void WriteJson(Action<Utf8JsonWriter> members)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = IsTerminal, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }

        _output.WriteLine(Encoding.UTF8.GetString(buffer.WrittenSpan));
    }

    /// <summary>One line of plain text for people; no markup.</summary>
    public void WriteLine(string line = "") => _output.WriteLine(line);

    /// <summary>One error, <c>CODE: sentence</c>. The verb goes on; to end it, throw a <see cref="CommandFailure"/>.</summary>
    public void ErrorLine(string code, string sentence) => RiskCommandLine.WriteError(_error, code, sentence);

    /// <summary>One line for people beside the answer, such as a hint or a warning.</summary>
    public void Note(string line) => _error.WriteLine(line);

    /// <summary>A table in the one style of all verbs: lines on a terminal, only columns elsewhere.</summary>
    public Table CreateTable(params ReadOnlySpan<string> columns)
    {
        Table table = new Table().Border(IsTerminal ? TableBorder.Rounded : TableBorder.None);
        foreach (string column in columns)
        {
            table.AddColumn(new TableColumn(IsTerminal ? $"[bold]{Markup.Escape(column)}[/]" : Markup.Escape(column)));
        }

        return table;
    }

    /// <summary>
    /// Runs work that takes long, with progress on standard error: a bar with rate and time left on a terminal, else a plain
    /// line every few seconds. The work reports what is done so far as often as it likes; that costs one store.
    /// </summary>
    /// <param name="what">What is going on, as a title: <c>Verifying</c>.</param>
    /// <param name="unit">What is counted, in the plural: <c>entries</c>.</param>
    /// <param name="total">How many there will be; null while nobody knows (see <see cref="ProgressReport.Total"/>).</param>
    public T Run<T>(string what, string unit, long? total, Func<ProgressReport, T> work)
    {
        var report = new ProgressReport(what, unit) { Total = total };
        bool isTerminal = ReferenceEquals(_error, Console.Error) && !Console.IsErrorRedirected;
        return isTerminal ? ProgressBars.Run(CreateConsole(_error, isTerminal: true), report, work) : ProgressLines.Run(_error, report, work);
    }

    /// <inheritdoc cref="Run{T}"/>
    public void Run(string what, string unit, long? total, Action<ProgressReport> work) =>
        Run(what, unit, total, report =>
        {
            work(report);
            return true;
        });

    private static IAnsiConsole CreateConsole(TextWriter writer, bool isTerminal)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = isTerminal ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = isTerminal ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Interactive = isTerminal ? InteractionSupport.Detect : InteractionSupport.No,
        });
        if (!isTerminal)
        {
            console.Profile.Width = WidthWithoutTerminal;
            console.Profile.Capabilities.Unicode = true;
        }

        return console;
    }
}
