using System.Text;

namespace Risk.Core.Models;

/// <summary>The step of the degradation ladder that a batch was decided on, and why it is not the first.</summary>
/// <param name="Rung">0 as planned, 1 the same model on the CPU instead, 2 the approved fallback model, 3 rules only.</param>
/// <param name="Cause">UTF-8 of the stable code; empty on rung 0.</param>
public readonly record struct LadderStep(int Rung, ReadOnlyMemory<byte> Cause, int Scorer)
{
    public const int RulesOnly = 3, ReferToHuman = 4;
}

/// <summary>
/// The scorers of one model in the order they are tried: the planned one first, then what may stand in for it. An error
/// never looks like a score: when all fail, the rows have none (NaN) and only rules can decide.
/// </summary>
public sealed class ModelLadder
{
    private readonly IScorer[] _scorers;
    private readonly byte[][] _providers;
    private readonly byte[][] _devices;

    public ModelLadder(params IReadOnlyList<IScorer> scorers)
    {
        _scorers = [.. scorers];
        _providers = [.. scorers.Select(s => Encoding.UTF8.GetBytes(s.ExecutionProvider))];
        _devices = [.. scorers.Select(s => Encoding.UTF8.GetBytes(s.Device))];
    }

    /// <summary>What the record says of who computed; empty when nobody did.</summary>
    public ReadOnlySpan<byte> Provider(in LadderStep step) => step.Rung >= LadderStep.RulesOnly ? [] : _providers[step.Scorer];
    public ReadOnlySpan<byte> Device(in LadderStep step) => step.Rung >= LadderStep.RulesOnly ? [] : _devices[step.Scorer];

    /// <summary>Whoever computed gives the same bits for the same row again.</summary>
    public bool IsReproducible(in LadderStep step) => step.Rung < LadderStep.RulesOnly && _scorers[step.Scorer].IsReproducible;

    /// <summary>Scores [count, features] rows; NaN everywhere when no scorer could.</summary>
    public LadderStep Score(ReadOnlySpan<float> rows, int count, Span<float> scores)
    {
        ReadOnlyMemory<byte> cause = default;
        for (int i = 0; i < _scorers.Length; i++)
        {
            IScorer scorer = _scorers[i];
            ScoringStatus status = ScoringStatus.Scored;
            for (int first = 0; first < count && status == ScoringStatus.Scored; first += scorer.BatchSizeMax)
            {
                int rowsNow = Math.Min(scorer.BatchSizeMax, count - first);
                status = scorer.Score(rows.Slice(first * scorer.FeatureCount, rowsNow * scorer.FeatureCount), rowsNow, scores.Slice(first, rowsNow));
            }
            if (status == ScoringStatus.Scored) { return new LadderStep(i == 0 ? 0 : 1, cause, i); }
            cause = Causes[(int)status];
        }
        scores[..count].Fill(float.NaN);
        return new LadderStep(LadderStep.RulesOnly, cause, -1);
    }

    private static readonly ReadOnlyMemory<byte>[] Causes =
        [.. Enum.GetValues<ScoringStatus>().Select(s => (ReadOnlyMemory<byte>)Encoding.UTF8.GetBytes(s.Code() ?? ""))];
}
