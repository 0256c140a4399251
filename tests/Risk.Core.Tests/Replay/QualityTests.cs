using System.Globalization;
using System.IO.Compression;
using Risk.Core.Decisions;
using Risk.Core.Replay;
using Risk.Core.Tests.Decisions;
using Risk.Core.Transactions;

namespace Risk.Core.Tests.Replay;

public sealed class QualityTests
{
    // The split of the shipped schema: train 2018-07-25 to 07-31, delay 7 days, test 08-08 to 08-14.
    private static readonly EvaluationSplit s_split = new(new(2018, 7, 25), new(2018, 7, 31), new(2018, 8, 8), new(2018, 8, 14), 7 * Micro.Day, CardKey: 0, TopK: 100);
    private static readonly EventTime s_end = Day("2018-12-31");

    [Fact]
    public void PublishedProtocol_OnTheShippedStream_SelectsTheHandbooksTestSet()
    {
        ScoredTransactions transactions = ShippedStream();
        Assert.True(PublishedProtocol.Covers(transactions, s_split));
        Quality quality = Quality.Measure(transactions, s_split, s_end);
        Assert.Equal((58_264, 385, true), (quality.RowCount, quality.FraudCount, quality.IsPublishedProtocol));

        // Amount as the score. By scikit-learn 1.2.1 and the handbook's own functions on the same rows:
        // /usr/bin/python3, get_train_test_set and card_precision_top_k of shared_functions.py, predictions = amount / 10000 (read with float_precision="round_trip")
        Assert.Equal(0.5797322582736981, quality.AucRoc!.Value, 1e-12);
        Assert.Equal(0.13791180625503954, quality.AveragePrecision!.Value, 1e-12);
        Assert.Equal(0.06714285714285714, quality.CardPrecision!.Value, 1e-12);
    }

    [Fact]
    public void KnownCards_LeaveTheTest_DayByDay()
    {
        ScoredTransactions transactions = new();
        Add(transactions, "2018-07-24", 1, fraud: true);  // before training: not known
        Add(transactions, "2018-07-25", 2, fraud: true);  // in training: known from the first test day
        Add(transactions, "2018-07-31", 3, fraud: true);  // the same
        Add(transactions, "2018-08-01", 4, fraud: true);  // known from 08-09
        Add(transactions, "2018-08-06", 5, fraud: true);  // known from 08-14
        Add(transactions, "2018-08-07", 6, fraud: true);  // known from 08-15: after the test
        Add(transactions, "2018-08-08", 7, fraud: true);  // in the test: not known in time
        for (int card = 1; card <= 7; card++)
        {
            foreach (string day in (string[])["2018-08-07", "2018-08-08", "2018-08-09", "2018-08-13", "2018-08-14", "2018-08-15"])
                Add(transactions, day, card, fraud: false);
        }
        string[] selected = [.. PublishedProtocol.Select(transactions, s_split)
            .Where(row => !transactions[row].Fraud)
            .GroupBy(row => transactions[row].Card.Low)
            .Select(card => $"{card.Key}:{string.Join(",", card.Select(row => transactions[row].Time.ToDateTimeOffset().Day))}").Order()];
        Assert.Equal(["1:8,9,13,14", "4:8", "5:8,9,13", "6:8,9,13,14", "7:8,9,13,14"], selected);
    }

    [Theory]
    [InlineData("2018-07-25", "2018-08-14", "2018-12-31", true)]
    [InlineData("2018-07-26", "2018-08-14", "2018-12-31", false)]
    [InlineData("2018-07-25", "2018-08-13", "2018-12-31", false)]
    [InlineData("2018-07-25", "2018-08-14", "2018-08-13", false)]
    public void RunThatDoesNotCoverTheTestWeek_IsMeasuredOnAllLabelledRows_AndSaysSo(string first, string last, string labelledUntil, bool published)
    {
        ScoredTransactions transactions = new();
        Add(transactions, first, 1, fraud: false, score: 0.1);
        Add(transactions, "2018-08-10", 2, fraud: true, score: 0.9);
        Add(transactions, "2018-08-10", 4, fraud: false, score: double.NaN);
        Add(transactions, last, 3, fraud: false, score: 0.2);
        Quality quality = Quality.Measure(transactions, s_split, Day(labelledUntil));
        Assert.Equal(published, quality.IsPublishedProtocol);
        Assert.Equal(published || labelledUntil == "2018-08-13" ? 2 : 3, quality.RowCount);
        Assert.Equal((1, 1, 1.0), (quality.FraudCount, quality.UnscoredCount, quality.AucRoc));
        Assert.Contains(published ? "published protocol" : "does not cover", quality.Period, StringComparison.Ordinal);
    }

    [Fact]
    public void StreamWithoutSplit_IsMeasuredOnAllLabelledRows()
    {
        ScoredTransactions transactions = new();
        Add(transactions, "2018-04-01", 1, fraud: true, score: 0.9);
        Add(transactions, "2018-04-02", 2, fraud: false, score: 0.1);
        Assert.Equal("2018-04-01 to 2018-04-02, all labelled rows seen (the stream has no evaluation section)", Quality.Measure(transactions, null, s_end).Period);
        Assert.Equal("none: the stream has no labels", Quality.Measure(transactions, null, null).Period);
        Assert.Equal("none: no labelled row was seen", Quality.Measure(transactions, null, Day("2018-03-01")).Period);
    }

