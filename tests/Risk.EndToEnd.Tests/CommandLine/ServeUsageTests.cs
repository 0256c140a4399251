using System.Text.Json;

namespace Risk.EndToEnd.Tests.CommandLine;

/// <summary>What <c>risk serve</c> refuses before it starts anything.</summary>
public sealed class ServeUsageTests
{
    // The configuration is not there, so that what should be refused and is not ends all the same.
    [Theory]
    [InlineData("--silo is for a cluster: give --cluster too", "--silo")]
    [InlineData("--membership is for a cluster", "--membership", "localhost")]
    [InlineData("--partitions is for a cluster", "--partitions", "12")]
    [InlineData("--probe-seconds is for a cluster", "--probe-seconds", "2")]
    [InlineData("--host is for a silo: give --silo too", "--cluster", "--host", "127.0.0.1")]
    [InlineData("--port must be 0 to 65535", "--port", "70000")]
    [InlineData("it must be a whole number", "--port", "abc")]
    public void WhatDoesNotGoTogether_IsUsage(string sentence, params string[] arguments)
    {
        RiskResult result = RiskCommand.Run(["serve", "--config", "/nowhere/at/all", .. arguments]);

        Assert.Equal(2, result.ExitCode);
        Assert.StartsWith("USAGE: ", result.Error, StringComparison.Ordinal);
        Assert.Contains(sentence, result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("System.", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void AStoreThatCannotBeMade_IsSaid()
    {
        using var folder = new TestFolder();
        string file = folder.Write("file", "");
        RiskResult result = RiskCommand.Run("serve", "--config", folder.Write("serve.json", JsonSerializer.Serialize(new { store = new { directory = Path.Combine(file, "store") } })));

        Assert.Equal(3, result.ExitCode);
        Assert.StartsWith($"IO_FAILED: store.directory: the directory {Path.Combine(file, "store")} cannot be made: ", result.Error, StringComparison.Ordinal);
    }
}
