using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Dapper;
using Npgsql;
using Risk.Core.Log;

namespace Risk.Storage.Postgres;

/// <summary>Snapshots of one partition as rows: a head with digests, and chunks of at most 4 MiB. Saved in one transaction.</summary>
internal sealed class PostgresSnapshotStore(PostgresDecisionStore store, int partition) : ISnapshotStore
{
    private const int Kept = 2;
    private const int ChunkBytes = 4 << 20;
    private const int RowHeadBytes = sizeof(short) + 3 * sizeof(int) + sizeof(long) + sizeof(int);

    public void Save(long sequence, ReadOnlySpan<byte> catalogDigest, ReadOnlySpan<byte> content)
    {
        if (catalogDigest.Length != LogFormat.HashBytes)
        {
            throw new ArgumentException($"A catalog digest has {LogFormat.HashBytes} bytes, not {catalogDigest.Length}.", nameof(catalogDigest));
        }

        try
        {
            using NpgsqlConnection connection = store.Source.OpenConnection();
            int log = store.LogOf(connection, partition);
            using NpgsqlTransaction transaction = connection.BeginTransaction();
            long snapshot = connection.QuerySingle<long>(
                "INSERT INTO risk.snapshot (log, sequence, catalog_digest, content_bytes, content_digest) VALUES (@log, @sequence, @digest, @bytes, @hash) RETURNING snapshot",
                new { log, sequence, digest = catalogDigest.ToArray(), bytes = (long)content.Length, hash = SHA256.HashData(content) });
            CopyChunks(connection, snapshot, content);
            connection.Execute(
                """
                DELETE FROM risk.snapshot WHERE log = @log AND sequence = @sequence AND snapshot <> @snapshot;
                DELETE FROM risk.snapshot WHERE log = @log AND snapshot NOT IN (SELECT snapshot FROM risk.snapshot WHERE log = @log ORDER BY sequence DESC LIMIT @Kept)
                """,
                new { log, sequence, snapshot, Kept });
            transaction.Commit();
        }
        catch (Exception e) when (PostgresFaults.IsOutside(e))
        {
            throw PostgresFaults.Translate(e);
        }
    }

    public bool TryLoad(ReadOnlySpan<byte> catalogDigest, long logSize, out long sequence, [NotNullWhen(true)] out byte[]? content)
    {
        (sequence, content) = (0, null);
        try
        {
            using NpgsqlConnection connection = store.Source.OpenConnection();
            IEnumerable<Head> heads = connection.Query<Head>(
                """
                SELECT s.snapshot, s.sequence, s.content_bytes AS bytes, s.content_digest AS digest FROM risk.snapshot s JOIN risk.decision_log l USING (log)
                WHERE l.stream = @Stream AND l.partition = @partition AND s.catalog_digest = @catalog AND s.sequence <= @logSize ORDER BY s.sequence DESC, s.snapshot DESC
                """,
                new { store.Options.Stream, partition, catalog = catalogDigest.ToArray(), logSize });
            foreach (Head head in heads)
            {
                byte[] bytes = new byte[head.Bytes];
                if (ReadChunks(connection, head.Snapshot, bytes) == bytes.Length && SHA256.HashData(bytes).AsSpan().SequenceEqual(head.Digest))
                {
                    (sequence, content) = (head.Sequence, bytes);
                    return true;
                }
            }

            return false;
        }
        catch (Exception e) when (PostgresFaults.IsOutside(e))
        {
            throw PostgresFaults.Translate(e);
        }
    }

    private static void CopyChunks(NpgsqlConnection connection, long snapshot, ReadOnlySpan<byte> content)
    {
        using NpgsqlRawCopyStream copy = connection.BeginRawBinaryCopy("COPY risk.snapshot_chunk (snapshot, number, content) FROM STDIN (FORMAT BINARY)");
        copy.Write(CopyRows.Header);
        Span<byte> head = stackalloc byte[RowHeadBytes];
        for (int number = 0; !content.IsEmpty; number++)
        {
            ReadOnlySpan<byte> chunk = content[..Math.Min(ChunkBytes, content.Length)];
            content = content[chunk.Length..];
            var row = new CopyWriter(head);
            row.Int16(3);
            row.Int64Field(snapshot);
            row.Int32Field(number);
            row.Length(chunk.Length);
            copy.Write(head[..row.Written]);
            copy.Write(chunk);
        }

        copy.Write(CopyRows.Trailer);
    }

    /// <summary>Reads the chunks in order into the buffer; returns how many bytes there were, -1 when they do not fit.</summary>
    private static long ReadChunks(NpgsqlConnection connection, long snapshot, byte[] to)
    {
        using var command = new NpgsqlCommand("SELECT content FROM risk.snapshot_chunk WHERE snapshot = $1 ORDER BY number", connection);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = snapshot });
        using NpgsqlDataReader rows = command.ExecuteReader(System.Data.CommandBehavior.SequentialAccess);
        int at = 0;
        while (rows.Read())
        {
            int bytes = (int)rows.GetBytes(0, 0, null, 0, 0);
            if (bytes > to.Length - at)
            {
                return -1;
            }

            for (int read = 0; read < bytes;)
            {
                read += (int)rows.GetBytes(0, read, to, at + read, bytes - read);
            }

            at += bytes;
        }

        return at;
    }

    private sealed record Head(long Snapshot, long Sequence, long Bytes, byte[] Digest);
}
