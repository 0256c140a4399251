using System.Buffers.Binary;
using System.Diagnostics;
using System.Security.Cryptography;
using Risk.Core.Log;
using Risk.Core.Transactions;

namespace Risk.Storage.Log;

/// <summary>What one run of the workload measured.</summary>
internal sealed record DecisionLogMeasurement
{
    public long Decisions { get; init; }

    /// <summary>Wall time of encoding, committing to payloads, appending and syncing, without opening and closing.</summary>
    public double Seconds { get; init; }

    /// <summary>Of these, the share of the log: append and commit.</summary>
    public double LogSeconds { get; init; }

    /// <summary>Processor time of the whole process, tiles and their hashes included, opening and closing too.</summary>
    public double ProcessorSeconds { get; init; }

    public double DecisionsPerSecond => Decisions / Seconds;

    public double RecordBytesMean { get; init; }

    public double PayloadBytesMean { get; init; }

    /// <summary>Append of a group and its commit, microseconds.</summary>
    public double CommitMicrosP50 { get; init; }

    public double CommitMicrosP99 { get; init; }

    public double CommitMicrosMax { get; init; }

    public string RootHash { get; init; } = "";
}

/// <summary>
/// The engine's side of the benchmark <c>decision-log</c>: durable, hashed decisions a second. The records are as large as
/// those of card payments (about 330 bytes, and a private payload as large), each encoded and committed to here.
/// </summary>
internal static class DecisionLogBenchmark
{
    private static readonly byte[] Digest = SHA256.HashData("benchmark"u8);

    /// <summary>Runs the workload until the log of the directory has that many decisions; an empty one is the benchmark.</summary>
    /// <param name="directory">Made when it is not there.</param>
    /// <param name="decisions">Decisions in all.</param>
    /// <param name="groupSize">Decisions a micro-batch.</param>
    /// <param name="groupsPerCommit">Micro-batches that share one sync.</param>
    public static DecisionLogMeasurement Run(string directory, long decisions, int groupSize = 256, int groupsPerCommit = 4, TimeSpan? checkpointEvery = null)
    {
        var group = new DecisionGroup();
        byte[] commitments = new byte[groupSize * LogFormat.HashBytes];
        var micros = new List<double>((int)(decisions / groupSize) + 1);
        long recordBytes = 0;
        long payloadBytes = 0;
        double logSeconds = 0;
        TimeSpan processorBefore = Environment.CpuUsage.TotalTime;
        var options = new DecisionLogOptions { Origin = "risk/benchmark", KeySeed = Digest, CheckpointEvery = checkpointEvery ?? TimeSpan.FromSeconds(1) };
        double seconds;
        string root;
        using (FileDecisionLog log = FileDecisionLog.Open(directory, options))
        {
            long started = Stopwatch.GetTimestamp();
            for (int groups = 1; log.Size < decisions; groups++)
            {
                Fill(group, commitments, log.Size, (int)Math.Min(groupSize, decisions - log.Size));
                recordBytes += group.EncodedRecords(0, group.Count).Length;
                payloadBytes += group.EncodedPayloads(0, group.Count).Length;
                long before = Stopwatch.GetTimestamp();
                log.Append(group);
                bool isCommit = groups % groupsPerCommit == 0 || log.Size == decisions;
                if (isCommit)
                {
                    log.Commit();
                }

                TimeSpan took = Stopwatch.GetElapsedTime(before);
                logSeconds += took.TotalSeconds;
                if (isCommit)
                {
                    micros.Add(took.TotalMicroseconds);
                }
            }

            seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            root = Convert.ToHexStringLower(log.RootHash());
        }

        if (micros.Count == 0)
        {
            throw new ArgumentException($"The log in {directory} has {decisions} decisions already.", nameof(decisions));
        }

        micros.Sort();
        return new DecisionLogMeasurement
        {
            Decisions = decisions,
            Seconds = seconds,
            LogSeconds = logSeconds,
            ProcessorSeconds = (Environment.CpuUsage.TotalTime - processorBefore).TotalSeconds,
            RecordBytesMean = (double)recordBytes / decisions - LogFormat.LengthPrefixBytes,
            PayloadBytesMean = (double)payloadBytes / decisions - LogFormat.LengthPrefixBytes,
            CommitMicrosP50 = micros[micros.Count / 2],
            CommitMicrosP99 = micros[(int)(micros.Count * 0.99)],
            CommitMicrosMax = micros[^1],
            RootHash = root,
        };
    }

    /// <summary>Fills a group as the scoring path does: payloads, commitments, then reasons and records.</summary>
    public static void Fill(DecisionGroup group, byte[] commitments, long first, int count)
    {
        group.Clear(first);
        Span<byte> id = stackalloc byte[20];
        Span<byte> reasonBytes = stackalloc byte[64];
        Span<float> features = stackalloc float[48];
        for (int i = 0; i < count; i++)
        {
            features.Fill(first + i);
            Span<byte> payload = group.ReservePayload(PrivatePayloadCodec.BytesMax(128, features.Length));
            int payloadBytes = PrivatePayloadCodec.Write(Digest.AsSpan(0, LogFormat.SaltBytes), Digest.AsSpan(0, 32), features, payload);
            group.CommitPayload(payloadBytes);
        }

        group.CommitToPayloads(commitments);
        for (int i = 0; i < count; i++)
        {
            long sequence = first + i;
            System.Buffers.Text.Utf8Formatter.TryFormat(sequence, id, out int idBytes);
            var reasons = new ReasonBuilder(reasonBytes);
            if (sequence % 100 == 0)
            {
                reasons.Add("AMOUNT_HIGH"u8, ReasonSource.Score, 0.31f);
                reasons.Add("TERMINAL_NEW"u8, ReasonSource.Score, 0.17f);
            }

            var record = new DecisionRecord
            {
                Sequence = sequence,
                Stream = "card-payments"u8,
                EventId = id[..idBytes],
                SourceName = "transactions.csv.gz"u8,
                SourceOffset = sequence + 1,
                EventTimeMicros = 1_522_540_800_000_000 + sequence,
                DecisionTimeMicros = 1_522_540_800_000_100 + sequence,
                Subject = Digest.AsSpan(0, LogFormat.SubjectTokenBytes),
                Commitment = commitments.AsSpan(i * LogFormat.HashBytes, LogFormat.HashBytes),
                ModelDigest = Digest,
                CatalogDigest = Digest,
                PolicyDigest = Digest,
                ExecutionProvider = "CPUExecutionProvider"u8,
                Device = "cpu"u8,
                BatchSize = count,
                BatchPosition = i,
                RawScore = 0.0123f,
                CalibratedScore = 0.0119,
                ReviewThreshold = 0.35,
                DeclineThreshold = 0.8,
                Reasons = reasons.Build(),
                CostMoney = 1.1e-7,
                CostJoules = 0.0011,
                CostMethod = "cpu-time"u8,
                Actor = "engine"u8,
                SolelyAutomated = true,
            };
            int recordBytes = DecisionRecordCodec.Write(record, group.ReserveRecord(DecisionRecordCodec.BytesMax(record)));
            group.CommitRecord(recordBytes, EntityKey.Combine(new EntityKey((ulong)sequence, 1), new EntityKey(2, 3)));
        }

        Span<byte> position = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(position, first + count);
        group.SetPosition(position);
    }
}
