using System.Diagnostics;
using Risk.Core.Models;

namespace Risk.Inference.Devices;

/// <summary>How far scores are from the reference's, over so many rows.</summary>
/// <param name="Max">The largest absolute difference; infinity when a call failed.</param>
/// <param name="WorstRow">0-based row of it.</param>
public readonly record struct ScoreParity(int RowCount, double Max, double P50, double P99, double P999, int WorstRow)
{
    /// <summary>Compares; NaN counts as infinitely far.</summary>
    public static ScoreParity Of(ReadOnlySpan<float> scores, ReadOnlySpan<float> reference)
    {
        var differences = new double[reference.Length];
        int worst = 0;
        for (int i = 0; i < differences.Length; i++)
        {
            double difference = Math.Abs((double)scores[i] - reference[i]);
            differences[i] = double.IsNaN(difference) ? double.PositiveInfinity : difference;
            if (differences[i] > differences[worst]) { worst = i; }
        }
        double max = differences.Length == 0 ? 0 : differences[worst];
        Array.Sort(differences);
        return new ScoreParity(differences.Length, max, At(differences, 0.5), At(differences, 0.99), At(differences, 0.999), worst);
    }

    public static ScoreParity Failed(int rowCount) => new(rowCount, double.PositiveInfinity, double.PositiveInfinity, double.PositiveInfinity, double.PositiveInfinity, 0);

    private static double At(double[] sorted, double share) => sorted.Length == 0 ? 0 : sorted[Math.Min(sorted.Length - 1, (int)(share * sorted.Length))];
}

/// <summary>What one batch size does to the sample's scores.</summary>
/// <param name="Parity">Against the reference.</param>
/// <param name="InvarianceMax">The largest difference to the same rows scored one by one; 0 is batch invariance to the bit.</param>
/// <param name="IsDeterministic">Every run gave the same bits.</param>
public sealed record BatchConformance(int BatchSize, ScoreParity Parity, double InvarianceMax, bool IsDeterministic);

/// <summary>What happened when the device's session was ended under it.</summary>
/// <param name="FailsAsLost">Calls then said DEVICE_LOST, not a score.</param>
/// <param name="RecoverySeconds">Until it took batches again by itself; null when it did not, within the time given.</param>
/// <param name="IsSameAfter">Its scores afterwards are within the tolerance of those before.</param>
public sealed record LossConformance(bool FailsAsLost, double? RecoverySeconds, bool IsSameAfter)
{
    public bool Conforms => FailsAsLost && RecoverySeconds is not null && IsSameAfter;
}

/// <summary>Memory that opening the model took.</summary>
/// <param name="HostBytes">Of this process; an estimate, since other things use it as well.</param>
/// <param name="DeviceBytes">On the device, by its own management library; null where there is none to ask.</param>
public sealed record DeviceMemory(long HostBytes, long? DeviceBytes);

/// <summary>
/// Checks one scorer against reference scores on a sample of rows: every batch size, several runs, loss and return. The many
/// rows of a recorded stream are compared apart, by <see cref="ScoreParity.Of"/>.
/// </summary>
public static class DeviceVerification
{
    private static readonly TimeSpan s_recoveryMax = TimeSpan.FromSeconds(60);

    /// <summary>1, 8, 64, … and the scorer's largest.</summary>
    public static IReadOnlyList<int> BatchSizes(int batchSizeMax)
    {
        var sizes = new List<int>();
        for (int size = 1; size < batchSizeMax; size *= 8) { sizes.Add(size); }
        sizes.Add(batchSizeMax);
        return sizes;
    }

    /// <summary>Scores the sample in batches of each size, <paramref name="runs"/> times.</summary>
    /// <param name="rows">Row-major [reference.Length, FeatureCount].</param>
    public static IReadOnlyList<BatchConformance> Batches(IScorer scorer, float[] rows, float[] reference, int runs, CancellationToken cancellation)
    {
        List<BatchConformance> found = [];
        float[] single = new float[reference.Length];
        bool isScored = Run(scorer, rows, single, 1, cancellation);
        foreach (int size in BatchSizes(scorer.BatchSizeMax))
        {
            float[] first = new float[reference.Length], again = new float[reference.Length];
            isScored &= Run(scorer, rows, first, size, cancellation);
            bool isSame = isScored;
            for (int run = 1; run < runs && isSame; run++) { isSame = Run(scorer, rows, again, size, cancellation) && first.AsSpan().SequenceEqual(again); }
            found.Add(isScored
                ? new BatchConformance(size, ScoreParity.Of(first, reference), ScoreParity.Of(first, single).Max, isSame)
                : new BatchConformance(size, ScoreParity.Failed(reference.Length), double.PositiveInfinity, false));
        }
        return found;
    }

    /// <summary>Ends the device's session, sees that no score comes out of it any more, and waits for it to come back.</summary>
    public static LossConformance Loss(DeviceSession session, float[] rows, int count, CancellationToken cancellation)
    {
        float[] before = new float[count], after = new float[count];
        if (session.Score(rows, count, before) != ScoringStatus.Scored) { return new LossConformance(false, null, false); }
        long recoveries = session.Statistics.Recoveries;
        session.Kill();
        bool isLost = session.Score(rows, count, after) == ScoringStatus.DeviceLost;
        long startedAt = Stopwatch.GetTimestamp();
        while (isLost && session.Statistics.Recoveries == recoveries && Stopwatch.GetElapsedTime(startedAt) < s_recoveryMax)
        {
            cancellation.ThrowIfCancellationRequested();
            Thread.Sleep(5);
        }
        double? seconds = session.Statistics.Recoveries > recoveries ? Stopwatch.GetElapsedTime(startedAt).TotalSeconds : null;
        bool isSame = seconds is not null && session.Score(rows, count, after) == ScoringStatus.Scored && ScoreParity.Of(after, before).Max <= DeviceModel.ToleranceMax;
        return new LossConformance(isLost, seconds, isSame);
    }

    /// <summary>Opens something and sees what memory that took.</summary>
    public static DeviceMemory Memory(int device, Action open)
    {
        long host = HostBytes();
        long? card = CardBytes(device);
        open();
        return new DeviceMemory(Math.Max(0, HostBytes() - host), card is { } before && CardBytes(device) is { } now ? Math.Max(0, now - before) : null);
    }

    /// <summary>Scores all rows in batches of that size; false when a call gave no scores.</summary>
    public static bool Run(IScorer scorer, ReadOnlySpan<float> rows, Span<float> scores, int batchSize, CancellationToken cancellation)
    {
        for (int done = 0; done < scores.Length; done += batchSize)
        {
            cancellation.ThrowIfCancellationRequested();
            int count = Math.Min(batchSize, scores.Length - done);
            if (scorer.Score(rows.Slice(done * scorer.FeatureCount, count * scorer.FeatureCount), count, scores.Slice(done, count)) != ScoringStatus.Scored) { return false; }
        }
        return true;
    }

    private static long HostBytes()
    {
        using Process process = Process.GetCurrentProcess();
        return process.WorkingSet64;
    }

    private static long? CardBytes(int device) => NvidiaDevice.TryHandle(device, out nint handle) && NvidiaDevice.TryMemory(handle, out ulong used) ? (long)used : null;
}
