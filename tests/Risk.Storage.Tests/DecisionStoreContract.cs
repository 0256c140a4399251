using System.Security.Cryptography;
using Risk.Core.Log;
using Risk.Core.Transactions;
using Risk.Storage.Tests.Log;

namespace Risk.Storage.Tests;

/// <summary>What every decision store must do, whatever it is kept in.</summary>
public abstract class DecisionStoreContract : LogFolderFixture
{
    private static readonly byte[] Catalog = new byte[32];

    /// <param name="tokenFingerprint">32 bytes, or none.</param>
    protected abstract IDecisionStore OpenStore(byte[]? tokenFingerprint = null);

    [StoreFact]
    public void Partitions_AreLogsOfTheirOwn_AndLastBeyondTheStore()
    {
        using (IDecisionStore store = OpenStore())
        {
            using IDecisionLog first = store.Open(0, "");
            using IDecisionLog last = store.Open(11, "");
            Assert.NotEqual(first.Origin, last.Origin);
            Append(first, 300);
            Append(last, 5);
        }

        using IDecisionStore again = OpenStore();
        using (IDecisionLog first = again.Open(0, ""))
        {
            AssertHoldsInOrder(first, 300);
            Assert.Equal(ExpectedRoot(300), first.RootHash());
        }

        using IDecisionLog other = again.Open(11, "");
        AssertHoldsInOrder(other, 5);
    }

    [StoreFact]
    public void EachOpening_IsANewEpoch_AndTheNewestOwnerIsTold()
    {
        using IDecisionStore store = OpenStore();
        Assert.Empty(store.Owners());
        store.Open(3, "http://10.0.0.1:8080").Dispose();
        store.Open(0, "http://10.0.0.2:8080").Dispose();
        store.Open(3, "http://10.0.0.3:8080").Dispose();
        using IDecisionLog held = store.Open(3, "");
        Assert.Equal(
            [new PartitionOwner(0, 1, "http://10.0.0.2:8080"), new PartitionOwner(3, 3, "")],
            store.Owners().OrderBy(owner => owner.Partition));
    }

    [StoreFact]
    public void OfTwoOwners_OneWrites()
    {
        using IDecisionStore one = OpenStore();
        using IDecisionStore two = OpenStore();
        IDecisionLog former = one.Open(0, "one");
        Append(former, 10);
        IDecisionLog? latter = null;
        try
        {
            latter = two.Open(0, "two");
        }
        catch (DecisionLogException e)
        {
            // A lock is the fence: the latter waits its turn.
            Assert.Equal((LogCodes.InUse, true), (e.Code, e.IsRetriable));
            Append(former, 1);
            former.Dispose();
            latter = two.Open(0, "two");
            Append(latter, 1);
            AssertHoldsInOrder(latter, 12);
            latter.Dispose();
            return;
        }

        var fenced = Assert.Throws<DecisionLogException>(() => Append(former, 1));
        Assert.Equal((LogCodes.Fenced, false), (fenced.Code, fenced.IsRetriable));
        Assert.Equal(LogCodes.Fenced, Assert.Throws<DecisionLogException>(former.Commit).Code);
        Append(latter, 1);
        former.Dispose();
        latter.Dispose();
        using IDecisionLog third = one.Open(0, "three");
        AssertHoldsInOrder(third, 11);
    }

