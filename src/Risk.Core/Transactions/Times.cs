namespace Risk.Core.Transactions;

/// <summary>When a transaction happened, in microseconds since 1970-01-01T00:00:00Z; the clock of every window.</summary>
public readonly record struct EventTime(long Micros) : IComparable<EventTime>
{
    public int CompareTo(EventTime other) => Micros.CompareTo(other.Micros);
    public static bool operator <(EventTime left, EventTime right) => left.Micros < right.Micros;
    public static bool operator >(EventTime left, EventTime right) => left.Micros > right.Micros;
    public static bool operator <=(EventTime left, EventTime right) => left.Micros <= right.Micros;
    public static bool operator >=(EventTime left, EventTime right) => left.Micros >= right.Micros;
    public DateTimeOffset ToDateTimeOffset() => Micro.ToDateTimeOffset(Micros);
    public override string ToString() => Micro.ToIso8601(Micros);
}

/// <summary>When a transaction reached the engine, in microseconds since 1970-01-01T00:00:00Z.</summary>
public readonly record struct IngestTime(long Micros);

/// <summary>When the decision was taken, in microseconds since 1970-01-01T00:00:00Z.</summary>
public readonly record struct DecisionTime(long Micros);

/// <summary>The unit of all times inside the engine: one microsecond, counted from the Unix epoch.</summary>
public static class Micro
{
    public const long Second = 1_000_000;
    public const long Minute = 60 * Second;
    public const long Hour = 60 * Minute;
    public const long Day = 24 * Hour;

    public static long FromDateTimeOffset(DateTimeOffset time) => (time.UtcTicks - DateTime.UnixEpoch.Ticks) / TimeSpan.TicksPerMicrosecond;
    public static DateTimeOffset ToDateTimeOffset(long micros) => new(DateTime.UnixEpoch.Ticks + micros * TimeSpan.TicksPerMicrosecond, TimeSpan.Zero);

    /// <summary>ISO 8601 in UTC; fractions only when there are any.</summary>
    public static string ToIso8601(long micros)
    {
        Span<byte> text = stackalloc byte[Iso8601Size];
        return System.Text.Encoding.ASCII.GetString(text[..FormatIso8601(micros, text)]);
    }

    /// <summary>Bytes that <see cref="FormatIso8601"/> may need.</summary>
    public const int Iso8601Size = 28;

    /// <summary>Writes <c>2026-11-22T02:13:44.123456Z</c>, without the fraction where it is zero; returns its length.</summary>
    public static int FormatIso8601(long micros, Span<byte> destination)
    {
        // The round-trip format has a seventh digit, always 0 here.
        ToDateTimeOffset(micros).UtcDateTime.TryFormat(destination, out int length, "O", System.Globalization.CultureInfo.InvariantCulture);
        length = micros % Second == 0 ? length - ".0000000Z".Length : length - "0Z".Length;
        destination[length] = (byte)'Z';
        return length + 1;
    }
}
