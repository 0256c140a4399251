using Npgsql;
using Risk.Core.Log;

namespace Risk.Storage.Postgres;

/// <summary>The statements on single rows of a log.</summary>
internal static class EntryRows
{
    public static bool TryRead(NpgsqlConnection connection, int log, long sequence, LogEntry entry)
    {
        using var command = new NpgsqlCommand("SELECT record, payload FROM risk.entry WHERE log = $1 AND sequence = $2", connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = log });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = sequence });
        return TryReadOne(command, entry);
    }

    /// <summary>The first decision of that event in any partition of the stream.</summary>
    public static bool TryFind(NpgsqlConnection connection, string stream, Guid eventKey, LogEntry entry)
    {
        using var command = new NpgsqlCommand(
            "SELECT e.record, e.payload FROM risk.entry e JOIN risk.decision_log l USING (log) WHERE e.event_key = $1 AND l.stream = $2 ORDER BY e.log, e.sequence LIMIT 1", connection);
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = eventKey });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = stream });
        return TryReadOne(command, entry);
    }

    /// <summary>Inserts a checkpoint; the same one may be there already, by a call whose answer was lost.</summary>
    public static bool InsertCheckpoint(NpgsqlConnection connection, PostgresDecisionLog log, long size, byte[] note)
    {
        using var command = new NpgsqlCommand("INSERT INTO risk.checkpoint (log, size, epoch, note) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = log.Id });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = size });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = log.Epoch });
        command.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = note });
        return command.ExecuteNonQuery() == 1;
    }

    private static bool TryReadOne(NpgsqlCommand command, LogEntry entry)
    {
        using NpgsqlDataReader row = command.ExecuteReader();
        if (!row.Read())
        {
            return false;
        }

        entry.Set(row.GetFieldValue<byte[]>(0), row.GetFieldValue<byte[]>(1));
        return true;
    }
}
