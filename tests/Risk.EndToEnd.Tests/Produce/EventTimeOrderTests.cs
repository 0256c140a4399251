using Risk.Cli.Produce;

namespace Risk.EndToEnd.Tests.Produce;

public sealed class EventTimeOrderTests
{
    [Theory]
    [InlineData(0, "3 1 2", "3 1 2")]
    [InlineData(0, "1 1 2 2", "1 1 2 2")]
    [InlineData(10, "3 1 2 20 15", "1 2 3 15 20")]
    // 2 comes 18 behind 20: in its place, no further back.
    [InlineData(10, "3 20 2 30", "3 2 20 30")]
    public void Order_WithinGrace_IsEventTime(long grace, string arrivals, string expected)
    {
        var order = new EventTimeOrder<int>(grace, 1000);
        var got = new List<int>();
        foreach (int time in arrivals.Split(' ').Select(int.Parse))
        {
            order.Add(time, time);
            Take(order, got);
        }
        order.End();
        Take(order, got);
        Assert.Equal(expected, string.Join(' ', got));
    }

    [Fact]
    public void EqualTimes_KeepTheirOrder()
    {
        var order = new EventTimeOrder<int>(1_000, 1000);
        for (int item = 0; item < 500; item++) { order.Add(item, item / 100); }
        order.End();
        var got = new List<int>();
        Take(order, got);
        Assert.Equal(Enumerable.Range(0, 500), got);
    }

    [Fact]
    public void WhatWaits_IsBounded()
    {
        var order = new EventTimeOrder<int>(long.MaxValue / 2, 10);
        var got = new List<int>();
        for (int item = 0; item < 100; item++)
        {
            order.Add(item, item);
            Take(order, got);
            Assert.InRange(item + 1 - got.Count, 0, 10);
        }
    }

    [Theory]
    [InlineData("x60", 60.0)]
    [InlineData("0.5", 0.5)]
    [InlineData("x", null)]
    [InlineData("-1", null)]
    [InlineData("x0", null)]
    [InlineData("fast", null)]
    public void Speed_IsRead(string text, double? expected)
    {
        bool good = ProducePace.TrySpeed(text, out double speed);
        Assert.Equal(expected, good ? speed : null);
    }

    [Fact]
    public void Pace_SaysWhenAMessageIsDue()
    {
        Assert.Equal(0, ProducePace.Unlimited.DueSeconds(1000, 1_000_000));
        Assert.Equal(2, new ProducePace(500, 0).DueSeconds(1000, 1_000_000));
        Assert.Equal(0.5, new ProducePace(0, 120).DueSeconds(1000, 60_000_000));
        Assert.Equal(0, new ProducePace(0, 120).DueSeconds(1000, -5));
    }

    private static void Take(EventTimeOrder<int> order, List<int> got)
    {
        while (order.TryTake(out int item, out long time))
        {
            got.Add(item);
        }
    }
}