    [StoreTheory]
    [InlineData(10)]
    [InlineData(256)]
    [InlineData(700)]
    public void ReadBesideTheOwner_HasEveryCommit(int count)
    {
        using IDecisionStore store = OpenStore();
        IDecisionLog log = store.Open(0, "");
        Append(log, count);
        Append(log, 3);
        AssertReads(count + 3);
        log.Dispose();
        log = store.Open(0, "");
        Append(log, 2);
        AssertReads(count + 5);
        Append(log, 4, commit: false);
        AssertReads(count + 5);
        log.Dispose();
        AssertReads(count + 5);

        void AssertReads(long size)
        {
            using IDecisionStore other = OpenStore();
            foreach (long from in new[] { 0, 1, size - 6, size - 1, size })
            {
                using IDecisionLogReader reader = other.Read(0, from)!;
                Assert.Equal(size, reader.End);
                for (long sequence = from; sequence < size; sequence++)
                {
                    Assert.True(reader.Read());
                    Assert.Equal(sequence, reader.Sequence);
                    Assert.Equal(RecordFault.None, DecisionRecordCodec.Read(reader.Record, out DecisionRecord record));
                    Assert.Equal(sequence, record.Sequence);
                    Assert.Equal(SHA256.HashData(reader.Payload), record.Commitment);
                }

                Assert.False(reader.Read());
            }
        }
    }

    [StoreFact]
    public void OtherTokenKey_IsRefused_SaysWhatToDo_AndTakesNothing()
    {
        byte[] key = [.. Enumerable.Repeat((byte)1, 32)], other = [.. Enumerable.Repeat((byte)2, 32)];
        using (IDecisionStore store = OpenStore(key))
        {
            store.Open(0, "first").Dispose();
        }

        using (IDecisionStore store = OpenStore(other))
        {
            foreach (int partition in new[] { 0, 1 })
            {
                var refused = Assert.Throws<DecisionLogException>(() => store.Open(partition, "other"));
                Assert.Equal((LogCodes.Other, false), (refused.Code, refused.IsRetriable));
                Assert.Contains("keys/token.key", refused.Message, StringComparison.Ordinal);
            }

            Assert.Equal([new PartitionOwner(0, 1, "first")], store.Owners());
        }

        using IDecisionStore again = OpenStore(key);
        again.Open(0, "").Dispose();
        using IDecisionStore reader = OpenStore();
        reader.Open(0, "").Dispose();
    }

    [StoreFact]
    public void PartitionCount_IsWhatTheFirstWasTold()
    {
        using IDecisionStore one = OpenStore(), two = OpenStore();
        int[] kept = new int[8];
        Parallel.For(0, kept.Length, i => kept[i] = (i % 2 == 0 ? one : two).KeepPartitionCount(4 + i));
        Assert.InRange(kept[0], 4, 11);
        Assert.All(kept, count => Assert.Equal(kept[0], count));
        using IDecisionStore later = OpenStore();
        Assert.Equal(kept[0], later.KeepPartitionCount(99));
        Assert.Empty(later.Owners());
    }

    [StoreFact]
    public void CommitOfMany_MakesAllDurable()
    {
        using IDecisionStore store = OpenStore();
        List<IDecisionLog> logs = [.. Enumerable.Range(0, 6).Select(partition => store.Open(partition, ""))];
        for (int round = 0; round < 3; round++)
        {
            foreach (IDecisionLog log in logs.Skip(round))
            {
                Append(log, 100, commit: false);
            }

            var failures = new List<(IDecisionLog, DecisionLogException)>();
            store.Commit(logs, failures);
            Assert.Empty(failures);
            Assert.All(logs, log => Assert.Equal(log.Size, log.DurableSize));
        }

        logs.ForEach(log => log.Dispose());
        using IDecisionLog again = store.Open(5, "");
        AssertHoldsInOrder(again, 300);
    }

    [StoreFact]
    public void ReaderOfAnOpenLog_SeesWhatIsDurableAndWhatIsNot_FromAnySequence()
    {
        using IDecisionStore store = OpenStore();
        using IDecisionLog log = store.Open(0, "");
        for (int i = 0; i < 5; i++)
        {
            Append(log, 1000);
        }

        Append(log, 300, commit: false);
        foreach (long from in new long[] { 0, 1, 2047, 2048, 4999, 5000, 5200, 5300 })
        {
            using IDecisionLogReader reader = log.Read(from);
            Assert.Equal(5300, reader.End);
            long expected = from;
            while (reader.Read())
            {
                Assert.Equal(RecordFault.None, DecisionRecordCodec.Read(reader.Record, out DecisionRecord record));
                Assert.Equal((expected, expected), (record.Sequence, reader.Sequence));
                Assert.Equal(RecordFault.None, PrivatePayloadCodec.Read(reader.Payload, out _));
                expected++;
            }

            Assert.Equal(5300, expected);
        }
    }

