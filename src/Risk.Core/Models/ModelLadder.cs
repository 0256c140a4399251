using System.Text;
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
    public LadderStep Score(ReadOnlySpan<float> rows, int count, Span<float> scores) => Walk(0, rows, count, scores, default);

    /// <summary>Scores [count, features] rows, wherever <see cref="Dispatch"/> says; NaN for rows that no scorer could score.</summary>
    /// <param name="trace">Emptied, then filled.</param>
    public void Score(ReadOnlySpan<float> rows, int count, Span<float> scores, in ScoringDemand demand, ScoringTrace trace)
    {
        trace.Clear();
        if (Dispatch is null) { trace.Add(count, Walk(0, rows, count, scores, default)); }
        else { Dispatched(Dispatch, rows, count, scores, demand, trace); }
    }

    private void Dispatched(DeviceDispatch dispatch, ReadOnlySpan<float> rows, int count, Span<float> scores, in ScoringDemand demand, ScoringTrace trace)
    {
        long now = demand.NowMicros;
        for (int done = 0; done < count;)
        {
            DispatchStep plan = dispatch.Next(count - done, demand, now);
            int features = _scorers[plan.Scorer].FeatureCount;
            // What a device came to nothing with is dispatched again; it gets nothing more until its retry.
            if (!TryStep(dispatch, plan, rows.Slice(done * features, plan.Rows * features), scores.Slice(done, plan.Rows), now, out LadderStep step)) { continue; }
            done += plan.Rows;
            now += plan.Micros;
            trace.Add(done, step);
        }
    }

    private bool TryStep(DeviceDispatch dispatch, in DispatchStep plan, ReadOnlySpan<float> rows, Span<float> scores, long now, out LadderStep step)
    {
        if (plan.IsProcessor)
        {
            step = Walk(plan.Scorer, rows, plan.Rows, scores, plan.Cause);
            dispatch.Answered(plan, now);
            return true;
        }
        step = new LadderStep(plan.Cause.IsEmpty ? 0 : 1, plan.Cause, plan.Scorer);
        ScoringStatus status = plan.IsHedged && _scorers[plan.Scorer] is IHedgedScorer { CanBeLeft: true } device && plan.Rows <= device.BatchSizeMax
            ? Hedged(dispatch, device, plan, rows, scores, dispatch.WaitMicros(plan, now), ref step)
            : Run(plan.Scorer, rows, plan.Rows, scores);
        if (status == ScoringStatus.Scored) { dispatch.Answered(plan, now); }
        else { dispatch.Failed(plan, status, now); }
        return status == ScoringStatus.Scored || step.Scorer != plan.Scorer;
    }

    /// <summary>
    /// On the device, and on the processor as well once the device is late. The processor computes on this thread: whoever comes
    /// back from it has an answer, and the device's, if that has come meanwhile, came first.
    /// </summary>
    /// <param name="step">Becomes the processor's when its answer is taken.</param>
    /// <returns>What became of the device.</returns>
    private ScoringStatus Hedged(DeviceDispatch dispatch, IHedgedScorer device, in DispatchStep plan, ReadOnlySpan<float> rows, Span<float> scores, long waitMicros, ref LadderStep step)
    {
        ScoringStatus status = device.Score(rows, plan.Rows, scores, waitMicros);
        if (status != ScoringStatus.DeviceLate) { return status; }
        dispatch.Late(plan, waitMicros);
        LadderStep hedge = Walk(plan.HedgeScorer, rows, plan.Rows, scores, Causes[(int)status]);
        bool isAnswered = hedge.Rung < LadderStep.RulesOnly;
        status = device.TakeLate(scores, isWaiting: !isAnswered);
        if (status == ScoringStatus.Scored || !isAnswered) { return status; }
        if (status == ScoringStatus.DeviceLate) { device.Leave(); }
        step = hedge with { Cause = Causes[(int)status] };
        return status;
    }

    /// <summary>From one scorer on, down the ladder.</summary>
    private LadderStep Walk(int first, ReadOnlySpan<float> rows, int count, Span<float> scores, ReadOnlyMemory<byte> cause)
    {
        for (int i = first; i < _scorers.Length; i++)
        {
            ScoringStatus status = Run(i, rows, count, scores);
            if (status == ScoringStatus.Scored) { return new LadderStep(cause.IsEmpty ? 0 : 1, cause, i); }
            cause = Causes[(int)status];
        }
        scores[..count].Fill(float.NaN);
        return new LadderStep(LadderStep.RulesOnly, cause, -1);
    }

    private ScoringStatus Run(int index, ReadOnlySpan<float> rows, int count, Span<float> scores)
    {
        IScorer scorer = _scorers[index];
        ScoringStatus status = ScoringStatus.Scored;
        for (int first = 0; first < count && status == ScoringStatus.Scored; first += scorer.BatchSizeMax)
        {
            int rowsNow = Math.Min(scorer.BatchSizeMax, count - first);
            status = scorer.Score(rows.Slice(first * scorer.FeatureCount, rowsNow * scorer.FeatureCount), rowsNow, scores.Slice(first, rowsNow));
        }
        return status;
    }

    private static readonly ReadOnlyMemory<byte>[] Causes =
        [.. Enum.GetValues<ScoringStatus>().Select(s => (ReadOnlyMemory<byte>)Encoding.UTF8.GetBytes(s.Code() ?? ""))];
}
