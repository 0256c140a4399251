using Npgsql;
using Risk.Core.Log;

namespace Risk.Storage.Postgres;

/// <summary>Reads a log in order: durable entries a page of rows at a time, what is not durable yet from memory.</summary>
internal sealed class PostgresDecisionLogReader : IDecisionLogReader
{
    private const int PageRows = 2048;
    private const string Page = "SELECT record, payload, sequence FROM risk.entry WHERE log = $1 AND sequence >= $2 AND sequence < $3 ORDER BY sequence";

    private readonly NpgsqlDataSource _source;
    private readonly int _id;
    private readonly string _origin;
    private readonly PostgresDecisionLog? _log;
    private readonly LogEntry _entry = new();
    private NpgsqlConnection? _connection;
    private NpgsqlDataReader? _rows;
    private byte[] _record = new byte[1024];
    private byte[] _payload = new byte[1024];
    private long _pageEnd;

    /// <param name="id">The log's number in the database.</param>
    /// <param name="log">The open log that has what is not durable yet; null for whoever reads without owning it.</param>
    public PostgresDecisionLogReader(NpgsqlDataSource source, int id, string origin, long from, long end, PostgresDecisionLog? log)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(from);
        _source = source;
        _id = id;
        _origin = origin;
        _log = log;
        Sequence = from - 1;
        End = end;
    }

    public long Sequence { get; private set; }

    public long End { get; }

    public ReadOnlySpan<byte> Record => _entry.Record;

    public ReadOnlySpan<byte> Payload => _entry.Payload;

    public bool Read()
    {
        if (Sequence + 1 >= End)
        {
            return false;
        }

        Sequence++;
        if (_log is not null && _rows is null && Sequence >= _log.DurableSize)
        {
            return _log.TryRead(Sequence, _entry);
        }

        try
        {
            ReadRow();
        }
        catch (Exception e) when (PostgresFaults.IsOutside(e))
        {
            Dispose();
            throw PostgresFaults.Translate(e);
        }

        return true;
    }

    public void Dispose()
    {
        try
        {
            ClosePage();
        }
        catch (Exception e) when (PostgresFaults.IsOutside(e))
        {
            // Nothing is lost with a reader.
        }

        _connection?.Dispose();
        _connection = null;
    }

    private void ReadRow()
    {
        if (_rows is null)
        {
            OpenPage();
        }

        if (!_rows!.Read() || _rows.GetInt64(2) != Sequence)
        {
            throw new DecisionLogException(LogCodes.Corrupt, $"Entry {Sequence} of {_origin} is missing in the database.");
        }

        int record = Copy(0, ref _record);
        int payload = Copy(1, ref _payload);
        _entry.Set(_record.AsSpan(0, record), _payload.AsSpan(0, payload));
        if (Sequence + 1 == _pageEnd)
        {
            ClosePage();
        }
    }

    private void OpenPage()
    {
        _connection ??= _source.OpenConnection();
        _pageEnd = Math.Min(Math.Min(End, _log?.DurableSize ?? End), Sequence - Sequence % PageRows + PageRows);
        using var command = new NpgsqlCommand(Page, _connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = _id });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = Sequence });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = _pageEnd });
        _rows = command.ExecuteReader();
    }

    private void ClosePage()
    {
        _rows?.Dispose();
        _rows = null;
        // Between pages it may rest for long: the connection is others' meanwhile.
        _connection?.Dispose();
        _connection = null;
    }

    private int Copy(int column, ref byte[] to)
    {
        int bytes = (int)_rows!.GetBytes(column, 0, null, 0, 0);
        if (to.Length < bytes)
        {
            to = new byte[Math.Max(bytes, to.Length * 2)];
        }

        return (int)_rows.GetBytes(column, 0, to, 0, bytes);
    }
}
