using System.Text.Json;
using Risk.Cli.CommandLine;
using Risk.Inference.Devices;

namespace Risk.Accelerators.Tests;

/// <summary>The verbs, in this process.</summary>
[Collection(SoftwareWebGpu.Collection)]
public sealed class AcceleratorsCommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("risk-accelerators").FullName;

    public AcceleratorsCommandTests() => _ = SoftwareWebGpu.Missing; // first: it decides which runtime this process has

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void List_TellsOfEveryReadyProfile_PresentOrWhatIsMissing()
    {
        using JsonDocument answer = Json(0, "accelerators", "list", "--json");
        JsonElement[] listed = [.. answer.RootElement.GetProperty("accelerators").EnumerateArray()];
        Assert.Equal(ReadyProfiles.All.Select(p => p.Name), listed.Select(l => l.GetProperty("name").GetString()));
        Assert.True(listed[0].GetProperty("present").GetBoolean());
        Assert.All(listed.Where(l => !l.GetProperty("present").GetBoolean()), l => Assert.NotEmpty(l.GetProperty("reason").GetString()!));
    }

    [Fact]
    public void Verify_OnTheProcessor_Conforms_AndLeavesAReport()
    {
        using JsonDocument answer = Json(0, "accelerators", "verify", "cpu", "forest-kernel", "--transactions", "3000", "--batch", "64", "--out", _folder, "--json");
        JsonElement[] devices = [.. answer.RootElement.GetProperty("devices").EnumerateArray()];
        Assert.Equal(["cpu", "forest-kernel"], devices.Select(d => d.GetProperty("device").GetString()));
        Assert.All(devices, d => Assert.Equal(3000, d.GetProperty("parity").GetProperty("rows").GetInt32()));
        Assert.All(devices, d => Assert.Equal(0, d.GetProperty("outcomeFlips").GetInt32()));
        Assert.True(devices[0].GetProperty("loss").GetProperty("failsAsLost").GetBoolean());
        Assert.Contains("conforms", File.ReadAllText(Path.Combine(_folder, "conformance.html")), StringComparison.Ordinal);
        using JsonDocument file = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(_folder, "conformance.json")));
        Assert.True(file.RootElement.GetProperty("conforms").GetBoolean());
    }

    [WebGpuFact]
    public void Verify_OnWebGpu_Conforms()
    {
        using JsonDocument answer = Json(0, "accelerators", "verify", "webgpu-software", "--transactions", "256", "--batch", "64", "--out", _folder, "--json");
        JsonElement device = Assert.Single(answer.RootElement.GetProperty("devices").EnumerateArray());
        Assert.Equal("WebGpuExecutionProvider", device.GetProperty("executionProvider").GetString());
        Assert.Equal("perfect-tree-traversal", device.GetProperty("variant").GetString());
        Assert.InRange(device.GetProperty("parity").GetProperty("max").GetDouble(), 0, 1e-5);
    }

    [WebGpuFact]
    public void Verify_OfTreesAsTheyAre_OnADeviceWithoutTheirOperator_DoesNotConform()
    {
        using JsonDocument answer = Json(1, "accelerators", "verify", "webgpu-software", "--variant", "original", "--transactions", "64", "--batch", "8", "--out", _folder, "--json");
        JsonElement device = Assert.Single(answer.RootElement.GetProperty("devices").EnumerateArray());
        Assert.Contains(DeviceCodes.Fallback, device.GetProperty("faults")[0].GetString(), StringComparison.Ordinal);
        Assert.Contains("TreeEnsemble", device.GetProperty("faults")[0].GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Verify_OfADeviceThatIsNotHere_IsNo()
    {
        using JsonDocument answer = Json(1, "accelerators", "verify", "vitisai", "--transactions", "64", "--out", _folder, "--json");
        Assert.False(answer.RootElement.GetProperty("conforms").GetBoolean());
    }

    [Fact]
    public void Measure_WritesAProfile_ThatReplayShowsAsARecording()
    {
        Json(0, "accelerators", "measure", "forest-kernel", "--batch", "16", "--seconds", "0.01", "--out", _folder, "--json").Dispose();
        string path = Path.Combine(_folder, "forest-kernel.json");
        using JsonDocument shown = Json(0, "accelerators", "measure", "--replay", path, "--json");
        Assert.True(shown.RootElement.GetProperty("recorded").GetBoolean());
        Assert.Contains("not measured now", shown.RootElement.GetProperty("label").GetString(), StringComparison.Ordinal);
        JsonElement points = shown.RootElement.GetProperty("profiles")[0].GetProperty("models")[0].GetProperty("points");
        Assert.Equal([1, 2, 4, 8, 16], points.EnumerateArray().Select(p => p.GetProperty("batch").GetInt32()));
        Assert.All(points.EnumerateArray(), p => Assert.True(p.GetProperty("medianMicros").GetDouble() > 0));
    }

    [Fact]
    public void Measure_OfTheProcessor_SetsTheHostsShareApart_AndSaysJoulesWithLowAndHigh()
    {
        using JsonDocument answer = Json(0, "accelerators", "measure", "cpu", "forest-kernel", "--batch", "64", "--seconds", "0.01", "--watts", "5", "20", "--out", _folder, "--json");
        JsonElement[] profiles = [.. answer.RootElement.GetProperty("profiles").EnumerateArray()];
        JsonElement[] session = [.. profiles[0].GetProperty("models")[0].GetProperty("points").EnumerateArray()];
        Assert.All(session, p => Assert.InRange(p.GetProperty("hostMicros").GetDouble(), 0.001, p.GetProperty("medianMicros").GetDouble() * 0.9));
        Assert.All(profiles[1].GetProperty("models")[0].GetProperty("points").EnumerateArray(), p => Assert.Equal(0, p.GetProperty("hostMicros").GetDouble()));
        if (EnergyCounter.For(null) is not null) { return; } // counted here, and then nothing is modelled
        JsonElement full = profiles[0].GetProperty("power").GetProperty("fullWatts");
        Assert.Equal((5.0, 20.0), (full.GetProperty("low").GetDouble(), full.GetProperty("value").GetDouble()));
        JsonElement first = answer.RootElement.GetProperty("energy")[0].GetProperty("points")[0], energy = first.GetProperty("microjoulesPerRow");
        Assert.Equal("model", first.GetProperty("method").GetString());
        Assert.Equal(session[0].GetProperty("medianMicros").GetDouble() * 20, energy.GetProperty("value").GetDouble(), 1e-3);
        Assert.Equal(session[0].GetProperty("medianMicros").GetDouble() * 5, energy.GetProperty("low").GetDouble(), 1e-3);
    }

    [Fact]
    public void Measure_AsAnotherName_KeepsAllCurvesOfOneProcessorInOneProfile()
    {
        string[] measure = ["accelerators", "measure", "cpu", "forest-kernel", "--as", "this-processor", "--batch", "1", "--seconds", "0.01", "--out", _folder, "--json"];
        Json(0, measure).Dispose();
        Json(0, measure).Dispose(); // again: replaced, not doubled
        using JsonDocument profile = JsonDocument.Parse(File.ReadAllBytes(Assert.Single(Directory.GetFiles(_folder))));
        Assert.Equal("this-processor", profile.RootElement.GetProperty("name").GetString());
        Assert.Equal(["forest-kernel", "tree-ensemble"], profile.RootElement.GetProperty("models").EnumerateArray().Select(c => c.GetProperty("variant").GetString()).Order());
    }

    [Fact]
    public void Replay_OfADataSheet_ShowsTheCurveMadeFromIt_AndSaysOnceThatNothingWasMeasured()
    {
        using JsonDocument shown = Json(0, "accelerators", "measure", "--replay", "nvidia-a100", "--json");
        string label = shown.RootElement.GetProperty("label").GetString()!;
        Assert.Contains("published/assumed, not measured", label, StringComparison.Ordinal);
        Assert.DoesNotContain("nothing was measured", label, StringComparison.Ordinal);
        JsonElement profile = shown.RootElement.GetProperty("profiles")[0];
        Assert.NotEqual("measured", profile.GetProperty("basis").GetString());
        Assert.Equal(["card-fraud", "card-fraud-sequence"], profile.GetProperty("models").EnumerateArray().Select(c => c.GetProperty("model").GetString()).Order());
        Assert.All(profile.GetProperty("models").EnumerateArray(), c => Assert.True(c.GetProperty("points").GetArrayLength() > 5));
        JsonElement energy = shown.RootElement.GetProperty("energy")[0].GetProperty("points")[0].GetProperty("microjoulesPerRow");
        Assert.True(energy.GetProperty("low").GetDouble() < energy.GetProperty("value").GetDouble() && energy.GetProperty("value").GetDouble() < energy.GetProperty("high").GetDouble());
    }

    [Theory]
    [InlineData("verify", "--html", "page.html")]
    [InlineData("measure", "cpu", "--curve")]
    [InlineData("list", "--all")]
    [InlineData("overhead", "--bare")]
    [InlineData("measure", "cpu", "--watts", "20", "5")]
    [InlineData("measure", "cpu", "--as", "../elsewhere")]
    public void WhatNoVerbTakes_IsBadUsage_AndNoNameOfADevice(params string[] arguments) =>
        Assert.StartsWith("USAGE: ", Error(2, ["accelerators", .. arguments]), StringComparison.Ordinal);

    [Fact]
    public void ProfileOfAnotherRuntime_IsRefused_WhereTheDeviceIsHere()
    {
        Json(0, "accelerators", "measure", "cpu", "--batch", "2", "--seconds", "0.01", "--out", _folder, "--json").Dispose();
        string path = Path.Combine(_folder, "cpu.json");
        File.WriteAllText(path, File.ReadAllText(path).Replace($"\"runtime\": \"{AcceleratorDevice.RuntimeVersion}\"", "\"runtime\": \"1.2.3\"", StringComparison.Ordinal));
        Assert.StartsWith("PROFILE_STALE: ", Error(2, "accelerators", "measure", "--replay", path), StringComparison.Ordinal);
    }

    [Fact]
    public void Measure_OfADeviceThatIsNotHere_SaysWhatIsMissing() =>
        Assert.Matches("^(DEVICE_MISSING|ACCELERATOR_LIBRARY): cann: .*Ascend", Error(2, "accelerators", "measure", "cann"));

    private static string Error(int exitCode, params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        Assert.Equal(exitCode, RiskCommandLine.Invoke(arguments, output, error).GetAwaiter().GetResult());
        return error.ToString();
    }

    private static JsonDocument Json(int exitCode, params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        int found = RiskCommandLine.Invoke(arguments, output, error).GetAwaiter().GetResult();
        Assert.True(found == exitCode, $"exit {found}: {error} {output}");
        return JsonDocument.Parse(output.ToString());
    }
}
