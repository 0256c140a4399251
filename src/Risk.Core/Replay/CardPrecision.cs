using Risk.Core.Transactions;

namespace Risk.Core.Replay;

/// <summary>
/// Card precision top-k of the Fraud Detection Handbook: an investigator can look at k cards a day, so a day's cards are
/// ranked by their highest score, and the measure is the share of compromised cards among the first k, mean over the
/// days. Cards found on an earlier day are left out, because they are blocked by then. Of equal scores the card that was
/// seen first ranks first.
/// https://fraud-detection-handbook.github.io/fraud-detection-handbook/Chapter_4_PerformanceMetrics/TopKBased.html
/// </summary>
public static class CardPrecision
{
    private record struct CardDay(EntityKey Card, double Score, bool Fraud, int FirstSeen);

    /// <param name="rows">Indices into <paramref name="transactions"/>; scores there are finite.</param>
    /// <param name="topK">Cards a day, from 1.</param>
    /// <returns>In [0, 1]; null when there are no rows.</returns>
    public static double? Of(ScoredTransactions transactions, ReadOnlySpan<int> rows, int topK)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(topK, 1);
        SortedDictionary<int, Dictionary<EntityKey, CardDay>> days = [];
        foreach (int row in rows)
        {
            ref readonly ScoredTransaction transaction = ref transactions[row];
            int day = Days.Of(transaction.Time);
            if (!days.TryGetValue(day, out Dictionary<EntityKey, CardDay>? cards))
                days.Add(day, cards = []);
            cards[transaction.Card] = cards.TryGetValue(transaction.Card, out CardDay card)
                ? card with { Score = Math.Max(card.Score, transaction.Score), Fraud = card.Fraud | transaction.Fraud }
                : new CardDay(transaction.Card, transaction.Score, transaction.Fraud, cards.Count);
        }

        HashSet<EntityKey> found = [];
        double sum = 0;
        foreach (Dictionary<EntityKey, CardDay> cards in days.Values)
        {
            EntityKey[] compromised = [.. cards.Values
                .Where(card => !found.Contains(card.Card))
                .OrderByDescending(card => card.Score).ThenBy(card => card.FirstSeen)
                .Take(topK)
                .Where(card => card.Fraud)
                .Select(card => card.Card)];
            sum += (double)compromised.Length / topK;
            found.UnionWith(compromised);
        }
        return days.Count == 0 ? null : sum / days.Count;
    }
}

/// <summary>Days in UTC, counted like <see cref="DateOnly.DayNumber"/>.</summary>
internal static class Days
{
    private static readonly int s_epoch = DateOnly.FromDateTime(DateTime.UnixEpoch).DayNumber;

    public static int Of(EventTime time) => s_epoch + (int)Math.Floor((double)time.Micros / Micro.Day);
    public static DateOnly Date(int day) => DateOnly.FromDayNumber(day);
}
