namespace Risk.Core.Models;

/// <summary>
/// What a model in fewer bits gives up: it computes other scores than the model that it was made from, so it is a model version of
/// its own, and serves only where the policy admits the distance (<see cref="ModelCodes.PrecisionNotAdmitted"/> otherwise).
/// </summary>
/// <param name="Form"><c>fp16</c> or <c>int8</c>.</param>
/// <param name="Of"><c>name@version</c> of that model.</param>
/// <param name="Against">SHA-256 of its file: 64 lower-case hexadecimal digits.</param>
/// <param name="DifferenceMax">What a raw score may be away from that model's at most: the golden run holds every device to it. The measured distances stand beside it in the file.</param>
public sealed record ModelPrecision(string Form, string Of, string Against, double DifferenceMax)
{
    /// <summary>Why the model must not serve under this policy; null when it may.</summary>
    public static ModelRefusal? Check(ModelManifest manifest, Decisions.Policy policy) => manifest.Precision is { } reduced && !(reduced.DifferenceMax <= policy.ScoreDifferenceMax)
        ? new ModelRefusal(
            ModelCodes.PrecisionNotAdmitted,
            string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{manifest.Name}@{manifest.Version} is {reduced.Of} in {reduced.Form}, up to {reduced.DifferenceMax:0.####} away from its scores, and the policy admits {policy.ScoreDifferenceMax:0.####}: set \"scoreDifferenceMax\" in policy.json if that is meant, or serve {reduced.Of}"))
        : null;
}
