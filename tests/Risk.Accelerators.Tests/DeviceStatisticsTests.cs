using System.Diagnostics;
using Risk.Core.Costs;
using Risk.Inference.Devices;

namespace Risk.Accelerators.Tests;

public sealed class DeviceStatisticsTests
{
    private static readonly long s_micro = Stopwatch.Frequency / 1_000_000; // ticks

    private readonly DeviceStatistics _statistics = new();

    [Fact]
    public void RunThatWasUsed_IsABatch_ItsPaddingIsTold_AndEachRowWaitedForAllOfIt()
    {
        _statistics.Took(8 * s_micro, rows: 3, paddedRows: 4, RunFate.Used);
        _statistics.Took(5 * s_micro, rows: 1, paddedRows: 1, RunFate.Failed);
        Assert.Equal(new DeviceUse(2, 13, 2, 5, 0, 0), _statistics.Use);
        Assert.Equal((1, 3, 3, 1), (_statistics.Batches, _statistics.Rows, _statistics.LastBatch, _statistics.Failures));
        Assert.Equal((8, 24, 5), (_statistics.ComputeMicros, _statistics.RequestMicros, _statistics.FailedMicros));
    }

    [Fact]
    public void WhileItWarmsUp_RunsCost_AndAreNobodysBatches_AndWhatFailsIsStillAFailure()
    {
        _statistics.IsWarmingUp = true;
        _statistics.Took(8 * s_micro, rows: 3, paddedRows: 4, RunFate.Used);
        _statistics.Took(5 * s_micro, rows: 3, paddedRows: 4, RunFate.Failed);
        _statistics.Took(3 * s_micro, rows: 3, paddedRows: 4, RunFate.HedgeLost);
        Assert.Equal(new DeviceUse(3, 16, 0, 5, 3, 8), _statistics.Use);
        Assert.Equal((0, 0, 0, 1), (_statistics.Batches, _statistics.Rows, _statistics.LastBatch, _statistics.Failures));
        Assert.Equal((0, 0), (_statistics.ComputeMicros, _statistics.RequestMicros));
        _statistics.IsWarmingUp = false;
        _statistics.Took(4 * s_micro, rows: 1, paddedRows: 1, RunFate.Used);
        Assert.Equal((1, 8), (_statistics.Batches, _statistics.Use.WarmUpMicros));
    }

    [Fact]
    public void WhatIsLessThanAMicrosecond_IsNotLost()
    {
        long ticks = s_micro - 1, runs = 1_000;
        for (int i = 0; i < runs; i++) { _statistics.Took(ticks, 1, 1, RunFate.Used); }
        Assert.Equal(ticks * runs / s_micro, _statistics.Use.BusyMicros);
    }
}
