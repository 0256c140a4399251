using System.Diagnostics;
using Risk.Core.Devices;
using Risk.Core.Models;
using Risk.Inference;

namespace Risk.Service.Engine;

/// <summary>
/// Times a scorer by batch size when an engine starts, on the model's golden rows: milliseconds a size, enough to choose a device
/// by, not to buy one by; <c>risk accelerators measure</c> takes the time it needs. What the host's processor does meanwhile is the
/// process's CPU time, for nothing else is at work yet.
/// </summary>
internal static class WarmUpMeasurement
{
    private const int WarmUpCalls = 2, CallsMin = 3, CallsMax = 300;
    private static readonly TimeSpan s_timeOfSize = TimeSpan.FromMilliseconds(10);

    /// <summary>Null when the scorer gave no scores.</summary>
    /// <param name="isHost">All of the time is the host's: a processor.</param>
    public static CostCurve? Curve(IScorer scorer, ModelBundle bundle, IReadOnlyList<int> sizes, bool isPadded, bool isHost)
    {
        int features = scorer.FeatureCount, most = sizes[^1];
        float[] rows = new float[most * features], scores = new float[most];
        for (int i = 0; i < rows.Length; i++) { rows[i] = bundle.Golden.Rows[i % bundle.Golden.Rows.Length]; }
        var points = new List<CostPoint>(sizes.Count);
        foreach (int size in sizes)
        {
            if (Point(scorer, rows, scores, size, isHost) is not { } point) { return null; }
            points.Add(point);
        }
        return new CostCurve(new ModelCurve(bundle.Manifest.Name, bundle.Manifest.Version, "", null, points), isPadded);
    }

    private static CostPoint? Point(IScorer scorer, float[] rows, float[] scores, int size, bool isHost)
    {
        ReadOnlySpan<float> batch = rows.AsSpan(0, size * scorer.FeatureCount);
        for (int i = 0; i < WarmUpCalls; i++)
        {
            if (scorer.Score(batch, size, scores) != ScoringStatus.Scored) { return null; }
        }
        var calls = new List<double>(CallsMax);
        TimeSpan cpu = Environment.CpuUsage.TotalTime;
        long startedAt = Stopwatch.GetTimestamp();
        do
        {
            long callAt = Stopwatch.GetTimestamp();
            if (scorer.Score(batch, size, scores) != ScoringStatus.Scored) { return null; }
            calls.Add(Stopwatch.GetElapsedTime(callAt).TotalMicroseconds);
        }
        while (calls.Count < CallsMin || (calls.Count < CallsMax && Stopwatch.GetElapsedTime(startedAt) < s_timeOfSize));
        double host = (Environment.CpuUsage.TotalTime - cpu).TotalMicroseconds / calls.Count;
        calls.Sort();
        double median = Math.Max(0.1, calls[calls.Count / 2]);
        return new CostPoint(size, median, Math.Max(median, calls[(int)(calls.Count * 0.99)]), calls[calls.Count * 3 / 4] - calls[calls.Count / 4], isHost ? median : Math.Min(host, median));
    }
}
