using System.Buffers.Binary;
using Dapper;
using Npgsql;
using Risk.Core.Log;
using Risk.Storage.Log;

namespace Risk.Storage.Postgres;

/// <summary>What an export wrote.</summary>
/// <param name="Size">Entries, as the newest checkpoint tells.</param>
/// <param name="NotCovered">Entries behind that checkpoint, not exported: the next one covers them.</param>
/// <param name="Bad">First and last sequence among which the first bad record is, where the rows show it; null when they fit.</param>
internal sealed record LogExport(string Origin, string VerifierKey, long Size, long NotCovered, (long First, long Last)? Bad);

/// <summary>
/// Copies a partition's log out of the database into the files that an auditor reads (<see cref="LogFolder"/>): entries and
/// payloads from their rows, full hash tiles as their rows have them, the newest checkpoint, the verifier key. Reading is
/// enough for it, and it repairs nothing: a row that was changed or is gone (an empty entry then) is found out by verifying.
/// Of the last, partial tile the database keeps no leaf hashes, so those entries are held against the roots of their commits.
/// </summary>
internal sealed class PostgresLogExport
{
    private const int ReportEvery = 16 * LogFormat.TileWidth;

    private readonly NpgsqlConnection _connection;
    private readonly LogFolder _folder;
    private readonly LogDisk _disk = new();
    private readonly Sha256Lanes _lanes = new();
    private readonly byte[] _leaves = new byte[LogFormat.TileBytes];
    private readonly Column _entries = new();
    private readonly Column _payloads = new();
    private readonly LogRow _log;
    private readonly long _size;
    private (long First, long Last)? _bad;

    private PostgresLogExport(NpgsqlConnection connection, LogFolder folder, LogRow log, long size) =>
        (_connection, _folder, _log, _size) = (connection, folder, log, size);

    /// <summary>Exports into a directory that is empty or not there yet.</summary>
    /// <param name="progress">Told entries done, of how many.</param>
    /// <exception cref="DecisionLogException"><c>LOG_OTHER</c>: there is no such log, or no checkpoint of it yet; <c>STORE_UNAVAILABLE</c>, <c>STORE_SCHEMA</c>, <c>LOG_CORRUPT</c>.</exception>
    public static LogExport Run(string connectionString, string stream, int partition, string directory, Action<long, long>? progress = null, CancellationToken cancellation = default)
    {
        try
        {
            using var connection = new NpgsqlConnection(connectionString);
            connection.Open();
            LogRow log = connection.QuerySingleOrDefault<LogRow>("SELECT log, origin, verifier_key AS key FROM risk.decision_log WHERE stream = @stream AND partition = @partition", new { stream, partition })
                ?? throw new DecisionLogException(LogCodes.Other, $"The database has no log of {stream}, partition {partition}: `SELECT stream, partition FROM risk.decision_log` lists what it has.");
            byte[] bytes = connection.QuerySingleOrDefault<byte[]>("SELECT note FROM risk.checkpoint WHERE log = @Log ORDER BY size DESC LIMIT 1", log)
                ?? throw new DecisionLogException(LogCodes.Other, $"{log.Origin} has no checkpoint yet: nothing in it is signed for. One is published within seconds of a commit, and at closing.");
            if (!SignedNote.TryParse(bytes, out SignedNote? note) || !Checkpoint.TryParse(note.Text, out Checkpoint? checkpoint))
            {
                throw new DecisionLogException(LogCodes.Corrupt, $"The newest checkpoint of {log.Origin} in the database is none.");
            }

            return new PostgresLogExport(connection, new LogFolder(directory), log, checkpoint.Size).Write(bytes, progress, cancellation);
        }
        catch (Exception e) when (PostgresFaults.IsOutside(e))
        {
            throw PostgresFaults.Translate(e);
        }
    }

    private LogExport Write(byte[] checkpoint, Action<long, long>? progress, CancellationToken cancellation)
    {
        WriteEntries(progress, cancellation);
        WriteTiles();
        WriteRightEdge();
        _disk.WriteFile(_folder.VerifierKey, System.Text.Encoding.UTF8.GetBytes(_log.Key + "\n"));
        _disk.WriteFile(_folder.Checkpoint, checkpoint);
        long durable = _connection.QuerySingle<long?>("SELECT max(end_sequence) FROM risk.log_commit WHERE log = @Log", _log) ?? 0;
        return new LogExport(_log.Origin, _log.Key, _size, Math.Max(0, durable - _size), _bad);
    }

