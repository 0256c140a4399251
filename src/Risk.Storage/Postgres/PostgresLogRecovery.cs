using Dapper;
using Npgsql;
using Risk.Core.Log;
using Risk.Storage.Log;

namespace Risk.Storage.Postgres;

/// <summary>A log as its new owner found it.</summary>
internal sealed record RecoveredLog
{
    public required int Partition { get; init; }

    public required int Id { get; init; }

    /// <summary>The owner's; 0 until it is taken.</summary>
    public long Epoch { get; init; }

    public required string Origin { get; init; }

    public required LogTree Tree { get; init; }

    /// <summary>Number of the last commit; 0 in a new log.</summary>
    public long LastCommit { get; init; }

    public long Size { get; init; }

    public byte[] Position { get; init; } = [];

    public byte[] Root { get; init; } = [];

    /// <summary>Size of the newest checkpoint; -1 when there is none.</summary>
    public long PublishedSize { get; init; } = -1;
}

/// <summary>
/// Reads what a log's owner needs: the last commit, the tiles of the tree's right edge and at most 255 entries. The tree built
/// from these must have the root of the last commit, and reach the newest checkpoints that were signed, in the database and
/// outside. Only a log that does is taken: a refused opening leaves no epoch, so that one which is tried again and again does
/// not fence a healthy owner out.
/// </summary>
internal sealed class PostgresLogRecovery(NpgsqlConnection connection, PostgresStoreOptions options, ExportedCheckpoints? exported)
{
    private const int TakeOverMax = 20;
    private readonly Dictionary<(int Level, long Number), byte[]> _tiles = [];
    private int _log;
    private string _origin = "";

    public RecoveredLog Open(int partition, string origin, LogKey key, string owner)
    {
        _origin = origin;
        RequireTokenKey();
        _log = FindOrCreate(partition, key.Key);
        (RecoveredLog log, CommitRow last) = Check(partition, key);
        long epoch = TakeOwnership(owner);
        // The former owner may have written until then; from here on the fence keeps it out.
        if (LastCommit() is var now && now.Number != last.Number)
        {
            (log, _) = Check(partition, key);
        }

        return log with { Epoch = epoch };
    }

    /// <summary>The log as it is now; throws when it contradicts itself or what was signed.</summary>
    private (RecoveredLog Log, CommitRow Last) Check(int partition, LogKey key)
    {
        // Checkpoints before the commits that they cover: while a former owner still writes, the log only grows.
        byte[]? newest = connection.QuerySingleOrDefault<byte[]>("SELECT note FROM risk.checkpoint WHERE log = @log ORDER BY size DESC LIMIT 1", new { log = _log });
        byte[]? outside = exported?.Read(partition);
        CommitRow last = LastCommit();
        byte[] tail = TailLeaves(last.Size);
        var tree = new LogTree();
        tree.Restore(last.Size, ReadTile, tail);
        byte[] root = new byte[LogFormat.HashBytes];
        tree.Root(root);
        if (!root.AsSpan().SequenceEqual(last.Root))
        {
            throw new DecisionLogException(LogCodes.Corrupt, $"The rows of {_origin} do not have the root that its last commit tells, at {last.Size} entries: verify the log, and restore what was changed from a backup.");
        }

        Checkpoint? published = newest is null ? null : Verify(newest, "The newest checkpoint in the database", key, last.Size, root, tail);
        if (outside is not null)
        {
            Verify(outside, exported!.PathOf(partition), key, last.Size, root, tail);
        }

        var log = new RecoveredLog
        {
            Partition = partition,
            Id = _log,
            Origin = _origin,
            Tree = tree,
            LastCommit = last.Number,
            Size = last.Size,
            Position = last.Position,
            Root = root,
            PublishedSize = published?.Size ?? -1,
        };
        return (log, last);
    }

    private CommitRow LastCommit() => connection.QuerySingleOrDefault<CommitRow>(
        "SELECT number, end_sequence AS size, source_position AS position, root_hash AS root FROM risk.log_commit WHERE log = @log ORDER BY number DESC LIMIT 1", new { log = _log })
        ?? new CommitRow { Root = MerkleHash.Empty.ToArray() };

    /// <summary>The stream's first opening keeps the fingerprint; every other one must have the same.</summary>
    private void RequireTokenKey()
    {
        if (options.TokenFingerprint.IsEmpty)
        {
            return;
        }

        const string find = "SELECT fingerprint FROM risk.token_key WHERE stream = @stream";
        var which = new { stream = options.Stream, fingerprint = options.TokenFingerprint.ToArray() };
        byte[]? kept = connection.QuerySingleOrDefault<byte[]>(find, which);
        if (kept is null)
        {
            connection.Execute("INSERT INTO risk.token_key (stream, fingerprint) VALUES (@stream, @fingerprint) ON CONFLICT DO NOTHING", which);
            kept = connection.QuerySingle<byte[]>(find, which);
        }

        if (!kept.AsSpan().SequenceEqual(which.fingerprint))
        {
            throw TokenKey.Other($"The stream {options.Stream} in this database", Convert.ToHexStringLower(kept), Convert.ToHexStringLower(which.fingerprint));
        }
    }

