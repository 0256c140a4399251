using System.Globalization;

namespace Risk.Core.Transactions;

/// <summary>Durations as they are written in definitions: a whole number and one of ms, s, m, h, d, such as <c>7d</c>.</summary>
public static class DurationText
{
    /// <summary>False for anything else, and past <see cref="Limits.DurationMax"/>.</summary>
    public static bool TryParse(string text, out long micros)
    {
        (string digits, long unit) = text switch
        {
            [.. var head, 'm', 's'] => (head, 1000),
            [.. var head, 's'] => (head, Micro.Second),
            [.. var head, 'm'] => (head, Micro.Minute),
            [.. var head, 'h'] => (head, Micro.Hour),
            [.. var head, 'd'] => (head, Micro.Day),
            _ => ("", 0L),
        };
        bool good = long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out long count) && count <= Limits.DurationMax / unit;
        micros = good ? count * unit : 0;
        return good;
    }
}
