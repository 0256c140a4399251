using Risk.Core.Costs;

namespace Risk.Core.Tests.Costs;

/// <summary>Joules by a counter that is asked now and then; the watts model runs at 100 W throughout.</summary>
public sealed class CountedEnergyTests
{
    private const long Joule = 1_000_000_000; // nJ
    private const long Tenth = 100_000;       // µs: how often the counter is asked

    private double? _counter = 1_000;
    private int _asked;
    private long _modelled;
    private readonly CountedEnergy _energy;

    public CountedEnergyTests() => _energy = new CountedEnergy(() => { _asked++; return _counter; }, powerUsageEffectiveness: 1);

    [Fact]
    public void CounterIsAskedTenTimesASecond_AndBetweenItsRateGoesOn()
    {
        Pass(Tenth);
        _counter += 20; // twice the model's 10 J
        Assert.Equal(30 * Joule, Pass(Tenth)); // 10 J by the watts before it had answered, then its 20
        Assert.Equal(2, _asked);
        for (int hundredth = 1; hundredth < 10; hundredth++)
        {
            Assert.Equal((30 + (2 * hundredth)) * Joule, Pass(Tenth / 10));
            Assert.Equal(2, _asked);
        }
        _counter += 20;
        Assert.Equal(50 * Joule, Pass(Tenth / 10));
        Assert.Equal(3, _asked);
    }

    [Fact]
    public void WhatWasEstimatedTooHigh_IsNotTakenBack_AndNotChargedAgain()
    {
        Pass(Tenth);
        _counter += 20;
        Pass(Tenth);
        Assert.Equal(48 * Joule, Pass(Tenth - 10_000)); // 18 J at twice the watts
        _counter += 5;
        Assert.Equal(48 * Joule, Pass(10_000)); // the sum is 35 J by now
        _counter += 10;
        Assert.Equal(48 * Joule, Pass(Tenth));
        _counter += 10;
        Assert.Equal(55 * Joule, Pass(Tenth));
    }

    [Fact]
    public void CounterThatBeganAnew_IsTakenFromThere_AndTheTimeBetweenIsTheWatts()
    {
        Pass(Tenth);
        _counter = 5;
        Assert.Equal(20 * Joule, Pass(Tenth));
        Assert.True(_energy.IsCounting);
        _counter += 7;
        Assert.Equal(27 * Joule, Pass(Tenth));
    }

    [Fact]
    public void RateBetweenAnswers_IsTenTimesTheWattsAtMost()
    {
        Pass(Tenth);
        _counter += 1_000; // the card had not told for a while
        Assert.Equal(1_010 * Joule, Pass(Tenth));
        Assert.Equal(1_020 * Joule, Pass(Tenth / 10));
    }

    [Fact]
    public void WhereTheWattsExpectNothing_TheRateIsTheirsAgain()
    {
        Pass(Tenth);
        _counter += 3;
        Assert.Equal(13 * Joule, (long)_energy.Advance(_modelled, Tenth)); // stated as 0 W just then
        Assert.Equal(14 * Joule, Pass(Tenth / 10));
    }

    /// <summary>Time at 100 W.</summary>
    private long Pass(long micros) => (long)_energy.Advance(_modelled += micros * 100_000, micros);
}
