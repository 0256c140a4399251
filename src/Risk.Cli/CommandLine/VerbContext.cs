using System.CommandLine;

namespace Risk.Cli.CommandLine;

/// <summary>What a verb gets: its arguments, where to speak, and when to stop.</summary>
internal sealed class VerbContext(ParseResult arguments, CancellationToken cancellation)
{
    public Output Output { get; } = new(
        arguments.InvocationConfiguration.Output,
        arguments.InvocationConfiguration.Error,
        arguments.GetValue(CommonOptions.Json));

    /// <summary>Cancelled by Ctrl-C and by SIGTERM; a verb stops at its next safe place and throws <see cref="OperationCanceledException"/>.</summary>
    public CancellationToken Cancellation { get; } = cancellation;

    /// <summary>The option's value; its default when it was not given.</summary>
    public T? Get<T>(Option<T> option) => arguments.GetValue(option);

    /// <summary>The argument's value; null for one that may be left out and was.</summary>
    public T Get<T>(Argument<T> argument) => arguments.GetValue(argument)!;

    public bool IsGiven(Option option) => arguments.GetResult(option) is { Implicit: false };
}

internal static class VerbActions
{
    /// <summary>Binds a verb's body to its command: <c>command.SetVerb(Run)</c>.</summary>
    public static void SetVerb(this Command command, Func<VerbContext, ExitCode> verb) =>
        command.SetAction((parse, cancellation) => Task.FromResult((int)verb(new VerbContext(parse, cancellation))));

    /// <summary>The same for a verb that waits on others.</summary>
    public static void SetVerb(this Command command, Func<VerbContext, Task<ExitCode>> verb) =>
        command.SetAction(async (parse, cancellation) => (int)await verb(new VerbContext(parse, cancellation)));
}
