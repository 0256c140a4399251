using System.Globalization;
using System.Text;
using Risk.Core.Transactions;
using ErrorCode = Risk.Core.Transactions.ErrorCode;

namespace Risk.Cluster.Tests;

/// <summary>Two silos in two processes, one PostgreSQL.</summary>
public sealed class TwoSilosTests
{
    private static readonly TimeSpan s_answerMax = TimeSpan.FromSeconds(90);

    [ClusterFact]
    public async Task EitherSilo_GivesTheSameDecisions_AndEachEventHasOne()
    {
        using var cluster = new TestCluster();
        TestSilo first = cluster.StartSilo("first"), second = cluster.StartSilo("second");
        RiskClusterClient byFirst = cluster.Connect(first), bySecond = cluster.Connect(second);

        // Decisions by entity key, from either.
        byte[][] some = [.. Enumerable.Range(0, 200).Select(Transaction)];
        ShardAnswer[] made = await byFirst.Decide(some, s_answerMax);
        ShardAnswer[] again = await bySecond.Decide(some, s_answerMax);
        Assert.All(made, answer => Assert.Equal("", answer.Code));
        Assert.All(again, answer => Assert.Equal("DUP_SAME", answer.Code));
        for (int i = 0; i < some.Length; i++) { Assert.Equal(Encoding.UTF8.GetString(made[i].Decision), Encoding.UTF8.GetString(again[i].Decision)); }
        Assert.Equal(ErrorCode.IdConflict.Text(), (await bySecond.Decide([WithAmount(0, 99)], s_answerMax))[0].Code);

        Assert.Equal(some.Length, cluster.Query<long>("SELECT count(*) FROM risk.entry WHERE event_key IS NOT NULL"));
        Assert.Equal(some.Length, cluster.Query<long>("SELECT count(DISTINCT event_key) FROM risk.entry"));
    }

    private static byte[] Transaction(int i) => WithAmount(i, 10 + i % 90);

    private static byte[] WithAmount(int i, int amount) => Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture,
        $$"""{"transaction_id":"t{{i}}","time":"{{Micro.ToIso8601(1_522_540_800 * Micro.Second + i * 10 * Micro.Second)}}","customer_id":"{{i % 40}}","terminal_id":"{{i % 7}}","amount":{{amount}}}"""));
}
