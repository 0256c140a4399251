namespace Risk.Core.Models;

/// <summary>When the rows of a batch came and are due, and what time it is; microseconds of the host's clock.</summary>
/// <param name="EarliestDeadlineMicros"><see cref="long.MaxValue"/> where there is none.</param>
public readonly record struct ScoringDemand(long NowMicros, long OldestIngestMicros, long EarliestDeadlineMicros)
{
    /// <summary>Nobody waits.</summary>
    public static ScoringDemand None => new(0, 0, long.MaxValue);
}

/// <summary>Rows of a batch that one scorer scored, or that none could.</summary>
/// <param name="End">Behind the last of them; they begin where the part before ends.</param>
public readonly record struct ScoredPart(int End, LadderStep Step);

/// <summary>Who scored a batch, for its records. Reused: it allocates nothing once it has grown.</summary>
public sealed class ScoringTrace
{
    private readonly List<ScoredPart> _parts = new(4);

    /// <summary>In the order of the rows; together all of them.</summary>
    public IReadOnlyList<ScoredPart> Parts => _parts;

    /// <summary>The step that row <paramref name="k"/> was scored on.</summary>
    /// <param name="part">Where to look first: 0 with the first row, kept by whoever asks for one row after the other.</param>
    public LadderStep StepOf(int k, ref int part)
    {
        while (part < _parts.Count - 1 && k >= _parts[part].End) { part++; }
        return _parts.Count == 0 ? default : _parts[part].Step;
    }

    internal void Add(int end, in LadderStep step)
    {
        // Parts of one batch on one device in turn are one.
        if (_parts.Count > 0 && _parts[^1].Step.Equals(step)) { _parts[^1] = new ScoredPart(end, step); }
        else { _parts.Add(new ScoredPart(end, step)); }
    }

    internal void Clear() => _parts.Clear();
}
