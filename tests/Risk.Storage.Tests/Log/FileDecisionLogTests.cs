using System.Diagnostics;
using Risk.Core.Log;
using Risk.Storage.Log;

namespace Risk.Storage.Tests.Log;

public class FileDecisionLogTests : DecisionLogContract
{
    protected override IDecisionLog OpenLog() => Open();

    [Fact]
    public void SecondWriter_IsRefused()
    {
        using FileDecisionLog log = Open();
        var refused = Assert.Throws<DecisionLogException>(() => Open());
        Assert.Equal(LogCodes.InUse, refused.Code);
        Assert.True(refused.IsRetriable);
    }

    [Fact]
    public void ManySegments_AreUsedRoundAndRound()
    {
        using (FileDecisionLog log = Open(Options() with { SegmentBytes = 256 * 1024, CheckpointEvery = TimeSpan.Zero }))
        {
            for (int i = 0; i < 200; i++)
            {
                Append(log, 100);
            }
        }

        Assert.InRange(System.IO.Directory.GetFiles(Path.Combine(Folder, "journal"), "*.journal").Length, 2, 4);
        using FileDecisionLog again = Open();
        AssertHoldsInOrder(again, 20_000);
        Assert.Equal(VerifyCodes.Verified, LogVerifier.Verify(Folder).Code);
    }

    [Fact]
    public void OpeningOften_MakesNoMoreSegments()
    {
        for (int i = 0; i < 12; i++)
        {
            using FileDecisionLog log = Open();
            Append(log, 3);
        }

        Assert.InRange(System.IO.Directory.GetFiles(Path.Combine(Folder, "journal"), "*.journal").Length, 2, 3);
    }

    [Fact]
    public void TilesOnAThread_GiveTheSameFiles()
    {
        byte[] root;
        using (FileDecisionLog log = Open(Options() with { TilesInBackground = true, CheckpointEvery = TimeSpan.FromMilliseconds(5), LiveBundlesMax = 4 }))
        {
            var group = new DecisionGroup();
            for (int i = 0; i < 300; i++)
            {
                log.Append(Fill(group, log.Size, 64));
                log.Commit();
            }

            root = log.RootHash();
        }

        using FileDecisionLog again = Open();
        AssertHoldsInOrder(again, 300 * 64);
        Assert.Equal(root, again.RootHash());
        LogVerification verified = LogVerifier.Verify(Folder);
        Assert.Equal((VerifyCodes.Verified, 19_200L, 19_200L), (verified.Code, verified.Size, verified.PayloadsVerified));
        Assert.Equal(Convert.ToHexStringLower(root), verified.RootHash);
    }

    [Fact]
    public void ReaderOfAnOpenLog_SeesFilesAndMemory_FromAnySequence()
    {
        using FileDecisionLog log = Open();
        Append(log, 1000);
        foreach (long from in new long[] { 0, 1, 255, 256, 700, 768, 999, 1000 })
        {
            using IDecisionLogReader reader = log.Read(from);
            long expected = from;
            while (reader.Read())
            {
                Assert.Equal(RecordFault.None, DecisionRecordCodec.Read(reader.Record, out DecisionRecord record));
                Assert.Equal(expected, record.Sequence);
                Assert.Equal(RecordFault.None, PrivatePayloadCodec.Read(reader.Payload, out _));
                expected++;
            }

            Assert.Equal(1000, expected);
        }
    }

    [Fact]
    public void ReaderOfAClosedLog_SeesAllOfTheCheckpoint()
    {
        using (FileDecisionLog log = Open())
        {
            Append(log, 600);
        }

        using DecisionLogReader reader = DecisionLogReader.Open(Path.Combine(Folder, "log"), 500);
        int count = 0;
        while (reader.Read())
        {
            count++;
        }

        Assert.Equal(100, count);
        Assert.True(reader.Seek(3));
        Assert.Equal(RecordFault.None, DecisionRecordCodec.Read(reader.Record, out DecisionRecord record));
        Assert.Equal(3, record.Sequence);
    }

