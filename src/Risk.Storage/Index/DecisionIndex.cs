using System.Data;
using System.Text;
using Dapper;
using Microsoft.Data.Sqlite;
using Risk.Core.Log;

namespace Risk.Storage.Index;

/// <summary>One decision as the index knows it; the log has the rest.</summary>
internal sealed record IndexedDecision
{
    public long Sequence { get; init; }

    public string Stream { get; init; } = "";

    public string EventId { get; init; } = "";

    /// <summary>Microseconds since the Unix epoch.</summary>
    public long EventTime { get; init; }

    /// <summary>Microseconds since the Unix epoch.</summary>
    public long DecisionTime { get; init; }

    /// <summary>0 approve, 1 review, 2 decline, 3 refer.</summary>
    public int Outcome { get; init; }

    /// <summary>Calibrated; null when there was none.</summary>
    public double? Score { get; init; }

    /// <summary>The subject's token, 16 bytes; null when there was none.</summary>
    public byte[]? Subject { get; init; }

    /// <summary>The model's digest in hex; null when none scored.</summary>
    public string? Model { get; init; }
}

/// <summary>
/// The decisions in SQL, for search and dashboards: <c>index.db</c>, SQLite. A cache of the log, never asked for the truth:
/// delete it, and the next <see cref="CatchUp"/> builds it again; one of another log or schema is rebuilt by itself.
/// </summary>
internal sealed class DecisionIndex : IDisposable
{
    private const int SchemaVersion = 1;

    /// <summary>A first build of more than this many rows makes the search index afterwards, which is twice as fast.</summary>
    private const long BulkRows = 100_000;
    private const int RowsPerTransaction = 50_000;

    private const string Schema = """
        CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE streams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE models (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE);
        CREATE TABLE decisions (
          sequence INTEGER PRIMARY KEY, stream INTEGER NOT NULL, event_id TEXT NOT NULL, event_time INTEGER NOT NULL,
          decision_time INTEGER NOT NULL, outcome INTEGER NOT NULL, score REAL, subject BLOB, model INTEGER);
        CREATE VIEW decisions_by_name AS
          SELECT d.sequence, s.name AS stream, d.event_id, d.event_time, d.decision_time, d.outcome, d.score, d.subject, m.digest AS model
          FROM decisions d JOIN streams s ON s.id = d.stream LEFT JOIN models m ON m.id = d.model;
        """;

    private const string SearchIndex = "CREATE INDEX IF NOT EXISTS decisions_by_event ON decisions (event_id, stream)";

    private const string Select = """
        SELECT sequence AS Sequence, stream AS Stream, event_id AS EventId, event_time AS EventTime, decision_time AS DecisionTime,
          outcome AS Outcome, score AS Score, subject AS Subject, model AS Model
        FROM decisions_by_name
        """;

    private readonly SqliteConnection _connection;
    private readonly Names _streams = new("streams(name)", Encoding.UTF8.GetString);
    private readonly Names _models = new("models(digest)", Convert.ToHexStringLower);

    private DecisionIndex(SqliteConnection connection)
    {
        _connection = connection;
    }

    /// <summary>Entries of the log that are indexed.</summary>
    public long NextSequence { get; private set; }

    /// <summary>Opens the index of a run's directory for the log with that origin and key; makes or remakes it where needed.</summary>
    public static DecisionIndex Open(string directory, VerifierKey log)
    {
        string path = Path.Combine(Path.GetFullPath(directory), "index.db");
        DecisionIndex? index = TryOpen(path, log.ToString());
        if (index is null)
        {
            foreach (string suffix in new[] { "", "-wal", "-shm" })
            {
                File.Delete(path + suffix);
            }

            index = TryOpen(path, log.ToString()) ?? throw new IOException($"{path} cannot be made.");
        }

        return index;
    }

    /// <summary>Indexes what the reader has from <see cref="NextSequence"/> on; returns the rows added.</summary>
    /// <param name="reader">Positioned at <see cref="NextSequence"/>.</param>
    /// <param name="progress">Told the next sequence, once a transaction.</param>
    /// <param name="cancellation">Stops between transactions; what is in stays.</param>
    public long CatchUp(IDecisionLogReader reader, IProgress<long>? progress = null, CancellationToken cancellation = default)
    {
        if (reader.Sequence + 1 != NextSequence)
        {
            throw new ArgumentException($"The reader is at {reader.Sequence + 1}, the index at {NextSequence}.", nameof(reader));
        }

        if (reader.End < NextSequence)
        {
            throw new DecisionLogException(LogCodes.Rollback, $"The index knows {NextSequence} entries, the log has {reader.End}: delete index.db once you know why.");
        }

        bool isBulk = NextSequence == 0 && reader.End > BulkRows;
        if (!isBulk)
        {
            _connection.Execute(SearchIndex);
        }

        long before = NextSequence;
        bool more = true;
        while (more && !cancellation.IsCancellationRequested)
        {
            more = AddTransaction(reader);
            progress?.Report(NextSequence);
        }

        if (isBulk)
        {
            _connection.Execute(SearchIndex);
        }

        return NextSequence - before;
    }

    /// <summary>The decisions about an event, oldest first; one a stream.</summary>
    public IReadOnlyList<IndexedDecision> Find(string eventId) =>
        [.. _connection.Query<IndexedDecision>(Select + " WHERE event_id = @eventId ORDER BY sequence", new { eventId })];

    public IndexedDecision? At(long sequence) =>
        _connection.QuerySingleOrDefault<IndexedDecision>(Select + " WHERE sequence = @sequence", new { sequence });

