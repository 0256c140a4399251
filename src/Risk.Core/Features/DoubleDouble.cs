using System.Runtime.CompilerServices;

namespace Risk.Core.Features;

/// <summary>
/// A sum kept as an unevaluated pair (high + low), about 106 bits: adding an event and later taking it away again leaves
/// nothing behind that can be seen (see <see cref="Holds"/>), so sliding sums do not drift. Dekker 1971, Knuth TAOCP 2 §4.2.2,
/// https://doi.org/10.1007/PL00009321 (Shewchuk).
/// </summary>
internal static unsafe class DoubleDouble
{
    /// <summary>Adds to the pair at <paramref name="sum"/> (two words holding doubles).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(double* sum, double value)
    {
        double high = sum[0] + value;
        double part = high - sum[0];
        double error = (sum[0] - (high - part)) + (value - part) + sum[1];
        double result = high + error;
        sum[1] = error - (result - high);
        sum[0] = result;
    }

    /// <summary>Adds ±value², exactly.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AddSquare(double* sum, double value, double sign)
    {
        double square = value * value;
        double rest = Math.FusedMultiplyAdd(value, value, -square);
        Add(sum, sign * square);
        Add(sum, sign * rest);
    }

    /// <summary>
    /// Whether the sum is still large enough beside a part just taken away. The pair was rounded at 2⁻¹⁰⁴ of that part;
    /// past 2⁻²⁵ of it a variance, which loses half of the digits again, would show it at 10⁻⁹.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Holds(double* sum, double taken) => Math.Abs(sum[0]) >= Math.Abs(taken) * (1.0 / (1 << 25));

    /// <summary>Population variance from n, Σx and Σx² as pairs; never negative.</summary>
    public static double Variance(double* sum, double* squares, long count)
    {
        // Σx² − (Σx)²/n, with the product and the quotient carried to full width before the cancellation.
        double high = sum[0] * sum[0];
        double low = Math.FusedMultiplyAdd(sum[0], sum[0], -high) + 2 * sum[0] * sum[1];
        double quotient = high / count;
        double rest = (Math.FusedMultiplyAdd(-quotient, count, high) + low) / count;
        double difference = (squares[0] - quotient) + (squares[1] - rest);
        return Math.Max(0, difference / count);
    }
}
