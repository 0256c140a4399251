using System.Diagnostics;
using System.Text;
using Risk.Cli;
using Risk.Cli.Verbs;
using Risk.Core.Costs;
using Risk.Core.Log;
using Risk.Core.Transactions;
using Risk.Service.Engine;
using Risk.Service.Serving;
using ErrorCode = Risk.Core.Transactions.ErrorCode;

namespace Risk.Cluster.Tests;

/// <summary>Two owners of one partition (fault 29): a silo's grain, and a rival that no directory knows of.</summary>
public sealed class FencingTests
{
    private static readonly TimeSpan s_answerMax = TimeSpan.FromSeconds(60);

    [ClusterFact]
    public async Task OfTwoOwners_OneWrites_AndTheOtherGoes()
    {
        using var cluster = new TestCluster();
        TestSilo silo = cluster.StartSilo("0");
        RiskClusterClient client = cluster.Connect(silo);
        int[] numbers = [.. Enumerable.Range(0, 400).Where(i => client.PartitionOf(Payments.Json(i)) == 0).Take(4)];
        byte[][] some = [.. numbers.Select(i => Payments.Json(i))];
        await Decided(some[0]);

        var fenced = new TaskCompletionSource<int>();
        (PriceBook prices, MachinePrice machine) = PriceBookFile.LoadDefault();
        StreamFiles files = StreamFiles.Load("card-payments");
        KeyRing keys = KeyRing.OpenOrCreate(cluster.KeyFolder);
        using IDecisionStore store = cluster.OpenStore(keys);
        var options = new ServeOptions(new ServeConfiguration { Advertise = "rival", Store = new StoreConfiguration { Directory = cluster.KeyFolder } }, files.Definition, ModelFiles.Load(files.Definition), keys, store, null, prices, machine, null)
        {
            ManagedPartitions = TestCluster.Partitions,
            Fenced = fenced.SetResult,
        };
        (ServeHost? started, _) = await ServeHost.Start(options, CancellationToken.None);
        await using ServeHost rival = started!;
        rival.Take(0);
        for (var waited = Stopwatch.StartNew(); rival.Partition(0)!.State != PartitionState.Serving;)
        {
            Assert.True(waited.Elapsed < s_answerMax, "the rival does not open the partition");
            await Task.Delay(10);
        }
        Assert.Equal(ErrorCode.None, (await Call(rival, some[1])).Code);

        // The grain's write is refused, it goes, and comes again with a higher epoch: then the rival's write is refused.
        await Decided(some[2]);
        DecisionFailedException refused = await Assert.ThrowsAsync<DecisionFailedException>(() => Call(rival, some[3]));
        Assert.Equal(LogCodes.Fenced, refused.Code);
        Assert.Equal(0, await fenced.Task.WaitAsync(s_answerMax));
        Assert.Null(rival.Partition(0));
        Assert.Equal(1, rival.Counters.Read("risk_faults_total", "code=\"FENCED\""));
        Assert.Contains("risk_faults_total{code=\"FENCED\"} 1", await silo.Process.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative)), StringComparison.Ordinal);

        // What was refused was not decided.
        cluster.AssertOneDecisionEach(3);
        Assert.Empty(await client.Find(Encoding.UTF8.GetBytes(Payments.Id(numbers[3])), s_answerMax));
        Assert.Equal(["DUP_SAME", "DUP_SAME", "DUP_SAME"], (await client.Decide(some[..3], s_answerMax)).Select(a => a.Code));
        await Decided(some[3]);
        Assert.Equal(3, cluster.Query<long>("SELECT max(epoch) FROM risk.epoch"));
        cluster.AssertOneDecisionEach(4);

        // DUP_SAME: the client was slow to get the answer, and asked twice.
        async Task Decided(byte[] json) => Assert.Contains((await client.Decide([json], s_answerMax))[0].Code, (string[])["", "DUP_SAME"]);
    }

    private static Task<(byte[] Json, ErrorCode Code)> Call(ServeHost host, byte[] json)
    {
        var row = new TransactionBatch(host.Definition.Schema, 1);
        Assert.Equal(ErrorCode.None, host.CreateParser().Parse(json, RecordIdentity.NoOffset, host.Clock.NowMicros, row, out _));
        var waiter = new DecisionWaiter();
        Assert.Equal(Intake.Taken, host.Partition(0)!.Call(row, waiter, long.MaxValue));
        return waiter.Answer.WaitAsync(s_answerMax);
    }
}
