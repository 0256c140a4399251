using System.Diagnostics;
using Risk.Core.Devices;
using Risk.Core.Models;

namespace Risk.Inference.Devices;

/// <summary>
/// Times a scorer by batch size. Calls follow each other without a pause; every call counts, from handing the rows over to
/// having the scores. The host's share on an accelerator is the time of the same call with a model that computes next to nothing
/// (<see cref="Core.Models.Tensors.ProbeModel.Empty"/>): copies, checks, launches and waits, which a faster device would not shorten.
/// On a processor it is what the same calls spend outside ONNX Runtime's own run; the forest kernel has no such part.
/// </summary>
public static class DeviceMeasurement
{
    private const int CallsMin = 30, CallsMax = 50_000, WarmUpCalls = 3;
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(30);

    /// <summary>1, 2, 4, … up to and with the largest.</summary>
    public static IReadOnlyList<int> BatchSizes(int batchSizeMax) => OnnxSession.DeviceBatchSizes(batchSizeMax);

    /// <summary>Measures one batch size.</summary>
    /// <param name="empty">The same device with the empty model; null on a processor.</param>
    /// <param name="counter">Null: joules are left to the model.</param>
    /// <param name="rows">At least <paramref name="batch"/> rows, row-major; taken in turn.</param>
    /// <param name="time">To be spent at least, for each of the two models; at least 30 calls are made all the same.</param>
    /// <returns>Null when the scorer gave no scores.</returns>
    public static CostPoint? Measure(IScorer scorer, IScorer? empty, EnergyCounter? counter, float[] rows, int batch, TimeSpan time, CancellationToken cancellation)
    {
        if (Run(scorer, counter, rows, batch, time, cancellation) is not { } run) { return null; }
        double median = At(run.Micros, 0.5);
        double host = At(run.Outside, 0.5);
        if (empty is not null)
        {
            if (Run(empty, null, rows, batch, time, cancellation) is not { } bare) { return null; }
            host = Math.Min(At(bare.Micros, 0.5), median);
        }
        return new CostPoint(batch, Round(median), Round(At(run.Micros, 0.99)), Round(At(run.Micros, 0.75) - At(run.Micros, 0.25)), Round(host), run.Joules / run.Micros.Length);
    }

    /// <summary>Watts by the counter while nothing is asked of the device; null without one.</summary>
    public static double? IdleWatts(EnergyCounter? counter, TimeSpan time, CancellationToken cancellation)
    {
        if (counter is null) { return null; }
        double? before = counter.Read();
        long startedAt = Stopwatch.GetTimestamp();
        cancellation.WaitHandle.WaitOne(time);
        return counter.Between(before, counter.Read()) / Stopwatch.GetElapsedTime(startedAt).TotalSeconds;
    }

    /// <summary>Watts by the counter while batches follow each other; null without one.</summary>
    public static double? BusyWatts(IScorer scorer, EnergyCounter? counter, float[] rows, int batch, TimeSpan time, CancellationToken cancellation) =>
        counter is not null && Run(scorer, counter, rows, batch, time, cancellation) is { } run ? run.Joules / run.Seconds : null;

    private static (double[] Micros, double[] Outside, double? Joules, double Seconds)? Run(IScorer scorer, EnergyCounter? counter, float[] rows, int batch, TimeSpan time, CancellationToken cancellation)
    {
        float[] scores = new float[batch];
        int size = batch * scorer.FeatureCount, offers = Math.Max(1, rows.Length / size);
        for (int i = 0; i < WarmUpCalls; i++)
        {
            if (scorer.Score(rows.AsSpan(i % offers * size, size), batch, scores) != ScoringStatus.Scored) { return null; }
        }
        // Two more reads of the clock in a call: some 50 ns.
        OnnxSession? session = scorer as OnnxSession;
        session?.Time();
        List<double> calls = new(1024), outside = new(1024);
        double? before = counter?.Read();
        long startedAt = Stopwatch.GetTimestamp();
        TimeSpan spent;
        do
        {
            cancellation.ThrowIfCancellationRequested();
            long callAt = Stopwatch.GetTimestamp();
            if (scorer.Score(rows.AsSpan(calls.Count % offers * size, size), batch, scores) != ScoringStatus.Scored) { return null; }
            double micros = Stopwatch.GetElapsedTime(callAt).TotalMicroseconds;
            calls.Add(micros);
            outside.Add(session is null ? 0 : Math.Max(0, micros - session.InsideMicros(batch)));
            spent = Stopwatch.GetElapsedTime(startedAt);
        }
        while (calls.Count < CallsMax && spent < s_longest && (spent < time || calls.Count < CallsMin));
        double? joules = counter?.Between(before, counter.Read());
        return ([.. calls.Order()], [.. outside.Order()], joules, spent.TotalSeconds);
    }

    private static double At(double[] sorted, double share) => sorted[Math.Min(sorted.Length - 1, (int)(share * sorted.Length))];

    private static double Round(double micros) => Math.Round(micros, 3);
}
