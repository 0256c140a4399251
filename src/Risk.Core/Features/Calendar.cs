using Risk.Core.Transactions;

namespace Risk.Core.Features;

/// <summary>Calendar features: parts of the event time in the catalog's zone. The zone's offset is looked up once a quarter of an hour, the finest step at which zones change.</summary>
internal sealed class Calendar(TimeZoneInfo zone)
{
    private const long QuarterHour = 15 * Micro.Minute;
    private readonly bool _isUtc = zone.Equals(TimeZoneInfo.Utc);
    private long _quarter = long.MinValue;
    private long _offset;

    /// <summary>The event time as microseconds of local wall-clock time.</summary>
    public long ToLocal(long micros)
    {
        if (_isUtc) { return micros; }
        long quarter = Math.DivRem(micros, QuarterHour).Quotient;
        if (quarter != _quarter)
        {
            _quarter = quarter;
            _offset = zone.GetUtcOffset(Micro.ToDateTimeOffset(quarter * QuarterHour)).Ticks / TimeSpan.TicksPerMicrosecond;
        }
        return micros + _offset;
    }

    public static double Read(FeatureDefinition feature, long local)
    {
        long day = local / Micro.Day; // event times lie after 1970: no negative days
        long ofDay = local - day * Micro.Day;
        long hour = ofDay / Micro.Hour;
        long dayOfWeek = (day + 3) % 7; // 1970-01-01 was a Thursday; Monday = 0
        return feature.Calendar switch
        {
            CalendarPart.Hour => hour,
            CalendarPart.MinuteOfDay => ofDay / Micro.Minute,
            CalendarPart.DayOfWeek => dayOfWeek,
            CalendarPart.IsWeekend => dayOfWeek >= 5 ? 1 : 0,
            CalendarPart.HourBetween => (feature.FromHour <= feature.ToHour ? hour >= feature.FromHour && hour <= feature.ToHour : hour >= feature.FromHour || hour <= feature.ToHour) ? 1 : 0,
            CalendarPart.DayOfMonth => DateTime.UnixEpoch.AddDays(day).Day,
            _ => DateTime.UnixEpoch.AddDays(day).Month,
        };
    }
}