    [Fact]
    public void Checkpoint_IsTheSpecifiedNote_AndPartialTilesGoWhenFullOnesCome()
    {
        using (FileDecisionLog log = Open())
        {
            Append(log, 300);
        }

        string[] lines = File.ReadAllLines(Path.Combine(Folder, "log", "checkpoint"));
        Assert.Equal(["risk/test", "300"], lines[..2]);
        Assert.StartsWith("\u2014 risk/test ", lines[4], StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(Folder, "log/tile/0/000")));
        Assert.True(File.Exists(Path.Combine(Folder, "log/tile/0/001.p/44")));
        Assert.True(File.Exists(Path.Combine(Folder, "log/tile/1/000.p/1")));
        Assert.True(File.Exists(Path.Combine(Folder, "log/tile/entries/001.p/44")));
        Assert.True(File.Exists(Path.Combine(Folder, "private/001.p/44")));
        using (FileDecisionLog log = Open())
        {
            Append(log, 300);
        }

        Assert.True(File.Exists(Path.Combine(Folder, "log/tile/0/001")));
        Assert.False(System.IO.Directory.Exists(Path.Combine(Folder, "log/tile/0/001.p")));
        Assert.False(System.IO.Directory.Exists(Path.Combine(Folder, "log/tile/entries/001.p")));
        Assert.False(System.IO.Directory.Exists(Path.Combine(Folder, "private/001.p")));
        Assert.True(File.Exists(Path.Combine(Folder, "log/tile/1/000.p/2")));
    }

    [Fact]
    public void GroupLargerThanASegment_IsABug_AndCostsNothing()
    {
        using FileDecisionLog log = Open();
        Assert.Throws<ArgumentException>(() => log.Append(Fill(new DecisionGroup(), 0, 2000)));
        Append(log, 5);
        AssertHoldsInOrder(log, 5);
    }

    [Fact]
    public void OtherKeyOrOrigin_IsRefused()
    {
        using (FileDecisionLog log = Open())
        {
            Append(log, 1);
        }

        Assert.Equal(LogCodes.Other, Assert.Throws<DecisionLogException>(() => Open(Options("risk/other"))).Code);
        Assert.Equal(LogCodes.Other, Assert.Throws<DecisionLogException>(() => Open(Options() with { KeySeed = new byte[32] })).Code);
        using FileDecisionLog mine = Open();
        Assert.Equal(1, mine.Size);
    }

    [Fact]
    public void KeyFiles_AreReadByOpenSsl_AndPrivate()
    {
        using (FileDecisionLog log = Open())
        {
            Append(log, 1);
        }

        string keyFile = Path.Combine(Folder, "keys", "log.key");
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(keyFile));
        }

        using var openssl = Process.Start(new ProcessStartInfo("openssl", ["pkey", "-in", keyFile, "-pubout", "-outform", "DER"]) { RedirectStandardOutput = true })!;
        using var der = new MemoryStream();
        openssl.StandardOutput.BaseStream.CopyTo(der);
        openssl.WaitForExit();
        Assert.Equal(Ed25519.PublicKeyOf(Seed), der.ToArray().AsSpan()[^32..].ToArray());
    }

    [Fact]
    public void AppendingAndCommitting_AfterWarmUp_AllocatesNothing()
    {
        using FileDecisionLog log = Open(Options() with { SegmentBytes = 64 << 20, TilesInBackground = true, LiveBundlesMax = 4 });
        var group = new DecisionGroup();
        for (int i = 0; i < 300; i++)
        {
            log.Append(Fill(group, log.Size, 100));
            if (i > 30)
            {
                // What isn't durable gets no tiles: the first rounds make more bundles in memory than there will ever be again.
                log.Commit();
            }
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
        {
            log.Append(Fill(group, log.Size, 100));
            log.Commit();
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
