using Risk.Core.Replay;

namespace Risk.Service.Engine;

/// <summary>The times of one batch on its way, microseconds of the engine's clock.</summary>
internal struct BatchTimes
{
    public long Closed, DecideEnd, RecordEnd, Committed;
}

/// <summary>
/// Where the time of a transaction goes, from its intended arrival to its durable decision: one histogram a stage, each
/// counted once a transaction. The stages of one transaction add up to its total.
/// </summary>
public sealed class StageLatencies
{
    private readonly LatencyHistogram[] _stages = [.. Names.Select(_ => new LatencyHistogram())];

    public static IReadOnlyList<string> Names { get; } = ["batch", "decide", "record", "commit", "total"];

    public LatencyHistogram this[string stage] => _stages[Names.ToList().IndexOf(stage)];
    public LatencyHistogram Total => _stages[^1];

    /// <summary>Counts a committed batch; the arrival of each transaction is its row's ingest time.</summary>
    internal void Record(in BatchTimes times, ReadOnlySpan<long> ingestMicros)
    {
        foreach (long arrived in ingestMicros)
        {
            _stages[0].Record(times.Closed - arrived);
            _stages[1].Record(times.DecideEnd - times.Closed);
            _stages[2].Record(times.RecordEnd - times.DecideEnd);
            _stages[3].Record(times.Committed - times.RecordEnd);
            _stages[4].Record(times.Committed - arrived);
        }
    }
}
