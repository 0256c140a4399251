using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Risk.Core.Models;

/// <summary>
/// <c>golden.csv</c> of a bundle: rows with the score each must get, computed by the library that trained the model. Every
/// scorer that may serve is run on them first.
/// </summary>
/// <param name="Rows">Row-major <c>[Count, FeatureCount]</c>; NaN is a missing value.</param>
/// <param name="Scores">The expected raw model output of each row.</param>
public sealed record GoldenRows(float[] Rows, float[] Scores, int FeatureCount)
{
    /// <summary>What a scorer may be away from the expected score at most, absolute.</summary>
    public const double ToleranceMax = 1e-6;

    /// <summary>What a scorer of this model may be away: <see cref="ToleranceMax"/>, or what its manifest states for fewer bits.</summary>
    public double Tolerance { get; init; } = ToleranceMax;

    public int Count => Scores.Length;

    /// <summary>Reads the file: a header of the model's inputs in order and <c>score</c>, then one line a row.</summary>
    public static bool TryRead(string csv, IReadOnlyList<string> inputs, [NotNullWhen(true)] out GoldenRows? golden, [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        (golden, refusal) = (null, null);
        var lines = csv.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (lines.Length < 2)
        {
            refusal = new ModelRefusal(ModelCodes.Untrusted, "golden.csv holds no rows");
            return false;
        }

        if (!lines[0].Split(',').SequenceEqual(inputs.Append("score"), StringComparer.Ordinal))
        {
            refusal = new ModelRefusal(ModelCodes.FeatureMismatch, "the header of golden.csv is not the model's inputs in order, then score");
            return false;
        }

        var rows = new float[(lines.Length - 1) * inputs.Count];
        var scores = new float[lines.Length - 1];
        for (var line = 1; line < lines.Length; line++)
        {
            var fields = lines[line].Split(',');
            if (fields.Length != inputs.Count + 1)
            {
                refusal = new ModelRefusal(ModelCodes.Untrusted, $"line {line + 1} of golden.csv has {fields.Length} fields, not {inputs.Count + 1}");
                return false;
            }

            for (var f = 0; f < fields.Length; f++)
            {
                ref var target = ref f == inputs.Count ? ref scores[line - 1] : ref rows[((line - 1) * inputs.Count) + f];
                if (!float.TryParse(fields[f], NumberStyles.Float, CultureInfo.InvariantCulture, out target))
                {
                    refusal = new ModelRefusal(ModelCodes.Untrusted, $"line {line + 1} of golden.csv holds something that is no number in field {f + 1}");
                    return false;
                }
            }
        }

        golden = new GoldenRows(rows, scores, inputs.Count);
        return true;
    }

    /// <summary>Runs a scorer over all rows and compares.</summary>
    public ConformanceReport Check(IScorer scorer)
    {
        var scores = new float[Count];
        return Run(scorer, scores) == ScoringStatus.Scored ? ConformanceReport.Compare(scorer.ExecutionProvider, scores, Scores) with { Tolerance = Tolerance } : ConformanceReport.Failed(scorer.ExecutionProvider, Count);
    }

    /// <summary>Scores all rows, in batches of as many as the scorer takes.</summary>
    /// <param name="scores">At least <see cref="Count"/> long.</param>
    public ScoringStatus Run(IScorer scorer, Span<float> scores)
    {
        for (var done = 0; done < Count;)
        {
            var size = Math.Min(scorer.BatchSizeMax, Count - done);
            var status = scorer.Score(Rows.AsSpan(done * FeatureCount, size * FeatureCount), size, scores.Slice(done, size));
            if (status != ScoringStatus.Scored)
            {
                return status;
            }

            done += size;
        }

        return ScoringStatus.Scored;
    }
}

/// <summary>How far a scorer is from what it should answer.</summary>
/// <param name="ExecutionProvider">Who was checked.</param>
/// <param name="RowCount">Rows compared.</param>
/// <param name="MaxAbsoluteDifference">The largest distance; infinity when the scorer failed.</param>
/// <param name="WorstRow">0-based row of that distance.</param>
public sealed record ConformanceReport(string ExecutionProvider, int RowCount, double MaxAbsoluteDifference, int WorstRow)
{
    /// <summary>What is allowed.</summary>
    public double Tolerance { get; init; } = GoldenRows.ToleranceMax;

    public bool Conforms => MaxAbsoluteDifference <= Tolerance;

    public static ConformanceReport Failed(string executionProvider, int rowCount) => new(executionProvider, rowCount, double.PositiveInfinity, 0);

    public static ConformanceReport Compare(string executionProvider, ReadOnlySpan<float> actual, ReadOnlySpan<float> expected)
    {
        var (worst, row) = (0.0, 0);
        for (var i = 0; i < expected.Length; i++)
        {
            var difference = Math.Abs((double)actual[i] - expected[i]);
            if (!(difference <= worst))
            {
                (worst, row) = (double.IsNaN(difference) ? double.PositiveInfinity : difference, i);
            }
        }

        return new ConformanceReport(executionProvider, expected.Length, worst, row);
    }
}
