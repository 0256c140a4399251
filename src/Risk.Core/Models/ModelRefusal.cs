namespace Risk.Core.Models;

/// <summary>The stable codes by which a model, or what it answered, is refused. They never change once published.</summary>
public static class ModelCodes
{
    /// <summary>The bytes are not those that were approved, are truncated, or reach outside of the file.</summary>
    public const string Untrusted = "MODEL_UNTRUSTED";

    /// <summary>The bytes are what they should be, but hold something that nobody here can run or read.</summary>
    public const string Unsupported = "MODEL_UNSUPPORTED";

    /// <summary>The model's inputs are not the features that are to be fed to it: count, names, order or type.</summary>
    public const string FeatureMismatch = "FEATURE_MISMATCH";

    /// <summary>The model answered NaN, infinity or a score outside of [0,1].</summary>
    public const string OutputInvalid = "MODEL_OUTPUT_INVALID";

    /// <summary>The golden rows do not come out as the bundle says they must.</summary>
    public const string NotConforming = "MODEL_NOT_CONFORMING";

    /// <summary>The device failed under a batch; the batch may be run again elsewhere.</summary>
    public const string DeviceLost = "DEVICE_LOST";

    /// <summary>The model is another one in fewer bits, and the policy does not admit how far apart their scores may be.</summary>
    public const string PrecisionNotAdmitted = "MODEL_PRECISION_NOT_ADMITTED";

    /// <summary>The device did not answer in the time that a batch is given, and did not fail either.</summary>
    public const string DeviceHung = "DEVICE_HUNG";

    /// <summary>The device had not answered when another had to begin for the deadline's sake, and the other was first.</summary>
    public const string DeviceLate = "DEVICE_LATE";

    /// <summary>The forest carries no cover (sample weight a node), without which TreeSHAP has no meaning.</summary>
    public const string CoverMissing = "EXPLANATION_COVER_MISSING";
}

/// <summary>Why a model cannot be used, as a value: bad models are input, not bugs.</summary>
/// <param name="Code">One of <see cref="ModelCodes"/>.</param>
/// <param name="Reason">One sentence with the offending values, for a person.</param>
public sealed record ModelRefusal(string Code, string Reason)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Code}: {Reason}";
}
