using Risk.Core.Devices;
using Risk.Inference.Devices;

namespace Risk.Accelerators.Tests;

[Collection(SoftwareWebGpu.Collection)]
public sealed class AcceleratorDeviceTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("risk-accelerators").FullName;

    public AcceleratorDeviceTests() => _ = SoftwareWebGpu.Missing; // first: it decides which runtime this process has

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void UnknownProvider_IsNamed_WithTheOnesThatThereAre()
    {
        DeviceRefusal refusal = Refused(AcceleratorConfiguration.Named("hanguang"));
        Assert.Equal(DeviceCodes.UnknownProvider, refusal.Code);
        Assert.Contains("cuda, tensorrt, webgpu", refusal.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void LibraryThatIsNotThere_IsNamed() =>
        Assert.Contains("does not exist", Refused(With(Path.Combine(_folder, "none.so")), DeviceCodes.Library).Reason, StringComparison.Ordinal);

    [Fact]
    public void LibraryThatDoesNotLoad_IsNamed()
    {
        string path = Path.Combine(_folder, "libbroken.so");
        File.WriteAllText(path, "no library at all");
        Assert.Contains("does not load", Refused(With(path), DeviceCodes.Library).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void LibraryThatIsSomethingElse_IsNamed() =>
        Assert.Contains("neither CreateEpFactories nor OrtGetApiBase", Refused(With("/lib/x86_64-linux-gnu/libm.so.6"), DeviceCodes.Library).Reason, StringComparison.Ordinal);

    [Fact]
    public void ProviderThatTheRuntimeLacks_SaysWhereToGetIt()
    {
        DeviceRefusal refusal = Refused(AcceleratorConfiguration.Named("cann"));
        Assert.Equal(File.Exists("/dev/davinci0") ? DeviceCodes.Library : DeviceCodes.Missing, refusal.Code);
        Assert.Contains("onnxruntime-cann", refusal.Reason, StringComparison.Ordinal);
        Assert.Contains("libascendcl.so", refusal.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void OneThatFails_LeavesTheOthersAlone()
    {
        (IReadOnlyList<AcceleratorDevice> devices, IReadOnlyList<DeviceRefusal> refusals) =
            AcceleratorDevice.OpenAll([AcceleratorConfiguration.Named("nothing"), AcceleratorConfiguration.Named("cpu")]);
        Assert.Equal("cpu", Assert.Single(devices).Name);
        Assert.Equal("nothing", Assert.Single(refusals).Device);
    }

    [Fact]
    public void EveryReadyProfile_OpensOrSaysWhatIsMissing()
    {
        Assert.All(ReadyProfiles.All, profile =>
        {
            if (!AcceleratorDevice.TryOpen(AcceleratorConfiguration.Named(profile.Name), out _, out DeviceRefusal? refusal))
            {
                Assert.Matches("^(ACCELERATOR|DEVICE)_[A-Z_]+$", refusal.Code);
                Assert.True(refusal.Reason.Length > 20, refusal.Reason);
            }
        });
    }

    private static AcceleratorConfiguration With(string library) => AcceleratorConfiguration.Named("vendor") with { Library = library };

    private static DeviceRefusal Refused(AcceleratorConfiguration configuration, string? code = null)
    {
        Assert.False(AcceleratorDevice.TryOpen(configuration, out _, out DeviceRefusal? refusal));
        if (code is not null) { Assert.Equal(code, refusal.Code); }
        return refusal;
    }
}
