using System.Security.Cryptography;
using Risk.Core.Log;

namespace Risk.Core.Tests.Log;

public class Sha256LanesTests
{
    [Fact]
    public void EveryLength_InEveryLane_IsTheFrameworksHash()
    {
        var lanes = new Sha256Lanes();
        var random = new Random(1);
        byte[] source = new byte[5000];
        random.NextBytes(source);
        for (int length = 0; length < 2300; length = length < 300 ? length + 1 : length + 61)
        {
            foreach (int prefix in new[] { -1, 0, 1 })
            {
                int count = random.Next(1, 20);
                byte[] hashes = new byte[count * 32];
                var expected = new List<byte>();
                for (int i = 0; i < count; i++)
                {
                    int others = i == count / 2 ? length : random.Next(2300);
                    ReadOnlySpan<byte> message = source.AsSpan(i, others);
                    lanes.Add(prefix, message, hashes, i * 32);
                    expected.AddRange(SHA256.HashData(prefix < 0 ? message.ToArray() : [(byte)prefix, .. message]));
                }

                lanes.Flush(hashes);
                Assert.Equal(expected, hashes);
            }
        }
    }

    [Fact]
    public void Hashing_AllocatesNothing()
    {
        var lanes = new Sha256Lanes();
        byte[] message = new byte[330];
        byte[] hashes = new byte[8192];
        Assert.Equal(0, DecisionRecordCodecTests.AllocatedBy(() =>
        {
            for (int i = 0; i < 20; i++)
            {
                lanes.Add(0, message, hashes, i * 32);
            }

            lanes.Flush(hashes);
        }));
    }

    [Fact]
    public void GroupsCommitments_AreThoseOfTheCodec()
    {
        var group = new DecisionGroup();
        group.Clear(0);
        for (int i = 0; i < 21; i++)
        {
            group.ReservePayload(1000)[..(i * 40)].Fill((byte)i);
            group.CommitPayload(i * 40);
        }

        byte[] commitments = new byte[21 * 32];
        group.CommitToPayloads(commitments);
        for (int i = 0; i < 21; i++)
        {
            Assert.Equal(SHA256.HashData(group.Payload(i)), commitments.AsSpan(i * 32, 32));
        }
    }
}
