using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using Npgsql;
using NpgsqlTypes;
using Risk.Core.Models;
using Risk.Core.Replay;
using Risk.Inference;

namespace Risk.Cli.Benchmarks;

/// <summary>
/// Redis + ONNX Runtime + PostgreSQL, wired in C# as well as it is usually done: one Lua script a transaction keeps the history
/// and answers the counts and means of the card and the counts of the terminal (fewer features than ours); ONNX Runtime scores
/// the shipped model on the row; one prepared INSERT, durable, on a connection of the worker's own. Sixteen workers, so
/// that PostgreSQL groups its commits.
/// </summary>
internal sealed class HandWiredStack : IDisposable
{
    private const int Workers = 16;
    private const string Script = """
        local t, amount, id = tonumber(ARGV[1]), ARGV[2], ARGV[3]
        redis.call('ZADD', KEYS[1], t, id .. ':' .. amount)
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', t - 2592000)
        local counts, sums = {0, 0, 0}, {0, 0, 0}
        local rows = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
        for i = 1, #rows, 2 do
          local a, age = tonumber(string.match(rows[i], ':(.*)')), t - tonumber(rows[i + 1])
          if age < 86400 then counts[1] = counts[1] + 1; sums[1] = sums[1] + a end
          if age < 604800 then counts[2] = counts[2] + 1; sums[2] = sums[2] + a end
          counts[3] = counts[3] + 1; sums[3] = sums[3] + a
        end
        redis.call('ZADD', KEYS[2], t, id)
        redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', t - 3196800)
        local d = t - 604800
        return table.concat({counts[1], counts[2], counts[3], sums[1] / counts[1], sums[2] / counts[2], sums[3] / counts[3],
          redis.call('ZCOUNT', KEYS[2], '(' .. (d - 86400), d), redis.call('ZCOUNT', KEYS[2], '(' .. (d - 604800), d), redis.call('ZCOUNT', KEYS[2], '(' .. (d - 2592000), d)}, ' ')
        """;

    private readonly byte[][] _records;
    private readonly RedisServer _redis;
    private readonly PostgresServer _postgres;
    private readonly Worker[] _workers;
    private readonly string _script;
    private int _run;

    private HandWiredStack(StreamFiles files, byte[][] records, RedisServer redis, PostgresServer postgres)
    {
        _records = records;
        _redis = redis;
        _postgres = postgres;
        _script = redis.LoadScript(Script);
        using (NpgsqlConnection connection = postgres.Connect())
        {
            using NpgsqlCommand create = new("CREATE TABLE decisions (id text PRIMARY KEY, at timestamptz NOT NULL, score real NOT NULL, outcome smallint NOT NULL, features bytea NOT NULL)", connection);
            create.ExecuteNonQuery();
        }
        ModelBundle bundle = ModelFiles.Load(files.Definition.Schema.Model!);
        _workers = [.. Enumerable.Range(0, Workers).Select(_ => new Worker(this, bundle, postgres.Connect()))];
        Version = $"{redis.Version} + ONNX Runtime + {postgres.Version}";
    }

    public string Version { get; }

    public static bool TryStart(StreamFiles files, byte[][] records, [NotNullWhen(true)] out HandWiredStack? stack, [NotNullWhen(false)] out string? whyNot)
    {
        stack = null;
        RedisServer? redis = RedisServer.TryStart(out whyNot);
        if (redis is null)
        {
            whyNot = $"Redis: {whyNot}";
            return false;
        }
        if (!PostgresServer.TryStart(out PostgresServer? postgres, out whyNot))
        {
            redis.Dispose();
            return false;
        }
        stack = new HandWiredStack(files, records, redis, postgres);
        return true;
    }

