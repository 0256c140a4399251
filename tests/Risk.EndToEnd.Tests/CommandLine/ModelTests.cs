using System.Text.Json;

namespace Risk.EndToEnd.Tests.CommandLine;

public sealed class ModelTests
{
    [Fact]
    public void List_EveryShippedModel_HasItsApprovedBytes()
    {
        JsonElement[] models = [.. RiskCommand.Run("model", "list", "--json").Succeeded().Json.GetProperty("models").EnumerateArray()];

        Assert.Contains(models, m => m.GetProperty("name").GetString() == "card-fraud");
        Assert.All(models, m => Assert.True(m.GetProperty("digestOk").GetBoolean()));
        Assert.All(models, m => Assert.StartsWith("sha256:", m.GetProperty("digest").GetString(), StringComparison.Ordinal));
    }

    [Fact]
    public void Verify_EveryShippedModel_HasAScorerThatConforms()
    {
        JsonElement[] models = [.. RiskCommand.Run("model", "verify", "--json").Succeeded().Json.GetProperty("models").EnumerateArray()];

        Assert.NotEmpty(models);
        Assert.All(models, m => Assert.Contains(m.GetProperty("goldenRuns").EnumerateArray(), r => r.GetProperty("conforms").GetBoolean()));
    }

    [Fact]
    public void Convert_GivesTheBytesOfTheShippedVariant_AndSaysHowFarItIs()
    {
        JsonElement found = RiskCommand.Run("model", "convert", "card-fraud@1", "--check", "--json").Succeeded().Json;

        Assert.Equal("tensor", found.GetProperty("variant").GetString());
        Assert.True(found.GetProperty("parity").GetProperty("conforms").GetBoolean());
        Assert.True(found.GetProperty("parity").GetProperty("maxAbsoluteDifference").GetDouble() <= 1e-6);
    }

    [Fact]
    public void Doctor_SaysThatTheMainJobCanRun()
    {
        JsonElement found = RiskCommand.Run("doctor", "--json").Succeeded().Json;

        Assert.True(found.GetProperty("ready").GetBoolean());
        Assert.All(["ONNX Runtime", "models", "streams", "disk"], name => Assert.Equal("ok", found.GetProperty("checks").EnumerateArray().Single(c => c.GetProperty("name").GetString() == name).GetProperty("state").GetString()));
    }
}
