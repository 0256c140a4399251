using System.Text.RegularExpressions;

namespace Risk.Repository.Tests.Operations;

/// <summary>docker-compose.yml: what can be told without a container engine.</summary>
public sealed partial class ComposeTests
{
    private static readonly Dictionary<string, object> s_compose = Yaml.Document("docker-compose.yml");
    private static readonly Dictionary<string, object> s_services = s_compose.Map("services");

    [Fact]
    public void Cluster_IsWhatStartsByDefault_EmbeddedProcessesInsteadOfIt()
    {
        string[] byDefault = [.. s_services.Where(service => service.Value.List("profiles").Count == 0).Select(service => service.Key)];

        Assert.Equal(["front", "kafka", "migrate", "postgres", "silo-1", "silo-2"], byDefault.Order());
        Assert.All(["serve-1", "serve-2", "produce"], name => Assert.Contains(name, s_services.Keys));
    }

    [Fact]
    public void EveryDependency_ExistsAndCanBeMet()
    {
        Assert.All(s_services, service => Assert.All(service.Value.Map("depends_on"), dependency =>
        {
            object? other = s_services.GetValueOrDefault(dependency.Key);
            Assert.True(other is not null, $"{service.Key} depends on {dependency.Key}, which does not exist");
            Assert.True(dependency.Value.Text("condition") != "service_healthy" || other.At("healthcheck") is not null, $"{service.Key} waits for the health of {dependency.Key}, which has no health check");
        }));
        Assert.Equal("service_completed_successfully", s_services["serve-1"].Text("depends_on", "migrate", "condition"));
    }

    [Fact]
    public void EveryImage_IsPinned() => Assert.All(s_services, service => Assert.Matches(Image.Pinned(), service.Value.Text("image")));

    [Fact]
    public void EveryVolumeAndMountedFile_Exists()
    {
        Assert.All(s_services, service => Assert.All(service.Value.List("volumes"), volume =>
        {
            string source = ((string)volume).Split(':')[0];
            Assert.True(source.StartsWith("./", StringComparison.Ordinal) ? File.Exists(Checkout.FullPath(source)) : s_compose.Map("volumes").ContainsKey(source), $"{service.Key} mounts {source}, which does not exist");
        }));
    }

    [Fact]
    public void EveryPort_IsOnLoopbackOnly() =>
        Assert.All(s_services, service => Assert.All(service.Value.List("ports"), port => Assert.StartsWith("127.0.0.1:", (string)port)));

    [Fact]
    public void Engine_CannotChangeItsImageOrGainRights()
    {
        object[] engines = [.. s_services.Values.Where(service => service.At("build") is not null)];

        Assert.True(engines.Length >= 7);
        Assert.All(engines, engine =>
        {
            Assert.Equal("true", engine.Text("read_only"));
            Assert.Equal(["ALL"], engine.List("cap_drop"));
            Assert.Equal(["no-new-privileges:true"], engine.List("security_opt"));
        });
    }

    [Fact]
    public void EveryHealthCheckOfTheEngine_AsksAPathThatExists()
    {
        string[] paths = [.. s_services.Values.SelectMany(service => service.List("healthcheck", "test")).Select(word => Url().Match((string)word)).Where(match => match.Success).Select(match => match.Groups["path"].Value)];

        Assert.NotEmpty(paths);
        Assert.All(paths, path => Assert.Contains(path, ServedApi.Routes));
    }

    [Fact]
    public void NoSecret_StandsInTheFiles()
    {
        Assert.All(Yaml.Texts(s_compose).Where(text => text.Text.Contains("password", StringComparison.OrdinalIgnoreCase) || text.Path.Contains("PASSWORD", StringComparison.Ordinal)),
            text => Assert.Matches(FromEnvironment(), text.Text));
        Assert.All(File.ReadLines(Checkout.FullPath("ops/docker/example.env")).Where(line => line.Length > 0 && line[0] != '#'), line => Assert.EndsWith("=", line));
    }

    [FactWithTool("docker-compose", "docker-compose")]
    public void DockerCompose_AcceptsTheFile()
    {
        (int exitCode, string output) = Checkout.Run("env", "RISK_OWNER_PASSWORD=x", "RISK_ENGINE_PASSWORD=x", "RISK_MEMBERSHIP_PASSWORD=x", "docker-compose", "config", "--quiet");

        Assert.True(exitCode == 0, output);
    }

    [FactWithTool("docker-compose", "docker-compose")]
    public void DockerCompose_WithoutPasswords_SaysWhereTheyAreExplained()
    {
        (int exitCode, string output) = Checkout.Run("env", "--unset=RISK_OWNER_PASSWORD", "--unset=RISK_ENGINE_PASSWORD", "--unset=RISK_MEMBERSHIP_PASSWORD", "docker-compose", "--env-file", "ops/docker/example.env", "config", "--quiet");

        Assert.NotEqual(0, exitCode);
        Assert.Contains("ops/docker/example.env", output);
    }

    [GeneratedRegex(@"^http://127\.0\.0\.1:8080(?<path>/\S*)$")]
    private static partial Regex Url();

    // A value from the environment, or a script's own use of one.
    [GeneratedRegex(@"(^|Password=)\$\{[A-Z_]+:\?")]
    private static partial Regex FromEnvironment();
}

/// <summary>Names of container images.</summary>
internal static partial class Image
{
    /// <summary>With a tag that names a version, not one that moves.</summary>
    [GeneratedRegex(@"^[\w./-]+:\d+\.\d+(\.\d+)?[\w.-]*$")]
    public static partial Regex Pinned();
}
