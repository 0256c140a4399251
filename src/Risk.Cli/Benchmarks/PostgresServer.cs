using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Npgsql;

namespace Risk.Cli.Benchmarks;

/// <summary>
/// A PostgreSQL of our own for the length of a benchmark or a test run: a fresh cluster in a temporary folder, reached through a unix
/// socket in it, every commit durable. PostgreSQL refuses to run as root, so root runs it as the user <c>postgres</c>.
/// </summary>
internal sealed class PostgresServer : IDisposable
{
    private const string Servers = "/usr/lib/postgresql";
    private static readonly TimeSpan StartMax = TimeSpan.FromSeconds(30);

    private readonly string _programs;
    private readonly string _folder;
    private readonly string[] _settings;
    private Process _server;

    private PostgresServer(string programs, string folder, string[] settings)
    {
        _programs = programs;
        _folder = folder;
        _settings = settings;
        _server = StartServer();
        ConnectionString = $"Host={folder};Username=postgres;Database=postgres;Pooling=false;Timeout=10;Command Timeout=300";
    }

    public string ConnectionString { get; }

    /// <summary>The unix socket it listens on.</summary>
    public string SocketPath => Path.Combine(_folder, ".s.PGSQL.5432");

    /// <summary><c>PostgreSQL 15.14</c>.</summary>
    public string Version { get; private set; } = "PostgreSQL";

    /// <summary>Why there can be none here; null when the programs are installed.</summary>
    public static string? Missing => FindPrograms() is null ? "PostgreSQL: not installed (apt-get install postgresql)" : null;

    /// <summary>Starts one; or says why there is none, for whoever skips then.</summary>
    public static bool TryStart([NotNullWhen(true)] out PostgresServer? server, [NotNullWhen(false)] out string? why)
    {
        (server, why) = (null, null);
        if (FindPrograms() is not { } programs)
        {
            why = Missing!;
            return false;
        }

        string folder = BenchmarkFolder.Create("postgres");
        try
        {
            if (Environment.IsPrivilegedProcess)
            {
                Run("chown", ["postgres", folder]);
            }

            Run(programs, "initdb", ["-D", $"{folder}/cluster", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]);
            string[] settings =
            [
                "-D", $"{folder}/cluster", "-k", folder, "-c", "listen_addresses=", "-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "full_page_writes=on",
                "-c", "shared_buffers=256MB", "-c", "max_wal_size=4GB", "-c", "checkpoint_timeout=30min", "-c", "autovacuum=off",
            ];
            server = new PostgresServer(programs, folder, settings);
            server.WaitUntilItAnswers();
            return true;
        }
        catch (Exception e) when (e is InvalidOperationException or NpgsqlException or TimeoutException or System.ComponentModel.Win32Exception)
        {
            server?.Dispose();
            BenchmarkFolder.Delete(folder);
            (server, why) = (null, $"PostgreSQL: does not start here: {e.Message}");
            return false;
        }
    }

    public NpgsqlConnection Connect()
    {
        var connection = new NpgsqlConnection(ConnectionString);
        connection.Open();
        return connection;
    }

    /// <summary>Transactions a second that <c>pgbench</c> measures for a script of one statement, with so many clients.</summary>
    public double Pgbench(string statement, int clients, int seconds)
    {
        string script = Path.Combine(_folder, "insert.sql");
        File.WriteAllText(script, statement);
        string output = Run(_programs, "pgbench", ["-n", "-M", "prepared", "-f", script, "-c", Text(clients), "-j", "2", "-T", Text(seconds), "-h", _folder, "-U", "postgres", "postgres"]);
        const string mark = "tps = ";
        string line = output.Split('\n').First(l => l.StartsWith(mark, StringComparison.Ordinal));
        return double.Parse(line[mark.Length..].Split(' ')[0], CultureInfo.InvariantCulture);
    }

    /// <summary>Stops it as a power cut would: no client is told, nothing is written first.</summary>
    public void Stop()
    {
        Run(_programs, "pg_ctl", ["stop", "-D", $"{_folder}/cluster", "-m", "immediate"]);
        _server.WaitForExit(TimeSpan.FromSeconds(10));
    }

    /// <summary>Starts it again on the same folder; returns when it answers.</summary>
    public void Restart()
    {
        _server.Dispose();
        _server = StartServer();
        WaitUntilItAnswers();
    }

    public void Dispose()
    {
        try
        {
            Stop();
        }
        catch (InvalidOperationException)
        {
            // It is gone already; only the folder is left.
        }

        _server.Dispose();
        BenchmarkFolder.Delete(_folder);
    }

    private static string? FindPrograms() => Directory.Exists(Servers)
        ? Directory.GetDirectories(Servers).Select(version => Path.Combine(version, "bin")).Where(bin => File.Exists(Path.Combine(bin, "initdb"))).Order(StringComparer.Ordinal).LastOrDefault()
        : null;

    private Process StartServer()
    {
        Process server = Process.Start(Start(_programs, "postgres", _settings))!;
        // Its log would fill the pipe and stop it.
        server.OutputDataReceived += (_, _) => { };
        server.ErrorDataReceived += (_, _) => { };
        server.BeginOutputReadLine();
        server.BeginErrorReadLine();
        return server;
    }

    private void WaitUntilItAnswers()
    {
        for (long started = Stopwatch.GetTimestamp(); ;)
        {
            try
            {
                using NpgsqlConnection connection = Connect();
                Version = $"PostgreSQL {connection.PostgreSqlVersion}";
                return;
            }
            catch (NpgsqlException) when (!_server.HasExited && Stopwatch.GetElapsedTime(started) < StartMax)
            {
                Thread.Sleep(100);
            }
        }
    }

    private static string Run(string programs, string program, string[] arguments) => Run(Start(programs, program, arguments));

    private static void Run(string program, string[] arguments) => Run(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true });

    private static string Run(ProcessStartInfo start)
    {
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{Path.GetFileName(start.FileName)} ended with {process.ExitCode}: {error.Result.Trim()}");
    }

    private static ProcessStartInfo Start(string programs, string program, string[] arguments)
    {
        string path = Path.Combine(programs, program);
        string[] asPostgres = ["-u", "postgres", "--", path, .. arguments];
        var start = Environment.IsPrivilegedProcess ? new ProcessStartInfo("runuser", asPostgres) : new ProcessStartInfo(path, arguments);
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        start.WorkingDirectory = "/";
        return start;
    }

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>
/// Folders of a benchmark, all on one disk so that a sync costs ours and the peer the same: below <c>/var/tmp</c>, because
/// <c>/tmp</c> may be memory.
/// </summary>
internal static class BenchmarkFolder
{
    public static string Create(string name)
    {
        string parent = Directory.Exists("/var/tmp") ? "/var/tmp" : Path.GetTempPath();
        string folder = Path.Combine(parent, $"risk-bench-{name}-{Guid.NewGuid():N}"[..32]);
        Directory.CreateDirectory(folder);
        return folder;
    }

    public static void Delete(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
