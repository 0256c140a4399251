using System.Collections.Concurrent;
using Risk.Core.Models;
using Risk.Inference;
using Risk.Inference.Devices;

namespace Risk.Accelerators.Tests;

/// <summary>A vendor's library that plugs in through ONNX Runtime's own interface, and computes: with the host's memory, and with memory of its own.</summary>
[Collection(SoftwareWebGpu.Collection)]
public sealed class PluginProviderTests : IDisposable
{
    private static readonly DeviceRetry s_soon = new(TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(100));

    private readonly string _folder = Directory.CreateTempSubdirectory("risk-plugin").FullName;
    private readonly ConcurrentQueue<DeviceRefusal> _told = new();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [PluginTheory]
    [InlineData(PluginLibrary.OnHost)]
    [InlineData(PluginLibrary.OnOwnMemory)]
    public void Device_IsFound_WithItsVendor_Version_AndLibrary(string provider)
    {
        AcceleratorDevice device = PluginLibrary.Open(provider);
        Assert.Equal((provider, "1.2.3", PluginLibrary.Path), (device.ExecutionProvider, device.ProviderVersion, device.Library));
    }

    [PluginTheory]
    [InlineData(PluginLibrary.OnHost, false)]
    [InlineData(PluginLibrary.OnOwnMemory, true)]
    public void EveryBatchSize_IsComputedByTheLibrary_AsTheProcessorDoes(string provider, bool hasMemory)
    {
        AcceleratorDevice device = PluginLibrary.Open(provider);
        using OnnxSession cpu = TestModels.Open(TestModels.Layers().Onnx, 40, null);
        using DeviceSession session = Open(device);
        float[] rows = TestModels.Rows(3 * 40), expected = new float[40], found = new float[40];
        foreach (int count in (ReadOnlySpan<int>)[1, 3, 17, 40, 2])
        {
            ReadOnlySpan<float> batch = rows.AsSpan(count * TestModels.Features, count * TestModels.Features);
            long computed = PluginLibrary.Count("computed"), copied = PluginLibrary.Count("copied");
            Assert.Equal(ScoringStatus.Scored, cpu.Score(batch, count, expected));
            Assert.Equal(ScoringStatus.Scored, session.Score(batch, count, found));
            for (int r = 0; r < count; r++) { Assert.Equal(expected[r], found[r], 1e-5f); }
            Assert.True(PluginLibrary.Count("computed") > computed);
            Assert.Equal(hasMemory ? session.Padded(count) * (TestModels.Features + 1) : 0, PluginLibrary.Count("copied") - copied);
        }
    }

    private DeviceSession Open(AcceleratorDevice device, DeviceModel? model = null)
    {
        Assert.True(DeviceSession.TryOpen(device, model ?? TestModels.Layers(), 40, TimeProvider.System, s_soon, _told.Enqueue, out DeviceSession? session, out DeviceRefusal? refusal), refusal?.ToString());
        return session;
    }
}
