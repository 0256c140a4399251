using System.Diagnostics;
using Risk.Core.Models;

namespace Risk.Cli.Benchmarks;

/// <summary>Times of many calls, one after the other on one thread.</summary>
internal static class Timing
{
    /// <summary>Calls until the runtime has compiled everything for good; before each comparison.</summary>
    public static void WarmUp(params Action[] calls)
    {
        foreach (Action call in calls)
        {
            NanosecondsPerCall(TimeSpan.FromMilliseconds(400), _ => call());
        }
    }

    /// <summary>Mean nanoseconds a call of <paramref name="call"/>, which is given 0, 1, 2, …; runs for at least the duration.</summary>
    public static double NanosecondsPerCall(TimeSpan duration, Action<int> call)
    {
        long start = Stopwatch.GetTimestamp();
        int calls = 0;
        do
        {
            call(calls++);
        }
        while (Stopwatch.GetElapsedTime(start) < duration);

        return Stopwatch.GetElapsedTime(start).TotalNanoseconds / calls;
    }

    /// <summary>Nanoseconds a row and tree of a scorer that goes through the rows batch by batch.</summary>
    public static double NanosecondsPerRowAndTree(TimeSpan duration, IScorer scorer, BenchmarkForest forest, int batch)
    {
        var scores = new float[batch];
        int width = forest.Forest.FeatureCount * batch;
        int batches = BenchmarkForest.RowCount / batch;

        // At least a few microseconds between two looks at the clock.
        int repeat = Math.Max(1, 64 / batch);
        double nanoseconds = NanosecondsPerCall(duration, call =>
        {
            for (int i = 0; i < repeat; i++)
            {
                scorer.Score(forest.Rows.AsSpan(((call * repeat) + i) % batches * width, width), batch, scores);
            }
        });
        return nanoseconds / repeat / batch / forest.Forest.TreeCount;
    }
}
