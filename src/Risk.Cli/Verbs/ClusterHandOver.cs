using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Xml.Linq;
using Risk.Cli.CommandLine;

namespace Risk.Cli.Verbs;

/// <summary><c>risk serve --cluster</c>: hands over to <c>risk-cluster</c>, in a process of its own, where this build has it.</summary>
internal static partial class ClusterHandOver
{
    private const string Program = "risk-cluster.dll", Cluster = "of cluster ";
    private const int Terminate = 15; // SIGTERM

    /// <param name="arguments">Of <c>risk-cluster</c>.</param>
    /// <exception cref="CommandFailure"><c>CLUSTER_LEFT_OUT</c>: it was not built here.</exception>
    public static async Task<ExitCode> Run(Output output, IEnumerable<string> arguments, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo("dotnet", [Find(), .. arguments]) { RedirectStandardOutput = true };
        start.Environment["RISK_CLUSTER_PARENT"] = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        using Process program = Process.Start(start)!;
        await using CancellationTokenRegistration stopping = cancellation.Register(() => _ = kill(program.Id, Terminate));
        if (await program.StandardOutput.ReadLineAsync(CancellationToken.None) is { } line && line.IndexOf(Cluster, StringComparison.Ordinal) is > 0 and var said)
        {
            string address = line[(line.LastIndexOf(' ') + 1)..];
            if (output.Json)
            {
                output.WriteJson(json =>
                {
                    json.WriteString("address", address);
                    json.WriteString("cluster", line[(said + Cluster.Length)..].Split(' ')[0]);
                });
            }
            else
            {
                output.WriteLine($"Serving: {line}.");
                output.WriteLine($"  curl {address}/health/ready");
            }
        }
        await program.WaitForExitAsync(CancellationToken.None);
        return (ExitCode)program.ExitCode;
    }

    private static string Find()
    {
        string home = RiskHome.Find();
        // In a checkout, and in the image.
        string[] places = [Path.Combine(home, "src", "Risk.Cluster", "bin", "Release", "net10.0", Program), Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", "cluster", Program))];
        return Array.Find(places, File.Exists) ?? throw CommandFailure.WorldFailed("CLUSTER_LEFT_OUT", WhyLeftOut(Path.Combine(home, ".packages", "left-out.props")));
    }

    private static string WhyLeftOut(string props) =>
        File.Exists(props) && XDocument.Load(props).Descendants().FirstOrDefault(e => e.Name.LocalName == "RiskLeftOutWhy") is { Value.Length: > 0 } why
            ? why.Value
            : "Risk.Cluster was not built here; build src/Risk.Cluster, with its packages in the folder that RISK_EXTRA_FEED names where NuGet lacks them.";

    [LibraryImport("libc")]
    private static partial int kill(int process, int signal);
}
