using Risk.Core.Models;

namespace Risk.Core.Tests.Models;

public sealed class LogisticTests
{
    [Fact]
    public void Exp_And_Log_AreWithinTwoUnitsInTheLastPlace()
    {
        for (var x = -700.0; x < 700; x += 0.37)
        {
            AssertClose(Math.Exp(x), Logistic.Exp(x), 3, $"exp({x})");
        }

        for (var x = 1e-300; x < 1e300; x *= 1.37)
        {
            AssertClose(Math.Log(x), Logistic.Log(x), 3, $"log({x})");
        }
    }

    [Theory]
    [InlineData(0, 0.5)]
    [InlineData(double.PositiveInfinity, 1)]
    [InlineData(40, 1)]
    public void Of_KnownValues(double x, double expected) => Assert.Equal(expected, Logistic.Of(x));

    [Fact]
    public void Of_IsMonotone_AndNeverBelowZero()
    {
        var before = 0.0;
        for (var x = -800.0; x < 800; x += 0.01)
        {
            var value = Logistic.Of(x);
            Assert.True(value >= before && value <= 1, $"{x}");
            before = value;
        }

        Assert.InRange(Logistic.Of(double.NegativeInfinity), 0, 1e-300);
    }

    [Fact]
    public void Logit_UndoesLogistic()
    {
        for (var x = -15f; x < 6; x += 0.13f)
        {
            var p = (float)Logistic.Of(x);
            Assert.Equal(Math.Log(p / (1.0 - p)), Logistic.Logit(p), 1e-12);
        }
    }

    [Fact]
    public void Calibration_KeepsTheOrder_AndTheEnds()
    {
        var calibration = new ModelCalibration(0.99935, -0.055449);
        Assert.Equal(0, calibration.Apply(0));
        Assert.Equal(1, calibration.Apply(1));
        Assert.Equal(1 / (1 + Math.Exp(0.055449)), calibration.Apply(0.5f), 1e-15);
        Assert.Equal(0.25, ModelCalibration.None.Apply(0.25f), 1e-15);
    }

    private static void AssertClose(double expected, double actual, int units, string what) =>
        Assert.True(Math.Abs(BitConverter.DoubleToInt64Bits(expected) - BitConverter.DoubleToInt64Bits(actual)) <= units, $"{what} is {actual:R}, expected {expected:R}");
}
