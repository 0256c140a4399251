using Risk.Core.Devices;

namespace Risk.Core.Tests.Devices;

public sealed class CostCurveTests
{
    private static readonly ModelCurve s_curve = new("m", "1", "v", null, [new CostPoint(4, 10, 20, 1, 5, 0.1), new CostPoint(8, 20, 40, 3, 7, 0.3), new CostPoint(64, 48, 68, 3, 7)]);

    [Fact]
    public void BetweenMeasuredSizes_LiesOnTheLine()
    {
        CostCurve curve = new(s_curve, isPadded: false);
        Assert.Equal(new CostPoint(8, 20, 40, 3, 7, 0.3), curve.At(8));
        Assert.Equal(new CostPoint(5, 12.5, 25, 1.5, 5.5, 0.15), curve.At(5));
        Assert.Equal(34, curve.At(36).MedianMicros, 1e-9);
        Assert.Null(curve.At(36).JoulesPerBatch);
        Assert.Equal((7, 64), (curve.Padded(7), curve.BatchMax));
    }

    [Fact]
    public void BelowTheSmallest_IsTheSmallest_AndPastTheLargestIsNothing()
    {
        CostCurve curve = new(s_curve, isPadded: false);
        Assert.Equal(10, curve.At(1).MedianMicros);
        Assert.Throws<ArgumentOutOfRangeException>(() => curve.At(65));
        Assert.Throws<ArgumentOutOfRangeException>(() => curve.At(0));
        Assert.Throws<ArgumentException>(() => new CostCurve(s_curve with { Points = [] }, isPadded: false));
    }

    [Fact]
    public void PaddedDevice_RunsTheNextMeasuredSize()
    {
        CostCurve curve = new(s_curve, isPadded: true);
        Assert.Equal([4, 4, 8, 64], ((int[])[1, 4, 5, 9]).Select(curve.Padded));
        Assert.Equal([10, 10, 20, 48], ((int[])[1, 4, 5, 9]).Select(rows => curve.At(rows).MedianMicros));
    }
}
