using System.CommandLine;
using Risk.Cli.Benchmarks;
using Risk.Cli.CommandLine;

namespace Risk.Cli.Verbs;

/// <summary>
/// <c>risk bench-part</c>, hidden: a part of a benchmark that needs a process of its own, so that its CPU time is told apart.
/// It writes one line when it is ready and ends when its standard input does, and so with whoever started it.
/// </summary>
internal static class BenchPartVerb
{
    public const string Verb = "bench-part", Brokers = "brokers", Relay = "relay";

    private static readonly Argument<string> s_part = new("PART");
    private static readonly Argument<string[]> s_arguments = new("ARGUMENTS") { Arity = ArgumentArity.ZeroOrMore };

    public static Command Create()
    {
        var command = new Command(Verb, "A part of a benchmark, started by it.") { s_part, s_arguments };
        command.Hidden = true;
        command.SetVerb(Run);
        return command;
    }

    private static ExitCode Run(VerbContext context)
    {
        string[] arguments = context.Get(s_arguments);
        switch (context.Get(s_part))
        {
            // Topics, each NAME:PARTITIONS.
            case Brokers:
                using (var brokers = new MockKafka(3))
                {
                    foreach (string[] topic in arguments.Select(a => a.Split(':'))) { brokers.CreateTopic(topic[0], int.Parse(topic[1], System.Globalization.CultureInfo.InvariantCulture)); }
                    context.Output.WriteLine(brokers.BootstrapServers);
                    WaitForEnd();
                }
                return ExitCode.Done;
            case Relay when arguments.Length == 3:
                using (var stop = CancellationTokenSource.CreateLinkedTokenSource(context.Cancellation))
                {
                    context.Output.WriteLine("ready");
                    new Thread(() => { WaitForEnd(); stop.Cancel(); }) { IsBackground = true }.Start();
                    BareRelay.Run(arguments[0], arguments[1], arguments[2], stop.Token);
                }
                return ExitCode.Done;
            default:
                throw CommandFailure.BadInput("USAGE", "there is no such part of a benchmark");
        }
    }

    private static void WaitForEnd()
    {
        Stream input = Console.OpenStandardInput();
        Span<byte> byteOrEnd = stackalloc byte[1];
        while (input.Read(byteOrEnd) > 0) { }
    }
}
