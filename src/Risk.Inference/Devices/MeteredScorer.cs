using System.Diagnostics;
using Risk.Core.Costs;
using Risk.Core.Models;

namespace Risk.Inference.Devices;

/// <summary>Counts what another scorer does, for metrics; two reads of the clock a batch.</summary>
public sealed class MeteredScorer(IScorer scorer) : IScorer
{
    public DeviceStatistics Statistics { get; } = new();

    /// <inheritdoc/>
    public string ExecutionProvider => scorer.ExecutionProvider;

    /// <inheritdoc/>
    public string Device => scorer.Device;

    /// <inheritdoc/>
    public bool IsReproducible => scorer.IsReproducible;

    /// <inheritdoc/>
    public int FeatureCount => scorer.FeatureCount;

    /// <inheritdoc/>
    public int BatchSizeMax => scorer.BatchSizeMax;

    /// <inheritdoc/>
    public bool IsUp => scorer.IsUp;

    /// <inheritdoc/>
    public ScoringStatus Score(ReadOnlySpan<float> rows, int count, Span<float> scores)
    {
        long startedAt = Stopwatch.GetTimestamp();
        ScoringStatus status = scorer.Score(rows, count, scores);
        Statistics.Ran(startedAt, count, count, status == ScoringStatus.Scored ? RunFate.Used : RunFate.Failed);
        return status;
    }

    /// <summary>Disposes of the scorer as well.</summary>
    public void Dispose() => scorer.Dispose();
}
