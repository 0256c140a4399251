namespace Risk.Core.Models;

/// <summary>What became of one call of <see cref="IScorer.Score"/>. Anything but <see cref="Scored"/> leads to the next rung of the ladder.</summary>
public enum ScoringStatus
{
    /// <summary>Every row has its score.</summary>
    Scored = 0,

    /// <summary>At least one output was NaN, infinite or outside of [0,1]: <see cref="ModelCodes.OutputInvalid"/>. No score may be used.</summary>
    OutputInvalid = 1,

    /// <summary>The device or the runtime failed: <see cref="ModelCodes.DeviceLost"/>. No score may be used; the same rows may be tried elsewhere.</summary>
    DeviceLost = 2,

    /// <summary>The device neither answered nor failed in the time it is given: <see cref="ModelCodes.DeviceHung"/>. No score may be used; the same rows may be tried elsewhere.</summary>
    DeviceHung = 3,

    /// <summary>The device has not answered yet, and another must begin now to meet the deadline; its run goes on: <see cref="ModelCodes.DeviceLate"/>. See <see cref="IHedgedScorer"/>.</summary>
    DeviceLate = 4,
}

/// <summary>
/// Scores batches of feature rows with one model on one device. A scorer owns its working memory, so it serves one thread
/// at a time; it allocates nothing in <see cref="Score"/> (gated in the tests, measured by <c>risk bench model-run</c>).
/// </summary>
public interface IScorer : IDisposable
{
    /// <summary>Who computes, as written into the decision record: <c>forest-kernel/avx512-vbmi</c>, <c>CPUExecutionProvider</c>, ...</summary>
    string ExecutionProvider { get; }

    /// <summary>Where, as written into the decision record: <c>cpu</c>, <c>cuda:0</c>, ...</summary>
    string Device { get; }

    /// <summary>
    /// The same row gets the same bits in every batch and every run. The forest kernel promises that; ONNX Runtime does not
    /// (its matrix kernels depend on the batch's size).
    /// </summary>
    bool IsReproducible => false;

    /// <summary>Floats of one row, in the order of the model's inputs.</summary>
    int FeatureCount { get; }

    /// <summary>Rows that one call takes at most; at least 1.</summary>
    int BatchSizeMax { get; }

    /// <summary>Takes batches; false while a device that was lost is being brought back.</summary>
    bool IsUp => true;

    /// <summary>What a call comes to before the device is even asked: <see cref="ScoringStatus.Scored"/> while it takes batches. Any thread may ask.</summary>
    ScoringStatus Standing => IsUp ? ScoringStatus.Scored : ScoringStatus.DeviceLost;

    /// <summary>Scores the first <paramref name="count"/> rows.</summary>
    /// <param name="rows">Row-major <c>[count, FeatureCount]</c>; NaN is a missing value. Borrowed for the call.</param>
    /// <param name="count">Rows, 0 to <see cref="BatchSizeMax"/>.</param>
    /// <param name="scores">At least <paramref name="count"/> long; takes the raw model output in [0,1], before calibration. Owned by the caller.</param>
    /// <returns>Whether the scores may be used; after anything but <see cref="ScoringStatus.Scored"/> their content is undefined.</returns>
    /// <exception cref="ArgumentException">A span is too short or the count is out of range: a bug of the caller.</exception>
    ScoringStatus Score(ReadOnlySpan<float> rows, int count, Span<float> scores);
}

/// <summary>The code a decision record carries for a status.</summary>
public static class ScoringStatusCodes
{
    /// <summary>The stable code, or null for <see cref="ScoringStatus.Scored"/>.</summary>
    public static string? Code(this ScoringStatus status) => status switch
    {
        ScoringStatus.Scored => null,
        ScoringStatus.OutputInvalid => ModelCodes.OutputInvalid,
        ScoringStatus.DeviceLost => ModelCodes.DeviceLost,
        ScoringStatus.DeviceHung => ModelCodes.DeviceHung,
        ScoringStatus.DeviceLate => ModelCodes.DeviceLate,
        _ => throw new ArgumentOutOfRangeException(nameof(status), status, "no such status"),
    };
}
