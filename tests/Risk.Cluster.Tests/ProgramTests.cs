using System.Diagnostics;

namespace Risk.Cluster.Tests;

public sealed class ProgramTests
{
    [Fact]
    public void WithoutARole_SaysHowItIsUsed()
    {
        using Process process = Process.Start(new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "risk-cluster.dll")]) { RedirectStandardError = true })!;
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();

        Assert.Equal(2, process.ExitCode);
        Assert.StartsWith("USAGE: ", error, StringComparison.Ordinal);
    }
}
