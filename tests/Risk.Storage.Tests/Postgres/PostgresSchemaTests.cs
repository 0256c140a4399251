using Npgsql;
using Risk.Core.Log;
using Risk.Storage.Postgres;
using static Risk.Storage.Tests.Log.LogFolderFixture;

namespace Risk.Storage.Tests.Postgres;

/// <summary>Migrations, and what which login may do.</summary>
[Collection(PostgresFixture.Name)]
public sealed class PostgresSchemaTests(PostgresFixture postgres) : PostgresTest(postgres)
{
    private static readonly string[] LogTables = ["decision_log", "epoch", "entry", "log_commit", "tile", "checkpoint", "label", "token_key", "partition_count"];

    [StoreFact]
    public void Migrations_AreAppliedOnce_InOrder_WhoeverBegins()
    {
        string owner = Postgres.OwnerOf(Postgres.CreateDatabase(isMigrated: false));
        Task<IReadOnlyList<string>>[] both = [Task.Run(() => PostgresMigrations.Apply(owner)), Task.Run(() => PostgresMigrations.Apply(owner))];
        Task.WaitAll(both);
        Assert.Equal(PostgresMigrations.Shipped.Select(migration => migration.Name), both.SelectMany(applied => applied.Result));
        Assert.Equal(Enumerable.Range(1, PostgresMigrations.Shipped.Count), PostgresMigrations.Shipped.Select(migration => migration.Number));
        Assert.Empty(PostgresMigrations.Apply(owner));
    }

    [StoreFact]
    public void ChangedMigration_IsRefused_AndAFailedOneLeavesNothing()
    {
        string database = Postgres.CreateDatabase(isMigrated: false);
        string owner = Postgres.OwnerOf(database);
        Migration first = Migration.Of("0001_first.sql", "CREATE TABLE risk.one (a integer);\r\n");
        Migration second = Migration.Of("0002_second.sql", "CREATE TABLE risk.two (a integer); SELECT nonsense;");
        Assert.Equal(LogCodes.ReadOnly, Assert.Throws<DecisionLogException>(() => PostgresMigrations.Apply(owner, [first, second])).Code);
        Assert.Equal(["0002_second"], PostgresMigrations.Apply(owner, [Migration.Of("0001_first.sql", "CREATE TABLE risk.one (a integer);\n"), Migration.Of("0002_second.sql", "CREATE TABLE risk.two (a integer);")]));
        Assert.Equal(LogCodes.Schema, Assert.Throws<DecisionLogException>(() => PostgresMigrations.Apply(owner, [Migration.Of("0001_first.sql", "CREATE TABLE risk.one (b integer);")])).Code);
    }

    [StoreFact]
    public void DatabaseWithoutMigrations_IsRefused()
    {
        string database = Postgres.CreateDatabase(isMigrated: false);
        var options = Options with { ConnectionString = Postgres.OwnerOf(database) };
        Assert.Equal(LogCodes.Schema, Assert.Throws<DecisionLogException>(() => PostgresDecisionStore.Connect(options)).Code);
        PostgresMigrations.Apply(options.ConnectionString, [.. PostgresMigrations.Shipped.Take(1)]);
        Assert.Equal(LogCodes.Schema, Assert.Throws<DecisionLogException>(() => PostgresDecisionStore.Connect(options)).Code);
    }

    [StoreFact]
    public void RuntimeLogin_MayNotChangeTheLog()
    {
        using IDecisionLog log = Connect(Options with { TokenFingerprint = Seed }).Open(0, "");
        Append(log, 300);
        log.PublishCheckpoint();
        foreach (string table in LogTables)
        {
            foreach (string statement in new[] { $"DELETE FROM risk.{table}", UpdateOf(table), $"TRUNCATE risk.{table}", $"DROP TABLE risk.{table}", $"ALTER TABLE risk.{table} DISABLE TRIGGER ALL" })
            {
                Assert.Equal((statement, PostgresErrorCodes.InsufficientPrivilege), (statement, StateOf(Postgres.RuntimeOf(Database), statement)));
            }
        }

        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, StateOf(Postgres.RuntimeOf(Database), "CREATE TABLE risk.mine (a integer)"));
    }

    [StoreFact]
    public void Owner_ChangesNothingByMistake_AndMayEraseAPayload()
    {
        using IDecisionLog log = Connect(Options with { TokenFingerprint = Seed }).Open(0, "");
        Append(log, 300);
        log.PublishCheckpoint();
        string owner = Postgres.OwnerOf(Database);
        Connect().AddLabels(0, [new Core.Transactions.Label(new(1, 2), true, null)]);
        foreach (string table in LogTables)
        {
            Assert.Equal((table, "RF002"), (table, StateOf(owner, $"DELETE FROM risk.{table}")));
            Assert.Equal((table, "RF002"), (table, StateOf(owner, UpdateOf(table))));
        }

        Assert.Equal("RF002", StateOf(owner, "UPDATE risk.entry SET payload = 'x'"));
        Assert.Equal("RF002", StateOf(owner, "UPDATE risk.entry SET payload = '', record = 'x'"));
        AsOwner("UPDATE risk.entry SET payload = '' WHERE sequence = 7");
        var entry = new LogEntry();
        Assert.True(log.TryRead(7, entry));
        Assert.True(entry.Payload.IsEmpty);
        Assert.False(entry.Record.IsEmpty);
    }

    private static string UpdateOf(string table) => $"UPDATE risk.{table} SET {table switch { "decision_log" => "partition = 7", "token_key" or "partition_count" => "stream = '7'", _ => "log = 7" }}";

    private static string? StateOf(string connectionString, string statement)
    {
        using var connection = new NpgsqlConnection(connectionString);
        connection.Open();
        using var command = new NpgsqlCommand(statement, connection);
        return Assert.Throws<PostgresException>(() => command.ExecuteNonQuery()).SqlState;
    }
}
