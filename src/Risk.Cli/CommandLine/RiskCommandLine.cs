using System.Buffers;
using System.CommandLine;
using Risk.Cli.Costs;
using Risk.Cli.Verbs;
using Risk.Service.Serving;

namespace Risk.Cli.CommandLine;

/// <summary>The command line as a function of its arguments and two writers, so that tests run it in their own process.</summary>
internal static class RiskCommandLine
{
    private static readonly SearchValues<char> CodeLetters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

    public static RootCommand CreateRoot() =>
        new("Risk: scores financial transactions in real time, explains every decision, and keeps a log that nobody can quietly change.")
        {
            CommonOptions.Json,
            DemoVerb.Create(),
            ServeVerb.Create(),
            ProduceVerb.Create(),
            MigrateVerb.Create(),
            LogVerb.Create(),
            FeaturesVerb.Create(),
            VerifyVerb.Create(),
            ShowVerb.Create(),
            ExplainVerb.Create(),
            ModelVerb.Create(),
            Accelerators.AcceleratorsVerb.Create(),
            CostVerb.Create(),
            BenchVerb.Create(),
            BenchPartVerb.Create(),
            DoctorVerb.Create(),
        };

    /// <summary>Runs one verb and returns its exit code, see <see cref="ExitCode"/>.</summary>
    public static async Task<int> Invoke(IReadOnlyList<string> args, TextWriter output, TextWriter error, CancellationToken cancellation = default)
    {
        ParseResult parse = CreateRoot().Parse(args);
        if (parse.Errors.Count > 0 && parse.Action is null or System.CommandLine.Invocation.ParseErrorAction)
        {
            return RefuseUsage(parse, error);
        }

        try
        {
            var configuration = new InvocationConfiguration { Output = output, Error = error, EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null };
            return await parse.InvokeAsync(configuration, cancellation);
        }
        catch (Exception e)
        {
            (ExitCode exit, IReadOnlyList<(string, string)> lines) = Explain(e);
            foreach ((string code, string sentence) in lines)
            {
                WriteError(error, code, sentence);
            }

            return (int)exit;
        }
    }

    public static void WriteError(TextWriter error, string code, string sentence) => error.WriteLine($"{code}: {sentence}");

    private static int RefuseUsage(ParseResult parse, TextWriter error)
    {
        string verb = string.Concat(Path(parse.CommandResult.Command).Select(name => $" {name}"));
        // An unknown verb is told of twice, the second time as a missing one.
        bool isUnknownVerb = parse.UnmatchedTokens.Count > 0;
        foreach (string fault in parse.Errors.Select(e => e.Message).Where(m => !isUnknownVerb || !m.StartsWith("Required command", StringComparison.Ordinal)))
        {
            WriteError(error, "USAGE", InWords(fault));
        }

        error.WriteLine($"`risk{verb} --help` says what it takes.");
        return (int)ExitCode.BadInput;
    }

    /// <summary>The parser names the runtime's type where a value does not fit.</summary>
    private static string InWords(string fault)
    {
        const string Expected = " as expected type '";
        int at = fault.IndexOf(Expected, StringComparison.Ordinal);
        return at < 0 ? fault : $"{fault[..at]}: it must be {SettingFault.Kind(fault[(at + Expected.Length)..])}.";
    }

    private static IEnumerable<string> Path(Command command)
    {
        if (command is RootCommand)
        {
            return [];
        }

        return command.Parents.OfType<Command>().SelectMany(Path).Append(command.Name);
    }

    /// <summary>The adapters' own errors begin with their code already; those of the system have none.</summary>
    private static (string Code, string Sentence) Split(string message)
    {
        int end = message.IndexOf(": ", StringComparison.Ordinal);
        return end > 0 && !message.AsSpan(0, end).ContainsAnyExcept(CodeLetters) ? (message[..end], message[(end + 2)..]) : ("IO_FAILED", message);
    }

    private static (ExitCode, IReadOnlyList<(string Code, string Sentence)>) Explain(Exception e) => e switch
    {
        CommandFailure failure => (failure.Exit, failure.Lines),
        OperationCanceledException => (ExitCode.WorldFailed, [("INTERRUPTED", "stopped before the end; what was committed stays, and the same command goes on from there.")]),
        IOException or UnauthorizedAccessException => (ExitCode.WorldFailed, [Split(e.Message)]),
        _ => (ExitCode.WorldFailed, [("BUG", $"this should not have happened; please report it with these lines. {e}")]),
    };
}
