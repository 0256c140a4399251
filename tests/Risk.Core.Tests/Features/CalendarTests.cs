using Risk.Core.Features;
using Risk.Core.Transactions;

namespace Risk.Core.Tests.Features;

/// <summary>Calendar features against the runtime's own conversion, through every kind of change of the clocks.</summary>
public sealed class CalendarTests
{
    private const string Features = """
        {"name":"hour","calendar":"hour"}, {"name":"minute","calendar":"minute_of_day"}, {"name":"weekday","calendar":"day_of_week"}, {"name":"day","calendar":"day_of_month"},
        {"name":"month","calendar":"month"}, {"name":"weekend","calendar":"is_weekend"}, {"name":"morning","calendar":"hour_between","from":0,"to":6}, {"name":"night","calendar":"hour_between","from":22,"to":5}
        """;

    [Theory]
    [InlineData("UTC")]
    [InlineData("Europe/Paris")]
    [InlineData("America/St_Johns")] // half hours
    [InlineData("Asia/Kathmandu")] // three quarters
    [InlineData("Australia/Lord_Howe")] // daylight saving of half an hour
    [InlineData("Pacific/Apia")] // lost a whole day in 2011
    public void EveryPart_InTheZone_EqualsTheRuntimesConversion(string zone)
    {
        TimeZoneInfo info = TimeZoneInfo.FindSystemTimeZoneById(zone);
        FeatureCatalog catalog = TestStream.Catalog(Features, "{}", zone);
        long[] times = [.. Times()];
        TestEvent[] events = [.. times.Select(time => new TestEvent(time, "a", 1))];
        Answers answers = Answers.Of(catalog, events, [500]);
        for (int i = 0; i < times.Length; i++)
        {
            DateTime local = TimeZoneInfo.ConvertTime(Micro.ToDateTimeOffset(times[i]), info).DateTime;
            int weekday = ((int)local.DayOfWeek + 6) % 7; // Monday = 0
            double[] expected =
            [
                local.Hour, local.Hour * 60 + local.Minute, weekday, local.Day, local.Month,
                weekday >= 5 ? 1 : 0, local.Hour <= 6 ? 1 : 0, local.Hour is >= 22 or <= 5 ? 1 : 0,
            ];
            Assert.True(expected.SequenceEqual(answers.Views[i]), $"{Micro.ToIso8601(times[i])} in {zone}: {string.Join(' ', answers.Views[i])}, must be {string.Join(' ', expected)}");
        }
    }

    private static IEnumerable<long> Times()
    {
        long Of(int year, int month, int day) => Micro.FromDateTimeOffset(new DateTimeOffset(year, month, day, 0, 0, 0, TimeSpan.Zero));
        foreach (long day in (long[])[Of(2011, 12, 29), Of(2024, 3, 9), Of(2024, 3, 30), Of(2024, 4, 6), Of(2024, 10, 5), Of(2024, 10, 26), Of(2024, 11, 2), Of(2024, 12, 31)])
        {
            for (long time = day; time < day + 3 * Micro.Day; time += 7 * Micro.Minute + 1) { yield return time; }
            for (long time = day; time < day + 3 * Micro.Day; time += 15 * Micro.Minute) // both sides of every possible change
            {
                yield return time - 1;
                yield return time;
            }
        }
        var random = new Random(3);
        for (int i = 0; i < 3000; i++) { yield return random.NextInt64(Limits.EventTimeMin, Of(2100, 1, 1)); }
        yield return Limits.EventTimeMin;
    }
}
