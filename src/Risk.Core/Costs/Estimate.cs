namespace Risk.Core.Costs;

/// <summary>A number that is not known exactly: the least it might be, what is expected, and the most. None is negative.</summary>
public readonly record struct Estimate(double Low, double Value, double High)
{
    public static Estimate Zero => default;

    public static Estimate Of(double value) => new(value, value, value);
    public static Estimate Of(in PriceFigure figure) => new(figure.Low, figure.Value, figure.High);

    public double At(Scenario scenario) => scenario switch { Scenario.Low => Low, Scenario.High => High, _ => Value };

    public static Estimate operator +(Estimate left, Estimate right) => new(left.Low + right.Low, left.Value + right.Value, left.High + right.High);
    public static Estimate operator *(Estimate left, Estimate right) => new(left.Low * right.Low, left.Value * right.Value, left.High * right.High);
    public static Estimate operator *(Estimate left, double right) => new(left.Low * right, left.Value * right, left.High * right);

    /// <summary>The least over the most, and the other way round.</summary>
    public static Estimate operator /(Estimate left, Estimate right) => new(left.Low / right.High, left.Value / right.Value, left.High / right.Low);

    /// <summary>What a part adds that lies between two levels, such as full watts over idle watts; never below 0.</summary>
    public static Estimate Between(Estimate lower, Estimate upper) =>
        new(Math.Max(0, upper.Low - lower.Low), Math.Max(0, upper.Value - lower.Value), Math.Max(0, upper.High - lower.High));
}

/// <summary>Which end of the estimates is taken.</summary>
public enum Scenario : byte
{
    Expected = 0,
    /// <summary>Every figure at its least: prices and times low.</summary>
    Low = 1,
    /// <summary>Every figure at its most.</summary>
    High = 2,
}
