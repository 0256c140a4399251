using System.Xml.Linq;

namespace Risk.Repository.Tests;

public sealed class ProjectTests
{
    [Fact]
    public void EveryProject_IsInTheSolution()
    {
        string solution = File.ReadAllText(Checkout.FullPath("Risk.sln")).Replace('\\', '/');

        Assert.All([.. Checkout.Projects("src"), .. Checkout.Projects("tests")], path => Assert.Contains($"\"{path}\"", solution));
    }

    [Fact]
    public void EverySourceProject_StatesItsLayer()
    {
        string[] projects = Checkout.Projects("src");

        Assert.NotEmpty(projects);
        Assert.All(projects, path =>
        {
            string? layer = XDocument.Load(Checkout.FullPath(path)).Descendants("RiskLayer").SingleOrDefault()?.Value;
            Assert.True(layer is "core" or "adapter" or "host", $"{path} has RiskLayer '{layer}'.");
        });
    }

    [Theory]
    [InlineData("src/Risk.Core/Risk.Core.csproj", "core")]
    [InlineData("src/Risk.Storage/Risk.Storage.csproj", "adapter")]
    [InlineData("src/Risk.Cli/Risk.Cli.csproj", "host")]
    public void LayerCheck_PassesWhatIsAllowed(string project, string layer)
    {
        (int exitCode, string output) = CheckLayer(project, layer);

        Assert.True(exitCode == 0, output);
    }

    [Theory]
    [InlineData("src/Risk.Streams/Risk.Streams.csproj", "core", "Risk.Core")] // Core references no project
    [InlineData("src/Risk.Storage/Risk.Storage.csproj", "core", "Dapper")] // nor a package
    [InlineData("src/Risk.Cli/Risk.Cli.csproj", "adapter", "Risk.Storage")] // adapters do not know each other
    public void LayerCheck_FailsOnWhatIsForbidden(string project, string layer, string named)
    {
        (int exitCode, string output) = CheckLayer(project, layer);

        Assert.NotEqual(0, exitCode);
        Assert.Contains("RISK002", output);
        Assert.Contains(named, output);
    }

    [Fact]
    public void LayerCheck_FailsOnAProjectWithoutLayer()
    {
        (int exitCode, string output) = CheckLayer("src/Risk.Streams/Risk.Streams.csproj", "");

        Assert.NotEqual(0, exitCode);
        Assert.Contains("RISK001", output);
    }

    private static (int ExitCode, string Output) CheckLayer(string project, string layer) =>
        Checkout.Run("dotnet", "msbuild", project, "-t:RiskLayerCheck", $"-p:RiskLayer={layer}", "-nodeReuse:false", "-nologo");
}
