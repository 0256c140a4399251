namespace Risk.Cli.CommandLine;

/// <summary>
/// Ends a verb with <c>CODE: sentence</c> on standard error and an exit code; thrown anywhere below a verb, caught once in
/// <see cref="RiskCommandLine"/>. Not for bugs: those stay what they are.
/// </summary>
internal sealed class CommandFailure : Exception
{
    public CommandFailure(ExitCode exit, string code, string sentence)
        : this(exit, [(code, sentence)])
    {
    }

    /// <param name="lines">One or more (code, sentence), in the order they are shown.</param>
    public CommandFailure(ExitCode exit, IReadOnlyList<(string Code, string Sentence)> lines)
        : base(lines[0].Sentence)
    {
        Exit = exit;
        Lines = lines;
    }

    public ExitCode Exit { get; }

    public IReadOnlyList<(string Code, string Sentence)> Lines { get; }

    public static CommandFailure BadInput(string code, string sentence) => new(ExitCode.BadInput, code, sentence);

    public static CommandFailure WorldFailed(string code, string sentence) => new(ExitCode.WorldFailed, code, sentence);
}
