using System.Collections.Concurrent;
using Risk.Core.Devices;
using Risk.Core.Models;
using Risk.Inference.Devices;

namespace Risk.Accelerators.Tests;

/// <summary>Loss and return, on the processor: the same code as on any device.</summary>
public sealed class DeviceSessionTests
{
    private static readonly DeviceRetry s_soon = new(TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(100));

    [Fact]
    public void LostDevice_FailsAtOnce_IsToldOnce_AndComesBackByItself() => LosesAndRecovers(Cpu());

    [WebGpuFact]
    public void LostWebGpu_ComesBackByItself() => LosesAndRecovers(SoftwareWebGpu.Device);

    [Fact]
    public void ModelThatComesOutDifferent_IsRefused()
    {
        Assert.False(DeviceSession.TryOpen(Cpu(), TestModels.Layers(shift: 3e-5f), 8, TimeProvider.System, s_soon, _ => { }, out _, out DeviceRefusal? refusal));
        Assert.Equal(ModelCodes.NotConforming, refusal.Code);
        Assert.Contains("golden row", refusal.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Dispose_WhileTheDeviceIsAway_EndsTheTries()
    {
        var session = Open(Cpu(), new DeviceRetry(TimeSpan.FromHours(1), TimeSpan.FromHours(1)), out _);
        session.Kill();
        Assert.Equal(ScoringStatus.DeviceLost, session.Score(TestModels.Rows(1), 1, new float[1]));
        session.Dispose(); // returns, and does not wait for the hour
    }

    private static void LosesAndRecovers(AcceleratorDevice device)
    {
        using DeviceSession session = Open(device, s_soon, out ConcurrentQueue<DeviceRefusal> told);
        float[] rows = TestModels.Rows(5), scores = new float[5], before = new float[5];
        Assert.Equal(ScoringStatus.Scored, session.Score(rows, 5, before));
        session.Kill();
        Assert.Equal(ScoringStatus.DeviceLost, session.Score(rows, 5, scores));
        Assert.Equal(1, session.Statistics.Losses);
        Assert.True(SpinWait.SpinUntil(() => session.Statistics.IsUp, TimeSpan.FromSeconds(60)), "it did not come back");
        Assert.Equal(ScoringStatus.Scored, session.Score(rows, 5, scores));
        Assert.Equal(before, scores);
        Assert.Equal(1, session.Statistics.Recoveries);
        Assert.Equal([ModelCodes.DeviceLost, DeviceCodes.Recovered], told.Select(t => t.Code));
        Assert.Equal(10, session.Statistics.Rows);
        Assert.Equal(2, session.Statistics.Batches);
    }

    private static DeviceSession Open(AcceleratorDevice device, DeviceRetry retry, out ConcurrentQueue<DeviceRefusal> told)
    {
        var events = told = new ConcurrentQueue<DeviceRefusal>();
        Assert.True(DeviceSession.TryOpen(device, TestModels.Layers(), 8, TimeProvider.System, retry, events.Enqueue, out DeviceSession? session, out DeviceRefusal? refusal), refusal?.ToString());
        return session;
    }

    private static AcceleratorDevice Cpu()
    {
        _ = SoftwareWebGpu.Missing; // first: it decides which runtime this process has
        Assert.True(AcceleratorDevice.TryOpen(AcceleratorConfiguration.Named("cpu"), out AcceleratorDevice? device, out DeviceRefusal? refusal), refusal?.ToString());
        return device;
    }
}