    /// <summary>Decides the first records of the stream under fresh ids; at a rate each is due at its time, 0 = as fast as it goes.</summary>
    public RecordedRun Run(double rate, int count)
    {
        _run++;
        var due = new BlockingCollection<(int Record, long Ticks)>(rate > 0 ? count : Workers * 2);
        var threads = _workers.Select(worker => new Thread(() => worker.Work(due, _run))).ToArray();
        foreach (Thread thread in threads) { thread.Start(); }
        long started = Stopwatch.GetTimestamp();
        for (int i = 0; i < count; i++)
        {
            long at = rate > 0 ? started + (long)(i / rate * Stopwatch.Frequency) : Stopwatch.GetTimestamp();
            while (rate > 0 && Stopwatch.GetTimestamp() < at) { Thread.Sleep(1); }
            due.Add((i, at));
        }
        due.CompleteAdding();
        foreach (Thread thread in threads) { thread.Join(); }
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var latency = new LatencyHistogram();
        foreach (Worker worker in _workers) { latency.Merge(worker.TakeLatency()); }
        return new RecordedRun(count / seconds, latency, double.NaN);
    }

    public void Dispose()
    {
        foreach (Worker worker in _workers) { worker.Dispose(); }
        _postgres.Dispose();
        _redis.Dispose();
    }

    /// <summary>Takes transactions one by one: history, score, commit.</summary>
    private sealed class Worker : IDisposable
    {
        private readonly HandWiredStack _stack;
        private readonly OnnxSession _session;
        private readonly NpgsqlConnection _connection;
        private readonly NpgsqlCommand _insert;
        private readonly float[] _row;
        private readonly float[] _score = new float[1];
        private LatencyHistogram _latency = new();

        public Worker(HandWiredStack stack, ModelBundle bundle, NpgsqlConnection connection)
        {
            _stack = stack;
            _connection = connection;
            _row = new float[bundle.Manifest.Inputs.Count];
            if (!OnnxSession.TryOpen(bundle.Onnx, _row.Length, bundle.Manifest.Output, 1, out OnnxSession? session, out ModelRefusal? refusal)) { throw new InvalidOperationException(refusal.ToString()); }
            _session = session;
            _insert = new NpgsqlCommand("INSERT INTO decisions VALUES ($1, $2, $3, $4, $5)", connection);
            foreach (NpgsqlDbType type in new[] { NpgsqlDbType.Text, NpgsqlDbType.TimestampTz, NpgsqlDbType.Real, NpgsqlDbType.Smallint, NpgsqlDbType.Bytea }) { _insert.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = type }); }
            _insert.Prepare();
        }

        public LatencyHistogram TakeLatency()
        {
            LatencyHistogram latency = _latency;
            _latency = new LatencyHistogram();
            return latency;
        }

        public void Work(BlockingCollection<(int Record, long Ticks)> due, int run)
        {
            foreach ((int record, long ticks) in due.GetConsumingEnumerable())
            {
                Decide(_stack._records[record], run);
                _latency.Record((long)Stopwatch.GetElapsedTime(ticks).TotalMicroseconds);
            }
        }

        public void Dispose()
        {
            _insert.Dispose();
            _connection.Dispose();
            _session.Dispose();
        }

        private void Decide(byte[] record, int run)
        {
            string[] fields = Encoding.ASCII.GetString(record).Split(',');
            DateTime time = DateTime.Parse(fields[1], CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal);
            long seconds = new DateTimeOffset(time).ToUnixTimeSeconds();
            var call = new RedisServer.Pipeline();
            call.Add(["EVALSHA", _stack._script, "2", $"c:{run}:{fields[2]}", $"t:{run}:{fields[3]}", seconds.ToString(CultureInfo.InvariantCulture), fields[4], fields[0]]);
            string reply;
            lock (_stack._redis)
            {
                _stack._redis.Exchange([call]);
                reply = Encoding.ASCII.GetString(_stack._redis.LastReply);
            }
            string[] features = reply.Split(' ');
            _row[0] = float.Parse(fields[4], CultureInfo.InvariantCulture);
            for (int i = 0; i < features.Length && i + 3 < _row.Length; i++) { _row[i + 3] = float.Parse(features[i], CultureInfo.InvariantCulture); }
            _session.Score(_row, 1, _score);
            _insert.Parameters[0].Value = $"{run}:{fields[0]}";
            _insert.Parameters[1].Value = time;
            _insert.Parameters[2].Value = _score[0];
            _insert.Parameters[3].Value = (short)(_score[0] > 0.5f ? 2 : 1);
            _insert.Parameters[4].Value = Encoding.ASCII.GetBytes(reply);
            _insert.ExecuteNonQuery();
        }
    }
}
