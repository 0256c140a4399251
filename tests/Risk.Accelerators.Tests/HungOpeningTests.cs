using Risk.Cli;
using Risk.Core.Devices;
using Risk.Core.Models;
using Risk.Inference.Devices;
using Risk.Service.Engine;

namespace Risk.Accelerators.Tests;

/// <summary>A driver that hangs while a device or a session is opened: the engine starts without it, and says so.</summary>
[Collection(SoftwareWebGpu.Collection)]
public sealed class HungOpeningTests : IDisposable
{
    private static readonly TimeSpan s_long = TimeSpan.FromSeconds(60);

    private readonly List<DeviceRefusal> _told = [];
    private readonly ManualResetEventSlim _driver = new(); // set: it lets go

    public HungOpeningTests() => _ = SoftwareWebGpu.Missing; // first: it decides which runtime this process has

    public void Dispose()
    {
        _driver.Set();
        _driver.Dispose();
    }

    [Fact]
    public void SessionThatDoesNotOpen_IsLeftBehind_AndTheEngineServesOnTheProcessor()
    {
        var devices = new ServingDevices([Bounded(60_000)], _told.Add);
        AcceleratorDevice device = Assert.Single(devices.Devices);
        (device.StallOpening, device.OpenMillisMax) = (_driver, 300);
        StreamFiles files = StreamFiles.Load("card-payments");
        Assert.True(ServingModel.TryOpen(ModelFiles.Load(files.Definition), files.Definition, 8, devices, out ServingModel? model, out ModelRefusal? refusal), refusal?.Reason);
        using (model)
        {
            Assert.Empty(model.Devices);
            DeviceRefusal told = Assert.Single(_told);
            Assert.Equal(("second", ModelCodes.DeviceHung), (told.Device, told.Code));
            Assert.Contains("openMillisMax", told.Reason, StringComparison.Ordinal);
            float[] score = new float[1];
            Assert.Equal(0, model.Ladder.Score(new float[model.Ladder.Scorers[0].FeatureCount], 1, score).Rung);
            Assert.InRange(score[0], 0, 1);
        }

        // Nobody goes where it has not come back from; once it has, the session that came too late is closed and the device is free.
        device.StallOpening = null; // what is opened from now on would open
        Assert.False(DeviceSession.TryOpen(device, TestModels.Layers(), 8, out _, out DeviceRefusal? hung));
        Assert.Equal(ModelCodes.DeviceHung, hung.Code);
        _driver.Set();
        Assert.True(SpinWait.SpinUntil(() => !device.Gate.IsHung, s_long), "the gate stays shut");
        device.OpenMillisMax = 60_000;
        Assert.True(DeviceSession.TryOpen(device, TestModels.Layers(), 8, out Inference.OnnxSession? session, out hung), hung?.ToString());
        session.Dispose();
    }

    [Fact]
    public void DeviceThatDoesNotOpen_IsRefused()
    {
        ReadyProfile hanging = ReadyProfiles.Find("cpu")! with { Prepare = _driver.Wait };
        Assert.False(AcceleratorOpening.TryOpen(Bounded(300), hanging, out _, out DeviceRefusal? refusal));
        Assert.Equal(("second", ModelCodes.DeviceHung), (refusal.Device, refusal.Code));
    }

    [Fact]
    public void WhatAnOpeningThrows_IsThrownToWhoeverAsked()
    {
        Assert.Throws<InvalidOperationException>(() => BoundedOpening<int>.TryRun("test", 60_000, () => throw new InvalidOperationException(), () => { }, _ => { }, out _));
        Assert.True(BoundedOpening<int>.TryRun("test", 60_000, () => 7, () => { }, _ => { }, out int opened));
        Assert.Equal(7, opened);
    }

    [Theory]
    [InlineData("cpu", 0)]
    [InlineData("cuda", 120_000)]
    [InlineData("tensorrt", 600_000)]
    public void Bound_IsTheReadyProfiles_UnlessConfigured(string name, int millis) => Assert.Equal(millis, ReadyProfiles.Find(name)!.OpenMillisMax);

    private static AcceleratorConfiguration Bounded(int openMillisMax) => AcceleratorConfiguration.Named("second") with { Provider = "cpu", OpenMillisMax = openMillisMax };
}
