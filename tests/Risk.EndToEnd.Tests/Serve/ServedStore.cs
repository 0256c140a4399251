using System.Globalization;
using System.Text.Json;
using Dapper;
using Npgsql;
using Risk.Cli.Benchmarks;
using Risk.Storage.Log;
using Risk.Storage.Tests.Postgres;

namespace Risk.EndToEnd.Tests.Serve;

/// <summary>Where the processes of a test keep their decisions, and how they are looked at when all of them have stopped.</summary>
internal abstract class ServedStore
{
    /// <summary>The <c>store</c> of their configuration.</summary>
    public abstract object Configuration(string directory);

    /// <summary>The partition's log as files that <c>risk verify</c> takes; null when it has none.</summary>
    public abstract string? LogFolder(string directory, int partition);

    /// <summary>Where the partition's newest published checkpoint is, once there is one.</summary>
    public abstract string PublishedCheckpoint(string directory, int partition);

    /// <summary>Every checkpoint of the partition that the store itself keeps.</summary>
    public virtual IEnumerable<byte[]> Checkpoints(int partition) => [];

    /// <summary>These are all the entries that the store itself tells of, under the root that it tells.</summary>
    public virtual void AssertIs(int partition, long size, string rootHash)
    {
    }
}

internal sealed class ServedFiles : ServedStore
{
    public override object Configuration(string directory) => new { directory };

    public override string PublishedCheckpoint(string directory, int partition) => new LogFolder(Path.Combine(directory, $"{partition:D4}")).Checkpoint;

    public override string? LogFolder(string directory, int partition) => Path.Combine(directory, $"{partition:D4}") is var folder && Directory.Exists(folder) ? folder : null;
}

/// <summary>A migrated PostgreSQL of its own, with a login that may insert and read.</summary>
internal sealed class ServedPostgres : ServedStore, IDisposable
{
    private const string Login = "risk_engine";
    private readonly TestFolder _exports = new();
    private readonly string _name = $"RISK_TEST_DATABASE_{Guid.NewGuid():N}";

    /// <param name="isProxied">The processes reach the database through <see cref="Proxy"/>.</param>
    public ServedPostgres(bool isProxied = false)
    {
        Assert.True(PostgresServer.TryStart(out PostgresServer? server, out string? why), why);
        Server = server;
        using (NpgsqlConnection connection = server.Connect())
        {
            connection.Execute($"CREATE ROLE {Login} LOGIN");
            connection.Execute("CREATE DATABASE risk");
        }
        Environment.SetEnvironmentVariable(Owner, new NpgsqlConnectionStringBuilder(server.ConnectionString) { Database = "risk" }.ConnectionString);
        var runtime = new NpgsqlConnectionStringBuilder(server.ConnectionString) { Database = "risk", Username = Login, Pooling = true };
        if (isProxied)
        {
            Proxy = new FaultProxy(server.SocketPath);
            (runtime.Host, runtime.Port) = ("127.0.0.1", Proxy.Port);
        }
        Environment.SetEnvironmentVariable(_name, runtime.ConnectionString);
        RiskProcess.Run("migrate", "--database", $"env:{Owner}", "--grant", Login, "--json").Succeeded();
    }

    public PostgresServer Server { get; }

    /// <summary>Between the processes and the database, where there is one.</summary>
    public FaultProxy? Proxy { get; }
    private string Owner => _name + "_OWNER";

    public override object Configuration(string directory) => new { directory, postgres = $"env:{_name}" };

    public override string PublishedCheckpoint(string directory, int partition) => Path.Combine(directory, "checkpoints", $"{partition:D4}.checkpoint");

    public override string? LogFolder(string directory, int partition)
    {
        if (Ask<long>($"SELECT count(*) FROM risk.decision_log WHERE stream = 'card-payments' AND partition = {partition}") == 0) { return null; }
        string folder = _exports[Path.GetRandomFileName()];
        JsonElement export = RiskProcess.RunInside("log", "export", "--database", $"env:{_name}", "--partition", partition.ToString(CultureInfo.InvariantCulture), "--out", folder, "--json").Succeeded().Json;
        Assert.Equal(0, export.GetProperty("notCovered").GetInt64());
        return folder;
    }

    public override IEnumerable<byte[]> Checkpoints(int partition)
    {
        using NpgsqlConnection connection = Connect();
        return connection.Query<byte[]>("SELECT note FROM risk.checkpoint JOIN risk.decision_log USING (log) WHERE stream = 'card-payments' AND partition = @partition AND size > 0", new { partition }).AsList();
    }

    public override void AssertIs(int partition, long size, string rootHash)
    {
        Assert.Equal(size, Ask<long>($"SELECT count(*) FROM risk.entry JOIN risk.decision_log USING (log) WHERE stream = 'card-payments' AND partition = {partition}"));
        Assert.True(size == 0 || rootHash == Ask<string>($"SELECT encode(root_hash, 'hex') FROM risk.log_commit JOIN risk.decision_log USING (log) WHERE stream = 'card-payments' AND partition = {partition} ORDER BY number DESC LIMIT 1"));
    }

    /// <summary>One value, as the owner of the database.</summary>
    public T Ask<T>(string query)
    {
        using NpgsqlConnection connection = Connect();
        return connection.QuerySingle<T>(query)!;
    }

    /// <summary>As the owner of the database, past the proxy.</summary>
    public NpgsqlConnection Connect()
    {
        var connection = new NpgsqlConnection(Environment.GetEnvironmentVariable(Owner));
        connection.Open();
        return connection;
    }

    public void Dispose()
    {
        Proxy?.Dispose();
        Server.Dispose();
        _exports.Dispose();
        Environment.SetEnvironmentVariable(_name, null);
        Environment.SetEnvironmentVariable(Owner, null);
    }
}

/// <summary>A fact that is skipped, with the reason, where PostgreSQL is not installed.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PostgresFactAttribute : FactAttribute
{
    public PostgresFactAttribute() => Skip = PostgresServer.Missing;
}
