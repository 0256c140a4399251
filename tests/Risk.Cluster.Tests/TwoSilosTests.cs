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
        byte[][] some = [.. Enumerable.Range(0, 200).Select(i => Payments.Json(i))];
        ShardAnswer[] made = await byFirst.Decide(some, s_answerMax);
        ShardAnswer[] again = await bySecond.Decide(some, s_answerMax);
        Assert.All(made, answer => Assert.True(answer.Code is "" or "DUP_SAME", answer.Code));
        Assert.All(again, answer => Assert.Equal("DUP_SAME", answer.Code));
        for (int i = 0; i < some.Length; i++) { Assert.Equal(Encoding.UTF8.GetString(made[i].Decision), Encoding.UTF8.GetString(again[i].Decision)); }
        Assert.Equal(ErrorCode.IdConflict.Text(), (await bySecond.Decide([Payments.Json(0, amount: 99)], s_answerMax))[0].Code);

        // A silo that was told another number of partitions would look for histories where they are not.
        var refused = Assert.Throws<InvalidOperationException>(() => cluster.StartSilo("third", partitions: TestCluster.Partitions + 1));
        Assert.Contains("CLUSTER_DIFFERS: card-payments was begun with 4 partitions", refused.Message, StringComparison.Ordinal);

        cluster.AssertOneDecisionEach(some.Length);
    }
}
