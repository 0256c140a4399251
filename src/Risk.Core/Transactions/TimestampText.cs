namespace Risk.Core.Transactions;

/// <summary>
/// Timestamps as RFC 3339 writes them, <c>2018-04-01T00:00:31Z</c>: a zone is required, <c>Z</c> or an offset
/// (<c>+02:00</c>, also <c>+0200</c> and <c>+02</c>); <c>T</c> may be a space, as databases write it. Fractions of up to
/// nine digits, of which six count. No leap seconds, no 24:00. Source: https://www.rfc-editor.org/rfc/rfc3339.
/// </summary>
internal static class TimestampText
{
    private const int SecondsEnd = 19;
    private const int SizeMax = 35;

    /// <summary>Microseconds since the Unix epoch; false for anything else.</summary>
    public static bool TryParse(ReadOnlySpan<byte> text, out long micros)
    {
        micros = 0;
        if (text.Length is < SecondsEnd + 1 or > SizeMax
            || text[4] != '-' || text[7] != '-' || text[10] is not ((byte)'T' or (byte)' ') || text[13] != ':' || text[16] != ':')
        {
            return false;
        }

        uint bad = 0;
        int year = Two(text, 0, ref bad) * 100 + Two(text, 2, ref bad);
        int month = Two(text, 5, ref bad), day = Two(text, 8, ref bad);
        int hour = Two(text, 11, ref bad), minute = Two(text, 14, ref bad), second = Two(text, 17, ref bad);
        if (bad > 9 || year == 0 || (uint)(month - 1) > 11 || hour > 23 || minute > 59 || second > 59
            || (uint)(day - 1) > 27 && (uint)(day - 1) >= (uint)DateTime.DaysInMonth(year, month))
        {
            return false;
        }

        long seconds = DaysSinceEpoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        if (text.Length == SecondsEnd + 1 && text[SecondsEnd] == 'Z')
        {
            micros = seconds * Micro.Second;
            return true;
        }

        return TryFractionAndZone(text[SecondsEnd..], seconds, out micros);
    }

    private static bool TryFractionAndZone(ReadOnlySpan<byte> text, long seconds, out long micros)
    {
        micros = seconds * Micro.Second;
        int at = 0;
        if (text[0] == '.')
        {
            long unit = Micro.Second;
            for (at = 1; at < text.Length && (uint)(text[at] - '0') <= 9; at++)
            {
                unit /= 10;
                micros += (text[at] - '0') * unit;
            }

            if (at is 1 or > 10 || at == text.Length)
            {
                return false;
            }
        }

        ReadOnlySpan<byte> zone = text[at..];
        if (zone is [(byte)'Z'])
        {
            return true;
        }

        uint bad = 0;
        int sign = zone[0] switch { (byte)'+' => 1, (byte)'-' => -1, _ => 0 };
        int minutes;
        switch (zone.Length)
        {
            case 3: minutes = Two(zone, 1, ref bad) * 60; break;
            case 5: minutes = OffsetMinutes(zone, 3, ref bad); break;
            case 6 when zone[3] == ':': minutes = OffsetMinutes(zone, 4, ref bad); break;
            default: return false;
        }

        // Offsets in use go from −12:00 to +14:00.
        if (sign == 0 || bad > 9 || minutes > 14 * 60)
        {
            return false;
        }

        micros -= sign * minutes * Micro.Minute;
        return true;
    }

    private static int OffsetMinutes(ReadOnlySpan<byte> zone, int minutesAt, ref uint bad)
    {
        int minutes = Two(zone, minutesAt, ref bad);
        bad = minutes > 59 ? 16 : bad;
        return Two(zone, 1, ref bad) * 60 + minutes;
    }

    // `bad` keeps the largest digit seen; above 9 one was none.
    private static int Two(ReadOnlySpan<byte> text, int at, ref uint bad)
    {
        uint tens = (uint)(text[at] - '0'), ones = (uint)(text[at + 1] - '0');
        bad = Math.Max(bad, Math.Max(tens, ones));
        return (int)(tens * 10 + ones);
    }

    // Howard Hinnant, days_from_civil, https://howardhinnant.github.io/date_algorithms.html; years 1 to 9999.
    private static long DaysSinceEpoch(int year, int month, int day)
    {
        int shifted = month <= 2 ? year - 1 : year;
        int era = shifted / 400;
        int yearOfEra = shifted - era * 400;
        int dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
        int dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear;
        return era * 146_097L + dayOfEra - 719_468;
    }
}
