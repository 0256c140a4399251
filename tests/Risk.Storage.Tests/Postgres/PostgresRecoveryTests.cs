using Risk.Core.Log;
using Risk.Storage.Postgres;
using static Risk.Storage.Tests.Log.LogFolderFixture;

namespace Risk.Storage.Tests.Postgres;

/// <summary>What opening finds out: a database that is behind, or differs from, what was signed.</summary>
[Collection(PostgresFixture.Name)]
public sealed class PostgresRecoveryTests(PostgresFixture postgres) : PostgresTest(postgres)
{
    private readonly string _folder = Directory.CreateTempSubdirectory("risk-checkpoints-").FullName;

    [StoreFact]
    public void DatabaseBehindAnExportedCheckpoint_IsRefused()
    {
        Write(Connect(Options with { CheckpointFolder = _folder }), 300);
        Assert.True(File.Exists(Path.Combine(_folder, "0000.checkpoint")));
        PostgresDecisionStore restored = Connect(Elsewhere() with { CheckpointFolder = _folder });
        Assert.Equal(LogCodes.Rollback, Assert.Throws<DecisionLogException>(() => restored.Open(0, "")).Code);
    }

    [StoreFact]
    public void RefusedOpening_FencesNobody()
    {
        using IDecisionLog healthy = Connect().Open(0, "healthy");
        Append(healthy, 10);
        PostgresStoreOptions ahead = Elsewhere() with { CheckpointFolder = _folder };
        Write(Connect(ahead), 300);
        PostgresDecisionStore refused = Connect(Options with { CheckpointFolder = _folder });
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(LogCodes.Rollback, Assert.Throws<DecisionLogException>(() => refused.Open(0, "refused")).Code);
        }

