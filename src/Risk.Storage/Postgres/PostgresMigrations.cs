using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using Dapper;
using Npgsql;
using Risk.Core.Log;

namespace Risk.Storage.Postgres;

/// <summary>One numbered SQL file of <c>Postgres/Migrations</c>, e.g. <c>0001_decision_log.sql</c>.</summary>
/// <param name="Checksum">SHA-256 of its text.</param>
internal sealed record Migration(int Number, string Name, string Sql, byte[] Checksum)
{
    public static Migration Of(string fileName, string text)
    {
        string sql = text.ReplaceLineEndings("\n");
        string name = Path.GetFileNameWithoutExtension(fileName);
        return new Migration(int.Parse(name[..4]), name, sql, SHA256.HashData(Encoding.UTF8.GetBytes(sql)));
    }
}

/// <summary>
/// Brings a database to the schema of this program: each migration once, in order, in a transaction of its own, under an
/// advisory lock so that two programs starting together do not meet. What was applied is recorded with its checksum, and
/// a migration that was changed since is refused (<c>STORE_SCHEMA</c>): write a new one instead.
/// </summary>
internal static class PostgresMigrations
{
    /// <summary>Any number, as long as nobody else locks by it in the same database.</summary>
    private const long AdvisoryLock = 0x5249_534B; // RISK

    /// <summary>The role with the rights of a running engine: insert and read, nothing else.</summary>
    public const string RuntimeRole = "risk_runtime";

    /// <summary>The migrations of this program, in order.</summary>
    public static IReadOnlyList<Migration> Shipped { get; } = Load();

    /// <summary>Applies what is missing and returns the names of it. Call it with the login of the database's owner.</summary>
    /// <exception cref="DecisionLogException"><c>STORE_SCHEMA</c>, <c>STORE_UNAVAILABLE</c>, <c>LOG_READ_ONLY</c> where the login may not.</exception>
    public static IReadOnlyList<string> Apply(string ownerConnectionString) => Apply(ownerConnectionString, Shipped);

    /// <summary>Makes a login a member of <see cref="RuntimeRole"/>, unless it is (an owner without the right to grant may say it again). The login must be there: passwords are not our business.</summary>
    public static void Grant(string ownerConnectionString, string login)
    {
        try
        {
            using var connection = new NpgsqlConnection(ownerConnectionString);
            const string IsMember = "SELECT CASE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = @login) THEN pg_has_role(@login, @role, 'member') ELSE false END";
            if (connection.QuerySingle<bool>(IsMember, new { login, role = RuntimeRole })) { return; }
            connection.Execute($"GRANT {RuntimeRole} TO \"{login.Replace("\"", "\"\"", StringComparison.Ordinal)}\"");
        }
        catch (Exception e) when (PostgresFaults.IsOutside(e))
        {
            throw PostgresFaults.Translate(e);
        }
    }

    internal static IReadOnlyList<string> Apply(string ownerConnectionString, IReadOnlyList<Migration> migrations)
    {
        try
        {
            using var connection = new NpgsqlConnection(ownerConnectionString);
            connection.Open();
            connection.Execute("SELECT pg_advisory_lock(@AdvisoryLock)", new { AdvisoryLock });
            try
            {
                return ApplyLocked(connection, migrations);
            }
            finally
            {
                connection.Execute("SELECT pg_advisory_unlock(@AdvisoryLock)", new { AdvisoryLock });
            }
        }
        catch (Exception e) when (PostgresFaults.IsOutside(e))
        {
            throw PostgresFaults.Translate(e);
        }
    }

    /// <summary>Throws unless the database has all migrations of this program, as they are; it may have newer ones.</summary>
    internal static void Require(NpgsqlConnection connection)
    {
        Dictionary<int, byte[]> applied = Applied(connection);
        foreach (Migration migration in Shipped)
        {
            if (!applied.TryGetValue(migration.Number, out byte[]? checksum))
            {
                throw new DecisionLogException(LogCodes.Schema, $"The database lacks migration {migration.Name}: apply the migrations with its owner's login.");
            }

            RequireUnchanged(migration, checksum);
        }
    }

    private static List<string> ApplyLocked(NpgsqlConnection connection, IReadOnlyList<Migration> migrations)
    {
        connection.Execute("""
            CREATE SCHEMA IF NOT EXISTS risk;
            CREATE TABLE IF NOT EXISTS risk.migration (
                number      integer     PRIMARY KEY,
                name        text        NOT NULL,
                checksum    bytea       NOT NULL,
                applied_at  timestamptz NOT NULL DEFAULT now(),
                applied_by  text        NOT NULL DEFAULT current_user
            );
            COMMENT ON SCHEMA risk IS 'The store of the risk scoring engine: decision logs, who owns them, snapshots, labels.';
            COMMENT ON TABLE risk.migration IS 'Changes of the schema that were applied, with the SHA-256 of their text.';
            """);
        Dictionary<int, byte[]> applied = Applied(connection);
        var done = new List<string>();
        foreach (Migration migration in migrations)
        {
            if (applied.TryGetValue(migration.Number, out byte[]? checksum))
            {
                RequireUnchanged(migration, checksum);
                continue;
            }

            using NpgsqlTransaction transaction = connection.BeginTransaction();
            connection.Execute(migration.Sql);
            connection.Execute("INSERT INTO risk.migration (number, name, checksum) VALUES (@Number, @Name, @Checksum)", migration);
            transaction.Commit();
            done.Add(migration.Name);
        }

        return done;
    }

    private static Dictionary<int, byte[]> Applied(NpgsqlConnection connection) =>
        connection.Query<(int Number, byte[] Checksum)>("SELECT number, checksum FROM risk.migration").ToDictionary(row => row.Number, row => row.Checksum);

    private static void RequireUnchanged(Migration migration, byte[] checksum)
    {
        if (!migration.Checksum.AsSpan().SequenceEqual(checksum))
        {
            throw new DecisionLogException(LogCodes.Schema, $"Migration {migration.Name} was changed after it was applied to this database: restore its text, and write a new migration for the change.");
        }
    }

    private static List<Migration> Load()
    {
        const string folder = "Migrations/";
        Assembly assembly = typeof(PostgresMigrations).Assembly;
        var migrations = new List<Migration>();
        foreach (string name in assembly.GetManifestResourceNames().Where(name => name.StartsWith(folder, StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            using var text = new StreamReader(assembly.GetManifestResourceStream(name)!);
            migrations.Add(Migration.Of(name[folder.Length..], text.ReadToEnd()));
        }

        return migrations;
    }
}
