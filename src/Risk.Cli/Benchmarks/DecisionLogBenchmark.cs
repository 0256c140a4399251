using System.Diagnostics;
using Npgsql;
using NpgsqlTypes;
using Risk.Core.Log;
using Risk.Storage.Log;
using Risk.Storage.Postgres;
using Workload = Risk.Storage.Log.DecisionLogBenchmark;

namespace Risk.Cli.Benchmarks;

/// <summary>
/// <c>decision-log</c>: durable, hashed decisions a second of our log, against PostgreSQL storing the same bytes. COPY takes
/// them in batches of the same size, one transaction a batch; pgbench inserts them one by one from several clients, as
/// services do that keep their decisions in a table. Making the records is part of ours and of COPY, but not of pgbench.
/// Only ours hashes them into a tree.
/// </summary>
internal sealed class DecisionLogBenchmark : IBenchmark
{
    /// <summary>Decisions a commit: one full micro-batch, and what a busy engine commits together.</summary>
    private static readonly int[] BatchSizes = [512, 2048];

    private const int PgbenchClients = 8;

    public string Name => "decision-log";

    public string Measures => "durable decisions a second, and the time of a commit";

    public BenchmarkResult Run(BenchmarkContext context)
    {
        var result = new BenchmarkResult();
        long decisions = context.IsQuick ? 20_000 : 250_000;
        if (!PostgresServer.TryStart(out PostgresServer? server, out string? why))
        {
            result.Skip(why);
            foreach (int size in BatchSizes)
            {
                using var log = new GrowingLog(decisions, size);
                log.Run();
                result.Figure($"{size} a commit", "decisions/s", Better.Higher, log.Run());
                result.Figure($"{size} a commit, p99 of a commit", "µs", Better.Lower, log.Last.CommitMicrosP99);
            }

            return result;
        }

        using (server)
        {
            Compare(context, server, decisions, result);
        }

        return result;
    }

    private static void Compare(BenchmarkContext context, PostgresServer server, long decisions, BenchmarkResult result)
    {
        using NpgsqlConnection connection = server.Connect();
        Execute(connection, "CREATE TABLE decisions (sequence bigint PRIMARY KEY, event_id text NOT NULL, record bytea NOT NULL, payload bytea NOT NULL)");
        Execute(connection, "CREATE SEQUENCE next_decision");

        foreach (int size in BatchSizes)
        {
            using var log = new GrowingLog(decisions, size);
            var (ourCommits, theirCommits) = (new List<double>(), new List<double>());
            PairedRuns copy = PairedRuns.Measure(
                context,
                $"COPY of {size}",
                () =>
                {
                    double rate = log.Run();
                    ourCommits.Add(log.Last.CommitMicrosP99);
                    return rate;
                },
                () =>
                {
                    (double rate, double p99) = CopyAll(connection, decisions, size);
                    theirCommits.Add(p99);
                    return rate;
                });
            result.Compare($"{size} a commit", "decisions/s", Better.Higher, $"{server.Version} COPY", copy, ratioMin: 1.5);
            result.Compare($"{size} a commit, p99 of a commit", "µs", Better.Lower, $"{server.Version} COPY", new PairedRuns([.. ourCommits.Skip(1)], [.. theirCommits.Skip(1)]));
            result.Note($"ours, {size} a commit, last run: {log.Last.Seconds:0.00} s, of which {log.Last.LogSeconds:0.00} s appending and committing; {log.Last.ProcessorSeconds:0.00} s of processor time, tiles and their hashes included");
        }

        CompareStore(context, server, decisions, result);
        using var ours = new GrowingLog(decisions, BatchSizes[0]);
        ours.Run();
        var (recordBytes, payloadBytes) = ((int)ours.Last.RecordBytesMean, (int)ours.Last.PayloadBytesMean);
        string insert = $"INSERT INTO decisions VALUES (nextval('next_decision'), 'benchmark', decode(repeat('ab', {recordBytes}), 'hex'), decode(repeat('cd', {payloadBytes}), 'hex'));";
        PairedRuns single = PairedRuns.Measure(context, "pgbench", ours.Run, () =>
        {
            Empty(connection);
            return server.Pgbench(insert, PgbenchClients, context.IsQuick ? 1 : 5);
        });
        result.Compare($"theirs one by one, {PgbenchClients} clients", "decisions/s", Better.Higher, $"{server.Version} pgbench", single, ratioMin: 10);
        result.Note($"{decisions:N0} decisions a run, records of {recordBytes} bytes with payloads of {payloadBytes}; synchronous_commit, fsync and full_page_writes are on; both on one disk");
        result.Note("within a run PostgreSQL writes its log only (its tables wait for a checkpoint); ours also writes its tiles and signs a checkpoint a second");
    }

