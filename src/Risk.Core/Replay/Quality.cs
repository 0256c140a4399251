using Risk.Core.Transactions;

namespace Risk.Core.Replay;

/// <summary>How well scores tell frauds from good transactions.</summary>
/// <param name="Period">For people: which rows were measured, and by which protocol.</param>
/// <param name="IsPublishedProtocol">The rows are the stream's published test set, so the figures compare with published ones.</param>
/// <param name="RowCount">Rows measured, those without a score left out.</param>
/// <param name="UnscoredCount">Rows of the period that had no score.</param>
/// <param name="AucRoc">Null when there is nothing to tell apart; so are the other two.</param>
/// <param name="TopK">The k of <paramref name="CardPrecision"/>.</param>
public sealed record Quality(
    string Period, bool IsPublishedProtocol, int RowCount, int FraudCount, int UnscoredCount,
    double? AucRoc, double? AveragePrecision, double? CardPrecision, int TopK)
{
    public const int DefaultTopK = 100;

    /// <summary>
    /// Measures by the published protocol where the stream has one and the run covers it, else on every row whose label
    /// can be known.
    /// </summary>
    /// <param name="split">The stream's evaluation section, if any.</param>
    /// <param name="labelledUntil">Rows up to here have their label, and none means good; null when nothing is labelled.</param>
    public static Quality Measure(ScoredTransactions transactions, EvaluationSplit? split, EventTime? labelledUntil)
    {
        int topK = split?.TopK ?? DefaultTopK;
        if (labelledUntil is not { } until)
            return new Quality("none: the stream has no labels", false, 0, 0, 0, null, null, null, topK);
        if (split is not null && Days.Of(until) >= split.TestTo.DayNumber && PublishedProtocol.Covers(transactions, split))
        {
            string testSet = $"{split.TestFrom:yyyy-MM-dd} to {split.TestTo:yyyy-MM-dd}, published protocol: cards known to be compromised left out";
            return Of(transactions, PublishedProtocol.Select(transactions, split), testSet, isPublished: true, topK);
        }

        List<int> rows = [];
        (int first, int last) = (int.MaxValue, int.MinValue);
        for (int row = 0; row < transactions.Count; row++)
        {
            EventTime time = transactions[row].Time;
            if (time.Micros > until.Micros)
                continue;
            rows.Add(row);
            first = Math.Min(first, Days.Of(time));
            last = Math.Max(last, Days.Of(time));
        }
        string cause = split is null ? "the stream has no evaluation section" : $"the run does not cover {split.TrainFrom:yyyy-MM-dd} to {split.TestTo:yyyy-MM-dd}";
        string period = rows.Count == 0 ? "none: no labelled row was seen" : $"{Days.Date(first):yyyy-MM-dd} to {Days.Date(last):yyyy-MM-dd}, all labelled rows seen ({cause})";
        return Of(transactions, [.. rows], period, isPublished: false, topK);
    }

    private static Quality Of(ScoredTransactions transactions, int[] period, string name, bool isPublished, int topK)
    {
        int[] rows = Array.FindAll(period, row => double.IsFinite(transactions[row].Score));
        double[] scores = new double[rows.Length];
        bool[] frauds = new bool[rows.Length];
        for (int index = 0; index < rows.Length; index++)
        {
            ref readonly ScoredTransaction transaction = ref transactions[rows[index]];
            scores[index] = transaction.Score;
            frauds[index] = transaction.Fraud;
        }
        return new Quality(
            name, isPublished, rows.Length, frauds.AsSpan().Count(true), period.Length - rows.Length,
            RocAuc.Of(scores, frauds), Replay.AveragePrecision.Of(scores, frauds), Replay.CardPrecision.Of(transactions, rows, topK), topK);
    }
}
