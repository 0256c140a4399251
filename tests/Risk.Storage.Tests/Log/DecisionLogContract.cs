using Risk.Core.Log;

namespace Risk.Storage.Tests.Log;

/// <summary>What every decision log must do, whatever it is kept in.</summary>
public abstract class DecisionLogContract : LogFolderFixture
{
    protected abstract IDecisionLog OpenLog();

    [StoreFact]
    public void NewLog_IsEmpty()
    {
        using IDecisionLog log = OpenLog();
        Assert.Equal((0, 0), (log.Size, log.DurableSize));
        Assert.True(log.LastPosition.IsEmpty);
        Assert.Equal(MerkleHash.Empty, log.RootHash());
        Assert.False(log.TryRead(0, new LogEntry()));
        Assert.False(log.TryRead(-1, new LogEntry()));
    }

    [StoreTheory]
    [InlineData(1)]
    [InlineData(255)]
    [InlineData(256)]
    [InlineData(257)]
    [InlineData(1000)]
    public void OneGroup_IsReadBack_WithTheRootOfItsRecords(int count)
    {
        using IDecisionLog log = OpenLog();
        Append(log, count);
        AssertHoldsInOrder(log, count);
        Assert.Equal(ExpectedRoot(count), log.RootHash());
        Assert.Equal(count, PositionOf(log));
    }

    [StoreFact]
    public void Appended_IsReadableAtOnce_AndDurableAfterCommit()
    {
        using IDecisionLog log = OpenLog();
        Append(log, 300, commit: false);
        Assert.Equal((300, 0), (log.Size, log.DurableSize));
        AssertHoldsInOrder(log, 300);
        Assert.Equal(MerkleHash.Empty, log.RootHash());
        log.Commit();
        Assert.Equal((300, 300), (log.Size, log.DurableSize));
    }

    [StoreFact]
    public void ManyGroups_OneCommit_AllDurable()
    {
        using (IDecisionLog log = OpenLog())
        {
            for (int i = 0; i < 50; i++)
            {
                Append(log, 17, commit: false);
            }

            log.Commit();
            Assert.Equal(850, log.DurableSize);
        }

        using IDecisionLog again = OpenLog();
        AssertHoldsInOrder(again, 850);
        Assert.Equal(850, PositionOf(again));
    }

    [StoreFact]
    public void GroupWithoutRecords_MovesThePosition()
    {
        using (IDecisionLog log = OpenLog())
        {
            Append(log, 3);
            var rejected = new DecisionGroup();
            rejected.Clear(3);
            rejected.SetPosition(BitConverter.GetBytes(99L));
            log.Append(rejected);
            log.Commit();
        }

        using IDecisionLog again = OpenLog();
        Assert.Equal(3, again.Size);
        Assert.Equal(99, PositionOf(again));
    }

    [StoreFact]
    public void Reopened_GoesOnWhereItStopped_AnyNumberOfTimes()
    {
        long size = 0;
        foreach (int count in new[] { 0, 10, 300, 0, 1, 255, 700, 256, 1 })
        {
            using IDecisionLog log = OpenLog();
            Assert.Equal((size, size), (log.Size, PositionOf(log)));
            if (count > 0)
            {
                Append(log, count);
            }

            size += count;
        }

        using IDecisionLog last = OpenLog();
        AssertHoldsInOrder(last, size);
    }

    [StoreFact]
    public void SameGroups_GiveTheSameRoot_HoweverTheyWereCommitted()
    {
        byte[] root;
        using (IDecisionLog log = OpenLog())
        {
            var group = new DecisionGroup();
            for (int i = 0; i < 40; i++)
            {
                log.Append(Fill(group, log.Size, 20));
                if (i % 7 == 0)
                {
                    log.Commit();
                }
            }

            log.Commit();
            root = log.RootHash();
        }

        using IDecisionLog again = OpenLog();
        Assert.Equal(root, again.RootHash());
    }

    [StoreFact]
    public void GroupThatStartsElsewhere_IsABug()
    {
        using IDecisionLog log = OpenLog();
        Assert.Throws<ArgumentException>(() => log.Append(Fill(new DecisionGroup(), 1, 1)));
        var withoutPayload = new DecisionGroup();
        withoutPayload.Clear(0);
        withoutPayload.ReserveRecord(10);
        withoutPayload.CommitRecord(10);
        Assert.Throws<ArgumentException>(() => log.Append(withoutPayload));
    }

    [StoreFact]
    public void CommitOfNothing_IsFine()
    {
        using IDecisionLog log = OpenLog();
        log.Commit();
        Append(log, 1);
        log.Commit();
        Assert.Equal(1, log.DurableSize);
    }
}
