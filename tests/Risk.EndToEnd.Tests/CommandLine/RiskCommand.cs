using Risk.Cli.CommandLine;

namespace Risk.EndToEnd.Tests.CommandLine;

/// <summary>Runs the command line in this process: the same arguments, exit codes and outputs, without a start each.</summary>
internal static class RiskCommand
{
    public static RiskResult Run(params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        int exitCode = RiskCommandLine.Invoke(arguments, output, error).GetAwaiter().GetResult();
        return new RiskResult(exitCode, output.ToString(), error.ToString());
    }
}

/// <summary>One log of 20,000 decisions for all tests that only read it.</summary>
public sealed class SharedRun : IDisposable
{
    private readonly TestFolder _folder = new();

    public SharedRun() => RiskCommand.Run("demo", "--json", "--transactions", Size.ToString(System.Globalization.CultureInfo.InvariantCulture), "--out", Directory).Succeeded();

    public static int Size => 20_000;

    public string Directory => _folder["run"];

    /// <summary>A copy that a test may damage.</summary>
    internal string CopyTo(TestFolder folder)
    {
        string target = folder["copy"];
        foreach (string file in System.IO.Directory.EnumerateFiles(Directory, "*", SearchOption.AllDirectories))
        {
            string copy = Path.Combine(target, Path.GetRelativePath(Directory, file));
            System.IO.Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }

        return target;
    }

    public void Dispose() => _folder.Dispose();
}
