using System.Collections.Concurrent;
using Risk.Core.Devices;
using Risk.Core.Models;
using Risk.Inference;
using Risk.Inference.Devices;

namespace Risk.Accelerators.Tests;

/// <summary>Loss and return, on the processor: the same code as on any device.</summary>
[Collection(SoftwareWebGpu.Collection)]
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

    [Fact]
    public void ListenerThatThrows_StopsNeitherTheBatchNorTheReturn()
    {
        Assert.True(DeviceSession.TryOpen(Cpu(), TestModels.Layers(), 8, TimeProvider.System, s_soon, _ => throw new InvalidOperationException("the listener"), out DeviceSession? session, out DeviceRefusal? refusal), refusal?.ToString());
        using (session)
        {
            session.Kill();
            Assert.Equal(ScoringStatus.DeviceLost, session.Score(TestModels.Rows(1), 1, new float[1]));
            WaitUntilUp(session);
            Assert.Equal(ScoringStatus.Scored, session.Score(TestModels.Rows(1), 1, new float[1]));
            Assert.Equal(1, session.Statistics.Failures); // its time may be less than a microsecond
        }
    }

    [Fact]
    public void TriesThatFail_AreTold_AndGoOn()
    {
        AcceleratorDevice cpu = Cpu();
        DeviceModel model = TestModels.Layers();
        byte[] onnx = [.. model.Onnx];
        var told = new ConcurrentQueue<DeviceRefusal>();
        Assert.True(DeviceSession.TryOpen(cpu, model, 8, new ClockThatFailsOnce(), s_soon, told.Enqueue, out DeviceSession? session, out DeviceRefusal? refusal), refusal?.ToString());
        using (session)
        {
            Array.Clear(model.Onnx);
            session.Kill();
            Assert.Equal(ScoringStatus.DeviceLost, session.Score(TestModels.Rows(1), 1, new float[1]));
            Assert.True(SpinWait.SpinUntil(() => told.Count >= 3, TimeSpan.FromSeconds(60)), "it is not tried again");
            onnx.CopyTo(model.Onnx, 0);
            WaitUntilUp(session);
            Assert.Equal(ScoringStatus.Scored, session.Score(TestModels.Rows(1), 1, new float[1]));
        }
        string[] codes = [.. told.Select(t => t.Code)];
        Assert.Equal([ModelCodes.DeviceLost, DeviceCodes.Failed], codes.Take(2));
        Assert.Equal(DeviceCodes.Recovered, codes[^1]);
        Assert.All(codes[2..^1], code => Assert.StartsWith("MODEL_", code, StringComparison.Ordinal)); // the cleared file is refused
    }

    [Fact]
    public void Kill_AfterDisposal_TouchesNothing()
    {
        _ = Cpu();
        OnnxSession session = TestModels.Open(TestModels.Layers().Onnx, 8, null);
        session.Dispose();
        session.Kill();
        session.Dispose();
        Assert.Equal(ScoringStatus.DeviceLost, session.Score(TestModels.Rows(1), 1, new float[1]));
    }

    [WebGpuFact]
    public void BusyDevice_IsNotWaitedForWithoutEnd_AndIsNotLost()
    {
        using DeviceSession session = Open(SoftwareWebGpu.Device, s_soon, out ConcurrentQueue<DeviceRefusal> told);
        using var isHeld = new ManualResetEventSlim();
        using var isDone = new ManualResetEventSlim();
        var other = new Thread(() =>
        {
            SoftwareWebGpu.Device.Gate.TryEnter(Timeout.Infinite);
            isHeld.Set();
            isDone.Wait();
            SoftwareWebGpu.Device.Gate.Exit();
        });
        other.IsBackground = true;
        other.Start();
        isHeld.Wait();
        ScoringStatus whileHeld = session.Score(TestModels.Rows(1), 1, new float[1]);
        isDone.Set();
        other.Join();
        Assert.Equal(ScoringStatus.DeviceLost, whileHeld);
        Assert.Equal(ScoringStatus.Scored, session.Score(TestModels.Rows(1), 1, new float[1]));
        Assert.Equal((0, true), (session.Statistics.Losses, session.Statistics.IsUp));
        Assert.Empty(told);
    }

    private static void LosesAndRecovers(AcceleratorDevice device)
    {
        using DeviceSession session = Open(device, s_soon, out ConcurrentQueue<DeviceRefusal> told);
        float[] rows = TestModels.Rows(5), scores = new float[5], before = new float[5];
        Assert.Equal(ScoringStatus.Scored, session.Score(rows, 5, before));
        session.Kill();
        Assert.Equal(ScoringStatus.DeviceLost, session.Score(rows, 5, scores));
        Assert.Equal(1, session.Statistics.Losses);
        WaitUntilUp(session);
        Assert.Equal(ScoringStatus.Scored, session.Score(rows, 5, scores));
        Assert.Equal(before, scores);
        Assert.Equal(1, session.Statistics.Recoveries);
        Assert.Equal([ModelCodes.DeviceLost, DeviceCodes.Recovered], told.Select(t => t.Code));
        Assert.Equal(10, session.Statistics.Rows);
        Assert.Equal(2, session.Statistics.Batches);
    }

    private static void WaitUntilUp(DeviceSession session) =>
        Assert.True(SpinWait.SpinUntil(() => session.Statistics.IsUp, TimeSpan.FromSeconds(60)), "it did not come back");

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

    /// <summary>Stands for whatever else may be thrown on the way to a new session.</summary>
    private sealed class ClockThatFailsOnce : TimeProvider
    {
        private int _timers;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            Interlocked.Increment(ref _timers) == 1 ? throw new NotSupportedException("no timer") : base.CreateTimer(callback, state, dueTime, period);
    }
}
