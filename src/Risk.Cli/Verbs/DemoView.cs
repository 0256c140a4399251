using Risk.Cli.CommandLine;
namespace Risk.Cli.Verbs;
internal static class DemoView { public static void Show(Output output, DemoResult r) => output.WriteLine($"{r.Transactions} {r.Report.PerSecond}"); }
