namespace Risk.Core.Models;

/// <summary>
/// The logistic function and its inverse from additions, multiplications and divisions alone, so that a score has the same
/// bits on every machine: <c>Math.Exp</c> and <c>Math.Log</c> are the C library's and differ between them.
/// Both are within 2 units in the last place of the true value (tests/Risk.Core.Tests/Models/LogisticTests.cs).
/// </summary>
public static class Logistic
{
    private const double Log2E = 1.4426950408889634;
    private const double Ln2High = 6.93147180369123816490e-01; // the 33 leading bits of ln 2: n · Ln2High is exact for |n| < 2^20
    private const double Ln2Low = 1.90821492927058770002e-10;

    /// <summary>1 / (1 + e^−x), any x but NaN.</summary>
    public static double Of(double x)
    {
        double e = Exp(-Math.Abs(x));
        return x >= 0 ? 1 / (1 + e) : e / (1 + e);
    }

    /// <summary>ln(p / (1 − p)) for 0 &lt; p &lt; 1; <c>1 − p</c> is exact, for <paramref name="p"/> is a float32.</summary>
    public static double Logit(float p) => Log(p) - Log(1.0 - p);

    /// <summary>e^x for −708 ≤ x ≤ 708; beyond, the value at the bound (never 0, never infinite).</summary>
    internal static double Exp(double x)
    {
        x = Math.Clamp(x, -708, 708);
        double n = Math.Floor((x * Log2E) + 0.5);
        double r = x - (n * Ln2High) - (n * Ln2Low); // |r| ≤ ln2/2: the Taylor remainder after r^13 is 4e-18

        double p = 1.0 / 6227020800;
        p = (p * r) + (1.0 / 479001600);
        p = (p * r) + (1.0 / 39916800);
        p = (p * r) + (1.0 / 3628800);
        p = (p * r) + (1.0 / 362880);
        p = (p * r) + (1.0 / 40320);
        p = (p * r) + (1.0 / 5040);
        p = (p * r) + (1.0 / 720);
        p = (p * r) + (1.0 / 120);
        p = (p * r) + (1.0 / 24);
        p = (p * r) + (1.0 / 6);
        p = (p * r) + 0.5;
        p = (p * r) + 1;
        p = (p * r) + 1;
        return p * BitConverter.Int64BitsToDouble(((long)n + 1023) << 52);
    }

    /// <summary>ln x for a normal x above 0.</summary>
    internal static double Log(double x)
    {
        long bits = BitConverter.DoubleToInt64Bits(x);
        int exponent = (int)(bits >> 52) - 1023;
        double m = BitConverter.Int64BitsToDouble((bits & 0x000F_FFFF_FFFF_FFFF) | 0x3FF0_0000_0000_0000);
        if (m > 1.4142135623730951)
        {
            m *= 0.5;
            exponent++;
        }

        double f = (m - 1) / (m + 1); // |f| ≤ 0.1716: ln m = 2 (f + f³/3 + ...), remainder after f^19 4e-18
        double s = f * f;
        double p = 1.0 / 19;
        for (int k = 17; k >= 3; k -= 2)
        {
            p = (p * s) + (1.0 / k);
        }

        return (exponent * Ln2High) + ((2 * f) + ((2 * f * s * p) + (exponent * Ln2Low)));
    }
}
