namespace Risk.Core.Models;

/// <summary>
/// A scorer whose runs go on while nobody waits for them, so that a batch that is late on it can be run elsewhere too and the
/// first answer be taken:
/// <code>
/// Score(…, waitMicros)       the answer, or DeviceLate: the run goes on
///   …the same rows are run elsewhere…
/// TakeLate(…)                the answer, if it has come meanwhile; otherwise DeviceLate again
/// Leave() or TakeLate(wait)  it is not wanted any more; or it is all there is
/// </code>
/// Whoever was told <see cref="ScoringStatus.DeviceLate"/> ends it, before the next call: with an answer, or by leaving. What a run that was
/// left uses is used again when it has come back; until then <see cref="IScorer.Standing"/> is <see cref="ScoringStatus.DeviceLate"/>
/// and the time counts as <see cref="Costs.RunFate.HedgeLost"/> once it is over.
/// </summary>
public interface IHedgedScorer : IScorer
{
    /// <summary>Runs can be left here; where not, calls below wait for the answer as <see cref="IScorer.Score"/> does.</summary>
    bool CanBeLeft { get; }

    /// <inheritdoc cref="IScorer.Score"/>
    /// <param name="waitMicros">That the answer is waited for; 0 or less only begins the run.</param>
    ScoringStatus Score(ReadOnlySpan<float> rows, int count, Span<float> scores, long waitMicros);

    /// <summary>The answer to a call that was late, for the same rows.</summary>
    /// <param name="isWaiting">It is waited for until it comes or the device is given up; never <see cref="ScoringStatus.DeviceLate"/> then.</param>
    ScoringStatus TakeLate(Span<float> scores, bool isWaiting);

    /// <summary>Nobody wants the late answer any more.</summary>
    void Leave();

    /// <summary>It gets no batch for a while, because it was late with too many in a row; told each time, by the thread that scores.</summary>
    /// <param name="waitMicros">Until it is tried again, at the earliest.</param>
    void SetAside(int lateCount, long waitMicros);

    /// <summary>After that, it was in time with a batch, and gets them as before.</summary>
    void InTime();
}
