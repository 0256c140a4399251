using System.Collections.Concurrent;
using Risk.Core.Devices;
using Risk.Core.Models;
using Risk.Inference;
using Risk.Inference.Devices;

namespace Risk.Accelerators.Tests;

/// <summary>A device that neither answers nor fails: its batch goes on elsewhere, it is counted, and it is taken back when it answers again.</summary>
[Collection(SoftwareWebGpu.Collection)]
public sealed class HungDeviceTests : IDisposable
{
    private static readonly DeviceRetry s_soon = new(TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(100));

    private readonly ConcurrentQueue<DeviceRefusal> _told = new();
    private readonly ManualResetEventSlim _driver = new(); // set: it lets go

    public void Dispose()
    {
        _driver.Set();
        _driver.Dispose();
    }

    [Fact]
    public void HungDevice_LosesOneBatchToTheNext_AndComesBackByItself() => HangsAndRecovers(Bounded("cpu", 1000));

    [WebGpuFact]
    public void HungWebGpu_LosesOneBatchToTheNext_AndComesBackByItself() => HangsAndRecovers(Bounded("webgpu-software", 3000));

    [Fact]
    public void AnotherSessionOfTheDevice_DoesNotWaitForIt_AndComesBackAsWell()
    {
        AcceleratorDevice device = Bounded("cpu", 1000);
        using DeviceSession hung = Open(device), other = Open(device);
        hung.Stall(_driver);
        Assert.Equal(ScoringStatus.DeviceHung, Score(hung));
        Assert.Equal(ScoringStatus.DeviceHung, Score(other)); // it would be DeviceLost, and no loss, after two seconds of waiting
        Assert.Equal((1, 1), (other.Statistics.Hangs, other.Statistics.Losses));
        _driver.Set();
        WaitUntilItScores(hung);
        WaitUntilItScores(other);
    }

    [Fact]
    public void Dispose_WhileARunIsInTheDriver_Returns_AndTheDeviceIsFreeWhenItLetsGo()
    {
        AcceleratorDevice device = Bounded("cpu", 200);
        DeviceSession session = Open(device);
        session.Stall(_driver);
        Assert.Equal(ScoringStatus.DeviceHung, Score(session));
        session.Dispose();
        Assert.True(device.Gate.IsHung);
        Assert.False(DeviceSession.TryOpen(device, TestModels.Layers(), 8, out _, out DeviceRefusal? refusal));
        Assert.Equal(ModelCodes.DeviceHung, refusal.Code);
        _driver.Set();
        Assert.True(SpinWait.SpinUntil(() => !device.Gate.IsHung, TimeSpan.FromSeconds(60)), "the gate stays shut");
        Open(device).Dispose();
    }

    [Fact]
    public void WithoutABound_TheBatchRunsOnTheThreadThatScores()
    {
        using DeviceSession session = Open(Bounded("cpu", 0));
        session.Stall(_driver);
        var scoring = new Thread(() => Score(session)) { IsBackground = true };
        scoring.Start();
        Assert.False(scoring.Join(400));
        _driver.Set();
        Assert.True(scoring.Join(TimeSpan.FromSeconds(60)));
        Assert.Equal(0, session.Statistics.Losses);
    }

    [Theory]
    [InlineData("cpu", 0)]
    [InlineData("cuda", 2000)]
    [InlineData("webgpu-software", 60_000)]
    public void Bound_IsTheReadyProfiles_UnlessConfigured(string name, int millis) => Assert.Equal(millis, ReadyProfiles.Find(name)!.RunMillisMax);

    private void HangsAndRecovers(AcceleratorDevice device)
    {
        using DeviceSession session = Open(device);
        using OnnxSession processor = TestModels.Open(TestModels.Layers().Onnx, 8, null);
        var ladder = new ModelLadder(session, processor);
        float[] rows = TestModels.Rows(5), before = new float[5], scores = new float[5];
        Assert.Equal(0, ladder.Score(rows, 5, before).Rung);
        long opening = session.Statistics.Use.WarmUpMicros;
        Assert.True(opening > 0);

        session.Stall(_driver);
        LadderStep step = ladder.Score(rows, 5, scores);
        Assert.Equal((1, "DEVICE_HUNG"), (step.Rung, System.Text.Encoding.UTF8.GetString(step.Cause.Span)));
        for (int i = 0; i < 5; i++) { Assert.Equal(before[i], scores[i], 1e-5f); }
        Assert.Equal((1, 1, false), (session.Statistics.Hangs, session.Statistics.Losses, session.Statistics.IsUp));
        Assert.True(session.Statistics.FailedMicros >= device.RunMillisMax * 1000 * 0.99);

        // While the driver keeps the run: every batch goes on at once, every try says why nothing is opened.
        Assert.Equal(1, ladder.Score(rows, 5, scores).Rung);
        Assert.True(SpinWait.SpinUntil(() => _told.Count >= 3, TimeSpan.FromSeconds(60)), "it is not tried again");
        Assert.All(_told, told => Assert.Equal(ModelCodes.DeviceHung, told.Code));

        _driver.Set();
        WaitUntilItScores(session);
        Assert.Equal(0, ladder.Score(rows, 5, scores).Rung);
        Assert.Equal(before, scores);
        Assert.Equal((1, 1), (session.Statistics.Losses, session.Statistics.Recoveries));
        Assert.True(session.Statistics.Use.WarmUpMicros > opening, "opening it again cost nothing");
        Assert.Equal(DeviceCodes.Recovered, _told.Last().Code);
    }

    private static ScoringStatus Score(DeviceSession session) => session.Score(TestModels.Rows(1), 1, new float[1]);

    private static void WaitUntilItScores(DeviceSession session)
    {
        Assert.True(SpinWait.SpinUntil(() => session.Statistics.IsUp, TimeSpan.FromSeconds(60)), "it does not come back");
        Assert.Equal(ScoringStatus.Scored, Score(session));
    }

    private static AcceleratorDevice Bounded(string name, int millis)
    {
        _ = SoftwareWebGpu.Missing; // first: it decides which runtime this process has
        Assert.True(AcceleratorDevice.TryOpen(AcceleratorConfiguration.Named(name) with { RunMillisMax = millis }, out AcceleratorDevice? device, out DeviceRefusal? refusal), refusal?.ToString());
        return device;
    }

    private DeviceSession Open(AcceleratorDevice device)
    {
        Assert.True(DeviceSession.TryOpen(device, TestModels.Layers(), 8, TimeProvider.System, s_soon, _told.Enqueue, out DeviceSession? session, out DeviceRefusal? refusal), refusal?.ToString());
        return session;
    }
}