    private void WriteEntries(Action<long, long>? progress, CancellationToken cancellation)
    {
        using var command = new NpgsqlCommand("SELECT sequence, record, payload FROM risk.entry WHERE log = $1 AND sequence < $2 ORDER BY sequence", _connection) { CommandTimeout = 0 };
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = _log.Log });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = _size });
        using NpgsqlDataReader row = command.ExecuteReader();
        bool any = row.Read();
        for (long sequence = 0; sequence < _size; sequence++)
        {
            if (any && row.GetInt64(0) == sequence)
            {
                Take(row.GetFieldValue<byte[]>(1), row.GetFieldValue<byte[]>(2), sequence);
                any = row.Read();
            }
            else
            {
                _bad ??= (sequence, sequence);
                Take([], [], sequence);
            }

            if ((sequence + 1) % ReportEvery == 0)
            {
                cancellation.ThrowIfCancellationRequested();
                progress?.Invoke(sequence + 1, _size);
            }
        }

        WriteBundle(_size / LogFormat.TileWidth, (int)(_size % LogFormat.TileWidth));
        progress?.Invoke(_size, _size);
    }

    private void Take(byte[] record, byte[] payload, long sequence)
    {
        int at = (int)(sequence % LogFormat.TileWidth);
        _entries.Add(record);
        _payloads.Add(payload);
        MerkleHash.AddLeaf(_lanes, record, _leaves, at * LogFormat.HashBytes);
        if (at == LogFormat.TileWidth - 1)
        {
            WriteBundle(sequence / LogFormat.TileWidth, LogFormat.TileWidth);
        }
    }

    private void WriteBundle(long index, int width)
    {
        _lanes.Flush(_leaves);
        if (width > 0)
        {
            _disk.WriteFile(_folder.Entries(index, width), _entries.Bytes);
            _disk.WriteFile(_folder.Payloads(index, width), _payloads.Bytes);
        }

        _entries.Clear();
        _payloads.Clear();
    }

    private void WriteTiles()
    {
        using var command = new NpgsqlCommand("SELECT level, number, hashes FROM risk.tile WHERE log = $1 ORDER BY level, number", _connection) { CommandTimeout = 0 };
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = _log.Log });
        using NpgsqlDataReader row = command.ExecuteReader();
        while (row.Read())
        {
            (int level, long number) = (row.GetInt32(0), row.GetInt64(1));
            if ((number + 1) * MerkleTiles.WidthOf(level + 1) <= _size)
            {
                _disk.WriteFile(_folder.Hashes(level, number), row.GetFieldValue<byte[]>(2));
            }
        }
    }

    private void WriteRightEdge()
    {
        int width = (int)(_size % LogFormat.TileWidth);
        if (width > 0)
        {
            _disk.WriteFile(_folder.Hashes(0, _size / LogFormat.TileWidth, width), _leaves.AsSpan(0, width * LogFormat.HashBytes));
        }

        var tree = new MerkleTiles();
        tree.Restore(_size - width, (level, number, to) => BundleFile.ReadTile(_folder.Hashes(level, number), to));
        for (int level = 1; level <= tree.LevelCount; level++)
        {
            ReadOnlySpan<byte> hashes = tree.Partial(level);
            if (!hashes.IsEmpty)
            {
                _disk.WriteFile(_folder.Hashes(level, _size / MerkleTiles.WidthOf(level + 1), hashes.Length / LogFormat.HashBytes), hashes);
            }
        }

        CompareWithCommits(tree, width);
    }

    private void CompareWithCommits(MerkleTiles tree, int width)
    {
        byte[] root = new byte[LogFormat.HashBytes];
        long full = _size - width;
        foreach ((long first, long end, byte[] told) in _connection.Query<(long, long, byte[])>(
            "SELECT first_sequence, end_sequence, root_hash FROM risk.log_commit WHERE log = @Log AND end_sequence > @full AND end_sequence <= @size AND end_sequence > first_sequence ORDER BY number",
            new { _log.Log, full, size = _size }))
        {
            tree.Root(_leaves.AsSpan(0, (int)(end - full) * LogFormat.HashBytes), root);
            if (!root.AsSpan().SequenceEqual(told))
            {
                _bad ??= (Math.Max(first, full), end - 1);
                return;
            }
        }
    }

    private sealed record LogRow(int Log, string Origin, string Key);

    /// <summary>Items in the encoding of a bundle: 2 bytes of length before each.</summary>
    private sealed class Column
    {
        private byte[] _bytes = new byte[128 * 1024];
        private int _length;

        public ReadOnlySpan<byte> Bytes => _bytes.AsSpan(0, _length);

        public void Clear() => _length = 0;

        public void Add(ReadOnlySpan<byte> item)
        {
            // No record is longer; a row that was made so is bad in any case.
            item = item[..Math.Min(item.Length, ushort.MaxValue)];
            int end = _length + LogFormat.LengthPrefixBytes + item.Length;
            if (_bytes.Length < end)
            {
                Array.Resize(ref _bytes, Math.Max(end, _bytes.Length * 2));
            }

            BinaryPrimitives.WriteUInt16BigEndian(_bytes.AsSpan(_length), (ushort)item.Length);
            item.CopyTo(_bytes.AsSpan(_length + LogFormat.LengthPrefixBytes));
            _length = end;
        }
    }
}
