using System.Text.Json;
using Risk.Core.Log;

namespace Risk.EndToEnd.Tests.CommandLine;

public sealed class VerifyTests(SharedRun run) : IClassFixture<SharedRun>
{
    [Fact]
    public void IntactLog_IsVerified_AlsoByItsOwnFolderAndAGivenKey()
    {
        JsonElement whole = RiskCommand.Run("verify", run.Directory, "--json").Succeeded().Json;
        JsonElement log = RiskCommand.Run("verify", Path.Combine(run.Directory, "log"), "--key", Path.Combine(run.Directory, "keys", "log.vkey"), "--json").Succeeded().Json;

        Assert.True(whole.GetProperty("ok").GetBoolean());
        Assert.Equal(SharedRun.Size, whole.GetProperty("size").GetInt64());
        Assert.Equal(SharedRun.Size, whole.GetProperty("decisions").GetInt64());
        Assert.Equal(0, whole.GetProperty("duplicatesOfId").GetInt64());
        Assert.Equal(64, whole.GetProperty("rootHash").GetString()!.Length);
        Assert.Equal(whole.GetProperty("rootHash").GetString(), log.GetProperty("rootHash").GetString());
    }

    [Fact]
    public void Rederive_EveryDecision_IsIdentical()
    {
        JsonElement derived = RiskCommand.Run("verify", run.Directory, "--rederive", "--json").Succeeded().Json.GetProperty("rederivation");

        Assert.Equal(SharedRun.Size, derived.GetProperty("identical").GetInt64());
        Assert.Equal(0, derived.GetProperty("different").GetInt64());
    }

    [Theory]
    [InlineData("log/tile/entries/007", 70_000, 7 * LogFormat.TileWidth, 8 * LogFormat.TileWidth - 1)]
    [InlineData("log/tile/0/003", 32 * 9, 3 * LogFormat.TileWidth + 9, 3 * LogFormat.TileWidth + 9)]
    [InlineData("private/002", 5_000, 2 * LogFormat.TileWidth, 3 * LogFormat.TileWidth - 1)]
    public void OneChangedByte_IsNamedByItsRecord_WithExitOne(string file, int offset, long firstBadMin, long firstBadMax)
    {
        using var folder = new TestFolder();
        string copy = run.CopyTo(folder);
        byte[] bytes = File.ReadAllBytes(Path.Combine(copy, file));
        bytes[offset] ^= 1;
        File.WriteAllBytes(Path.Combine(copy, file), bytes);

        RiskResult result = RiskCommand.Run("verify", copy, "--json");

        Assert.Equal(1, result.ExitCode);
        Assert.False(result.Json.GetProperty("ok").GetBoolean());
        Assert.InRange(result.Json.GetProperty("firstBad").GetInt64(), firstBadMin, firstBadMax);
        Assert.StartsWith(result.Json.GetProperty("code").GetString() + ": ", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void AnotherKey_IsRefused_WithExitOne()
    {
        using var folder = new TestFolder();
        var other = new VerifierKey("risk/card-payments", new byte[32]);

        RiskResult result = RiskCommand.Run("verify", run.Directory, "--key", folder.Write("other.vkey", other.ToString()), "--json");

        Assert.Equal(1, result.ExitCode);
        Assert.Equal("SIGNATURE_INVALID", result.Json.GetProperty("code").GetString());
    }
}