    /// <summary>
    /// The decision store in PostgreSQL against a bare COPY of the same bytes into a table without a key: what keys, the
    /// index by event, tiles, fence and hashing cost together; then without that index.
    /// </summary>
    private static void CompareStore(BenchmarkContext context, PostgresServer server, long decisions, BenchmarkResult result)
    {
        using NpgsqlConnection connection = server.Connect();
        Execute(connection, "CREATE TABLE bare (sequence bigint, event_id text, record bytea, payload bytea)");
        PostgresMigrations.Apply(server.ConnectionString);
        using PostgresDecisionStore store = PostgresDecisionStore.Connect(new PostgresStoreOptions { ConnectionString = server.ConnectionString, Stream = "benchmark", KeySeed = new byte[32] });
        using IDecisionLog log = store.Open(0, "");
        foreach (bool isIndexed in (bool[])[true, false])
        {
            if (!isIndexed)
            {
                Execute(connection, "DROP INDEX risk.entry_by_event");
            }

            foreach (int size in BatchSizes)
            {
                PairedRuns runs = PairedRuns.Measure(
                    context,
                    $"PostgreSQL store, {size} a commit",
                    () => AppendAll(connection, log, decisions, size),
                    () => CopyAll(connection, decisions, size, "bare").PerSecond);
                result.Compare($"PostgreSQL store{(isIndexed ? "" : " without the index by event")}, {size} a commit", "decisions/s", Better.Higher, $"{server.Version} bare COPY", runs);
            }
        }
    }

    private static double AppendAll(NpgsqlConnection connection, IDecisionLog log, long decisions, int batchSize)
    {
        Execute(connection, "CHECKPOINT");
        var group = new DecisionGroup();
        byte[] commitments = new byte[batchSize * LogFormat.HashBytes];
        long end = log.Size + decisions;
        long started = Stopwatch.GetTimestamp();
        while (log.Size < end)
        {
            Workload.Fill(group, commitments, log.Size, (int)Math.Min(batchSize, end - log.Size));
            log.Append(group);
            log.Commit();
        }

        return decisions / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static (double PerSecond, double CommitMicrosP99) CopyAll(NpgsqlConnection connection, long decisions, int batchSize, string table = "decisions")
    {
        Empty(connection, table);
        var group = new DecisionGroup();
        byte[] commitments = new byte[batchSize * LogFormat.HashBytes];
        var micros = new List<double>();
        long started = Stopwatch.GetTimestamp();
        for (long first = 0; first < decisions; first += batchSize)
        {
            Workload.Fill(group, commitments, first, (int)Math.Min(batchSize, decisions - first));
            long before = Stopwatch.GetTimestamp();
            CopyBatch(connection, group, table); // on its own, a COPY is one transaction: Complete returns when it is durable
            micros.Add(Stopwatch.GetElapsedTime(before).TotalMicroseconds);
        }

        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        micros.Sort();
        return (decisions / seconds, micros[(int)(micros.Count * 0.99)]);
    }

    private static void CopyBatch(NpgsqlConnection connection, DecisionGroup group, string table)
    {
        using NpgsqlBinaryImporter rows = connection.BeginBinaryImport($"COPY {table} FROM STDIN (FORMAT BINARY)");
        for (int i = 0; i < group.Count; i++)
        {
            rows.StartRow();
            rows.Write(group.FirstSequence + i, NpgsqlDbType.Bigint);
            rows.Write("benchmark", NpgsqlDbType.Text);
            rows.Write(group.Record(i).ToArray(), NpgsqlDbType.Bytea);
            rows.Write(group.Payload(i).ToArray(), NpgsqlDbType.Bytea);
        }

        rows.Complete();
    }

    /// <summary>Empties the table and writes what is pending, so that no run pays for the one before it.</summary>
    private static void Empty(NpgsqlConnection connection, string table = "decisions")
    {
        Execute(connection, $"TRUNCATE {table}");
        Execute(connection, "CHECKPOINT");
    }

    private static void Execute(NpgsqlConnection connection, string statement)
    {
        using var command = new NpgsqlCommand(statement, connection);
        command.ExecuteNonQuery();
    }

    /// <summary>
    /// One log that each run makes longer, so that its journal is as warm as PostgreSQL's: segments are there already.
    /// </summary>
    private sealed class GrowingLog(long decisionsEach, int batchSize) : IDisposable
    {
        private readonly string _folder = BenchmarkFolder.Create("log");
        private long _size;

        public DecisionLogMeasurement Last { get; private set; } = new();

        /// <returns>Decisions a second.</returns>
        public double Run()
        {
            Last = Workload.Run(_folder, _size + decisionsEach, batchSize, groupsPerCommit: 1);
            _size += decisionsEach;
            return decisionsEach / Last.Seconds;
        }

        public void Dispose() => BenchmarkFolder.Delete(_folder);
    }
}
