using Npgsql;
using NpgsqlTypes;

namespace Risk.Storage.Postgres;

/// <summary>
/// One connection that commits: a transaction of any number of logs in three round trips. <c>BEGIN</c> goes with the COPY's
/// start; the COPY's data are the second; commit rows (whose trigger is the fence), tiles and <c>COMMIT</c> go together in
/// the third. After an exception it must be thrown away.
/// </summary>
internal sealed class PostgresSession : IDisposable
{
    private const string InsertCommits = """
        INSERT INTO risk.log_commit (log, number, first_sequence, end_sequence, epoch, source_position, root_hash)
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)
        """;

    private const string InsertTiles = "INSERT INTO risk.tile (log, level, number, hashes) SELECT * FROM unnest($1, $2, $3, $4)";

    private readonly NpgsqlConnection _connection;
    private readonly NpgsqlBatch _commit;
    private readonly Column<int> _log = new(NpgsqlDbType.Integer);
    private readonly Column<long> _number = new(NpgsqlDbType.Bigint);
    private readonly Column<long> _first = new(NpgsqlDbType.Bigint);
    private readonly Column<long> _end = new(NpgsqlDbType.Bigint);
    private readonly Column<long> _epoch = new(NpgsqlDbType.Bigint);
    private readonly Column<byte[]> _position = new(NpgsqlDbType.Bytea);
    private readonly Column<byte[]> _root = new(NpgsqlDbType.Bytea);
    private readonly Column<int> _tileLog = new(NpgsqlDbType.Integer);
    private readonly Column<int> _tileLevel = new(NpgsqlDbType.Integer);
    private readonly Column<long> _tileNumber = new(NpgsqlDbType.Bigint);
    private readonly Column<byte[]> _tileHashes = new(NpgsqlDbType.Bytea);

    public PostgresSession(NpgsqlDataSource source)
    {
        _connection = source.OpenConnection();
        try
        {
            _commit = _connection.CreateBatch();
            _commit.BatchCommands.Add(Command(InsertCommits, _log.Parameter, _number.Parameter, _first.Parameter, _end.Parameter, _epoch.Parameter, _position.Parameter, _root.Parameter));
            _commit.BatchCommands.Add(Command(InsertTiles, _tileLog.Parameter, _tileLevel.Parameter, _tileNumber.Parameter, _tileHashes.Parameter));
            _commit.BatchCommands.Add(Command("COMMIT"));
            _commit.Prepare();
        }
        catch
        {
            _connection.Dispose();
            throw;
        }
    }

    /// <summary>Writes what the logs have staged, all of it or nothing; durable on return.</summary>
    public void Write(IReadOnlyList<PostgresDecisionLog> logs)
    {
        using NpgsqlTransaction transaction = _connection.BeginTransaction();
        CopyEntries(logs);
        FillColumns(logs);
        _commit.ExecuteNonQuery();
    }

    /// <summary>True when the log's staged commit is durable already: its number is there, by this owner, with its root.</summary>
    public bool IsDurable(PostgresDecisionLog log)
    {
        using var command = new NpgsqlCommand("SELECT epoch, end_sequence, source_position, root_hash FROM risk.log_commit WHERE log = $1 AND number = $2", _connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = log.Id });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = log.Staged.Number });
        using NpgsqlDataReader row = command.ExecuteReader();
        return row.Read() && row.GetInt64(0) == log.Epoch && row.GetInt64(1) == log.Staged.EndSequence &&
            row.GetFieldValue<byte[]>(2).AsSpan().SequenceEqual(log.Staged.Position) && row.GetFieldValue<byte[]>(3).AsSpan().SequenceEqual(log.Staged.Root);
    }

    public void Dispose()
    {
        _commit.Dispose();
        _connection.Dispose();
    }

    private static NpgsqlBatchCommand Command(string text, params ReadOnlySpan<NpgsqlParameter> parameters)
    {
        var command = new NpgsqlBatchCommand(text);
        foreach (NpgsqlParameter parameter in parameters)
        {
            command.Parameters.Add(parameter);
        }

        return command;
    }

    private void CopyEntries(IReadOnlyList<PostgresDecisionLog> logs)
    {
        bool any = false;
        foreach (PostgresDecisionLog log in logs)
        {
            any |= log.Staged.Rows.Count > 0;
        }

        if (!any)
        {
            return;
        }

        // Dispose sends the end of the data and waits for the answer; without it being whole the server refuses the rows.
        using NpgsqlRawCopyStream copy = _connection.BeginRawBinaryCopy(CopyRows.Statement);
        copy.Write(CopyRows.Header);
        foreach (PostgresDecisionLog log in logs)
        {
            copy.Write(log.Staged.Rows.Bytes);
        }

        copy.Write(CopyRows.Trailer);
    }

    private void FillColumns(IReadOnlyList<PostgresDecisionLog> logs)
    {
        int tiles = 0;
        foreach (PostgresDecisionLog log in logs)
        {
            tiles += log.Staged.Tiles.Count;
        }

        var (log0, number, first, end, epoch, position, root) =
            (_log.Of(logs.Count), _number.Of(logs.Count), _first.Of(logs.Count), _end.Of(logs.Count), _epoch.Of(logs.Count), _position.Of(logs.Count), _root.Of(logs.Count));
        var (tileLog, tileLevel, tileNumber, tileHashes) = (_tileLog.Of(tiles), _tileLevel.Of(tiles), _tileNumber.Of(tiles), _tileHashes.Of(tiles));
        int t = 0;
        for (int i = 0; i < logs.Count; i++)
        {
            StagedCommit staged = logs[i].Staged;
            (log0[i], number[i], first[i], end[i], epoch[i]) = (logs[i].Id, staged.Number, staged.FirstSequence, staged.EndSequence, logs[i].Epoch);
            (position[i], root[i]) = (staged.Position, staged.Root);
            foreach ((int level, long tile, byte[] hashes) in staged.Tiles)
            {
                (tileLog[t], tileLevel[t], tileNumber[t], tileHashes[t]) = (logs[i].Id, level, tile, hashes);
                t++;
            }
        }
    }

    /// <summary>An array parameter whose array is kept as long as its length stays.</summary>
    private sealed class Column<T>(NpgsqlDbType type)
    {
        public NpgsqlParameter<T[]> Parameter { get; } = new() { NpgsqlDbType = NpgsqlDbType.Array | type, TypedValue = [] };

        public T[] Of(int count)
        {
            if (Parameter.TypedValue!.Length != count)
            {
                Parameter.TypedValue = new T[count];
            }

            return Parameter.TypedValue;
        }
    }
}
