using System.Text;
using Risk.Service.Serving;

namespace Risk.EndToEnd.Tests.Serve;

/// <summary>The configurations of ops/ are ones that <c>risk serve</c> takes.</summary>
public sealed class ShippedConfigurationTests
{
    [Theory]
    [InlineData("ops/config/serve.minimal.json", false)]
    [InlineData("ops/config/serve.json", true)]
    [InlineData("ops/kubernetes/embedded/config.yaml", true)]
    public void EverySetting_IsOneThatServeKnows(string path, bool isFull)
    {
        string text = Json(File.ReadAllText(Path.Combine(RiskProcess.Home, path)));
        // As ops/docker/serve does.
        var configuration = ServeConfiguration.Read(Encoding.UTF8.GetBytes(text.Replace("@RISK_ADVERTISE@", "http://serve-1:8080", StringComparison.Ordinal)), out string? fault);

        Assert.True(configuration is not null, $"{path}: {fault}");
        Assert.True(!isFull || configuration.Kafka is { GroupId: "risk", Partitions: 12 });
        Assert.True(!isFull || configuration.Advertise == "http://serve-1:8080");
    }

    [Fact]
    public void AMistypedSetting_IsNamed()
    {
        Assert.Null(ServeConfiguration.Read("""{ "stor": {} }"""u8, out string? fault));
        Assert.Contains("stor", fault);
    }

    // A config map holds the text in a block, indented.
    private static string Json(string text) => text[text.IndexOf('{', text.IndexOf("data:", StringComparison.Ordinal) is >= 0 and var data ? data : 0)..];
}
