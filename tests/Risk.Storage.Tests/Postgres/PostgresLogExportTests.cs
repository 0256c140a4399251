using Risk.Core.Log;
using Risk.Storage.Log;
using Risk.Storage.Postgres;
using static Risk.Storage.Tests.Log.LogFolderFixture;

namespace Risk.Storage.Tests.Postgres;

/// <summary>A log that leaves the database as files is verified like any other, and what was changed in the rows is found.</summary>
[Collection(PostgresFixture.Name)]
public sealed class PostgresLogExportTests(PostgresFixture postgres) : PostgresTest(postgres)
{
    private const string Reader = "auditor";
    private readonly string _folder = Directory.CreateTempSubdirectory("risk-export-").FullName;
    private int _exports;

    [StoreTheory]
    [InlineData(0)]
    [InlineData(5)]
    [InlineData(256)]
    [InlineData(600)]
    public void Export_IsTheLog_FileByFile(int size)
    {
        using (IDecisionLog log = Connect().Open(3, ""))
        {
            Append(log, size);
            log.PublishCheckpoint();
        }

        string other = Path.Combine(_folder, "files");
        using (var log = FileDecisionLog.Open(other, Options("risk/card-payments/3") with { CheckpointEvery = TimeSpan.FromHours(1) }))
        {
            Append(log, size);
        }

        (string directory, LogExport export) = Export(3);
        Assert.Equal(("risk/card-payments/3", size, 0, null), (export.Origin, (int)export.Size, (int)export.NotCovered, export.Bad));
        Assert.Equal(VerifyCodes.Verified, LogVerifier.Verify(directory).Code);
        foreach (string part in new[] { "log", "private" })
        {
            Assert.Equal(FilesOf(Path.Combine(other, part)), FilesOf(Path.Combine(directory, part)));
        }
    }

    [StoreFact]
    public void EntriesBehindTheCheckpoint_AreCounted_NotExported()
    {
        using IDecisionLog log = Connect(Options with { CheckpointEvery = TimeSpan.FromHours(1) }).Open(0, "");
        Append(log, 300);
        log.PublishCheckpoint();
        Append(log, 100);
        (string directory, LogExport export) = Export(0);
        Assert.Equal((300, 100), (export.Size, export.NotCovered));
        LogVerification verified = LogVerifier.Verify(directory);
        Assert.Equal((VerifyCodes.Verified, 300L, 300L), (verified.Code, verified.Decisions, verified.PayloadsVerified));
    }

    [StoreTheory]
    [InlineData("UPDATE risk.entry SET record = set_byte(record, 40, 255 - get_byte(record, 40)) WHERE sequence = 17", 17, 17)]
    [InlineData("DELETE FROM risk.entry WHERE sequence = 300", 300, 300)]
    [InlineData("UPDATE risk.entry SET payload = payload || '\\x00' WHERE sequence = 299", 299, 299)]
    [InlineData("UPDATE risk.entry a SET record = b.record FROM risk.entry b WHERE a.sequence = 40 AND b.sequence = 41", 40, 40)]
    [InlineData("UPDATE risk.tile SET hashes = set_byte(hashes, 32 * 9, 255 - get_byte(hashes, 32 * 9)) WHERE level = 0 AND number = 1", 265, 265)]
    public void ChangedRow_FailsVerification_WhichNamesIt(string change, long first, long last)
    {
        Write(200, 400);
        AsSuperuser(change);
        LogVerification found = LogVerifier.Verify(Export(0).Directory);
        Assert.False(found.IsVerified);
        Assert.Equal((first, last), (found.FirstBadSequence, found.LastBadSequence));
    }

    /// <summary>The last 88 of 600 entries have no leaf hashes in the database.</summary>
    [StoreFact]
    public void ChangedRow_InThePartialTile_IsNamedByTheExport()
    {
        Write(520, 30, 50);
        AsSuperuser("UPDATE risk.entry SET record = set_byte(record, 40, 255 - get_byte(record, 40)) WHERE sequence = 540");
        (string directory, LogExport export) = Export(0);
        Assert.Equal((520, 549), export.Bad);
        Assert.False(LogVerifier.Verify(directory).IsVerified);
    }

    [StoreFact]
    public void NoSuchLog_AndNoCheckpointYet_AreSaid()
    {
        Write(10);
        Assert.Equal(LogCodes.Other, Assert.Throws<DecisionLogException>(() => Export(9)).Code);
        AsSuperuser("DELETE FROM risk.checkpoint");
        Assert.Equal(LogCodes.Other, Assert.Throws<DecisionLogException>(() => Export(0)).Code);
    }

    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        Directory.Delete(_folder, recursive: true);
    }

    private void Write(params int[] groups)
    {
        using IDecisionLog log = Connect().Open(0, "");
        foreach (int count in groups)
        {
            Append(log, count);
        }
    }

    /// <summary>With a login that may read, and nothing else.</summary>
    private (string Directory, LogExport Export) Export(int partition)
    {
        string directory = Path.Combine(_folder, $"{++_exports}");
        AsOwner($"DO $$ BEGIN CREATE ROLE {Reader} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$; GRANT USAGE ON SCHEMA risk TO {Reader}; GRANT SELECT ON ALL TABLES IN SCHEMA risk TO {Reader}");
        string connection = new Npgsql.NpgsqlConnectionStringBuilder(Postgres.OwnerOf(Database)) { Username = Reader }.ConnectionString;
        return (directory, PostgresLogExport.Run(connection, "card-payments", partition, directory));
    }

    private void AsSuperuser(string change) => AsOwner("SET session_replication_role = replica; " + change);

    private static Dictionary<string, string> FilesOf(string folder) => Directory.Exists(folder)
        ? Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).ToDictionary(path => Path.GetRelativePath(folder, path), path => Convert.ToHexString(File.ReadAllBytes(path)))
        : [];
}
