using FsCheck;
using FsCheck.Fluent;
using Risk.Core.Decisions;
using static Risk.Core.Tests.Decisions.PolicyTests;

namespace Risk.Core.Tests.Decisions;

public sealed class ReasonRankingTests
{
    private const string Text = """{ "code": "c", "text": "The amount is unusually high" }""";
    private static readonly string s_rules = $$"""
        { "id": "a", "when": {{On("a")}}, "outcome": "review", "reason": {{Text}} },
        { "id": "r", "when": {{On("r")}}, "outcome": "decline", "reason": {{Text}} },
        { "id": "d", "when": {{On("d")}}, "outcome": "decline", "reason": {{Text}} }
        """;

    [Theory]
    [InlineData(new[] { 0.1, 0.5, -2.0, 0.3 }, 2, new[] { 1, 3 })]
    [InlineData(new[] { 0.1, 0.5, -2.0, 0.3 }, 9, new[] { 1, 3, 0 })]
    [InlineData(new[] { 0.2, 0.2, 0.2 }, 2, new[] { 0, 1 })]
    [InlineData(new[] { 0.1, 0.2, 0.2, 0.2 }, 2, new[] { 1, 2 })]
    [InlineData(new[] { 0.0, -1.0, double.NaN }, 4, new int[0])]
    [InlineData(new[] { double.NaN, 0.1, double.NaN, 0.2 }, 4, new[] { 3, 1 })]
    [InlineData(new[] { 1.0 }, 0, new int[0])]
    [InlineData(new double[0], 4, new int[0])]
    public void Select_TakesTheLargestPositive_TiesByIndex(double[] contributions, int max, int[] expected)
    {
        Span<int> destination = stackalloc int[16];
        int count = ReasonRanking.Select(contributions, max, destination);
        Assert.Equal(expected, destination[..count].ToArray());
    }

    [Fact]
    public void Select_EqualsAStableSort() =>
        Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
        {
            Random random = new(seed);
            double[] contributions = [.. Enumerable.Range(0, random.Next(40)).Select(_ => random.Next(7) == 0 ? double.NaN : random.Next(-4, 6) / 4.0)];
            int max = random.Next(8);
            int[] destination = new int[8];
            int count = ReasonRanking.Select(contributions, max, destination);
            int[] expected = [.. Enumerable.Range(0, contributions.Length).Where(index => contributions[index] > 0).OrderByDescending(index => contributions[index]).Take(max)];
            return destination.AsSpan(0, count).SequenceEqual(expected);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [Theory]
    // score, rules that hold → reasons: R<rule>, S<feature>
    [InlineData(0.9, "", "S2 S0 S3")]
    [InlineData(0.5, "", "S2 S0 S3")]
    [InlineData(0.1, "r", "R1")]              // an automatic denial names its factor, and only that
    [InlineData(0.1, "rd", "R1 R2")]
    [InlineData(0.1, "ar", "R1")]             // the review rule did not lead to the denial
    [InlineData(0.9, "r", "R1 S2 S0")]        // both led to it: rules first
    [InlineData(0.9, "rd", "R1 R2 S2")]
    [InlineData(0.5, "a", "R0 S2 S0")]
    [InlineData(0.9, "a", "S2 S0 S3")]
    [InlineData(0.1, "", "")]
    [InlineData(double.NaN, "", "")]
    [InlineData(double.NaN, "d", "R2")]
    public void Rank_NamesOnlyWhatLedToTheOutcome(double score, string holding, string expected)
    {
        Policy policy = Read(Json(s_rules, more: """, "reasons": { "max": 3 }"""));
        PolicyResult result = policy.Decide(score, TestRow.Inputs([0], Switched(holding)));
        Span<RankedReason> reasons = stackalloc RankedReason[policy.ReasonCountMax];
        int count = ReasonRanking.Rank(policy, in result, [0.5, -1, 2, 0.25, 0.125], reasons);
        List<string> told = [];
        foreach (RankedReason reason in reasons[..count])
            told.Add($"{(reason.Source == OutcomeSource.Rule ? 'R' : 'S')}{reason.Index}");
        Assert.Equal(expected, string.Join(' ', told));
    }

    [Fact]
    public void Rank_OfAScoreWithoutPositiveContributions_NamesTheLargest()
    {
        Policy policy = Read(Json(s_rules));
        PolicyResult result = policy.Decide(0.9, TestRow.Inputs([0], Switched("")));
        RankedReason[] reasons = new RankedReason[4];
        Assert.Equal(1, ReasonRanking.Rank(policy, in result, [double.NaN, -0.5, -0.25], reasons));
        Assert.Equal(new RankedReason(OutcomeSource.Score, 2, -0.25), reasons[0]);
        Assert.Equal(0, ReasonRanking.Rank(policy, in result, [], reasons));
    }

    [Fact]
    public void Rank_AllocatesNothing()
    {
        Policy policy = Read(Json(s_rules));
        PolicyResult result = policy.Decide(0.9, TestRow.Inputs([0], Switched("rd")));
        double[] contributions = [0.5, -1, 2, 0.25, 0.125];
        RankedReason[] reasons = new RankedReason[4];
        int count = ReasonRanking.Rank(policy, in result, contributions, reasons);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
            count += ReasonRanking.Rank(policy, in result, contributions, reasons);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(4004, count);
    }

    [Theory]
    [InlineData("The amount is unusually high", true)]
    [InlineData("Confirmed fraud at this merchant terminal in recent weeks", true)]
    [InlineData(null, false)]
    [InlineData("", false)]
    [InlineData("Amount", false)]
    [InlineData(" The amount is unusually high", false)]
    [InlineData("The amount is\nunusually high", false)]
    [InlineData("score too low", false)]
    [InlineData("You did not reach a qualifying score", false)]
    [InlineData("Decision of the model", false)]
    [InlineData("Other reasons apply here", false)]
    public void ReasonText_MustNameAFactor(string? text, bool good) => Assert.Equal(good, ReasonText.Fault(text) is null);
}
