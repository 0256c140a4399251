using Risk.Core.Log;
using Risk.Storage.Log;

namespace Risk.Storage.Tests.Log;

public class LogVerifierTests : LogFolderFixture
{
    [Fact]
    public void GoodLog_IsVerified_ByEitherFolder()
    {
        Fill(700);
        foreach (string folder in new[] { Folder, Path.Combine(Folder, "log") })
        {
            var reports = new List<LogVerifyProgress>();
            LogVerification result = LogVerifier.Verify(folder, new LogVerifyOptions { ProgressEvery = 256 }, new Immediately(reports.Add));
            Assert.Equal((VerifyCodes.Verified, 700L, 700L, 700L, 0L), (result.Code, result.Size, result.Decisions, result.PayloadsVerified, result.PayloadsAbsent));
            Assert.Null(result.FirstBadSequence);
            Assert.Equal(new LogVerifyProgress(700, 700), reports[^1]);
        }
    }

    [Fact]
    public void EmptyLog_IsVerified()
    {
        Open().Dispose();
        Assert.Equal((VerifyCodes.Verified, 0L), (LogVerifier.Verify(Folder).Code, LogVerifier.Verify(Folder).Size));
    }

    [Fact]
    public void AnyBitFlipped_InAnyFile_IsFoundAndNamed()
    {
        Fill(300);
        var random = new Random(1);
        string[] files = [.. Directory.GetFiles(Path.Combine(Folder, "log"), "*", SearchOption.AllDirectories), .. Directory.GetFiles(Path.Combine(Folder, "private"), "*", SearchOption.AllDirectories)];
        Assert.Equal(8, files.Length); // checkpoint; entries, level 0 and private: one full, one partial; level 1: one partial
        foreach (string file in files)
        {
            byte[] good = File.ReadAllBytes(file);
            for (int i = 0; i < 120; i++)
            {
                int at = i < 4 ? i : random.Next(good.Length);
                byte[] bad = [.. good];
                bad[at] ^= (byte)(1 << random.Next(8));
                File.WriteAllBytes(file, bad);
                LogVerification result = LogVerifier.Verify(Folder);
                Assert.False(result.IsVerified, $"a bit of byte {at} of {file} was flipped and not seen");
                if (!file.EndsWith("checkpoint", StringComparison.Ordinal))
                {
                    Assert.NotNull(result.FirstBadSequence);
                }

                if (file.Contains("tile/0/000", StringComparison.Ordinal))
                {
                    Assert.Equal(at / 32, result.FirstBadSequence);
                }
            }

            File.WriteAllBytes(file, good);
        }

        Assert.True(LogVerifier.Verify(Folder).IsVerified);
    }

    [Fact]
    public void EveryFileDeleted_OneAtATime_IsMissed()
    {
        Fill(300);
        foreach (string file in Directory.GetFiles(Path.Combine(Folder, "log"), "*", SearchOption.AllDirectories))
        {
            File.Move(file, file + ".away");
            Assert.False(LogVerifier.Verify(Folder).IsVerified, file);
            File.Move(file + ".away", file);
        }
    }

    [Fact]
    public void EditedRecord_IsNamedWithItsSequence()
    {
        Fill(300);
        string bundle = Path.Combine(Folder, "log/tile/entries/000");
        byte[] bytes = File.ReadAllBytes(bundle);
        int at = bytes.AsSpan().IndexOf("stream.csv.gz"u8);
        for (int i = 0; i < 7; i++)
        {
            at += 13 + bytes.AsSpan(at + 13).IndexOf("stream.csv.gz"u8);
        }

        bytes[at] = (byte)'S';
        File.WriteAllBytes(bundle, bytes);
        LogVerification result = LogVerifier.Verify(Folder);
        Assert.Equal((VerifyCodes.EntryHashMismatch, 7L), (result.Code, result.FirstBadSequence));
    }

