using System.Numerics;

namespace Risk.Core.Decisions;

/// <summary>A reason by its place, before it is given its text.</summary>
/// <param name="Source">Score or rule.</param>
/// <param name="Index">The feature's index for score, the rule's index for rule.</param>
/// <param name="Contribution">Log-odds for score, 0 for rule.</param>
public readonly record struct RankedReason(OutcomeSource Source, int Index, double Contribution);

/// <summary>
/// Which factors are told, and in which order. Only factors that were scored and pushed toward the adverse outcome, the
/// strongest first; only from the component that led to the outcome, and an automatic denial names that factor
/// (12 CFR 1002.9(b)(2), comments 1 to 8: https://www.consumerfinance.gov/rules-policy/regulations/1002/interp-9/).
/// Allocates nothing.
/// </summary>
public static class ReasonRanking
{
    /// <summary>
    /// The indices of the largest positive contributions, largest first, ties by the lower index. Zero, negative and NaN
    /// contributions are never reasons.
    /// </summary>
    /// <param name="contributions">One a feature, log-odds toward the adverse outcome. Shape [features].</param>
    /// <param name="max">At most so many.</param>
    /// <param name="destination">Receives the indices; at least <paramref name="max"/> long.</param>
    /// <returns>How many were written.</returns>
    public static int Select(ReadOnlySpan<double> contributions, int max, Span<int> destination)
    {
        int count = 0;
        for (int index = 0; index < contributions.Length; index++)
        {
            double contribution = contributions[index];
            if (!(contribution > 0) || (count == max && !(max > 0 && contribution > contributions[destination[max - 1]])))
                continue;
            int place = count < max ? count++ : max - 1;
            for (; place > 0 && contribution > contributions[destination[place - 1]]; place--)
                destination[place] = destination[place - 1];
            destination[place] = index;
        }
        return count;
    }

    /// <summary>
    /// The reasons of one decision that is not an approval: first the rules that led to its outcome, in the order of the
    /// policy, then, if the score led to it as well, the features that pushed it there. A rule that fired for a milder
    /// outcome, and the features of a score that alone would have approved, are no reasons. A score that led to the
    /// outcome without any positive contribution is explained by its largest contribution. An approval and a referral
    /// have no reasons.
    /// </summary>
    /// <param name="contributions">As for <see cref="Select"/>; may be empty when the score did not lead to the outcome.</param>
    /// <param name="destination">Receives the reasons; at least <see cref="Policy.ReasonCountMax"/> long.</param>
    /// <returns>How many were written, at most <see cref="Policy.ReasonCountMax"/>.</returns>
    public static int Rank(Policy policy, in PolicyResult result, ReadOnlySpan<double> contributions, Span<RankedReason> destination)
    {
        if (result.Outcome is not (Outcome.Review or Outcome.Decline))
            return 0;
        int max = policy.ReasonCountMax, count = 0;
        if ((result.Source & OutcomeSource.Rule) != 0)
        {
            for (ulong fired = result.RulesFired; fired != 0 && count < max; fired &= fired - 1)
            {
                int rule = BitOperations.TrailingZeroCount(fired);
                if (policy.Rules[rule].Outcome == result.Outcome)
                    destination[count++] = new RankedReason(OutcomeSource.Rule, rule, 0);
            }
        }
        if ((result.Source & OutcomeSource.Score) == 0 || count == max)
            return count;
        Span<int> features = stackalloc int[Policy.ReasonCountLimit];
        int selected = Select(contributions, max - count, features);
        if (selected == 0 && count == 0 && !contributions.IsEmpty)
            features[selected++] = IndexOfLargest(contributions);
        foreach (int feature in features[..selected])
            destination[count++] = new RankedReason(OutcomeSource.Score, feature, contributions[feature]);
        return count;
    }

    private static int IndexOfLargest(ReadOnlySpan<double> contributions)
    {
        int largest = 0;
        for (int index = 1; index < contributions.Length; index++)
        {
            if (contributions[index] > contributions[largest] || double.IsNaN(contributions[largest]))
                largest = index;
        }
        return largest;
    }
}
