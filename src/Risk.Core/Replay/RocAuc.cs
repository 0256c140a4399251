namespace Risk.Core.Replay;

/// <summary>
/// Area under the ROC curve: the chance that a fraud scores above a good transaction, ties counted half. Equal to
/// scikit-learn's <c>roc_auc_score</c>: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.roc_auc_score.html
/// </summary>
public static class RocAuc
{
    /// <param name="scores">Finite. Shape [rows].</param>
    /// <param name="frauds">Shape [rows].</param>
    /// <returns>In [0, 1]; null when there is no fraud or nothing but frauds.</returns>
    public static double? Of(ReadOnlySpan<double> scores, ReadOnlySpan<bool> frauds)
    {
        (double[] ascending, bool[] labels) = ScoreOrder.Ascending(scores, frauds);
        long goodBelow = 0, fraudTotal = 0;
        Int128 doubled = 0; // twice the number of pairs in order, so that a tie is 1: exact
        for (int start = 0; start < ascending.Length;)
        {
            int end = ScoreOrder.EndOfTie(ascending, start);
            long tied = labels.AsSpan(start, end - start).Count(true);
            long good = end - start - tied;
            doubled += (Int128)tied * ((2 * goodBelow) + good);
            goodBelow += good;
            fraudTotal += tied;
            start = end;
        }
        return fraudTotal == 0 || goodBelow == 0 ? null : (double)doubled / 2 / ((double)fraudTotal * goodBelow);
    }
}

/// <summary>
/// Average precision: Σ (Rₙ − Rₙ₋₁) Pₙ over the thresholds, without interpolation. Equal to scikit-learn's
/// <c>average_precision_score</c>: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.average_precision_score.html
/// </summary>
public static class AveragePrecision
{
    /// <param name="scores">Finite. Shape [rows].</param>
    /// <param name="frauds">Shape [rows].</param>
    /// <returns>In [0, 1]; null when there is no fraud.</returns>
    public static double? Of(ReadOnlySpan<double> scores, ReadOnlySpan<bool> frauds)
    {
        (double[] ascending, bool[] labels) = ScoreOrder.Ascending(scores, frauds);
        long fraudTotal = frauds.Count(true), fraudSeen = 0;
        double sum = 0;
        for (int end = ascending.Length; end > 0;)
        {
            int start = ScoreOrder.StartOfTie(ascending, end - 1);
            long tied = labels.AsSpan(start, end - start).Count(true);
            fraudSeen += tied;
            sum += (double)tied / fraudTotal * ((double)fraudSeen / (ascending.Length - start));
            end = start;
        }
        return fraudTotal == 0 ? null : sum;
    }
}

/// <summary>Scores in order, each with its label; equal scores are one tie.</summary>
internal static class ScoreOrder
{
    public static (double[] Scores, bool[] Frauds) Ascending(ReadOnlySpan<double> scores, ReadOnlySpan<bool> frauds)
    {
        if (scores.Length != frauds.Length)
            throw new ArgumentException($"{scores.Length} scores and {frauds.Length} labels");
        double[] keys = scores.ToArray();
        bool[] labels = frauds.ToArray();
        Array.Sort(keys, labels);
        return (keys, labels);
    }

    public static int EndOfTie(double[] ascending, int start)
    {
        int end = start + 1;
        while (end < ascending.Length && ascending[end] == ascending[start])
            end++;
        return end;
    }

    public static int StartOfTie(double[] ascending, int last)
    {
        int start = last;
        while (start > 0 && ascending[start - 1] == ascending[last])
            start--;
        return start;
    }
}
