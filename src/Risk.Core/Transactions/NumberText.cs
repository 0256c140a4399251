using System.Globalization;

namespace Risk.Core.Transactions;

/// <summary>
/// Decimal numbers as JSON writes them (RFC 8259, section 6), in CSV as well: no plus sign, no leading zeros, no
/// hexadecimal, no names. The result is the nearest double, ties to even.
/// </summary>
internal static class NumberText
{
    // The powers of ten that a double holds exactly. An array: unoptimised code allocates for a span of constants.
    private static readonly double[] PowersOfTen =
    [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    ];

    /// <summary>
    /// False for what is no such number, for −0, for magnitudes from <see cref="Limits.NumberAbsLimit"/> on, for what
    /// would silently become 0, and past <see cref="Limits.NumberTextSizeMax"/> characters.
    /// </summary>
    public static bool TryParse(ReadOnlySpan<byte> text, out double value)
    {
        value = 0;
        if (text.Length is 0 or > Limits.NumberTextSizeMax)
        {
            return false;
        }

        int at = text[0] == '-' ? 1 : 0;
        bool negative = at == 1;
        ulong digits = 0;
        int wholeStart = at;
        while (at < text.Length && IsDigit(text[at]))
        {
            digits = unchecked(digits * 10 + (uint)(text[at++] - '0'));
        }

        int digitCount = at - wholeStart;
        if (digitCount == 0 || (digitCount > 1 && text[wholeStart] == '0'))
        {
            return false;
        }

        int scale = 0;
        if (at < text.Length && text[at] == '.')
        {
            int fractionStart = ++at;
            while (at < text.Length && IsDigit(text[at]))
            {
                digits = unchecked(digits * 10 + (uint)(text[at++] - '0'));
            }

            scale = fractionStart - at;
            if (scale == 0)
            {
                return false;
            }

            digitCount -= scale;
        }

        if (at < text.Length && !TryExponent(text[at..], ref scale))
        {
            return false;
        }

        // The fast path of Clinger 1990, https://doi.org/10.1145/93548.93557: two exact doubles, one correctly rounded operation.
        if (digitCount <= 19 && digits <= 1UL << 53 && scale is >= -22 and <= 22)
        {
            value = scale < 0 ? digits / PowersOfTen[-scale] : digits * PowersOfTen[scale];
            value = negative ? -value : value;
        }
        else if (!double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out value))
        {
            return false;
        }

        return value == 0 ? !negative && HasOnlyZeros(text) : Math.Abs(value) < Limits.NumberAbsLimit;
    }

    /// <summary>A whole number: digits with at most a minus, up to <see cref="Limits.IntegerAbsMax"/>.</summary>
    public static bool TryParseWhole(ReadOnlySpan<byte> text, out double value) =>
        TryParse(text, out value) && text.IndexOfAny((byte)'.', (byte)'e', (byte)'E') < 0 && Math.Abs(value) <= Limits.IntegerAbsMax;

    /// <summary>Whether the text means not a number or infinity, in any of the ways that programs write them.</summary>
    public static bool IsNotFinite(ReadOnlySpan<byte> text)
    {
        if (text.Length > 0 && text[0] is (byte)'-' or (byte)'+')
        {
            text = text[1..];
        }

        return StartsWith(text, "nan") || StartsWith(text, "inf");
    }

    private static bool StartsWith(ReadOnlySpan<byte> text, string word)
    {
        for (int index = 0; index < word.Length; index++)
        {
            if (index >= text.Length || (text[index] | 0x20) != word[index])
            {
                return false;
            }
        }

        return true;
    }

    private static bool TryExponent(ReadOnlySpan<byte> text, ref int scale)
    {
        if (text[0] is not ((byte)'e' or (byte)'E'))
        {
            return false;
        }

        int at = text.Length > 1 && text[1] is (byte)'+' or (byte)'-' ? 2 : 1;
        if (at == text.Length || text.Length - at > 4)
        {
            return false;
        }

        int exponent = 0;
        foreach (byte digit in text[at..])
        {
            if (!IsDigit(digit))
            {
                return false;
            }

            exponent = exponent * 10 + digit - '0';
        }

        scale += text[1] == '-' ? -exponent : exponent;
        return true;
    }

    private static bool HasOnlyZeros(ReadOnlySpan<byte> text)
    {
        int end = text.IndexOfAny((byte)'e', (byte)'E');
        return (end < 0 ? text : text[..end]).IndexOfAnyInRange((byte)'1', (byte)'9') < 0;
    }

    private static bool IsDigit(byte character) => (uint)(character - '0') <= 9;
}
