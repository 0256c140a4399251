using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Risk.Core.Decisions;

namespace Risk.Core.Devices.Simulation;

/// <summary>
/// How many transactions arrived in each second of a recorded stretch of time; nothing else of them. As a file: lines that
/// begin with # are notes, every other line is the counts of the following seconds, with commas between them.
/// </summary>
/// <param name="Counts">One a second.</param>
public sealed record ArrivalTrace(string Name, IReadOnlyList<int> Counts)
{
    public const int FileSizeMax = 16 << 20;

    /// <summary>Seconds of a trace: a leap-year.</summary>
    public const int SecondsMax = 366 * 86_400;

    public long Total => Counts.Sum(count => (long)count);

    /// <summary>False leaves <c>TRACE_INVALID</c> or <c>TOO_LARGE</c>.</summary>
    public static bool TryRead(string text, string file, ICollection<DefinitionError> errors, [NotNullWhen(true)] out ArrivalTrace? trace)
    {
        trace = null;
        if (text.Length > FileSizeMax)
        {
            errors.Add(new DefinitionError("TOO_LARGE", file, "$", $"a trace has at most {FileSizeMax} characters"));
            return false;
        }
        List<int> counts = [];
        int line = 0;
        foreach (string raw in text.Split('\n'))
        {
            line++;
            if (raw.Length == 0 || raw[0] == '#' || string.IsNullOrWhiteSpace(raw))
                continue;
            foreach (string field in raw.Split(','))
            {
                if (!int.TryParse(field.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out int count) || counts.Count >= SecondsMax)
                {
                    errors.Add(new DefinitionError("TRACE_INVALID", file, $"line {line}", $"'{field.Trim()}' is no count of arrivals in a second, or there are more than {SecondsMax} seconds"));
                    return false;
                }
                counts.Add(count);
            }
        }
        if (counts.Count == 0 || counts.TrueForAll(count => count == 0))
        {
            errors.Add(new DefinitionError("TRACE_INVALID", file, "$", "has no arrivals"));
            return false;
        }
        trace = new ArrivalTrace(Path.GetFileNameWithoutExtension(file), counts);
        return true;
    }

    /// <summary>A part of it.</summary>
    public ArrivalTrace Slice(string name, int firstSecond, int seconds) => new(name, [.. Counts.Skip(firstSecond).Take(seconds)]);

    /// <summary>
    /// The times of the arrivals, microseconds from 0, ascending: the trace played <paramref name="speed"/> times as fast, the
    /// arrivals of one second at even distances within it, each standing for <paramref name="burst"/> that come at once.
    /// </summary>
    public long[] Arrivals(int speed, int burst = 1)
    {
        long[] times = new long[Total * burst];
        double second = 1e6 / speed;
        int at = 0;
        for (int s = 0; s < Counts.Count; s++)
        {
            for (int i = 0; i < Counts[s]; i++)
            {
                long time = (long)((s * second) + (second * (i + 0.5) / Counts[s]));
                for (int k = 0; k < burst; k++)
                    times[at++] = time;
            }
        }
        return times;
    }
}
