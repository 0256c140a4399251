using System.Collections.Concurrent;
using Risk.Core.Devices;
using Risk.Core.Models;
using Risk.Inference;
using Risk.Inference.Devices;

namespace Risk.Accelerators.Tests;

/// <summary>A run that nobody waits for any more keeps its device until it comes back; then the device is as before.</summary>
[Collection(SoftwareWebGpu.Collection)]
public sealed class HedgedDeviceTests : IDisposable
{
    private const int Bounded = 600_000;

    private static readonly TimeSpan s_long = TimeSpan.FromSeconds(60);

    private readonly ConcurrentQueue<DeviceRefusal> _told = new();
    private readonly ManualResetEventSlim _driver = new(); // set: it lets go
    private readonly float[] _rows = TestModels.Rows(8), _before = new float[8], _scores = new float[8];

    public void Dispose()
    {
        _driver.Set();
        _driver.Dispose();
    }

    [Fact]
    public void LateRun_ThatIsLeft_ComesBack_AndTheDeviceTakesTheNextBatch() => LeavesAndComesBack("cpu");

    [WebGpuFact]
    public void LateRunOnWebGpu_ThatIsLeft_ComesBack_AndTheDeviceTakesTheNextBatch() => LeavesAndComesBack("webgpu-software");

    [Fact]
    public void LateAnswer_IsThatOfItsOwnRows()
    {
        using DeviceSession session = Open("cpu", Bounded);
        Assert.Equal(ScoringStatus.Scored, session.Score(_rows, 8, _before));
        session.Stall(_driver);
        Assert.Equal(ScoringStatus.DeviceLate, session.Score(_rows, 8, _scores, 1_000));
        Array.Fill(_scores, -1);
        Assert.Equal(ScoringStatus.DeviceLate, session.TakeLate(_scores, isWaiting: false));
        Assert.All(_scores, score => Assert.Equal(-1, score));
        _driver.Set();
        Assert.Equal(ScoringStatus.Scored, session.TakeLate(_scores, isWaiting: true));
        Assert.Equal(_before, _scores);
        Assert.Equal((1, 0, 2, 0), (session.Statistics.Hedges, session.Statistics.HedgesLost, session.Statistics.Batches, session.Statistics.Failures));
        Assert.Equal(ScoringStatus.Scored, session.Score(_rows, 8, _scores, long.MaxValue));
    }

    [Fact]
    public void LateRun_ThatNeverComesBack_IsGivenUpAtItsBound_LikeAnyOther()
    {
        using DeviceSession session = Open("cpu", 500);
        session.Stall(_driver);
        Assert.Equal(ScoringStatus.DeviceLate, session.Score(_rows, 8, _scores, 1_000));
        session.Leave();
        Assert.True(SpinWait.SpinUntil(() => session.Standing == ScoringStatus.DeviceHung, s_long), $"{session.Standing}");
        Assert.Equal((1, 1, 1), (session.Statistics.Hangs, session.Statistics.Losses, session.Statistics.Failures));
        Assert.Equal(ModelCodes.DeviceHung, _told.First().Code);
        Assert.True(session.Statistics.Use is { HedgeMicros: 0, FailedMicros: >= 495_000 }, $"{session.Statistics.Use}");
        _driver.Set();
        Assert.True(SpinWait.SpinUntil(() => session.Standing == ScoringStatus.Scored, s_long), "it does not come back");
        Assert.Equal(ScoringStatus.Scored, session.Score(_rows, 8, _scores));
    }

    [Fact]
    public void Dispose_WhileALateRunIsInTheDriver_DoesNotWaitForItsBound()
    {
        DeviceSession session = Open("cpu", Bounded);
        session.Stall(_driver);
        Assert.Equal(ScoringStatus.DeviceLate, session.Score(_rows, 8, _scores, 0));
        session.Leave();
        var closing = new Thread(session.Dispose) { IsBackground = true };
        closing.Start();
        Assert.True(closing.Join(s_long), "closing waits for a driver that has hung");
        Assert.True(session.Accelerator.Gate.IsHung);
        _driver.Set();
        Assert.True(SpinWait.SpinUntil(() => !session.Accelerator.Gate.IsHung, s_long), "the gate stays shut");
    }

    [Fact]
    public void WhileARunIsLate_NothingElseIsWrittenIntoItsBuffers()
    {
        using OnnxSession session = TestModels.Open(TestModels.Layers().Onnx, 8, Device("cpu", Bounded));
        Assert.Equal(ScoringStatus.Scored, session.Score(_rows, 8, _before));
        session.Stall(_driver);
        Assert.Equal(ScoringStatus.DeviceLate, session.Score(_rows, 8, _scores, TimeSpan.Zero));
        Assert.Equal(ScoringStatus.DeviceLate, session.Score(new float[8 * TestModels.Features], 8, _scores, TimeSpan.Zero));
        _driver.Set();
        Assert.Equal(ScoringStatus.Scored, session.Await(TimeSpan.MaxValue));
        Assert.Equal(ScoringStatus.Scored, session.Read(8, _scores));
        Assert.Equal(_before, _scores);
    }