    [Fact]
    public void EventDecidedTwice_IsNamedWithBothRecords()
    {
        using (FileDecisionLog log = Open())
        {
            Append(log, 300);
            log.Append(Fill(new DecisionGroup(), 300, 5, firstEvent: 40));
            log.Commit();
        }

        LogVerification result = LogVerifier.Verify(Folder);
        Assert.Equal((VerifyCodes.DuplicateDecision, 300L), (result.Code, result.FirstBadSequence));
        Assert.Contains("record 40", result.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void RecordAtAnotherPlace_IsNamed()
    {
        using (FileDecisionLog log = Open())
        {
            var group = Fill(new DecisionGroup(), 0, 3);
            var moved = new DecisionGroup();
            moved.Clear(0);
            foreach (int i in new[] { 0, 2, 1 })
            {
                group.Record(i).CopyTo(moved.ReserveRecord(1000));
                moved.CommitRecord(group.Record(i).Length);
                group.Payload(i).CopyTo(moved.ReservePayload(1000));
                moved.CommitPayload(group.Payload(i).Length);
            }

            log.Append(moved);
            log.Commit();
        }

        LogVerification result = LogVerifier.Verify(Folder);
        Assert.Equal((VerifyCodes.SequenceMismatch, 1L), (result.Code, result.FirstBadSequence));
    }

    [Fact]
    public void TailDeletedWithTheCheckpointKept_IsNamed()
    {
        Fill(600);
        Directory.Delete(Path.Combine(Folder, "log/tile/entries/002.p"), true);
        LogVerification result = LogVerifier.Verify(Folder);
        Assert.Equal((VerifyCodes.EntriesMissing, 512L), (result.Code, result.FirstBadSequence));
    }

    [Fact]
    public void OlderCheckpoint_StillVerifies_AndANewerOneKeptElsewhereShowsTheRollback()
    {
        string older = Path.Combine(Folder, "older");
        string newer = Path.Combine(Folder, "newer");
        Fill(300);
        File.Copy(Path.Combine(Folder, "log/checkpoint"), older);
        Fill(300);
        File.Copy(Path.Combine(Folder, "log/checkpoint"), newer);
        Assert.Equal((VerifyCodes.Verified, 300L), Summary(new LogVerifyOptions { CheckpointFile = older }));
        File.Copy(older, Path.Combine(Folder, "log/checkpoint"), true);
        Directory.Delete(Path.Combine(Folder, "log/tile/entries/002.p"), true);
        Assert.Equal((VerifyCodes.EntriesMissing, 512L), Summary(new LogVerifyOptions { CheckpointFile = newer }));
    }

    // As an export has it: of partial tiles only the newest.
    [Fact]
    public void OlderCheckpoint_NeedsNoPartialTilesOfItsOwn()
    {
        string older = Path.Combine(Folder, "older");
        Fill(300);
        File.Copy(Path.Combine(Folder, "log/checkpoint"), older);
        foreach ((int more, string width) in new[] { (100, "44"), (400, "1") })
        {
            Fill(more);
            Assert.All(Directory.GetFiles(Folder, width, SearchOption.AllDirectories), File.Delete);
            Assert.Equal((VerifyCodes.Verified, 300L), Summary(new LogVerifyOptions { CheckpointFile = older }));
        }
    }

    [Fact]
    public void KeyOfSomeoneElse_VerifiesNothing()
    {
        Fill(3);
        Assert.Equal(VerifyCodes.SignatureInvalid, LogVerifier.Verify(Folder, new LogVerifyOptions { VerifierKey = new LogKey("risk/test", new byte[32]).Key.ToString() }).Code);
        Assert.Equal(VerifyCodes.KeyMissing, LogVerifier.Verify(Folder, new LogVerifyOptions { VerifierKey = "nonsense" }).Code);
        File.Delete(Path.Combine(Folder, "keys/log.vkey"));
        Assert.Equal(VerifyCodes.KeyMissing, LogVerifier.Verify(Folder).Code);
        Assert.True(LogVerifier.Verify(Folder, new LogVerifyOptions { VerifierKey = new LogKey("risk/test", Seed).Key.ToString() }).IsVerified);
    }

    [Fact]
    public void ErasedPayloads_LeaveTheLogVerifiable()
    {
        Fill(300);
        Directory.Delete(Path.Combine(Folder, "private"), true);
        LogVerification result = LogVerifier.Verify(Folder);
        Assert.Equal((VerifyCodes.Verified, 0L, 300L), (result.Code, result.PayloadsVerified, result.PayloadsAbsent));
    }

    [Fact]
    public void NothingThere_SaysSo() => Assert.Equal(VerifyCodes.CheckpointMissing, LogVerifier.Verify(Folder).Code);

    private (string, long) Summary(LogVerifyOptions options)
    {
        LogVerification result = LogVerifier.Verify(Folder, options);
        return (result.Code, result.IsVerified ? result.Size : result.FirstBadSequence ?? -1);
    }

    private void Fill(int count)
    {
        using FileDecisionLog log = Open();
        Append(log, count);
    }

    private sealed class Immediately(Action<LogVerifyProgress> report) : IProgress<LogVerifyProgress>
    {
        public void Report(LogVerifyProgress value) => report(value);
    }
}
