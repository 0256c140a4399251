using System.Globalization;

namespace Risk.Cli.Produce;

/// <summary>
/// When a message is due, counted from the start: open loop, so a slow broker moves no due time. As fast as it goes, so many
/// transactions a second, or event time run x times as fast.
/// </summary>
/// <param name="PerSecond">Transactions a second; 0: not by number.</param>
/// <param name="Speed">Seconds of event time a second; 0: not by event time.</param>
internal readonly record struct ProducePace(double PerSecond, double Speed)
{
    public static ProducePace Unlimited => default;

    /// <summary>Reads <c>x60</c> or <c>60</c>.</summary>
    public static bool TrySpeed(string text, out double speed) =>
        double.TryParse(text.AsSpan(text is ['x' or 'X', ..] ? 1 : 0), NumberStyles.Float, CultureInfo.InvariantCulture, out speed) && double.IsFinite(speed) && speed > 0;

    /// <summary>Seconds after the start.</summary>
    /// <param name="number">Transactions before this one.</param>
    /// <param name="sinceFirstMicros">Event time since the first transaction.</param>
    public double DueSeconds(long number, long sinceFirstMicros) =>
        PerSecond > 0 ? number / PerSecond
        : Speed > 0 ? Math.Max(0, sinceFirstMicros) / 1e6 / Speed
        : 0;
}
