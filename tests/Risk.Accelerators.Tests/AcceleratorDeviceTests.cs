using System.Buffers.Binary;
using System.Text;
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
        File.WriteAllText(path, string.Join(' ', Enumerable.Repeat("no library at all", 10)));
        Assert.Contains($"{path} does not load: invalid ELF header", Refused(With(path), DeviceCodes.Library).Reason, StringComparison.Ordinal);
        File.WriteAllText(path, "");
        Assert.Contains($"{path} does not load: file too short", Refused(With(path), DeviceCodes.Library).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void LibraryThatWantsItsHost_IsLeftToOnnxRuntime()
    {
        // Loading such a one ahead of ONNX Runtime is what must not be done: NVIDIA's then has no host for good.
        string plugin = Path.Combine(_folder, "libplugin.so"), old = Path.Combine(_folder, "libold.so");
        File.WriteAllBytes(plugin, SmallElf.With(("CreateEpFactories", true), ("Provider_GetHost", false)));
        File.WriteAllBytes(old, SmallElf.With(("GetProvider", true), ("Provider_GetHost", false)));
        Assert.Contains("does not register", Refused(With(plugin), DeviceCodes.Library).Reason, StringComparison.Ordinal);
        Assert.Contains("neither CreateEpFactories", Refused(With(old), DeviceCodes.Library).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void DeviceThatIsNotThere_IsSetBesideThoseThatAre() =>
        Assert.Matches("has no device 7; it offers 0 \\(.+\\)", Refused(AcceleratorConfiguration.Named("cpu") with { Device = 7 }, DeviceCodes.Missing).Reason);

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

/// <summary>A Linux library that has symbols and nothing else: no loader takes it.</summary>
internal static class SmallElf
{
    public static byte[] With(params (string Name, bool IsOffered)[] symbols)
    {
        using var names = new MemoryStream();
        using var entries = new MemoryStream();
        names.WriteByte(0);
        entries.Write(new byte[24]); // the first symbol is none
        foreach ((string name, bool isOffered) in symbols)
        {
            byte[] entry = new byte[24];
            BinaryPrimitives.WriteUInt32LittleEndian(entry, (uint)names.Position);
            entry[6] = (byte)(isOffered ? 1 : 0);
            entries.Write(entry);
            names.Write([.. Encoding.UTF8.GetBytes(name), 0]);
        }
        byte[] texts = names.ToArray(), table = entries.ToArray();
        const int header = 64, section = 64;
        byte[] file = new byte[header + texts.Length + table.Length + (3 * section)];
        "\u007fELF\u0002\u0001"u8.CopyTo(file);
        int at = header + texts.Length + table.Length;
        BinaryPrimitives.WriteInt64LittleEndian(file.AsSpan(0x28), at);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(0x3c), 3);
        texts.CopyTo(file, header);
        table.CopyTo(file, header + texts.Length);
        Section(file.AsSpan(at + section), 3, header, texts.Length, 0);                        // names
        Section(file.AsSpan(at + (2 * section)), 11, header + texts.Length, table.Length, 1);  // dynamic symbols, named by section 1
        return file;
    }

    private static void Section(Span<byte> to, uint type, long at, long size, uint link)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(to[4..], type);
        BinaryPrimitives.WriteInt64LittleEndian(to[0x18..], at);
        BinaryPrimitives.WriteInt64LittleEndian(to[0x20..], size);
        BinaryPrimitives.WriteUInt32LittleEndian(to[0x28..], link);
    }
}
