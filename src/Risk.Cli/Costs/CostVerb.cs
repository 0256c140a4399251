using System.CommandLine;

namespace Risk.Cli.Costs;

/// <summary><c>risk cost report|compare|plan</c>.</summary>
internal static class CostVerb
{
    public static Command Create() => new("cost", "What decisions cost, CPU against accelerators, and what a fleet would cost.") { ReportCommand.Create(), CompareCommand.Create(), PlanCommand.Create() };
}
