using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Dapper;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;
using Risk.Cli;
using Risk.Cli.Benchmarks;
using Risk.Storage.Postgres;

namespace Risk.Cluster.Tests;

/// <summary>A database and silos in processes of their own, on loopback; everything ends with the test.</summary>
internal sealed class TestCluster : IDisposable
{
    public const int Partitions = 4;
    private const string Database = "risk_cluster", Login = "engine", Membership = "RISK_TEST_MEMBERSHIP", Store = "RISK_TEST_STORE";
    private static readonly TimeSpan s_startMax = TimeSpan.FromSeconds(90);
    private readonly string _folder = Directory.CreateTempSubdirectory("risk-cluster-").FullName;
    private readonly PostgresServer _server;
    private readonly List<Process> _processes = [];
    private readonly List<IHost> _clients = [];

    public TestCluster()
    {
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

    public T Query<T>(string text)
    {
        using var connection = new NpgsqlConnection(Owner);
        return connection.QuerySingle<T>(text)!;
    }

    /// <summary>Starts a silo and waits until it serves.</summary>
    public TestSilo StartSilo(string name)
    {
        string directory = Path.Combine(_folder, name), config = Path.Combine(_folder, name + ".json");
        Directory.CreateDirectory(KeyFolder);
        File.WriteAllText(config, $$"""{"store":{"directory":"{{directory}}","postgres":"env:{{Store}}"},"keys":"{{KeyFolder}}"}""");
        int siloPort = FreePort(), gatewayPort = FreePort();
        string[] arguments = ["silo", "--config", config, "--membership", $"env:{Membership}", "--partitions", Partitions.ToString(CultureInfo.InvariantCulture),
            "--silo-port", siloPort.ToString(CultureInfo.InvariantCulture), "--gateway-port", gatewayPort.ToString(CultureInfo.InvariantCulture), "--listen", "http://127.0.0.1:0"];
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "risk-cluster.dll"), .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment[Membership] = Owner;
        start.Environment[Store] = new NpgsqlConnectionStringBuilder(Owner) { Username = Login, Pooling = true }.ConnectionString;
        start.Environment["RISK_HOME"] = RiskHome.Find();
        Process process = Process.Start(start)!;
        _processes.Add(process);
        var said = new StringBuilder();
        using var ready = new ManualResetEventSlim();
        process.OutputDataReceived += (_, e) => { if (e.Data?.StartsWith("silo ", StringComparison.Ordinal) == true) { ready.Set(); } };
        process.ErrorDataReceived += (_, e) => { lock (said) { said.AppendLine(e.Data); } };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        for (var waited = Stopwatch.StartNew(); !ready.Wait(100);)
        {
            if (!process.HasExited && waited.Elapsed < s_startMax) { continue; }
            lock (said) { throw new InvalidOperationException($"{name} did not start: {said}"); }
        }
        return new TestSilo(process, siloPort, gatewayPort);
    }

    /// <summary>A client that knows no other way into the cluster than this silo; or, without one, by the membership.</summary>
    public RiskClusterClient Connect(TestSilo? gateway = null)
    {
        HostApplicationBuilder builder = Host.CreateApplicationBuilder();
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
        foreach (Process process in _processes)
        {
            if (!process.HasExited) { process.Kill(); }
            process.WaitForExit();
            process.Dispose();
        }
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

internal sealed record TestSilo(Process Process, int SiloPort, int GatewayPort)
{
    public void Kill()
    {
        Process.Kill(); // SIGKILL
        Process.WaitForExit();
    }
}

/// <summary>Skipped where PostgreSQL is missing.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ClusterFactAttribute : FactAttribute
{
    public ClusterFactAttribute() => Skip = TestCluster.Missing;
}