    private int FindOrCreate(int partition, VerifierKey key)
    {
        const string find = "SELECT log, origin, verifier_key AS key FROM risk.decision_log WHERE stream = @stream AND partition = @partition";
        var which = new { stream = options.Stream, partition, origin = _origin, key = key.ToString() };
        LogRow? row = connection.QuerySingleOrDefault<LogRow>(find, which);
        if (row is null)
        {
            connection.Execute("INSERT INTO risk.decision_log (stream, partition, origin, verifier_key) VALUES (@stream, @partition, @origin, @key) ON CONFLICT DO NOTHING", which);
            row = connection.QuerySingle<LogRow>(find, which);
        }

        return row.Origin == _origin && row.Key == which.key
            ? row.Log
            : throw new DecisionLogException(LogCodes.Other, $"Partition {partition} of {options.Stream} is {row.Origin} and was begun with the key {row.Key}, not with {which.key}: use that key.");
    }

    /// <summary>The highest epoch so far plus one; whoever inserts it first has it, others try the next.</summary>
    private long TakeOwnership(string owner)
    {
        for (int i = 0; ; i++)
        {
            try
            {
                return connection.QuerySingle<long>(
                    "INSERT INTO risk.epoch (log, epoch, owner) SELECT @log, coalesce(max(epoch), 0) + 1, @owner FROM risk.epoch WHERE log = @log RETURNING epoch", new { log = _log, owner });
            }
            catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.UniqueViolation)
            {
                if (i == TakeOverMax)
                {
                    throw new DecisionLogException(LogCodes.InUse, $"Other owners take {_origin} at the same time, again and again: see to it that one process serves the partition.", isRetriable: true, e);
                }
            }
        }
    }

    private byte[] TailLeaves(long size)
    {
        long first = size - size % LogFormat.TileWidth;
        byte[] leaves = new byte[(size - first) * LogFormat.HashBytes];
        if (leaves.Length == 0)
        {
            return leaves;
        }

        var lanes = new Sha256Lanes();
        int count = 0;
        foreach (byte[] record in connection.Query<byte[]>("SELECT record FROM risk.entry WHERE log = @log AND sequence >= @first AND sequence < @size ORDER BY sequence", new { log = _log, first, size }))
        {
            MerkleHash.AddLeaf(lanes, record, leaves, count++ * LogFormat.HashBytes);
        }

        lanes.Flush(leaves);
        return count == size - first
            ? leaves
            : throw new DecisionLogException(LogCodes.Corrupt, $"{_origin} lacks {size - first - count} of its last {size - first} entries: restore the database from a backup that has them.");
    }

    private void ReadTile(int level, long number, byte[] to)
    {
        if (!_tiles.TryGetValue((level, number), out byte[]? hashes))
        {
            // All that the parent holds so far, at once: the edge of the tree needs them one after the other.
            long last = number | (LogFormat.TileWidth - 1);
            foreach (TileRow row in connection.Query<TileRow>("SELECT number, hashes FROM risk.tile WHERE log = @log AND level = @level AND number BETWEEN @number AND @last", new { log = _log, level, number, last }))
            {
                _tiles[(level, row.Number)] = row.Hashes;
            }

            if (!_tiles.TryGetValue((level, number), out hashes))
            {
                throw new DecisionLogException(LogCodes.Corrupt, $"{_origin} lacks tile {number} of level {level}: restore the database from a backup that has it.");
            }
        }

        hashes.CopyTo(to, 0);
    }

    private Checkpoint Verify(byte[] bytes, string what, LogKey key, long size, byte[] root, byte[] tail)
    {
        if (!SignedNote.TryParse(bytes, out SignedNote? note) || !Checkpoint.TryParse(note.Text, out Checkpoint? checkpoint))
        {
            throw new DecisionLogException(LogCodes.Corrupt, $"{what} is not a checkpoint.");
        }

        if (checkpoint.Origin != _origin || !note.IsSignedBy(key.Key, Ed25519.Verify))
        {
            throw new DecisionLogException(LogCodes.Other, $"{what} is of '{checkpoint.Origin}', or not signed by {key.Key}.");
        }

        if (checkpoint.Size > size)
        {
            throw new DecisionLogException(LogCodes.Rollback, $"{what} tells of {checkpoint.Size} entries of {_origin}; the database has {size}. Restore it from a backup that has all of them.");
        }

        byte[] then = checkpoint.Size == size ? root : RootAt(checkpoint.Size, size, tail);
        return then.AsSpan().SequenceEqual(checkpoint.RootHash)
            ? checkpoint
            : throw new DecisionLogException(LogCodes.Rollback, $"{what} has another root for the first {checkpoint.Size} entries of {_origin} than the database: it was changed or restored from elsewhere. Restore it from a backup that fits.");
    }

    /// <summary>The root of the first <paramref name="then"/> of <paramref name="size"/> entries.</summary>
    private byte[] RootAt(long then, long size, byte[] tail)
    {
        long tile = then / LogFormat.TileWidth;
        byte[] leaves = tail;
        if (then % LogFormat.TileWidth > 0 && tile < size / LogFormat.TileWidth)
        {
            leaves = new byte[LogFormat.TileBytes];
            ReadTile(0, tile, leaves);
        }

        var tree = new LogTree();
        tree.Restore(then, ReadTile, leaves);
        byte[] root = new byte[LogFormat.HashBytes];
        tree.Root(root);
        return root;
    }

    private sealed record LogRow(int Log, string Origin, string Key);

    private sealed record CommitRow
    {
        public long Number { get; init; }

        public long Size { get; init; }

        public byte[] Position { get; init; } = [];

        public byte[] Root { get; init; } = [];
    }

    private sealed record TileRow(long Number, byte[] Hashes);
}
