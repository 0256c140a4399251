using Risk.Core.Transactions;

namespace Risk.Core.Replay;

/// <summary>
/// The test set of the Fraud Detection Handbook (<c>get_train_test_set</c>): the days of the test week, without the cards
/// that are known to be compromised. Known are those with a fraud in the training period, and, a day at a time, those
/// whose fraud is older than the delay of the labels: on test day D the ones with a fraud up to day D − delay − 1.
/// https://fraud-detection-handbook.github.io/fraud-detection-handbook/Chapter_3_GettingStarted/BaselineModeling.html
/// </summary>
public static class PublishedProtocol
{
    /// <summary>
    /// Whether the decisions reach from the first day of training to the last day of the test: with less, cards that
    /// the protocol calls known would be missed, and the figure could not be compared.
    /// </summary>
    public static bool Covers(ScoredTransactions transactions, EvaluationSplit split)
    {
        int first = int.MaxValue, last = int.MinValue;
        for (int row = 0; row < transactions.Count; row++)
        {
            int day = Days.Of(transactions[row].Time);
            first = Math.Min(first, day);
            last = Math.Max(last, day);
        }
        return first <= split.TrainFrom.DayNumber && last >= split.TestTo.DayNumber;
    }

    /// <summary>The rows of the test set, ascending.</summary>
    public static int[] Select(ScoredTransactions transactions, EvaluationSplit split)
    {
        int trainFrom = split.TrainFrom.DayNumber, trainTo = split.TrainTo.DayNumber;
        int testFrom = split.TestFrom.DayNumber, testTo = split.TestTo.DayNumber;
        int delay = (int)((split.Delay + Micro.Day - 1) / Micro.Day);

        // The first day of fraud since training began tells from which test day on a card is known.
        Dictionary<EntityKey, int> knownFrom = [];
        for (int row = 0; row < transactions.Count; row++)
        {
            ref readonly ScoredTransaction transaction = ref transactions[row];
            int day = Days.Of(transaction.Time);
            if (!transaction.Fraud || day < trainFrom || day > testTo)
                continue;
            int known = day <= trainTo ? testFrom : day + delay + 1;
            if (!knownFrom.TryGetValue(transaction.Card, out int before) || known < before)
                knownFrom[transaction.Card] = known;
        }

        List<int> rows = [];
        for (int row = 0; row < transactions.Count; row++)
        {
            ref readonly ScoredTransaction transaction = ref transactions[row];
            int day = Days.Of(transaction.Time);
            if (day >= testFrom && day <= testTo && !(knownFrom.TryGetValue(transaction.Card, out int known) && known <= day))
                rows.Add(row);
        }
        return [.. rows];
    }
}
