using System.Runtime.InteropServices;
using Risk.Cli.CommandLine;

using var stop = new CancellationTokenSource();

// The first signal asks the verb to stop at a safe place; the second one ends the process, as it would anyway.
void Stop(PosixSignalContext signal)
{
    signal.Cancel = !stop.IsCancellationRequested;
    stop.Cancel();
}

using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
return await RiskCommandLine.Invoke(args, Console.Out, Console.Error, stop.Token);
