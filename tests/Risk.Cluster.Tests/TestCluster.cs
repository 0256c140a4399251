using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Numerics;
using System.Text;
using System.Text.Json;
using Dapper;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Risk.Cli;
using Risk.Cli.Benchmarks;
using Risk.Core.Log;
using Risk.Service.Engine;
using Risk.Storage.Postgres;

namespace Risk.Cluster.Tests;

/// <summary>A database and silos in processes of their own, on loopback; everything ends with the test.</summary>
internal sealed class TestCluster : IDisposable
{
    public const int Partitions = 4;
    private static readonly Dictionary<string, string> s_kafka = new() { ["session.timeout.ms"] = "2500", ["heartbeat.interval.ms"] = "300" };
    private const string Database = "risk_cluster", Login = "engine", Membership = "RISK_TEST_MEMBERSHIP", Store = "RISK_TEST_STORE";
    private static readonly TimeSpan s_startMax = TimeSpan.FromSeconds(90);
    private readonly string _folder = Directory.CreateTempSubdirectory("risk-cluster-").FullName;
    private readonly PostgresServer _server;
    private readonly string? _brokers;
    private readonly int _entityWaitMillis;
    private readonly List<TestProcess> _processes = [];
    private readonly List<IHost> _clients = [];

    /// <param name="brokers">Kafka's, as the source; null for calls alone.</param>
    /// <param name="entityWaitMillis">How long a batch waits for the owners of shared entities.</param>
    public TestCluster(string? brokers = null, int entityWaitMillis = 250)
    {
        _brokers = brokers;
        _entityWaitMillis = entityWaitMillis;
        if (!PostgresServer.TryStart(out PostgresServer? server, out string? why)) { throw new InvalidOperationException(why); }
        _server = server;
        Execute(server.ConnectionString, $"CREATE DATABASE {Database}");
        PostgresMigrations.Apply(Owner);
        Execute(Owner, $"CREATE ROLE {Login} LOGIN");
        PostgresMigrations.Grant(Owner, Login);
    }

    /// <summary>Why tests are skipped; null when the server's programs are there.</summary>
    public static string? Missing { get; } = Directory.Exists("/usr/lib/postgresql") ? null : "PostgreSQL is not installed (apt-get install postgresql)";

    private string Owner => new NpgsqlConnectionStringBuilder(_server.ConnectionString) { Database = Database }.ConnectionString;

    public string KeyFolder => Path.Combine(_folder, "keys");

    /// <summary>The store as a silo opens it.</summary>
    public IDecisionStore OpenStore(KeyRing keys) => PostgresDecisionStore.Connect(new PostgresStoreOptions
    {
        ConnectionString = new NpgsqlConnectionStringBuilder(Owner) { Username = Login }.ConnectionString,
        Stream = "card-payments",
        KeySeed = keys.LogSeed,
        KeyFolder = KeyFolder,
    });

    public T Query<T>(string text)
    {
        using var connection = new NpgsqlConnection(Owner);
        return connection.QuerySingle<T>(text)!;
    }

    /// <summary>Starts a silo and waits until it serves.</summary>
    /// <param name="at">In the place of a silo that is no more: by its ports.</param>
    /// <param name="probeSeconds">Silos that miss three signs of life, so far apart, are declared dead; 5 is Orleans' default.</param>
    public TestSilo StartSilo(string name, TestSilo? at = null, int partitions = Partitions, int probeSeconds = 5)
    {
        string directory = Path.Combine(_folder, name), config = Path.Combine(_folder, name + ".json");
        Directory.CreateDirectory(KeyFolder);
        object? kafka = _brokers is null ? null : new { groupId = "risk", properties = new Dictionary<string, string>(s_kafka) { ["bootstrap.servers"] = _brokers } };
        File.WriteAllText(config, JsonSerializer.Serialize(new { store = new { directory, postgres = $"env:{Store}" }, keys = KeyFolder, entities = new { waitMillis = _entityWaitMillis }, kafka }));
        int siloPort = at?.SiloPort ?? FreePort(), gatewayPort = at?.GatewayPort ?? FreePort();
        string[] arguments = ["silo", "--config", config, "--membership", $"env:{Membership}", "--partitions", partitions.ToString(CultureInfo.InvariantCulture), "--probe-seconds", probeSeconds.ToString(CultureInfo.InvariantCulture),
            "--silo-port", siloPort.ToString(CultureInfo.InvariantCulture), "--gateway-port", gatewayPort.ToString(CultureInfo.InvariantCulture), "--listen", "http://127.0.0.1:0"];
        return new TestSilo(Start(arguments), siloPort, gatewayPort);
    }

    /// <summary>Starts a front and waits until it answers.</summary>
    public TestProcess StartFront(int partitions = Partitions)
    {
        string config = Path.Combine(_folder, "front.json");
        File.WriteAllText(config, "{}");
        return Start(["serve", "--cluster", "--config", config, "--membership", $"env:{Membership}", "--partitions", partitions.ToString(CultureInfo.InvariantCulture), "--port", "0"], "risk.dll");
    }

