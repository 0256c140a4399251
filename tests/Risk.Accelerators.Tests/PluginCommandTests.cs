using System.Diagnostics;
using System.Text.Json;
using Risk.Cli.CommandLine;

namespace Risk.Accelerators.Tests;

/// <summary>The verbs with a vendor's library in the configuration file, as an operator writes it.</summary>
[Collection(SoftwareWebGpu.Collection)]
public sealed class PluginCommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("risk-plugin").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [PluginFact]
    public void List_TellsOfTheLibrary_ItsVendor_AndItsVersion()
    {
        _ = SoftwareWebGpu.Missing; // first: it decides which runtime this process has
        using var output = new StringWriter();
        using var error = new StringWriter();
        Assert.Equal(0, RiskCommandLine.Invoke(["accelerators", "list", "acme", "--accelerators", Configuration(), "--json"], output, error).GetAwaiter().GetResult());
        using JsonDocument answer = JsonDocument.Parse(output.ToString());
        JsonElement listed = Assert.Single(answer.RootElement.GetProperty("accelerators").EnumerateArray());
        Assert.True(listed.GetProperty("present").GetBoolean());
        Assert.Equal((PluginLibrary.Path, "Acme Accelerators", "1.2.3"), (Text(listed, "library"), Text(listed, "providerVendor"), Text(listed, "providerVersion")));
    }

    /// <summary>The shipped model, on the ONNX Runtime that comes with the engine, in a process that ends as it should with the library loaded.</summary>
    [PluginFact]
    public void Verify_OfTheShippedForest_InAProcessOfItsOwn_Conforms()
    {
        var start = new ProcessStartInfo("dotnet", [
            Path.Combine(AppContext.BaseDirectory, "risk.dll"), "accelerators", "verify", "acme", "acme-memory", "--variant", "original", "--transactions", "600", "--batch", "32",
            "--accelerators", Configuration(), "--out", _folder, "--json"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["XDG_CACHE_HOME"] = _folder;
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(2)), "it does not end");
        Assert.True(process.ExitCode == 0, $"exit {process.ExitCode}: {error.Result} {output}");
        using JsonDocument answer = JsonDocument.Parse(output);
        JsonElement[] devices = [.. answer.RootElement.GetProperty("devices").EnumerateArray()];
        Assert.Equal([PluginLibrary.OnHost, PluginLibrary.OnOwnMemory], devices.Select(d => Text(d, "executionProvider")));
        Assert.All(devices, d =>
        {
            Assert.Equal(600, d.GetProperty("parity").GetProperty("rows").GetInt32());
            Assert.InRange(d.GetProperty("parity").GetProperty("max").GetDouble(), 1e-12, 1e-6); // not a bit's difference would be the processor itself
            Assert.Equal(0, d.GetProperty("outcomeFlips").GetInt32());
            Assert.True(d.GetProperty("loss").GetProperty("failsAsLost").GetBoolean());
        });
    }

    private string Configuration()
    {
        string path = Path.Combine(_folder, "accelerators.json");
        File.WriteAllText(path, JsonSerializer.Serialize(new
        {
            accelerators = new[]
            {
                new { name = "acme", provider = PluginLibrary.OnHost, library = PluginLibrary.Path },
                new { name = "acme-memory", provider = PluginLibrary.OnOwnMemory, library = PluginLibrary.Path },
            },
        }));
        return path;
    }

    private static string Text(JsonElement of, string name) => of.GetProperty(name).GetString()!;
}
