using System.Buffers.Binary;
using System.Security.Cryptography;
using Risk.Core.Log;
using Risk.Storage.Log;

namespace Risk.Storage.Tests.Log;

/// <summary>A directory for one test, and groups that look like the engine's.</summary>
public abstract class LogFolderFixture : IDisposable
{
    internal static readonly byte[] Seed = SHA256.HashData("a seed"u8);
    private static readonly byte[] Digest = SHA256.HashData("a digest"u8);

    internal string Folder { get; } = System.IO.Directory.CreateTempSubdirectory("risk-log-").FullName;

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing) => System.IO.Directory.Delete(Folder, recursive: true);

    internal static DecisionLogOptions Options(string origin = "risk/test") => new()
    {
        Origin = origin,
        KeySeed = Seed,
        SegmentBytes = 1024 * 1024,
        TilesInBackground = false,
    };

    internal FileDecisionLog Open(DecisionLogOptions? options = null) => FileDecisionLog.Open(Folder, options ?? Options());

    /// <summary>Fills the group with records first, first + 1, …; their position is the sequence after them.</summary>
    internal static DecisionGroup Fill(DecisionGroup group, long first, int count, long firstEvent = -1)
    {
        group.Clear(first);
        Span<byte> id = stackalloc byte[20];
        Span<byte> commitment = stackalloc byte[32];
        Span<byte> reasonBytes = stackalloc byte[64];
        Span<float> features = stackalloc float[40];
        for (int i = 0; i < count; i++)
        {
            long sequence = first + i;
            long eventNumber = firstEvent < 0 ? sequence : firstEvent + i;
            System.Buffers.Text.Utf8Formatter.TryFormat(eventNumber, id, out int idBytes);
            features.Fill(eventNumber);
            Span<byte> payload = group.ReservePayload(PrivatePayloadCodec.BytesMax(128, features.Length));
            int payloadBytes = PrivatePayloadCodec.Write(Digest.AsSpan(0, 16), Digest.AsSpan(0, 20), features, payload);
            PrivatePayloadCodec.Commit(payload[..payloadBytes], commitment);
            group.CommitPayload(payloadBytes);
            var reasons = new ReasonBuilder(reasonBytes);
            reasons.Add("AMOUNT_HIGH"u8, ReasonSource.Score, 0.25f);
            var record = new DecisionRecord
            {
                Sequence = sequence,
                Stream = "card-payments"u8,
                EventId = id[..idBytes],
                SourceName = "stream.csv.gz"u8,
                SourceOffset = eventNumber + 1,
                EventTimeMicros = 1_522_540_800_000_000 + eventNumber,
                DecisionTimeMicros = 1_522_540_800_000_100 + eventNumber,
                Subject = Digest.AsSpan(0, 16),
                Commitment = commitment,
                ModelDigest = Digest,
                CatalogDigest = Digest,
                PolicyDigest = Digest,
                ExecutionProvider = "CPUExecutionProvider"u8,
                Device = "cpu"u8,
                BatchSize = count,
                BatchPosition = i,
                RawScore = 0.1f,
                CalibratedScore = 0.1,
                ReviewThreshold = 0.5,
                DeclineThreshold = 0.9,
                Outcome = (int)(eventNumber % 3),
                Reasons = reasons.Build(),
                CostMoney = 1.1e-7,
                CostJoules = 0.001,
                CostMethod = "cpu-time"u8,
                Actor = "engine"u8,
                SolelyAutomated = true,
            };
            group.CommitRecord(DecisionRecordCodec.Write(record, group.ReserveRecord(DecisionRecordCodec.BytesMax(record))));
        }

        Span<byte> position = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(position, first + count);
        group.SetPosition(position);
        return group;
    }

    internal static void Append(IDecisionLog log, int count, bool commit = true)
    {
        log.Append(Fill(new DecisionGroup(), log.Size, count));
        if (commit)
        {
            log.Commit();
        }
    }

    internal static long PositionOf(IDecisionLog log) => log.LastPosition.IsEmpty ? 0 : BinaryPrimitives.ReadInt64LittleEndian(log.LastPosition);

    /// <summary>The root of the first records, derived without any file.</summary>
    internal static byte[] ExpectedRoot(long size)
    {
        var group = Fill(new DecisionGroup(), 0, (int)size);
        var tree = new MerkleTiles();
        byte[] leaves = new byte[LogFormat.TileBytes];
        int width = 0;
        for (int i = 0; i < size; i++)
        {
            // The batch size is part of the record: callers append groups through Fill with the sizes they expect.
            MerkleHash.Leaf(group.Record(i), leaves.AsSpan(width * 32, 32));
            if (++width == 256)
            {
                tree.Add(leaves, null);
                width = 0;
            }
        }

        byte[] root = new byte[32];
        tree.Root(leaves.AsSpan(0, width * 32), root);
        return root;
    }

    /// <summary>Every entry as the log gives it back, checked against what was appended.</summary>
    internal static void AssertHoldsInOrder(IDecisionLog log, long size)
    {
        Assert.Equal(size, log.Size);
        var entry = new LogEntry();
        for (long sequence = 0; sequence < size; sequence++)
        {
            Assert.True(log.TryRead(sequence, entry));
            Assert.Equal(RecordFault.None, DecisionRecordCodec.Read(entry.Record, out DecisionRecord record));
            Assert.Equal(sequence, record.Sequence);
            Assert.Equal(RecordFault.None, PrivatePayloadCodec.Read(entry.Payload, out _));
            Assert.Equal(SHA256.HashData(entry.Payload), record.Commitment);
        }

        Assert.False(log.TryRead(size, entry));
    }
}
