using System.Text.Json;
using Risk.Cli;
using Risk.Cli.CommandLine;
using Risk.Core.Devices;
using Risk.Inference.Devices;
using Risk.Service.Engine;

namespace Risk.Accelerators.Tests;

/// <summary>A profile that was measured with something else must not be served by; the engine stays up on the processor.</summary>
[Collection(SoftwareWebGpu.Collection)]
public sealed class ServingProfileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("risk-profile").FullName;
    private readonly string _path;
    private readonly List<DeviceRefusal> _told = [];

    public ServingProfileTests()
    {
        _ = SoftwareWebGpu.Missing; // first: it decides which runtime this process has
        Run("accelerators", "measure", "cpu", "--batch", "2", "--seconds", "0.01", "--out", _folder, "--json");
        _path = Path.Combine(_folder, "cpu.json");
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void ProfileThatFits_IsThere_AndTheDeviceServes()
    {
        Assert.Equal(1, Serve(out ServingDevices devices));
        Assert.Equal("cpu", devices.Profiles["second"].Name);
        Assert.Empty(_told);
    }

    [Theory]
    [InlineData("\"runtime\": \"", "\"runtime\": \"0.")]
    [InlineData("\"provider\": \"", "\"provider\": \"0.")]
    [InlineData("\"device\": \"", "\"device\": \"another ")]
    [InlineData("\"executionProvider\": \"CPU", "\"executionProvider\": \"CUDA")]
    [InlineData("\"digest\": \"sha256:", "\"digest\": \"sha256:00000000")]
    public void ProfileOfSomethingElse_IsStale_AndTheDeviceStaysOut(string then, string now)
    {
        string profile = File.ReadAllText(_path), changed = profile.Replace(then, now, StringComparison.Ordinal);
        if (now.EndsWith("00000000", StringComparison.Ordinal))
        {
            int digit = profile.IndexOf(then, StringComparison.Ordinal) + then.Length;
            changed = string.Concat(profile.AsSpan(0, digit), "00000000", profile.AsSpan(digit + 8));
        }
        Assert.NotEqual(profile, changed);
        File.WriteAllText(_path, changed);
        Assert.Equal(0, Serve(out ServingDevices devices));
        DeviceRefusal told = Assert.Single(_told);
        Assert.Equal(("second", ServingProfile.Stale), (told.Device, told.Code));
        Assert.Contains("risk accelerators measure", told.Reason, StringComparison.Ordinal);
        Assert.Empty(devices.Profiles);
    }

    [Theory]
    [InlineData("\"model\": \"card-fraud\"", "\"model\": \"another\"", ServingProfile.Missing)]
    [InlineData("\"points\"", "\"dots\"", ServingProfile.Invalid)]
    [InlineData("{", "[", ServingProfile.Invalid)]
    public void ProfileWithoutTheModel_OrBroken_IsNamed(string then, string now, string code)
    {
        File.WriteAllText(_path, File.ReadAllText(_path).Replace(then, now, StringComparison.Ordinal));
        Assert.Equal(0, Serve(out _));
        Assert.Equal(code, Assert.Single(_told).Code);
    }

    [Fact]
    public void ProfileThatIsNotThere_IsNamed()
    {
        File.Delete(_path);
        Assert.Equal(0, Serve(out _));
        Assert.Equal(ServingProfile.Missing, Assert.Single(_told).Code);
    }

    [Fact]
    public void Demo_WithAStaleProfile_SaysSo_AndDecidesOnTheProcessor()
    {
        File.WriteAllText(_path, File.ReadAllText(_path).Replace("\"runtime\": \"", "\"runtime\": \"0.", StringComparison.Ordinal));
        string accelerators = Path.Combine(_folder, "accelerators.json");
        File.WriteAllText(accelerators, JsonSerializer.Serialize(new { accelerators = new[] { new { name = "second", provider = "cpu", profile = _path } } }));
        string said = Run("demo", "--transactions", "300", "--accelerators", accelerators, "--out", Path.Combine(_folder, "demo"));
        Assert.Contains("PROFILE_STALE: second: ", said, StringComparison.Ordinal);
    }

    private int Serve(out ServingDevices devices)
    {
        devices = new ServingDevices([AcceleratorConfiguration.Named("second") with { Provider = "cpu", Profile = _path }], _told.Add);
        List<DeviceSession> sessions = devices.Open(ModelFiles.Load("card-fraud@1"), 8);
        sessions.ForEach(session => session.Dispose());
        return sessions.Count;
    }

    /// <summary>What a verb that succeeds says on both streams.</summary>
    private static string Run(params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        int exit = RiskCommandLine.Invoke(arguments, output, error).GetAwaiter().GetResult();
        Assert.True(exit == 0, $"exit {exit}: {error} {output}");
        return $"{output}{error}";
    }
}
