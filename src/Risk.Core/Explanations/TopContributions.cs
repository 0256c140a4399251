namespace Risk.Core.Explanations;

/// <summary>The features that spoke most for a high score, for reasons a customer can be told.</summary>
public static class TopContributions
{
    /// <summary>
    /// The indices of the largest contributions above 0, largest first; equal ones by index, so the order is the same at every
    /// run. Nothing is allocated.
    /// </summary>
    /// <param name="contributions">As <see cref="TreeShap.Explain"/> gives them.</param>
    /// <param name="features">Takes the indices; its length is how many are wanted at most.</param>
    /// <returns>How many were found.</returns>
    public static int Select(ReadOnlySpan<double> contributions, Span<int> features)
    {
        var count = 0;
        for (var f = 0; f < contributions.Length; f++)
        {
            if (!(contributions[f] > 0))
            {
                continue;
            }

            var place = count;
            while (place > 0 && contributions[features[place - 1]] < contributions[f])
            {
                place--;
            }

            if (place >= features.Length)
            {
                continue;
            }

            count = Math.Min(count + 1, features.Length);
            features[place..(count - 1)].CopyTo(features[(place + 1)..count]);
            features[place] = f;
        }

        return count;
    }
}
