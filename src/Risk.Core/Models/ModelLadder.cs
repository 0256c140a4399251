using System.Text;
using Risk.Core.Costs;
using Risk.Core.Devices;

namespace Risk.Core.Models;

/// <summary>The step of the degradation ladder that a batch was decided on, and why it is not the first.</summary>
/// <param name="Rung">0 as planned, 1 the same model on the CPU or another device instead, 2 the approved fallback model, 3 rules only.</param>
/// <param name="Cause">UTF-8 of the stable code; empty on rung 0.</param>
public readonly record struct LadderStep(int Rung, ReadOnlyMemory<byte> Cause, int Scorer)
{
    public const int RulesOnly = 3, ReferToHuman = 4;
}

/// <summary>
/// The scorers of one model in the order they are tried: the planned one first, then what may stand in for it; or, with a
/// <see cref="Dispatch"/>, the one that it names, and when that fails the next that it names. An error never looks like a score:
/// when all fail, the rows have none (NaN) and only rules can decide. One thread scores.
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

    public IReadOnlyList<IScorer> Scorers => _scorers;

    /// <summary>Says which device takes which rows; null: devices are tried in the ladder's order. Set before the first batch.</summary>
    public DeviceDispatch? Dispatch { get; set; }

    /// <summary>What the record says of who computed; empty when nobody did.</summary>
    public ReadOnlySpan<byte> Provider(in LadderStep step) => step.Rung >= LadderStep.RulesOnly ? [] : _providers[step.Scorer];
    public ReadOnlySpan<byte> Device(in LadderStep step) => step.Rung >= LadderStep.RulesOnly ? [] : _devices[step.Scorer];

    /// <summary>Whoever computed gives the same bits for the same row again.</summary>
    public bool IsReproducible(in LadderStep step) => step.Rung < LadderStep.RulesOnly && _scorers[step.Scorer].IsReproducible;

    /// <summary>Scores [count, features] rows in the ladder's order; NaN everywhere when no scorer could.</summary>
    public LadderStep Score(ReadOnlySpan<float> rows, int count, Span<float> scores) => Walk(0, rows, count, scores, default, null);

    /// <summary>Scores [count, features] rows, wherever <see cref="Dispatch"/> says; NaN for rows that no scorer could score.</summary>
    /// <param name="trace">Emptied, then filled.</param>
    public void Score(ReadOnlySpan<float> rows, int count, Span<float> scores, in ScoringDemand demand, ScoringTrace trace)
    {
        trace.Clear();
        if (Dispatch is null) { trace.Add(count, Walk(0, rows, count, scores, default, trace)); }
        else { Dispatched(Dispatch, rows, count, scores, demand, trace); }
    }

    private void Dispatched(DeviceDispatch dispatch, ReadOnlySpan<float> rows, int count, Span<float> scores, in ScoringDemand demand, ScoringTrace trace)
    {
        long now = demand.NowMicros;
        for (int done = 0; done < count;)
        {
            DispatchStep plan = dispatch.Next(count - done, demand, now);
            ReadOnlySpan<float> part = rows[(done * _scorers[plan.Scorer].FeatureCount)..];
            LadderStep step;
            if (plan.IsProcessor) { step = Walk(plan.Scorer, part, plan.Rows, scores[done..], plan.Cause, trace); }
            else
            {
                ScoringStatus status = Run(plan.Scorer, part, plan.Rows, scores[done..], trace);
                if (status != ScoringStatus.Scored)
                {
                    // It gets nothing more until its retry; the same rows are dispatched again.
                    dispatch.Failed(plan, Causes[(int)status], now);
                    continue;
                }
                step = new LadderStep(plan.Cause.IsEmpty ? 0 : 1, plan.Cause, plan.Scorer);
            }
            dispatch.Answered(plan, now);
            done += plan.Rows;
            now += plan.Micros;
            trace.Add(done, step);
        }
    }

    /// <summary>From one scorer on, down the ladder.</summary>
    private LadderStep Walk(int first, ReadOnlySpan<float> rows, int count, Span<float> scores, ReadOnlyMemory<byte> cause, ScoringTrace? trace)
    {
        for (int i = first; i < _scorers.Length; i++)
        {
            ScoringStatus status = Run(i, rows, count, scores, trace);
            if (status == ScoringStatus.Scored) { return new LadderStep(cause.IsEmpty ? 0 : 1, cause, i); }
            cause = Causes[(int)status];
        }
        scores[..count].Fill(float.NaN);
        return new LadderStep(LadderStep.RulesOnly, cause, -1);
    }

    private ScoringStatus Run(int index, ReadOnlySpan<float> rows, int count, Span<float> scores, ScoringTrace? trace)
    {
        IScorer scorer = _scorers[index];
        ScoringStatus status = ScoringStatus.Scored;
        for (int first = 0; first < count && status == ScoringStatus.Scored; first += scorer.BatchSizeMax)
        {
            int rowsNow = Math.Min(scorer.BatchSizeMax, count - first);
            double before = scorer.BusyMicros;
            status = scorer.Score(rows.Slice(first * scorer.FeatureCount, rowsNow * scorer.FeatureCount), rowsNow, scores.Slice(first, rowsNow));
            long micros = (long)Math.Round(scorer.BusyMicros - before);
            if (micros > 0) { trace?.Runs.Add(new ScorerRun(index, rowsNow, scorer.Padded(rowsNow), micros, status == ScoringStatus.Scored ? RunFate.Used : RunFate.Failed)); }
        }
        return status;
    }

    private static readonly ReadOnlyMemory<byte>[] Causes =
        [.. Enum.GetValues<ScoringStatus>().Select(s => (ReadOnlyMemory<byte>)Encoding.UTF8.GetBytes(s.Code() ?? ""))];
}
