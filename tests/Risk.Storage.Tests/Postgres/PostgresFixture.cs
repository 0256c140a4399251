using Dapper;
using Npgsql;
using Risk.Cli.Benchmarks;
using Risk.Storage.Postgres;

namespace Risk.Storage.Tests.Postgres;

/// <summary>One server for all tests that need it, and a migrated template that each test's database is copied from.</summary>
[CollectionDefinition(Name)]
public sealed class PostgresFixture : ICollectionFixture<PostgresFixture>, IDisposable
{
    public const string Name = "postgres";
    private const string RuntimeLogin = "engine";
    private const string Template = "risk_template";
    private readonly PostgresServer? _server;
    private int _databases;

    public PostgresFixture()
    {
        if (Missing is not null)
        {
            return;
        }

        if (!PostgresServer.TryStart(out _server, out string? why))
        {
            throw new InvalidOperationException(why);
        }

        Execute($"CREATE DATABASE {Template}");
        PostgresMigrations.Apply(OwnerOf(Template));
        Execute($"CREATE ROLE {RuntimeLogin} LOGIN");
        PostgresMigrations.Grant(OwnerOf(Template), RuntimeLogin);
        NpgsqlConnection.ClearAllPools();
    }

    /// <summary>Why tests are skipped; null when the server's programs are there.</summary>
    public static string? Missing { get; } = PostgresServer.Missing;

    internal PostgresServer Server => _server!;

    /// <summary>A new database; migrated unless it is to be empty.</summary>
    public string CreateDatabase(bool isMigrated = true)
    {
        string name = $"test_{Interlocked.Increment(ref _databases)}";
        Execute(isMigrated ? $"CREATE DATABASE {name} TEMPLATE {Template}" : $"CREATE DATABASE {name}");
        return name;
    }

    public string OwnerOf(string database) => new NpgsqlConnectionStringBuilder(Server.ConnectionString) { Database = database }.ConnectionString;

    /// <summary>The connection string of the engine: a login that may insert and read.</summary>
    public string RuntimeOf(string database) => new NpgsqlConnectionStringBuilder(Server.ConnectionString) { Database = database, Username = RuntimeLogin, Pooling = true }.ConnectionString;

    public void Dispose() => _server?.Dispose();

    private void Execute(string statement)
    {
        using NpgsqlConnection connection = Server.Connect();
        connection.Execute(statement);
    }
}

/// <summary>A database of its own for each test.</summary>
[NeedsPostgres]
public abstract class PostgresTest(PostgresFixture postgres) : IDisposable
{
    private readonly Lazy<string> _database = new(() => postgres.CreateDatabase());
    private readonly List<IDisposable> _open = [];

    internal static readonly byte[] Seed = Log.LogFolderFixture.Seed;

    protected PostgresFixture Postgres => postgres;

    protected string Database => _database.Value;

    internal PostgresStoreOptions Options => new() { ConnectionString = postgres.RuntimeOf(Database), Stream = "card-payments", KeySeed = Seed };

    internal PostgresDecisionStore Connect(PostgresStoreOptions? options = null) => Keep(PostgresDecisionStore.Connect(options ?? Options));

    /// <summary>Disposed after the test.</summary>
    internal T Keep<T>(T item)
        where T : IDisposable
    {
        _open.Add(item);
        return item;
    }

    /// <summary>Runs a statement as the owner of the database.</summary>
    protected void AsOwner(string statement)
    {
        using var connection = new NpgsqlConnection(postgres.OwnerOf(Database));
        connection.Execute(statement);
    }

    protected T AsOwner<T>(string query)
    {
        using var connection = new NpgsqlConnection(postgres.OwnerOf(Database));
        return connection.QuerySingle<T>(query)!;
    }

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
        for (int i = _open.Count - 1; i >= 0; i--)
        {
            _open[i].Dispose();
        }
    }
}
