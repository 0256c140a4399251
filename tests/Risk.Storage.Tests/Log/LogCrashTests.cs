using Risk.Core.Log;
using Risk.Storage.Log;

namespace Risk.Storage.Tests.Log;

/// <summary>faults.md, rows 1 to 4, 22 and 24.</summary>
public class LogCrashTests : LogFolderFixture
{
    [Fact]
    public void LastCommit_CutOrDamagedAnywhere_IsCutBackToTheLastWholeGroup()
    {
        using (FileDecisionLog log = Open(Small()))
        {
            Append(log, 5);
        }

        string segment;
        using (FileDecisionLog log = Open(Small()))
        {
            Append(log, 3);
            Append(log, 1, commit: false);
            Append(log, 1);
            segment = ActiveSegment();
            log.Abandon();
        }

        byte[] whole = Read(segment);
        (int start, int bytes) = LastCommit(whole);
        string checkpoint = Path.Combine(Folder, "log", "checkpoint");
        byte[] published = File.ReadAllBytes(checkpoint);
        var sizes = new HashSet<long>();
        for (int at = start; at < start + bytes; at++)
        {
            // Cut at every byte; damaged at every byte of the headers and every fifth behind them.
            foreach (bool cut in at - start < 64 || at % 5 == 0 ? new[] { true, false } : [true])
            {
                byte[] damaged = [.. whole];
                if (cut)
                {
                    damaged.AsSpan(at).Clear();
                }
                else
                {
                    damaged[at] ^= 0x5A;
                }

                Reset(segment, damaged, checkpoint, published);
                using FileDecisionLog log = Open(Small());
                Assert.True(log.Size is 8 or 9 or 10, $"{log.Size} entries after damage at byte {at - start}");
                Assert.Equal(log.Size, PositionOf(log));
                bool hasHeader = at - start >= 28 || (!cut && at - start is > 27 and < 32);
                Assert.Equal(hasHeader && log.Size < 10 ? 1 : log.RecoveredTails, log.RecoveredTails);
                sizes.Add(log.Size);
                if (at % 97 == 0)
                {
                    Append(log, 4);
                    AssertHoldsInOrder(log, log.Size);
                }

                log.Abandon();
            }
        }

        // All three were seen: nothing of the commit, its first group, and all of it (the cut was in the padding's zeros).
        Assert.Contains(8, sizes);
        Assert.Contains(9, sizes);
    }

    [Fact]
    public void TornTail_IsCounted()
    {
        string segment;
        using (FileDecisionLog log = Open(Small()))
        {
            Append(log, 5);
            Append(log, 5);
            segment = ActiveSegment();
            log.Abandon();
        }

        byte[] bytes = Read(segment);
        (int start, int length) = LastCommit(bytes);
        bytes[start + length - 20] ^= 1;
        File.WriteAllBytes(segment, bytes);
        using FileDecisionLog again = Open(Small());
        Assert.Equal((5, 1), (again.Size, again.RecoveredTails));
    }

    [Fact]
    public void DamageBeforeAWholeCommit_IsNoTornTail()
    {
        string segment;
        using (FileDecisionLog log = Open(Small()))
        {
            Append(log, 5);
            segment = ActiveSegment();
            byte[] bytes = Read(segment);
            (int start, int length) = LastCommit(bytes);
            Append(log, 5);
            log.Abandon();
            bytes = Read(segment);
            bytes[start + length - 20] ^= 1;
            File.WriteAllBytes(segment, bytes);
        }

        Assert.Equal(LogCodes.Corrupt, Assert.Throws<DecisionLogException>(() => Open(Small())).Code);
    }

    [Fact]
    public void PowerCuts_AtAnyMoment_LoseNothingAcknowledged()
    {
        for (int seed = 0; seed < 24; seed++)
        {
            var random = new Random(seed);
            string folder = Path.Combine(Folder, "run" + seed);
            long acknowledged = 0;
            long position = 0;
            for (int life = 0; life < 4; life++)
            {
                var disk = new SimulatedDisk();
                FileDecisionLog log = FileDecisionLog.Open(folder, Small() with { Disk = disk, CheckpointEvery = TimeSpan.FromDays(random.Next(2)) });
                Assert.True(log.Size >= acknowledged, $"seed {seed}, life {life}: {log.Size} entries, {acknowledged} were acknowledged");
                Assert.True(PositionOf(log) >= position);
                AssertHoldsInOrder(log, log.Size);
                int groups = random.Next(60);
                for (int i = 0; i < groups; i++)
                {
                    bool commit = random.Next(3) > 0;
                    Append(log, random.Next(1, 60), commit);
                    if (commit)
                    {
                        (acknowledged, position) = (log.Size, PositionOf(log));
                    }

                    if (random.Next(20) == 0)
                    {
                        log.PublishCheckpoint();
                    }
                }

                log.Abandon();
                disk.CutPower(random);
            }

            using (FileDecisionLog last = FileDecisionLog.Open(folder, Small()))
            {
                Assert.True(last.Size >= acknowledged);
                AssertHoldsInOrder(last, last.Size);
            }

            LogVerification verified = LogVerifier.Verify(folder);
            Assert.True(verified.IsVerified, $"seed {seed}: {verified.Sentence}");
        }
    }