    /// <summary>Decisions by outcome code.</summary>
    public IReadOnlyDictionary<int, long> CountByOutcome() =>
        _connection.Query<(int Outcome, long Count)>("SELECT outcome, count(*) FROM decisions GROUP BY outcome").ToDictionary(r => r.Outcome, r => r.Count);

    public void Dispose() => _connection.Dispose();

    private static DecisionIndex? TryOpen(string path, string log)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false }.ConnectionString);
        try
        {
            connection.Open();

            // A cache: what a power cut takes is indexed again, so no commit waits for the disk.
            connection.Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY");
            if (connection.ExecuteScalar<long>("PRAGMA user_version") == 0 && connection.ExecuteScalar<long>("SELECT count(*) FROM sqlite_master") == 0)
            {
                connection.Execute($"BEGIN; {Schema} PRAGMA user_version = {SchemaVersion}; COMMIT");
                connection.Execute("INSERT INTO meta VALUES ('log', @log), ('next_sequence', '0')", new { log });
            }

            if (connection.ExecuteScalar<long>("PRAGMA user_version") == SchemaVersion &&
                connection.ExecuteScalar<string>("SELECT value FROM meta WHERE name = 'log'") == log)
            {
                var index = new DecisionIndex(connection);
                index.Load();
                return index;
            }
        }
        catch (SqliteException e) when (e.SqliteErrorCode is 1 or 11 or 26)
        {
            // Not a database, a damaged one, or one of another making: it is rebuilt.
        }

        connection.Dispose();
        return null;
    }

    private void Load()
    {
        NextSequence = _connection.ExecuteScalar<long>("SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'next_sequence'");
        _streams.Load(_connection.Query<(long, string)>("SELECT id, name FROM streams"));
        _models.Load(_connection.Query<(long, string)>("SELECT id, digest FROM models"));
    }

    private bool AddTransaction(IDecisionLogReader reader)
    {
        using SqliteTransaction transaction = _connection.BeginTransaction();
        using var insert = new RowInsert(_connection, transaction);
        bool more = true;
        for (int i = 0; i < RowsPerTransaction && (more = reader.Read()); i++)
        {
            RecordFault fault = DecisionRecordCodec.Read(reader.Record, out DecisionRecord record);
            if (fault != RecordFault.None)
            {
                throw new DecisionLogException(LogCodes.Corrupt, $"Record {reader.Sequence} cannot be read ({fault}): verify the log.");
            }

            if (record.Kind == RecordKind.Decision)
            {
                insert.Add(record, _streams.IdOf(record.Stream, transaction), record.ModelDigest.IsEmpty ? null : _models.IdOf(record.ModelDigest, transaction));
            }
        }

        long next = reader.Sequence + 1;
        _connection.Execute("UPDATE meta SET value = @next WHERE name = 'next_sequence'", new { next }, transaction);
        transaction.Commit();
        NextSequence = next;
        return more;
    }

    /// <summary>Stands for a text in an integer; the last one asked for is at hand, as it is nearly always the next.</summary>
    private sealed class Names(string column, Func<ReadOnlySpan<byte>, string> spell)
    {
        private readonly Dictionary<string, long> _ids = [];
        private byte[] _last = [];
        private long _lastId;

        public void Load(IEnumerable<(long Id, string Text)> rows)
        {
            foreach ((long id, string text) in rows)
            {
                _ids.Add(text, id);
            }
        }

        public long IdOf(ReadOnlySpan<byte> name, SqliteTransaction transaction)
        {
            if (name.SequenceEqual(_last) && _lastId != 0)
            {
                return _lastId;
            }

            string value = spell(name);
            if (!_ids.TryGetValue(value, out long id))
            {
                id = transaction.Connection!.ExecuteScalar<long>($"INSERT INTO {column} VALUES (@value) RETURNING id", new { value }, transaction);
                _ids.Add(value, id);
            }

            _last = name.ToArray();
            _lastId = id;
            return id;
        }
    }

    /// <summary>
    /// One prepared statement whose parameters are set again and again. The only statement that does not go through Dapper,
    /// which makes the parameters anew for each row: 163,000 rows/s against 427,000 (medians of five pairs, 2-core x86, this
    /// table without its search index).
    /// </summary>
    private sealed class RowInsert : IDisposable
    {
        private readonly SqliteCommand _command;
        private readonly SqliteParameter[] _values;

        public RowInsert(SqliteConnection connection, SqliteTransaction transaction)
        {
            _command = connection.CreateCommand();
            _command.Transaction = transaction;
            _command.CommandText = "INSERT INTO decisions VALUES ($a, $b, $c, $d, $e, $f, $g, $h, $i)";
            _values = [.. "abcdefghi".Select(name => _command.Parameters.Add("$" + name, SqliteType.Text))];
            foreach (int integer in new[] { 0, 1, 3, 4, 5, 8 })
            {
                _values[integer].SqliteType = SqliteType.Integer;
            }

            _values[6].SqliteType = SqliteType.Real;
            _values[7].SqliteType = SqliteType.Blob;
            _command.Prepare();
        }

        public void Add(in DecisionRecord record, long stream, long? model)
        {
            _values[0].Value = record.Sequence;
            _values[1].Value = stream;
            _values[2].Value = Encoding.UTF8.GetString(record.EventId);
            _values[3].Value = record.EventTimeMicros;
            _values[4].Value = record.DecisionTimeMicros;
            _values[5].Value = record.Outcome;
            _values[6].Value = double.IsNaN(record.CalibratedScore) ? DBNull.Value : record.CalibratedScore;
            _values[7].Value = record.Subject.IsEmpty ? DBNull.Value : record.Subject.ToArray();
            _values[8].Value = model is null ? DBNull.Value : model.Value;
            _command.ExecuteNonQuery();
        }

        public void Dispose() => _command.Dispose();
    }
}
