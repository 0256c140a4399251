using System.Diagnostics.CodeAnalysis;
using Risk.Core.Models;

namespace Risk.Inference;

/// <summary>The argument checks that every scorer shares; a breach is a bug of the caller and throws.</summary>
internal static class ScorerArguments
{
    public static void Check(IScorer scorer, ReadOnlySpan<float> rows, int count, Span<float> scores)
    {
        if ((uint)count > (uint)scorer.BatchSizeMax || rows.Length < (long)count * scorer.FeatureCount || scores.Length < count)
        {
            ThrowArgumentException(scorer, rows.Length, count, scores.Length);
        }
    }

    [DoesNotReturn]
    private static void ThrowArgumentException(IScorer scorer, int rowsLength, int count, int scoresLength) =>
        throw new ArgumentException(
            $"{count} rows of {scorer.FeatureCount} features (at most {scorer.BatchSizeMax} rows) with {rowsLength} values and room for {scoresLength} scores");
}