        Append(healthy, 1);
        Assert.Equal([new PartitionOwner(0, 1, "healthy")], refused.Owners());
    }

    [StoreFact]
    public async Task TakenWhileItsOwnerWrites_ItIsTakenUpWhole()
    {
        int fenced = 0;
        const int Rounds = 20;
        PostgresDecisionStore one = Connect(), two = Connect();
        for (int round = 0; round < Rounds; round++)
        {
            using IDecisionLog former = one.Open(round, "former");
            using var writing = new ManualResetEventSlim();
            Task<DecisionLogException> write = Task.Run(() => WriteUntilFenced(former, writing));
            writing.Wait();
            IDecisionLog latter = two.Open(round, "latter");
            Assert.Equal(LogCodes.Fenced, (await write).Code);
            try
            {
                Append(latter, 1);
            }
            catch (DecisionLogException e) when (e.Code == LogCodes.Fenced)
            {
                // A commit of the former that had passed the fence already: it won, and this one loads it.
                fenced++;
                latter.Dispose();
                latter = two.Open(round, "again");
                Append(latter, 1);
            }

            AssertHoldsInOrder(latter, former.DurableSize + 1);
            latter.Dispose();
        }

        // How often is the machine's affair; always would be a taking over that never works at once.
        Assert.InRange(fenced, 0, Rounds - 1);
    }

    [StoreFact]
    public void DatabaseWithOtherEntries_IsRefused()
    {
        Write(Connect(Options with { CheckpointFolder = _folder }), 300);
        PostgresStoreOptions elsewhere = Elsewhere();
        Write(Connect(elsewhere), 100, 900); // another size of batch is another record
        PostgresDecisionStore other = Connect(elsewhere with { CheckpointFolder = _folder });
        Assert.Equal(LogCodes.Rollback, Assert.Throws<DecisionLogException>(() => other.Open(0, "")).Code);
    }

    [StoreTheory]
    [InlineData(300, 1)]
    [InlineData(300, 100)]
    [InlineData(256, 300)]
    [InlineData(600, 600)]
    [InlineData(0, 5)]
    public void DatabaseBeyondAnExportedCheckpoint_IsFine(int exported, int more)
    {
        Write(Connect(Options with { CheckpointFolder = _folder }), exported);
        Write(Connect(), more);
        using IDecisionLog log = Connect(Options with { CheckpointFolder = _folder }).Open(0, "");
        AssertHoldsInOrder(log, exported + more);
    }

    [StoreFact]
    public void MoreThanATileOfTiles_IsTakenUp()
    {
        byte[] root;
        PostgresDecisionStore store = Connect(Options with { CheckpointFolder = _folder });
        using (IDecisionLog log = store.Open(0, ""))
        {
            var group = new DecisionGroup();
            var record = new byte[4];
            for (int i = 0; i < 15; i++)
            {
                group.Clear(log.Size);
                for (int k = 0; k < 5000; k++)
                {
                    BitConverter.TryWriteBytes(record, log.Size + k);
                    record.CopyTo(group.ReserveRecord(4));
                    group.CommitRecord(4);
                    group.CommitPayload(0);
                }

                log.Append(group);
                log.Commit();
                if (i == 12)
                {
                    log.PublishCheckpoint(); // 65,000: before the tile of level 1 is full
                }
            }

            root = log.RootHash();
        }

        Assert.Equal(1, AsOwner<long>("SELECT count(*) FROM risk.tile WHERE level = 1"));
        using IDecisionLog again = store.Open(0, "");
        Assert.Equal(75_000, again.Size);
        Assert.Equal(root, again.RootHash());
    }

    [StoreFact]
    public void RowsChangedOrCutOff_AreFoundOutByOpening()
    {
        PostgresDecisionStore store = Connect();
        Write(store, 300, 10);
        AsOwner("ALTER TABLE risk.entry DISABLE TRIGGER ALL; ALTER TABLE risk.log_commit DISABLE TRIGGER ALL; ALTER TABLE risk.tile DISABLE TRIGGER ALL");
        AsOwner("UPDATE risk.entry SET record = record || '\\x00' WHERE sequence = 305");
        Assert.Equal(LogCodes.Corrupt, CodeOfOpening(store));
        AsOwner("UPDATE risk.entry SET record = substr(record, 1, length(record) - 1) WHERE sequence = 305");
        Write(store);
        AsOwner("DELETE FROM risk.log_commit WHERE number = 2");
        Assert.Equal(LogCodes.Rollback, CodeOfOpening(store));
        AsOwner("DELETE FROM risk.entry WHERE sequence = 299");
        Assert.Equal(LogCodes.Corrupt, CodeOfOpening(store));
        AsOwner("DELETE FROM risk.tile");
        Assert.Equal(LogCodes.Corrupt, CodeOfOpening(store));
    }

    [StoreFact]
    public void OtherKey_IsRefused_AndAKeyFileIsAsGoodAsASeed()
    {
        Write(Connect(), 1);
        Assert.Equal(LogCodes.Other, CodeOfOpening(Connect(Options with { KeySeed = new byte[32] })));
        PostgresStoreOptions fromFile = Options with { KeySeed = default, KeyFolder = _folder, Stream = "other" };
        Write(Connect(fromFile), 1);
        Write(Connect(fromFile), 1);
        Assert.True(File.Exists(Path.Combine(_folder, "keys", "log.key")));
        Assert.Throws<ArgumentException>(() => Connect(Options with { KeySeed = default }));
    }

    [StoreFact]
    public void AppendingAndCommitting_AfterWarmUp_AllocatesLittle()
    {
        using IDecisionLog log = Connect().Open(0, "");
        var group = new DecisionGroup();
        for (int i = 0; i < 20; i++)
        {
            log.Append(Fill(group, log.Size, 256));
            log.Commit();
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 20; i++)
        {
            log.Append(Fill(group, log.Size, 256));
            log.Commit();
        }

        Assert.InRange((GC.GetAllocatedBytesForCurrentThread() - before) / (20 * 256.0), 0, 32);
    }

    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        Directory.Delete(_folder, recursive: true);
    }

    private static string CodeOfOpening(PostgresDecisionStore store) => Assert.Throws<DecisionLogException>(() => store.Open(0, "").Dispose()).Code;

    private static void Write(PostgresDecisionStore store, params int[] groups)
    {
        using IDecisionLog log = store.Open(0, "");
        foreach (int count in groups)
        {
            Append(log, count);
        }
    }

    private static DecisionLogException WriteUntilFenced(IDecisionLog log, ManualResetEventSlim writing)
    {
        while (true)
        {
            try
            {
                Append(log, 1);
                writing.Set();
            }
            catch (DecisionLogException e)
            {
                return e;
            }
        }
    }

    private PostgresStoreOptions Elsewhere() => Options with { ConnectionString = Postgres.RuntimeOf(Postgres.CreateDatabase()) };
}
