using Risk.Cli.CommandLine;

namespace Risk.EndToEnd.Tests.CommandLine;

/// <summary>What every verb has in common.</summary>
public sealed class UsageTests
{
    [Theory]
    [InlineData("USAGE", "frobnicate")]
    [InlineData("USAGE", "verify")]
    [InlineData("USAGE", "doctor", "--frobnicate")]
    [InlineData("LOG_NOT_FOUND", "verify", "/nowhere/at/all")]
    [InlineData("LOG_NOT_FOUND", "show", "1", "--out", "/nowhere/at/all")]
    [InlineData("LOG_NOT_FOUND", "explain", "1", "--out", "/nowhere/at/all")]
    [InlineData("BENCHMARK_UNKNOWN", "bench", "frobnicate")]
    [InlineData("MODEL_NOT_FOUND", "model", "verify", "frobnicate@1")]
    public void UnusableRequest_IsOneCodedLine_WithExitTwo(string code, params string[] arguments)
    {
        RiskResult result = RiskCommand.Run([.. arguments, "--json"]);

        Assert.Equal(2, result.ExitCode);
        Assert.StartsWith($"{code}: ", result.Error, StringComparison.Ordinal);
        Assert.Equal(1, result.Error.Split('\n').Count(line => line.StartsWith($"{code}: ", StringComparison.Ordinal)));
        Assert.Empty(result.Output);
    }

    [Fact]
    public void Help_ListsEveryVerb_OnStandardOutput()
    {
        RiskResult result = RiskCommand.Run("--help").Succeeded();

        Assert.All(["demo", "features", "verify", "show", "explain", "model", "bench", "doctor"], verb => Assert.Contains($"\n  {verb} ", result.Output, StringComparison.Ordinal));
        Assert.Empty(result.Error);
    }

    [Theory]
    [InlineData("doctor")]
    [InlineData("model", "list")]
    [InlineData("bench", "--list")]
    public void Json_IsOneObject_AndPeopleGetPlainTextWithoutATerminal(params string[] arguments)
    {
        Assert.Equal(System.Text.Json.JsonValueKind.Object, RiskCommand.Run([.. arguments, "--json"]).Json.ValueKind);

        RiskResult people = RiskCommand.Run(arguments);
        Assert.NotEmpty(people.Output);
        Assert.DoesNotContain("\u001b", people.Output + people.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Interrupted_IsAnAnswer_WithExitThree()
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        int exitCode = await RiskCommandLine.Invoke(["doctor"], output, error, new CancellationToken(canceled: true));

        Assert.Equal(3, exitCode);
        Assert.StartsWith("INTERRUPTED: ", error.ToString(), StringComparison.Ordinal);
    }
}
