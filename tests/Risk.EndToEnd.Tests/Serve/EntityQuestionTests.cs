using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Text;
using Risk.Cli;
using Risk.Cli.Verbs;
using Risk.Core.Costs;
using Risk.Core.Log;
using Risk.Core.Transactions;
using Risk.Service.Engine;
using Risk.Service.Serving;
using Risk.Storage.Log;
using Risk.Streams.Kafka;

namespace Risk.EndToEnd.Tests.Serve;

/// <summary>What a partition asks the owners of entities that it shares with others.</summary>
public sealed class EntityQuestionTests : IDisposable
{
    private const int Partitions = 4, Rows = 64, RowsAt = 29;
    private readonly TestFolder _folder = new();

    [Fact]
    public async Task OneQuestion_AnOwnerAndMicroBatch_WithAllItsRows()
    {
        await using ServeHost others = await Start("others", null);
        var asked = new ConcurrentQueue<(int Owner, int Rows)>();
        await using ServeHost host = await Start("asks", (owner, message, _) =>
        {
            if (BinaryPrimitives.ReadInt32LittleEndian(message.AsSpan(RowsAt)) is > 0 and var rows) { asked.Enqueue((owner, rows)); }
            return Task.FromResult(others.AnswerOwner(owner, message));
        });
        for (int partition = 0; partition < Partitions; partition++) { (partition == 0 ? host : others).Take(partition); }
        bool IsReady(ServeHost some) => some.Health() is { IsReady: true, Reasons.Count: 0 };
        Assert.True(SpinWait.SpinUntil(() => IsReady(host) && IsReady(others), TimeSpan.FromSeconds(60)), "the partitions do not open");

        long[] numbers = [.. Enumerable.Range(0, 10_000).Select(n => (long)n).Where(n => KafkaPartitioner.Of(Encoding.UTF8.GetBytes(Payments.Customer(n)), Partitions) == 0).Take(2 * Rows)];
        for (int batch = 0; batch < 2; batch++)
        {
            asked.Clear();
            Task<(byte[] Json, ErrorCode Code)>[] answers = [.. numbers.Skip(batch * Rows).Take(Rows).Select(n => Call(host, n))];
            foreach ((byte[] json, ErrorCode code) in await Task.WhenAll(answers))
            {
                Assert.Equal(ErrorCode.None, code);
                Assert.DoesNotContain("INCOMPLETE", Encoding.UTF8.GetString(json), StringComparison.Ordinal);
            }
            // Terminals of 64 payments: some of every owner, and each payment's asked of one, here or elsewhere.
            Assert.Equal([1, 2, 3], asked.Select(a => a.Owner).Order());
            Assert.InRange(asked.Sum(a => a.Rows), Rows / 2, Rows - 1);
        }
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>A host of some of the partitions, whose batches leave full.</summary>
    private async Task<ServeHost> Start(string name, Func<int, byte[], CancellationToken, Task<byte[]?>>? askOwner)
    {
        (PriceBook prices, MachinePrice machine) = PriceBookFile.LoadDefault();
        StreamFiles files = StreamFiles.Load("card-payments");
        var configuration = new ServeConfiguration
        {
            Advertise = name, Store = new StoreConfiguration { Directory = _folder["store"] },
            Batch = new BatchConfiguration { SizeMax = Rows, DelayMaxMillis = 60_000 }, Entities = new EntityConfiguration { WaitMillis = 10_000 },
        };
        KeyRing keys = KeyRing.OpenOrCreate(_folder["keys"]);
        var options = new ServeOptions(configuration, files.Definition, ModelFiles.Load(files.Definition), keys, new FileDecisionStore(_folder["store"], "card-payments"), null, prices, machine, null)
        {
            ManagedPartitions = Partitions,
            AskOwner = askOwner,
        };
        (ServeHost? started, _) = await ServeHost.Start(options, CancellationToken.None);
        return started!;
    }

    private static Task<(byte[] Json, ErrorCode Code)> Call(ServeHost host, long number)
    {
        var row = new TransactionBatch(host.Definition.Schema, 1);
        Assert.Equal(ErrorCode.None, host.CreateParser().Parse(Encoding.UTF8.GetBytes(Payments.Json(number)), RecordIdentity.NoOffset, host.Clock.NowMicros, row, out _));
        var waiter = new DecisionWaiter();
        Assert.Equal(Intake.Taken, host.Partition(0)!.Call(row, waiter, long.MaxValue));
        return waiter.Answer.WaitAsync(TimeSpan.FromSeconds(60));
    }
}
