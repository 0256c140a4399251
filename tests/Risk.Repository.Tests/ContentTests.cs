using System.Text.RegularExpressions;

namespace Risk.Repository.Tests;

public sealed partial class ContentTests
{
    private const long FileSizeMaxBytes = 25_000_000;

    [Fact]
    public void NoFileInGit_IsTooLarge()
    {
        Assert.All(Checkout.TrackedFiles, path =>
        {
            long bytes = new FileInfo(Checkout.FullPath(path)).Length;
            Assert.True(bytes <= FileSizeMaxBytes, $"{path} has {bytes:N0} bytes.");
        });
    }

    [Fact]
    public void NoFileInGit_NamesABuildMachineOrARegistryHost()
    {
        IEnumerable<string> found =
            from path in Checkout.TrackedFiles
            let text = ReadText(path)
            where text is not null
            from Match match in OfOneMachineOnly().Matches(text)
            select $"{path}:{text[..match.Index].Count(c => c == '\n') + 1}: {match.Value}";

        Assert.Empty(found);
    }

    [Fact]
    public void EveryScript_IsExecutable()
    {
        string[] scripts = Checkout.TrackedFiles.Where(path => ReadText(path)?.StartsWith("#!", StringComparison.Ordinal) == true).ToArray();
        string[] executables = Checkout.Run("git", "ls-files", "-s", "-z").Output.Split('\0')
            .Where(line => line.StartsWith("100755 ", StringComparison.Ordinal)).Select(line => line.Split('\t')[1]).ToArray();

        Assert.Superset(new HashSet<string> { "risk", "test", ".ci/run" }, scripts.ToHashSet());
        Assert.All(scripts, path => Assert.Contains(path, executables));
    }

    [Fact]
    public void EveryCommandInTheReadmeAndTheRunbooks_Exists()
    {
        string[] texts = Checkout.TrackedFiles.Where(path => path == "README.md" || path.StartsWith("ops/runbooks/", StringComparison.Ordinal)).ToArray();
        string[] verbs = texts.SelectMany(path => RiskCommand().Matches(File.ReadAllText(Checkout.FullPath(path))))
            .Select(match => match.Groups["verb"].Value).Distinct().ToArray();
        string configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
        string program = Checkout.FullPath($"src/Risk.Cli/bin/{configuration}/net10.0/risk.dll");

        Assert.Contains("demo", verbs);
        Assert.Contains("migrate", verbs);
        Assert.All(verbs, verb =>
        {
            (int exitCode, string output) = Checkout.Run("dotnet", program, verb, "--help");
            Assert.True(exitCode == 0 && output.Contains($"risk {verb}", StringComparison.Ordinal), $"README or a runbook names `risk {verb}`, but `risk {verb} --help` ended with {exitCode}: {output}");
        });
    }

    /// <summary>The file's text, or null where it is binary.</summary>
    private static string? ReadText(string path)
    {
        byte[] bytes = File.ReadAllBytes(Checkout.FullPath(path));
        return bytes.AsSpan(0, Math.Min(bytes.Length, 8000)).Contains((byte)0) || path.EndsWith(".gz", StringComparison.Ordinal)
            ? null
            : System.Text.Encoding.UTF8.GetString(bytes);
    }

    // Written so that it does not match itself.
    [GeneratedRegex("""(?<![\w.])/wor[k]/|api\.nuge[t]\.org|registry\.npmj[s]\.org|/v3/index[.]json|"resolve[d]": "http""")]
    private static partial Regex OfOneMachineOnly();

    [GeneratedRegex("""(?<=^|`|\$ )\./risk (?<verb>[a-z]+)""", RegexOptions.Multiline)]
    private static partial Regex RiskCommand();
}
