using System.Diagnostics;

namespace Risk.Repository.Tests;

/// <summary>What becomes of a project of which this machine's NuGet sources lack a package.</summary>
public sealed class LeftOutTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("risk-left-out-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("src/Risk.Cluster/Risk.Cluster.csproj")]
    [InlineData("tests/Risk.Cluster.Tests/Risk.Cluster.Tests.csproj")]
    public void LeftOutProject_RestoresAndBuildsNothing_AndSaysWhy(string project)
    {
        string name = Path.GetFileNameWithoutExtension(project);

        (int exitCode, string output) = Checkout.Run("dotnet", "msbuild", project, "-t:Build", "-nologo", "-nodeReuse:false",
            $"-p:RiskLeftOut=%3B{name}%3B", "-p:RiskLeftOutWhy=Left out for a test.", $"-p:OutDir={_folder}/out/");
        (_, string packages) = Checkout.Run("dotnet", "msbuild", project, "-getItem:PackageReference,ProjectReference,Compile", "-nologo", $"-p:RiskLeftOut=%3B{name}%3B");

        Assert.True(exitCode == 0, output);
        Assert.Contains("warning RISK003: Left out for a test.", output);
        Assert.False(Directory.Exists(Path.Combine(_folder, "out")));
        Assert.DoesNotContain("Identity", packages);
    }

    [Fact]
    public void Fill_AsksOnce_AndAgainWhenTheExtraFeedChanges()
    {
        PretendCheckout("""echo "error NU1101: Unable to find package Far.Away.Thing. No packages exist with this id in source(s): here"; exit 1""");

        Assert.Equal(0, Fill(out string first));
        Assert.Equal(0, Fill(out string second));
        string[] asked = Asked();
        Directory.CreateDirectory(Path.Combine(_folder, "more"));
        Assert.Equal(0, Fill(out _, extraFeed: Path.Combine(_folder, "more")));

        Assert.Contains("sources lack Far.Away.Thing.", first);
        Assert.Contains("sources lack Far.Away.Thing.", second);
        Assert.Single(asked);
        Assert.Equal(2, Asked().Length);
        Assert.Contains("<RiskLeftOut>;Shop;</RiskLeftOut>", File.ReadAllText(Path.Combine(_folder, ".packages/left-out.props")));
    }

    [Fact]
    public void Fill_WhereAllRestores_LeavesNothingOut()
    {
        PretendCheckout("exit 0");
        Directory.CreateDirectory(Path.Combine(_folder, ".packages"));
        File.WriteAllText(Path.Combine(_folder, ".packages/left-out.props"), "of another day");

        Assert.Equal(0, Fill(out string said));

        Assert.DoesNotContain("Left out", said);
        Assert.False(File.Exists(Path.Combine(_folder, ".packages/left-out.props")));
    }

    [Fact]
    public void Fill_WithoutNetwork_DecidesNothing()
    {
        PretendCheckout("""echo "error NU1301: Unable to load the service index"; exit 1""");

        Assert.Equal(3, Fill(out string said));
        Assert.Equal(3, Fill(out _));

        Assert.Contains("FEED_REGISTRY_UNREACHABLE", said);
        Assert.Equal(2, Asked().Length);
    }

    /// <summary>A checkout of one project that needs a package, and a `dotnet` that answers as told.</summary>
    private void PretendCheckout(string dotnet)
    {
        Directory.CreateDirectory(Path.Combine(_folder, "ops/feed"));
        Directory.CreateDirectory(Path.Combine(_folder, "src/Shop"));
        Directory.CreateDirectory(Path.Combine(_folder, "bin"));
        File.Copy(Checkout.FullPath("ops/feed/fill"), Path.Combine(_folder, "ops/feed/fill"));
        File.WriteAllText(Path.Combine(_folder, "Directory.Packages.props"), "<Project />");
        File.WriteAllText(Path.Combine(_folder, "Directory.Build.props"), "<Project />");
        File.WriteAllText(Path.Combine(_folder, "src/Shop/Shop.csproj"), "<Project><RiskLeaveOutWithout>Far.Away.</RiskLeaveOutWithout></Project>");
        string program = Path.Combine(_folder, "bin/dotnet");
        File.WriteAllText(program, $"#!/bin/sh\necho \"$*\" >>'{_folder}/asked'\n{dotnet}\n");
        Checkout.Run("chmod", "+x", program);
    }

    private string[] Asked() => File.ReadAllLines(Path.Combine(_folder, "asked"));

    private int Fill(out string said, string? extraFeed = null)
    {
        var start = new ProcessStartInfo(Path.Combine(_folder, "ops/feed/fill")) { RedirectStandardError = true, RedirectStandardOutput = true };
        start.Environment["PATH"] = $"{_folder}/bin:{Environment.GetEnvironmentVariable("PATH")}";
        start.Environment["XDG_CACHE_HOME"] = Path.Combine(_folder, "cache");
        start.Environment["RISK_EXTRA_FEED"] = extraFeed ?? "";
        using Process process = Process.Start(start)!;
        said = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode;
    }
}
