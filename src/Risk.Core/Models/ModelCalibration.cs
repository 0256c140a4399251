namespace Risk.Core.Models;

/// <summary>
/// Platt's sigmoid over the model's margin: <c>p = 1 / (1 + exp(−(a · logit(score) + b)))</c>; <c>a = 1, b = 0</c> changes nothing.
/// Source: J. Platt, "Probabilistic outputs for support vector machines", 1999.
/// </summary>
/// <param name="A">Slope over the margin; finite and above 0, so that the order of the scores stays.</param>
/// <param name="B">Offset of the margin; finite.</param>
public readonly record struct ModelCalibration(double A, double B)
{
    /// <summary>Leaves a score as it is (up to one rounding).</summary>
    public static ModelCalibration None => new(1, 0);

    /// <summary>The probability for a raw score in [0,1]; 0 and 1 stay 0 and 1. The same bits on every machine.</summary>
    public double Apply(float score)
    {
        if (score <= 0)
        {
            return 0;
        }

        return score >= 1 ? 1 : Logistic.Of((A * Logistic.Logit(score)) + B);
    }
}