    [Fact]
    public void LateScoresThatAreNone_LeaveTheHedgesAlone()
    {
        using OnnxSession session = TestModels.Open(TestModels.Layers().Onnx, 8, Device("cpu", Bounded));
        Array.Fill(_rows, float.NaN, 0, TestModels.Features);
        Array.Fill(_scores, 0.25f);
        session.Stall(_driver);
        Assert.Equal(ScoringStatus.DeviceLate, session.Score(_rows, 8, _scores, TimeSpan.Zero));
        _driver.Set();
        Assert.Equal(ScoringStatus.Scored, session.Await(TimeSpan.MaxValue));
        Assert.Equal(ScoringStatus.OutputInvalid, session.Read(8, _scores));
        Assert.All(_scores, score => Assert.Equal(0.25f, score));
    }

    [Fact]
    public void LateRun_ThatFails_IsALoss()
    {
        using OnnxSession session = TestModels.Open(TestModels.Layers().Onnx, 8, Device("cpu", Bounded));
        session.Stall(_driver);
        Assert.Equal(ScoringStatus.DeviceLate, session.Score(_rows, 8, _scores, TimeSpan.Zero));
        session.Kill();
        _driver.Set();
        Assert.Equal(ScoringStatus.DeviceLost, session.Await(TimeSpan.MaxValue));
    }

    [Fact]
    public void DeviceBusyWithAnotherSession_IsWaitedForNoLongerThanTheHedge_AndIsNotLost()
    {
        AcceleratorDevice device = Device("cpu", Bounded);
        using OnnxSession session = TestModels.Open(TestModels.Layers().Onnx, 8, device);
        Assert.True(device.Gate.TryEnter(0));
        ScoringStatus status = ScoringStatus.Scored;
        // Whoever is not hedged waits for the gate as long as it takes.
        var scoring = new Thread(() => status = session.Score(_rows, 8, _scores, TimeSpan.FromMilliseconds(1))) { IsBackground = true };
        scoring.Start();
        Assert.True(scoring.Join(s_long), "it waits for the other session");
        Assert.Equal((ScoringStatus.DeviceLost, true), (status, session.WasBusy));
        device.Gate.Exit();
        Assert.Equal(ScoringStatus.Scored, session.Score(_rows, 8, _scores));
        Assert.False(session.WasBusy);
    }

    [Fact]
    public void DeviceThatIsSetAside_IsToldOnce_WithItsCode_AndOnceThatItIsBack()
    {
        using DeviceSession session = Open("cpu", Bounded);
        session.SetAside(3, 1_000_000);
        session.SetAside(4, 2_000_000);
        DeviceRefusal told = Assert.Single(_told);
        Assert.Equal(("cpu", ModelCodes.DeviceLate), (told.Device, told.Code));
        Assert.Contains("late with 3 batches in a row", told.Reason, StringComparison.Ordinal);
        session.InTime();
        session.SetAside(3, 1_000_000);
        Assert.Equal([ModelCodes.DeviceLate, DeviceCodes.Recovered, ModelCodes.DeviceLate], _told.Select(t => t.Code));
        Assert.Equal((3, 0, true), (session.Statistics.SetAsides, session.Statistics.Losses, session.Statistics.IsUp));
    }

    [Fact]
    public void WithoutABound_NothingCanBeLeft()
    {
        using DeviceSession session = Open("cpu", 0);
        Assert.False(session.CanBeLeft);
        Assert.Equal(ScoringStatus.Scored, session.Score(_rows, 8, _scores, 0));
    }

    private void LeavesAndComesBack(string name)
    {
        using DeviceSession session = Open(name, Bounded);
        Assert.Equal(ScoringStatus.Scored, session.Score(_rows, 8, _before));
        session.Stall(_driver);
        Assert.Equal(ScoringStatus.DeviceLate, session.Score(_rows, 8, _scores, 2_000));
        session.Leave();

        // Its buffers are the run's: nobody else writes into them, and nobody waits.
        Assert.Equal(ScoringStatus.DeviceLate, session.Standing);
        Assert.Equal(ScoringStatus.DeviceLate, session.Score(new float[8 * TestModels.Features], 8, _scores));
        Assert.Equal((1, 1, true), (session.Statistics.Hedges, session.Statistics.HedgesLost, session.Statistics.IsUp));
        Assert.Equal(0, session.Statistics.Use.HedgeMicros);

        _driver.Set();
        Assert.True(SpinWait.SpinUntil(() => session.Standing == ScoringStatus.Scored, s_long), "it does not come back");
        Assert.Equal(ScoringStatus.Scored, session.Score(_rows, 8, _scores));
        Assert.Equal(_before, _scores);
        Assert.True(session.Statistics.Use is { HedgeMicros: >= 1_990, FailedMicros: 0 }, $"{session.Statistics.Use}");
        Assert.Equal((2, 0), (session.Statistics.Batches, session.Statistics.Losses));
        Assert.Empty(_told);
    }

    private DeviceSession Open(string name, int runMillisMax)
    {
        Assert.True(DeviceSession.TryOpen(Device(name, runMillisMax), TestModels.Layers(), 8, TimeProvider.System, new DeviceRetry(TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(100)), _told.Enqueue, out DeviceSession? session, out DeviceRefusal? refusal), refusal?.ToString());
        return session;
    }

    private static AcceleratorDevice Device(string name, int runMillisMax)
    {
        _ = SoftwareWebGpu.Missing; // first: it decides which runtime this process has
        Assert.True(AcceleratorDevice.TryOpen(AcceleratorConfiguration.Named(name) with { RunMillisMax = runMillisMax }, out AcceleratorDevice? device, out DeviceRefusal? refusal), refusal?.ToString());
        return device;
    }
}
