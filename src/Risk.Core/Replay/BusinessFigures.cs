using Risk.Core.Decisions;
using Risk.Core.Transactions;

namespace Risk.Core.Replay;

/// <summary>
/// What the decisions of a period were worth: frauds stopped in money against the work and the good customers it took.
/// Caught is what was declined or reviewed (a review is taken to find the fraud); referred went to a person for want of
/// a score and is counted apart; lost is what was approved. Money is a sum of amounts, in the stream's currency.
/// </summary>
public readonly record struct BusinessFigures(
    long DecisionCount, long ApprovedCount, long ReviewedCount, long DeclinedCount, long ReferredCount,
    long FraudCount, long FraudCaughtCount, long FraudLostCount, long GoodReviewedCount, long GoodDeclinedCount,
    double FraudMoney, double FraudMoneyCaught, double FraudMoneyReferred, double FraudMoneyLost, double GoodMoneyDeclined)
{
    /// <summary>Of the money of all frauds the share that was declined or reviewed; null without fraud.</summary>
    public double? FraudMoneyCaughtShare => FraudMoney > 0 ? FraudMoneyCaught / FraudMoney : null;

    /// <summary>Frauds among the reviews made; null without reviews.</summary>
    public double? ReviewPrecision => ReviewedCount > 0 ? (double)(ReviewedCount - GoodReviewedCount) / ReviewedCount : null;

    /// <summary>The figures of the decisions in [<paramref name="from"/>, <paramref name="to"/>).</summary>
    public static BusinessFigures Of(ScoredTransactions transactions, EventTime from, EventTime to)
    {
        Span<long> outcomes = stackalloc long[OutcomeNames.Count];
        Span<long> frauds = stackalloc long[OutcomeNames.Count];
        Span<double> fraudMoney = stackalloc double[OutcomeNames.Count];
        outcomes.Clear();
        frauds.Clear();
        fraudMoney.Clear();
        double goodMoneyDeclined = 0;
        for (int row = 0; row < transactions.Count; row++)
        {
            ref readonly ScoredTransaction transaction = ref transactions[row];
            if (transaction.Time.Micros < from.Micros || transaction.Time.Micros >= to.Micros)
                continue;
            int outcome = (int)transaction.Outcome;
            outcomes[outcome]++;
            if (transaction.Fraud)
            {
                frauds[outcome]++;
                fraudMoney[outcome] += transaction.Amount;
            }
            else if (transaction.Outcome == Outcome.Decline)
            {
                goodMoneyDeclined += transaction.Amount;
            }
        }

        const int Approve = (int)Outcome.Approve, Review = (int)Outcome.Review, Decline = (int)Outcome.Decline, Refer = (int)Outcome.Refer;
        return new BusinessFigures(
            outcomes[Approve] + outcomes[Review] + outcomes[Decline] + outcomes[Refer],
            outcomes[Approve], outcomes[Review], outcomes[Decline], outcomes[Refer],
            frauds[Approve] + frauds[Review] + frauds[Decline] + frauds[Refer],
            frauds[Review] + frauds[Decline], frauds[Approve], outcomes[Review] - frauds[Review], outcomes[Decline] - frauds[Decline],
            fraudMoney[Approve] + fraudMoney[Review] + fraudMoney[Decline] + fraudMoney[Refer],
            fraudMoney[Review] + fraudMoney[Decline], fraudMoney[Refer], fraudMoney[Approve], goodMoneyDeclined);
    }
}