    [StoreFact]
    public void Snapshots_NewestThatFits_IsLoaded_AndTheLastTwoStay()
    {
        using IDecisionStore store = OpenStore();
        using IDecisionLog log = store.Open(0, "");
        ISnapshotStore snapshots = store.Snapshots(0);
        Assert.False(snapshots.TryLoad(Catalog, 100, out _, out _));
        byte[] large = new byte[9_000_001];
        new Random(1).NextBytes(large);
        snapshots.Save(10, Catalog, [1]);
        snapshots.Save(20, Catalog, large);
        snapshots.Save(30, Catalog, []);
        Assert.False(snapshots.TryLoad([.. Catalog.Select(_ => (byte)1)], 100, out _, out _));
        Assert.True(snapshots.TryLoad(Catalog, 100, out long sequence, out byte[]? content));
        Assert.Equal(30, sequence);
        Assert.Empty(content);
        Assert.True(snapshots.TryLoad(Catalog, 29, out sequence, out content));
        Assert.Equal(20, sequence);
        Assert.Equal(large, content);
        Assert.False(snapshots.TryLoad(Catalog, 19, out _, out _));
        snapshots.Save(30, Catalog, [7]);
        Assert.True(snapshots.TryLoad(Catalog, 30, out _, out content));
        Assert.Equal([7], content);
        Assert.True(snapshots.TryLoad(Catalog, 29, out sequence, out _));
        Assert.Equal(20, sequence);
    }

    [StoreFact]
    public void Labels_StayInOrder_AndRepeatsDoNoHarm()
    {
        var fraud = new Label(new EntityKey(1, ulong.MaxValue), true, 1_522_540_800_000_000);
        var genuine = new Label(new EntityKey(2, 3), false, null);
        Label takenBack = fraud with { IsPositive = false };
        using (IDecisionStore store = OpenStore())
        {
            store.Open(2, "").Dispose();
            Assert.Empty(store.Labels(2));
            store.AddLabels(2, [fraud, genuine]);
            store.AddLabels(2, []);
            store.AddLabels(2, [fraud, takenBack, genuine]);
            store.AddLabels(2, [fraud]);
        }

        using IDecisionStore again = OpenStore();
        Assert.Equal([fraud, genuine, takenBack, fraud], again.Labels(2));
        Assert.Empty(again.Labels(1));
    }

    [StoreFact]
    public void TryFind_FindsADurableDecisionOfAnyPartition_OrSaysThatItCannot()
    {
        using IDecisionStore store = OpenStore();
        using IDecisionLog log = store.Open(0, "");
        using IDecisionLog other = store.Open(4, "");
        Append(log, 10);
        Append(other, 10);
        var entry = new LogEntry();
        Assert.False(store.TryFind(new EntityKey(9, 9), entry));
        var group = new DecisionGroup();
        group.Clear(10);
        group.ReserveRecord(1)[0] = 42;
        group.CommitRecord(1, new EntityKey(9, 9));
        group.CommitPayload(0);
        other.Append(group);
        Assert.False(store.TryFind(new EntityKey(9, 9), entry)); // not durable yet
        other.Commit();
        if (FindsByEvent)
        {
            Assert.True(store.TryFind(new EntityKey(9, 9), entry));
            Assert.Equal([42], entry.Record.ToArray());
            Assert.False(store.TryFind(new EntityKey(9, 8), entry));
        }
        else
        {
            Assert.False(store.TryFind(new EntityKey(9, 9), entry));
        }
    }

    /// <summary>False where the store keeps no index by event.</summary>
    protected abstract bool FindsByEvent { get; }
}
