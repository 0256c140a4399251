using System.Globalization;

namespace Risk.Cli.CommandLine;

/// <summary>Progress without a terminal: a plain line every few seconds, none for work that ends at once.</summary>
internal static class ProgressLines
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(5);

    public static T Run<T>(TextWriter error, ProgressReport report, Func<ProgressReport, T> work)
    {
        long started = TimeProvider.System.GetTimestamp();
        var gate = new Lock();
        bool shown = false, ended = false;
        void Show()
        {
            lock (gate)
            {
                if (!ended)
                {
                    error.WriteLine(Line(report, TimeProvider.System.GetElapsedTime(started)));
                    shown = true;
                }
            }
        }

        using var timer = new Timer(_ => Show(), null, Every, Every);
        try
        {
            T result = work(report);
            if (shown)
            {
                Show();
            }

            return result;
        }
        finally
        {
            lock (gate)
            {
                ended = true;
            }
        }
    }

    /// <summary><c>Scoring: 350,000 of 1,754,155 transactions (20 %), 101,234/s, 14 s left</c>.</summary>
    internal static string Line(ProgressReport report, TimeSpan elapsed)
    {
        long done = report.Done;
        double rate = elapsed.TotalSeconds > 0 ? done / elapsed.TotalSeconds : 0;
        string line = report.Total is { } total and > 0
            ? string.Create(CultureInfo.InvariantCulture, $"{report.What}: {done:N0} of {total:N0} {report.Unit} ({100 * done / total} %), {Rate(rate)}{Left(total - done, rate)}")
            : string.Create(CultureInfo.InvariantCulture, $"{report.What}: {done:N0} {report.Unit}, {Rate(rate)}");
        return report.Note.Length == 0 ? line : $"{line}; {report.Note}";
    }

    /// <summary><c>101,234/s</c>; what is slower than one a second, by the minute.</summary>
    internal static string Rate(double perSecond) => perSecond is >= 1 or 0
        ? string.Create(CultureInfo.InvariantCulture, $"{perSecond:N0}/s")
        : string.Create(CultureInfo.InvariantCulture, $"{60 * perSecond:0.#}/min");

    private static string Left(long count, double rate) =>
        count > 0 && rate > 0 ? string.Create(CultureInfo.InvariantCulture, $", {TimeSpan.FromSeconds(Math.Min(count / rate, 1e6)).TotalSeconds:N0} s left") : "";
}