    [Fact]
    public void CardPrecision_RanksCardsByTheirHighestScore_AndLeavesFoundOnesOut()
    {
        ScoredTransactions transactions = new();
        Add(transactions, "2018-08-08", 1, fraud: false, score: 0.2); // card 1: the fraud has the lower score, the card the higher
        Add(transactions, "2018-08-08", 1, fraud: true, score: 0.1);
        Add(transactions, "2018-08-08", 2, fraud: false, score: 0.15);
        Add(transactions, "2018-08-08", 3, fraud: true, score: 0.14);
        Add(transactions, "2018-08-09", 1, fraud: true, score: 0.9);  // found yesterday: left out
        Add(transactions, "2018-08-09", 3, fraud: true, score: 0.5);  // not found yesterday
        Add(transactions, "2018-08-09", 4, fraud: false, score: 0.5); // a tie with it: seen later, ranks behind
        Add(transactions, "2018-08-09", 5, fraud: true, score: 0.4);
        int[] all = [.. Enumerable.Range(0, transactions.Count)];
        Assert.Equal(1.0, CardPrecision.Of(transactions, all, 1));               // cards 1; 3
        Assert.Equal((0.5 + 0.5) / 2, CardPrecision.Of(transactions, all, 2));   // 1, 2; 3, 4
        Assert.Equal((2 / 4.0 + 1 / 4.0) / 2, CardPrecision.Of(transactions, all, 4)); // 1, 2, 3; 4, 5
        Assert.Null(CardPrecision.Of(transactions, [], 4));
    }

    [Fact]
    public void BusinessFigures_CountMoneyOnBothSides()
    {
        ScoredTransactions transactions = new();
        Add(transactions, "2018-08-07", 1, fraud: true, amount: 1000, outcome: Outcome.Approve); // before the period
        Add(transactions, "2018-08-08", 1, fraud: true, amount: 1, outcome: Outcome.Approve);
        Add(transactions, "2018-08-08", 1, fraud: true, amount: 2, outcome: Outcome.Review);
        Add(transactions, "2018-08-08", 1, fraud: true, amount: 4, outcome: Outcome.Decline);
        Add(transactions, "2018-08-08", 1, fraud: true, amount: 8, outcome: Outcome.Refer);
        Add(transactions, "2018-08-08", 1, fraud: false, amount: 16, outcome: Outcome.Review);
        Add(transactions, "2018-08-08", 1, fraud: false, amount: 32, outcome: Outcome.Decline);
        Add(transactions, "2018-08-08", 1, fraud: false, amount: 64, outcome: Outcome.Approve);
        Add(transactions, "2018-08-09", 1, fraud: true, amount: 1000, outcome: Outcome.Approve); // after it
        BusinessFigures figures = BusinessFigures.Of(transactions, Day("2018-08-08"), Day("2018-08-09"));
        Assert.Equal(
            new BusinessFigures(
                DecisionCount: 7, ApprovedCount: 2, ReviewedCount: 2, DeclinedCount: 2, ReferredCount: 1,
                FraudCount: 4, FraudCaughtCount: 2, FraudLostCount: 1, GoodReviewedCount: 1, GoodDeclinedCount: 1,
                FraudMoney: 15, FraudMoneyCaught: 6, FraudMoneyReferred: 8, FraudMoneyLost: 1, GoodMoneyDeclined: 32),
            figures);
        Assert.Equal((0.4, 0.5), (figures.FraudMoneyCaughtShare, figures.ReviewPrecision));
        Assert.Null(default(BusinessFigures).ReviewPrecision);
    }

    [Fact]
    public void MarkFraud_LabelsARowThatWasAddedBefore_AcrossPieces()
    {
        ScoredTransactions transactions = new();
        for (int row = 0; row < 40_000; row++)
            Assert.Equal(row, transactions.Add(new ScoredTransaction(new EventTime(row), default, row, 0, Outcome.Approve, Fraud: false)));
        transactions.MarkFraud(20_000);
        Assert.True(transactions[20_000].Fraud);
        Assert.Equal(20_000, transactions[20_000].Score);
        Assert.Equal(1, Enumerable.Range(0, transactions.Count).Count(row => transactions[row].Fraud));
        Assert.Throws<ArgumentOutOfRangeException>(() => transactions.MarkFraud(40_000));
    }

    private static void Add(ScoredTransactions transactions, string day, int card, bool fraud, double score = 0.5, double amount = 1, Outcome outcome = Outcome.Approve) =>
        transactions.Add(new ScoredTransaction(new EventTime(Day(day).Micros + (12 * Micro.Hour)), new EntityKey(0, (ulong)card), score, amount, outcome, fraud));

    private static EventTime Day(string day) => new(Micro.FromDateTimeOffset(DateTimeOffset.ParseExact(day, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal)));

    /// <summary>The recorded stream's July and August, with the amount as the score.</summary>
    private static ScoredTransactions ShippedStream()
    {
        HashSet<string> frauds = [.. File.ReadLines(Shipped.PathOf("streams/card-payments/labels.csv")).Skip(1).Select(line => line.Split(','))
            .Where(values => values[1] == "1").Select(values => values[0])];
        ScoredTransactions transactions = new();
        using StreamReader lines = new(new GZipStream(File.OpenRead(Shipped.PathOf("streams/card-payments/transactions.csv.gz")), CompressionMode.Decompress));
        Assert.Equal("transaction_id,time,customer_id,terminal_id,amount", lines.ReadLine());
        while (lines.ReadLine() is { } line)
        {
            string[] values = line.Split(',');
            if (string.CompareOrdinal(values[1], "2018-07") < 0 || string.CompareOrdinal(values[1], "2018-09") >= 0)
                continue;
            EventTime time = new(Micro.FromDateTimeOffset(DateTimeOffset.Parse(values[1], CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal)));
            double amount = double.Parse(values[4], CultureInfo.InvariantCulture);
            transactions.Add(new ScoredTransaction(time, new EntityKey(1, ulong.Parse(values[2], CultureInfo.InvariantCulture)), amount / 10_000, amount, Outcome.Approve, frauds.Contains(values[0])));
        }
        return transactions;
    }
}
