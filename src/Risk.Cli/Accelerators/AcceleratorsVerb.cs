using System.CommandLine;

namespace Risk.Cli.Accelerators;

/// <summary><c>risk accelerators list|verify|measure</c>: which devices there are, whether they compute what the CPU computes, and how fast.</summary>
internal static class AcceleratorsVerb
{
    public static Command Create() =>
        new("accelerators", "Devices that can run the models: which are here, whether they conform, how fast they are.") { ListCommand.Create(), VerifyCommand.Create(), MeasureCommand.Create(), OverheadCommand.Create() };
}
