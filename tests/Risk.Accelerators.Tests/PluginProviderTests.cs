using System.Collections.Concurrent;
using System.Text;
using Risk.Core.Devices;
using Risk.Core.Models;
using Risk.Core.Models.Tensors;
using Risk.Inference;
using Risk.Inference.Devices;

namespace Risk.Accelerators.Tests;

/// <summary>A vendor's library that plugs in through ONNX Runtime's own interface, and computes: with the host's memory, and with memory of its own.</summary>
[Collection(SoftwareWebGpu.Collection)]
public sealed class PluginProviderTests : IDisposable
{
    private const int BatchSizeMax = 40;

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
        Assert.Equal((provider, "Acme Accelerators", "1.2.3", PluginLibrary.Path), (device.ExecutionProvider, device.ProviderVendor, device.ProviderVersion, device.Library));
    }

    [PluginFact]
    public void ProviderThatTheLibraryLacks_IsNamed_WithThoseThatItHas()
    {
        DeviceRefusal refusal = Refused(PluginLibrary.Configuration("BcmeExecutionProvider"));
        Assert.Equal(DeviceCodes.Missing, refusal.Code);
        Assert.Contains($"the library has devices of {PluginLibrary.OnHost}, {PluginLibrary.OnOwnMemory}: name one of them", refusal.Reason, StringComparison.Ordinal);
    }

    [PluginFact]
    public void DeviceThatTheLibraryLacks_IsNamed() =>
        Assert.Contains("has no device 1; it offers 0 (", Refused(PluginLibrary.Configuration(PluginLibrary.OnHost) with { Device = 1 }).Reason, StringComparison.Ordinal);

    [PluginFact]
    public void AnotherLibraryWithAProviderOfTheSameName_IsTheOneThatComputes()
    {
        string other = Path.Combine(_folder, "libother.so");
        PluginLibrary.Copy(other);
        _ = PluginLibrary.Open(PluginLibrary.OnHost);
        using DeviceSession session = Open(PluginLibrary.Open(PluginLibrary.Configuration(PluginLibrary.OnHost) with { Library = other }));
        long computed = PluginLibrary.Count("computed"), computedByOther = PluginLibrary.Count("computed", other);
        Assert.Equal(ScoringStatus.Scored, session.Score(TestModels.Rows(1), 1, new float[1]));
        Assert.Equal(computed, PluginLibrary.Count("computed"));
        Assert.True(PluginLibrary.Count("computed", other) > computedByOther);
    }

    [PluginTheory]
    [InlineData(PluginLibrary.OnHost, false)]
    [InlineData(PluginLibrary.OnOwnMemory, true)]
    public void EveryBatchSize_IsComputedByTheLibrary_AsTheProcessorDoes(string provider, bool hasMemory)
    {
        AcceleratorDevice device = PluginLibrary.Open(provider);
        using OnnxSession cpu = TestModels.Open(TestModels.Layers().Onnx, BatchSizeMax, null);
        using DeviceSession session = Open(device);
        float[] rows = TestModels.Rows(3 * BatchSizeMax), expected = new float[BatchSizeMax], found = new float[BatchSizeMax];
        foreach (int count in (ReadOnlySpan<int>)[1, 3, 17, BatchSizeMax, 2])
        {
            // Other rows every time, so what was left from the last call does not pass.
            ReadOnlySpan<float> batch = rows.AsSpan(count * TestModels.Features, count * TestModels.Features);
            long computed = PluginLibrary.Count("computed"), copied = PluginLibrary.Count("copied");
            Assert.Equal(ScoringStatus.Scored, cpu.Score(batch, count, expected));
            Assert.Equal(ScoringStatus.Scored, session.Score(batch, count, found));
            for (int r = 0; r < count; r++) { Assert.Equal(expected[r], found[r], 1e-5f); }
            Assert.True(PluginLibrary.Count("computed") > computed);
            // To and from its own memory go the rows and their scores, once, and nothing else.
            Assert.Equal(hasMemory ? session.Padded(count) * (TestModels.Features + 1) : 0, PluginLibrary.Count("copied") - copied);
        }
    }

    [PluginTheory]
    [InlineData(PluginLibrary.OnHost)]
    [InlineData(PluginLibrary.OnOwnMemory)]
    public void OperatorThatTheLibraryLacks_IsAnErrorWithTheNodesName_NotASilentFallback(string provider)
    {
        AcceleratorDevice device = PluginLibrary.Open(provider);
        byte[] onnx = ProbeModel.Layers(TestModels.Features, 16, isSilentOnCpu: true);
        Assert.False(DeviceSession.TryOpen(device, TestModels.Layers() with { Onnx = onnx }, 4, TimeProvider.System, s_soon, _told.Enqueue, out _, out DeviceRefusal? refusal));
        Assert.Equal(DeviceCodes.Fallback, refusal.Code);
        Assert.Contains("'trees/lacking' (NonZero, CPUExecutionProvider)", refusal.Reason, StringComparison.Ordinal);
        Assert.DoesNotContain("Relu", refusal.Reason, StringComparison.Ordinal);
    }

    [PluginFact]
    public void OneNodeThatIsNotClaimed_IsNamed_AndNoneOfTheOthers()
    {
        AcceleratorDevice device = PluginLibrary.Open(PluginLibrary.OnHost, ("lacks", "Relu"));
        Assert.False(DeviceSession.TryOpen(device, TestModels.Layers(), 4, TimeProvider.System, s_soon, _told.Enqueue, out _, out DeviceRefusal? refusal));
        Assert.Equal(DeviceCodes.Fallback, refusal.Code);
        Assert.Contains("and 1 nodes would run elsewhere without notice: 'trees/active' (Relu, CPUExecutionProvider);", refusal.Reason, StringComparison.Ordinal);
    }

    [PluginFact]
    public void LibraryThatComputesWrong_IsRefusedByTheGoldenRows()
    {
        AcceleratorDevice device = PluginLibrary.Open(PluginLibrary.OnHost, ("error", "0.0001"));
        Assert.False(DeviceSession.TryOpen(device, TestModels.Layers(), 4, TimeProvider.System, s_soon, _told.Enqueue, out _, out DeviceRefusal? refusal));
        Assert.Equal(ModelCodes.NotConforming, refusal.Code);
    }

    [PluginTheory]
    [InlineData(PluginLibrary.OnHost)]
    [InlineData(PluginLibrary.OnOwnMemory)]
    public void LibraryThatFailsInARun_IsLost_TheProcessorScores_AndItComesBack(string provider)
    {
        string fail = Path.Combine(_folder, "fail");
        using DeviceSession session = Open(PluginLibrary.Open(provider, ("fail_file", fail)));
        Interrupt(session, fail, ModelCodes.DeviceLost);
        Assert.Equal((1, 0, 1), (session.Statistics.Losses, session.Statistics.Hangs, session.Statistics.Recoveries));
        DeviceRefusal tried = _told.First(told => told.Code == DeviceCodes.Failed); // while it still failed
        Assert.All([_told.First(), tried], told => Assert.Contains("the device has fallen off the bus", told.Reason, StringComparison.Ordinal));
    }

    [PluginFact]
    public void LibraryThatHangsInARun_IsLeftBehind_TheProcessorScores_AndItComesBack()
    {
        string hang = Path.Combine(_folder, "hang");
        using DeviceSession session = Open(PluginLibrary.Open(PluginLibrary.Configuration(PluginLibrary.OnHost, ("hang_file", hang)) with { RunMillisMax = 1000 }));
        Interrupt(session, hang, ModelCodes.DeviceHung);
        Assert.Equal((1, 1, 1), (session.Statistics.Losses, session.Statistics.Hangs, session.Statistics.Recoveries));
    }

    [PluginTheory]
    [InlineData(PluginLibrary.OnHost)]
    [InlineData(PluginLibrary.OnOwnMemory)]
    public void TwoModels_ScoreAtTheSameTime_EachItsOwn(string provider)
    {
        AcceleratorDevice device = PluginLibrary.Open(provider);
        byte[] other = ProbeModel.Layers(TestModels.Features, 5);
        using OnnxSession cpu = TestModels.Open(TestModels.Layers().Onnx, BatchSizeMax, null), otherCpu = TestModels.Open(other, BatchSizeMax, null);
        using OnnxSession one = TestModels.Open(TestModels.Layers().Onnx, BatchSizeMax, device), two = TestModels.Open(other, BatchSizeMax, device);
        float[] rows = TestModels.Rows(BatchSizeMax), expected = new float[BatchSizeMax], otherExpected = new float[BatchSizeMax];
        cpu.Score(rows, BatchSizeMax, expected);
        otherCpu.Score(rows, BatchSizeMax, otherExpected);
        Assert.NotEqual(expected, otherExpected);
        Parallel.Invoke(() => Compare(one, expected), () => Compare(two, otherExpected));

        void Compare(OnnxSession session, float[] scores)
        {
            float[] found = new float[BatchSizeMax];
            for (int run = 0; run < 50; run++)
            {
                int count = 1 + (run % BatchSizeMax);
                Assert.Equal(ScoringStatus.Scored, session.Score(rows.AsSpan(0, count * TestModels.Features), count, found));
                for (int r = 0; r < count; r++) { Assert.Equal(scores[r], found[r], 1e-5f); }
            }
        }
    }

    [PluginTheory]
    [InlineData(PluginLibrary.OnHost)]
    [InlineData(PluginLibrary.OnOwnMemory)]
    public void Disposal_GivesEverythingBackToTheLibrary(string provider)
    {
        AcceleratorDevice device = PluginLibrary.Open(provider);
        (long living, long allocated) = (PluginLibrary.Count("living"), PluginLibrary.Count("allocated"));
        DeviceSession session = Open(device);
        Assert.Equal(living + 1, PluginLibrary.Count("living"));
        Assert.Equal(provider == PluginLibrary.OnOwnMemory, PluginLibrary.Count("allocated") > allocated);
        session.Dispose();
        Assert.Equal((living, allocated), (PluginLibrary.Count("living"), PluginLibrary.Count("allocated")));
        Open(device).Dispose(); // and it can be used again
    }

    [PluginFact]
    public void HostMemoryThatTheLibraryOffers_HoldsRowsAndScores()
    {
        AcceleratorDevice device = PluginLibrary.Open(PluginLibrary.OnOwnMemory);
        long allocated = PluginLibrary.Count("allocated");
        using HostBuffer offered = HostBuffer.Create(8, device), ordinary = HostBuffer.Create(8, PluginLibrary.Open(PluginLibrary.OnHost));
        Assert.Equal((true, false, allocated + 1), (offered.IsPageLocked, ordinary.IsPageLocked, PluginLibrary.Count("allocated")));
    }

    /// <summary>A ladder of the device and the processor, before, while and after the file has the library fail or hang.</summary>
    private void Interrupt(DeviceSession session, string file, string code)
    {
        using OnnxSession processor = TestModels.Open(TestModels.Layers().Onnx, BatchSizeMax, null);
        var ladder = new ModelLadder(session, processor);
        float[] rows = TestModels.Rows(5), before = new float[5], scores = new float[5];
        Assert.Equal(0, ladder.Score(rows, 5, before).Rung);

        File.WriteAllText(file, "");
        LadderStep step = ladder.Score(rows, 5, scores);
        Assert.Equal((1, code), (step.Rung, Encoding.UTF8.GetString(step.Cause.Span)));
        for (int i = 0; i < 5; i++) { Assert.Equal(before[i], scores[i], 1e-5f); }
        Assert.Equal(1, ladder.Score(rows, 5, scores).Rung);
        Assert.True(SpinWait.SpinUntil(() => _told.Count >= 2, TimeSpan.FromSeconds(60)), "it is not tried again");

        File.Delete(file);
        Assert.True(SpinWait.SpinUntil(() => session.Statistics.IsUp, TimeSpan.FromSeconds(60)), "it does not come back");
        Assert.Equal(0, ladder.Score(rows, 5, scores).Rung);
        Assert.Equal(before, scores);
        Assert.Equal((code, DeviceCodes.Recovered), (_told.First().Code, _told.Last().Code));
    }

    private static DeviceRefusal Refused(AcceleratorConfiguration configuration)
    {
        _ = SoftwareWebGpu.Missing; // first: it decides which runtime this process has
        Assert.False(AcceleratorDevice.TryOpen(configuration, out _, out DeviceRefusal? refusal));
        return refusal;
    }

    private DeviceSession Open(AcceleratorDevice device)
    {
        Assert.True(DeviceSession.TryOpen(device, TestModels.Layers(), BatchSizeMax, TimeProvider.System, s_soon, _told.Enqueue, out DeviceSession? session, out DeviceRefusal? refusal), refusal?.ToString());
        return session;
    }
}