    [Fact]
    public void FailedSync_AcknowledgesNothing_AndIsNotRetried()
    {
        var disk = new SimulatedDisk();
        using (FileDecisionLog log = Open(Small() with { Disk = disk }))
        {
            Append(log, 5);
            disk.FailSyncAfter = 1;
            Append(log, 5, commit: false);
            Assert.Equal(LogCodes.ReadOnly, Assert.Throws<DecisionLogException>(log.Commit).Code);
            int syncs = disk.Syncs;
            Assert.Equal(LogCodes.ReadOnly, Assert.Throws<DecisionLogException>(log.Commit).Code);
            Assert.Throws<DecisionLogException>(() => log.Append(Fill(new DecisionGroup(), 10, 1)));
            Assert.Throws<DecisionLogException>(log.PublishCheckpoint);
            Assert.Equal((syncs, 5L), (disk.Syncs, log.DurableSize));
            Assert.True(log.TryRead(4, new LogEntry()));
        }

        using FileDecisionLog again = Open(Small());
        Assert.InRange(again.Size, 5, 10);
        AssertHoldsInOrder(again, again.Size);
    }

    [Fact]
    public void DiskFullForTiles_StopsTheLog()
    {
        var disk = new SimulatedDisk();
        using (FileDecisionLog log = Open(Small() with { Disk = disk, TilesInBackground = true }))
        {
            disk.FailFiles = true;
            DecisionLogException? stopped = null;
            for (int i = 0; i < 1000 && stopped is null; i++)
            {
                try
                {
                    Append(log, 100);
                    Thread.Sleep(1);
                }
                catch (DecisionLogException e)
                {
                    stopped = e;
                }
            }

            Assert.Equal(LogCodes.ReadOnly, stopped?.Code);
        }

        using FileDecisionLog again = Open(Small());
        AssertHoldsInOrder(again, again.Size);
    }

    [Fact]
    public void LogShorterThanItsCheckpoint_DoesNotStart()
    {
        using (FileDecisionLog log = Open(Small()))
        {
            Append(log, 5);
        }

        string backup = Path.Combine(Folder, "backup");
        Copy(Path.Combine(Folder, "journal"), backup);
        using (FileDecisionLog log = Open(Small()))
        {
            Append(log, 5);
        }

        System.IO.Directory.Delete(Path.Combine(Folder, "journal"), true);
        Copy(backup, Path.Combine(Folder, "journal"));
        Assert.Equal(LogCodes.Rollback, Assert.Throws<DecisionLogException>(() => Open(Small())).Code);
        System.IO.Directory.Delete(Path.Combine(Folder, "journal"), true);
        Assert.Equal(LogCodes.Rollback, Assert.Throws<DecisionLogException>(() => Open(Small())).Code);
    }

    [Fact]
    public void OtherEntriesThanTheCheckpointSigned_DoNotStart()
    {
        using (FileDecisionLog log = Open(Small()))
        {
            Append(log, 5);
        }

        byte[] checkpoint = File.ReadAllBytes(Path.Combine(Folder, "log", "checkpoint"));
        foreach (string part in new[] { "log", "journal", "private" })
        {
            System.IO.Directory.Delete(Path.Combine(Folder, part), true);
        }

        using (FileDecisionLog log = Open(Small()))
        {
            log.Append(Fill(new DecisionGroup(), 0, 5, firstEvent: 100));
            log.Commit();
        }

        File.WriteAllBytes(Path.Combine(Folder, "log", "checkpoint"), checkpoint);
        Assert.Equal(LogCodes.Rollback, Assert.Throws<DecisionLogException>(() => Open(Small())).Code);
    }

    private static DecisionLogOptions Small() => Options() with { SegmentBytes = 128 * 1024, Disk = new SimulatedDisk() };

    private static void Copy(string from, string to)
    {
        System.IO.Directory.CreateDirectory(to);
        foreach (string file in System.IO.Directory.GetFiles(from))
        {
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)), true);
        }
    }

    private string ActiveSegment() => System.IO.Directory.GetFiles(Path.Combine(Folder, "journal"), "*.journal")
        .Select(path => (Path: path, Id: JournalFormat.TryReadHeader(Read(path), out SegmentHeader header) ? header.Id : 0))
        .MaxBy(s => s.Id).Path;

    private static byte[] Read(string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        byte[] bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        return bytes;
    }

    /// <summary>Where the last commit of a segment starts, and its bytes.</summary>
    private static (int Start, int Bytes) LastCommit(byte[] segment)
    {
        Assert.True(JournalFormat.TryReadHeader(segment, out SegmentHeader header));
        (int, int) last = default;
        for (int at = JournalFormat.BlockBytes; at < segment.Length; at += JournalFormat.BlockBytes)
        {
            if (JournalFormat.TryReadCommit(segment.AsSpan(at), header.Id, out int bytes, out _))
            {
                last = (at, bytes);
            }
        }

        return last;
    }

    /// <summary>The directory as it was, with this as its only live segment.</summary>
    private void Reset(string segment, byte[] bytes, string checkpoint, byte[] published)
    {
        foreach (string other in System.IO.Directory.GetFiles(Path.Combine(Folder, "journal"), "*.journal"))
        {
            File.Delete(other);
        }

        File.WriteAllBytes(segment, bytes);
        File.WriteAllBytes(checkpoint, published);
    }
}
