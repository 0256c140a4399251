using Risk.Core.Log;

namespace Risk.Core.Tests.Log;

public class DecisionGroupTests
{
    [Fact]
    public void Items_AreKeptInOrder_WithTheirLengths()
    {
        var group = new DecisionGroup();
        group.Clear(7);
        for (int i = 0; i < 1000; i++)
        {
            group.ReserveRecord(600).Slice(0, i % 500).Fill((byte)i);
            group.CommitRecord(i % 500);
            group.ReservePayload(10)[0] = (byte)(i + 1);
            group.CommitPayload(1);
        }

        Assert.Equal((7, 1000, 1000), (group.FirstSequence, group.Count, group.PayloadCount));
        Assert.Equal(499, group.Record(999).Length);
        Assert.True(group.Record(700).IndexOfAnyExcept((byte)(700 % 256)) < 0);
        Assert.Equal((byte)(700 + 1 - 512), group.Payload(700)[0]);
        Assert.Equal(new byte[] { 0, 1, 1, 0, 1, 2 }, group.EncodedPayloads(0, 2));
        Assert.True(group.EncodedRecords(5, 5).IsEmpty);
    }

    [Fact]
    public void Filling_AfterWarmUp_AllocatesNothing()
    {
        var group = new DecisionGroup();
        Assert.Equal(0, DecisionRecordCodecTests.AllocatedBy(() =>
        {
            group.Clear(0);
            for (int i = 0; i < 256; i++)
            {
                group.ReserveRecord(1000);
                group.CommitRecord(330);
                group.ReservePayload(1000);
                group.CommitPayload(330);
            }

            group.SetPosition([1, 2, 3]);
        }));
    }

    [Fact]
    public void TooLongItemsAndPositions_AreRefused()
    {
        var group = new DecisionGroup();
        Assert.Throws<ArgumentOutOfRangeException>(() => group.CommitRecord(65_536));
        Assert.Throws<ArgumentException>(() => group.SetPosition(new byte[4097]));
    }
}