    private TestProcess Start(string[] arguments, string program = "risk-cluster.dll")
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, program), .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment[Membership] = Owner;
        start.Environment[Store] = new NpgsqlConnectionStringBuilder(Owner) { Username = Login, Pooling = true }.ConnectionString;
        start.Environment["RISK_HOME"] = RiskHome.Find();
        var process = new TestProcess(Process.Start(start)!);
        _processes.Add(process);
        process.WaitUntilItServes(s_startMax);
        return process;
    }

    /// <summary>Scores a file in one embedded engine; the folder of its log.</summary>
    public string RunDemo(string transactions, string labels)
    {
        string input = Path.Combine(_folder, "in.csv"), outcomes = Path.Combine(_folder, "labels.csv"), output = Path.Combine(_folder, "one");
        File.WriteAllText(input, transactions);
        File.WriteAllText(outcomes, labels);
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "risk.dll"), "demo", "--input", input, "--labels", outcomes, "--out", output, "--json"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["RISK_HOME"] = RiskHome.Find();
        using Process demo = Process.Start(start)!;
        Task<string> said = demo.StandardOutput.ReadToEndAsync();
        string errors = demo.StandardError.ReadToEnd();
        demo.WaitForExit();
        Assert.True(demo.ExitCode == 0, $"{errors}\n{said.Result}");
        return output;
    }

    /// <summary>
    /// Each event once in the store; every log's rows have the root of its last commit, and their beginnings those of every checkpoint
    /// that was ever published, by RFC 6962 itself; no key in what the processes said.
    /// </summary>
    public void AssertOneDecisionEach(long count)
    {
        using var connection = new NpgsqlConnection(Owner);
        var stored = new HashSet<string>();
        foreach ((int log, byte[] root) in connection.Query<(int, byte[])>("SELECT DISTINCT ON (log) log, root_hash FROM risk.log_commit ORDER BY log, number DESC"))
        {
            byte[][] records = [.. connection.Query<byte[]>("SELECT record FROM risk.entry WHERE log = @log ORDER BY sequence", new { log })];
            Assert.Equal(root, RootOf(records));
            foreach (byte[] note in connection.Query<byte[]>("SELECT note FROM risk.checkpoint WHERE log = @log", new { log }))
            {
                Assert.True(SignedNote.TryParse(note, out SignedNote? signed) & Checkpoint.TryParse(signed!.Text, out Checkpoint? checkpoint));
                Assert.Equal(checkpoint!.RootHash, RootOf(records.AsSpan(0, (int)checkpoint.Size)));
            }
            foreach (byte[] bytes in records)
            {
                Assert.Equal(RecordFault.None, DecisionRecordCodec.Read(bytes, out DecisionRecord record));
                if (record.Kind == RecordKind.Decision) { Assert.True(stored.Add(Encoding.UTF8.GetString(record.EventId)), $"two decisions on {Encoding.UTF8.GetString(record.EventId)}"); }
            }
        }
        Assert.Equal(count, stored.Count);
        string said = Errors;
        IEnumerable<byte[]> keys = Directory.EnumerateFiles(KeyFolder, "*.key", SearchOption.AllDirectories).Select(File.ReadAllBytes);
        Assert.All(keys.SelectMany(key => new[] { Convert.ToHexStringLower(key), Convert.ToBase64String(key), Encoding.UTF8.GetString(key).Trim() }), key => Assert.False(said.Contains(key, StringComparison.OrdinalIgnoreCase), "a key was told"));
    }

    private static byte[] RootOf(ReadOnlySpan<byte[]> records)
    {
        byte[] hash = new byte[32];
        if (records.Length == 1) { MerkleHash.Leaf(records[0], hash); }
        else if (records.Length > 1)
        {
            int left = (int)(BitOperations.RoundUpToPowerOf2((uint)records.Length) / 2);
            MerkleHash.Node(RootOf(records[..left]), RootOf(records[left..]), hash);
        }
        else { return MerkleHash.Empty.ToArray(); }
        return hash;
    }

    /// <summary>What the processes said on standard error.</summary>
    public string Errors => string.Join("\n---\n", _processes.Select(p => p.Errors));

    /// <summary>A client that knows no other way into the cluster than this silo; or, without one, by the membership.</summary>
    public RiskClusterClient Connect(TestSilo? gateway = null)
    {
        HostApplicationBuilder builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders(); // a killed silo is many lines
        builder.UseOrleansClient(client =>
        {
            client.Configure<Orleans.Configuration.ClusterOptions>(o => (o.ClusterId, o.ServiceId) = ("risk", "risk"));
            if (gateway is null) { client.UseAdoNetClustering(o => (o.Invariant, o.ConnectionString) = ("Npgsql", Owner)); }
            else { client.UseStaticClustering(new IPEndPoint(IPAddress.Loopback, gateway.GatewayPort)); }
        });
        IHost host = builder.Build();
        host.Start();
        _clients.Add(host);
        return new RiskClusterClient(host.Services.GetRequiredService<IClusterClient>(), StreamFiles.Load("card-payments").Definition.Schema, Partitions);
    }

    public void Dispose()
    {
        foreach (IHost client in _clients)
        {
            client.StopAsync(TimeSpan.FromSeconds(5)).Wait();
            client.Dispose();
        }
        foreach (TestProcess process in _processes) { process.Dispose(); }
        NpgsqlConnection.ClearAllPools();
        _server.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static void Execute(string connectionString, string text)
    {
        using var connection = new NpgsqlConnection(connectionString);
        connection.Execute(text);
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}

internal sealed record TestSilo(TestProcess Process, int SiloPort, int GatewayPort)
{
    public void Kill() => Process.Kill();
}

/// <summary>Skipped where PostgreSQL is missing.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ClusterFactAttribute : FactAttribute
{
    public ClusterFactAttribute() => Skip = TestCluster.Missing;
}
