using System.Buffers.Binary;
using System.Globalization;
using Dapper;
using Npgsql;
using Risk.Core.Log;
using Risk.Core.Transactions;
using Risk.Storage.Log;

namespace Risk.Storage.Postgres;

/// <summary>
/// The store in PostgreSQL. One commit is one transaction over all logs handed in; ownership is an epoch, a row that is only
/// ever inserted, and the fence is in the database (<see cref="PostgresDecisionLog"/>). The schema, told for auditors, is in
/// <c>Migrations/</c>; it must have been applied before (<see cref="PostgresMigrations"/>). The runtime's login may insert and
/// read, nothing else.
/// </summary>
internal sealed class PostgresDecisionStore : IDecisionStore
{
    private readonly byte[] _seed;

    private PostgresDecisionStore(PostgresStoreOptions options)
    {
        Options = options;
        Source = new NpgsqlDataSourceBuilder(Settings(options).ConnectionString).Build();
        Committer = new PostgresCommitter(Source, options);
        ExportedCheckpoints = options.CheckpointFolder is { } folder ? new ExportedCheckpoints(folder) : null;
        _seed = options.KeySeed.ToArray();
        if (_seed.Length == 0 && options.KeyFolder is null)
        {
            throw new ArgumentException("The store needs a key to sign checkpoints with: KeySeed or KeyFolder.", nameof(options));
        }
    }

    public PostgresStoreOptions Options { get; }

    internal NpgsqlDataSource Source { get; }

    /// <summary>Commits, and counts what went wrong.</summary>
    internal PostgresCommitter Committer { get; }

    internal ExportedCheckpoints? ExportedCheckpoints { get; }

    public Action<string, string>? Overcame
    {
        get => Committer.Overcame;
        set => Committer.Overcame = value;
    }

    /// <summary>Connects and checks the schema.</summary>
    /// <exception cref="DecisionLogException"><c>STORE_SCHEMA</c>, <c>STORE_UNAVAILABLE</c> (retriable).</exception>
    public static PostgresDecisionStore Connect(PostgresStoreOptions options)
    {
        var store = new PostgresDecisionStore(options);
        try
        {
            store.Reading(connection =>
            {
                PostgresMigrations.Require(connection);
                return true;
            });
            return store;
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }

    public IDecisionLog Open(int partition, string owner)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(partition);
        string origin = OriginOf(partition);
        LogKey key = _seed.Length > 0 ? new LogKey(origin, _seed) : LogKey.LoadOrCreate(new LogFolder(Options.KeyFolder!), origin, default);
        RecoveredLog recovered = Reading(connection => new PostgresLogRecovery(connection, Options, ExportedCheckpoints).Open(partition, origin, key, owner));
        return new PostgresDecisionLog(this, key, recovered);
    }

    public void Commit(IReadOnlyList<IDecisionLog> logs, ICollection<(IDecisionLog Log, DecisionLogException Failure)> failures) => Committer.Commit(logs, failures);

    public IDecisionLogReader? Read(int partition, long from) => Reading(connection => connection.QuerySingleOrDefault<(int? Log, long Size)>(
        "SELECT log, (SELECT coalesce(max(sequence) + 1, 0) FROM risk.entry e WHERE e.log = l.log) FROM risk.decision_log l WHERE stream = @Stream AND partition = @partition",
        new { Options.Stream, partition })) is ({ } log, var size) ? new PostgresDecisionLogReader(Source, log, OriginOf(partition), from, size, null) : null;

    public IReadOnlyList<PartitionOwner> Owners() => Reading(connection => connection.Query<PartitionOwner>(
        """
        SELECT DISTINCT ON (l.partition) l.partition, e.epoch, e.owner FROM risk.decision_log l JOIN risk.epoch e USING (log)
        WHERE l.stream = @Stream ORDER BY l.partition, e.epoch DESC
        """,
        new { Options.Stream }).AsList());

    public int KeepPartitionCount(int told) => Reading(connection =>
    {
        var which = new { Options.Stream, told };
        connection.Execute("INSERT INTO risk.partition_count (stream, partitions) VALUES (@Stream, @told) ON CONFLICT DO NOTHING", which);
        return connection.QuerySingle<int>("SELECT partitions FROM risk.partition_count WHERE stream = @Stream", which);
    });

    public bool TryFind(in EntityKey eventKey, LogEntry entry)
    {
        Guid key = GuidOf(eventKey);
        return Reading(connection => EntryRows.TryFind(connection, Options.Stream, key, entry));
    }

    public ISnapshotStore Snapshots(int partition) => new PostgresSnapshotStore(this, partition);

    public void AddLabels(int partition, IReadOnlyList<Label> labels) => Reading(connection =>
    {
        int log = LogOf(connection, partition);
        return connection.Execute(
            "INSERT INTO risk.label (log, event_key, is_positive, known_at) SELECT @log, * FROM unnest(@keys, @values, @times)",
            new
            {
                log,
                keys = labels.Select(label => GuidOf(label.EventKey)).ToArray(),
                values = labels.Select(label => label.IsPositive).ToArray(),
                times = labels.Select(label => label.KnownAt).ToArray(),
            });
    });

    public IReadOnlyList<Label> Labels(int partition) => LabelSequence.WithoutRepeats(Reading(connection => connection.Query<(Guid Key, bool IsPositive, long? KnownAt)>(
        "SELECT event_key, is_positive, known_at FROM risk.label JOIN risk.decision_log USING (log) WHERE stream = @Stream AND partition = @partition ORDER BY number",
        new { Options.Stream, partition }).Select(row => new Label(KeyOf(row.Key), row.IsPositive, row.KnownAt))));

    /// <summary>Closes the connections. Logs are closed before.</summary>
    public void Dispose()
    {
        Committer.Dispose();
        Source.Dispose();
    }

    /// <summary>Runs on a connection of its own; what the database fails at comes back as <see cref="DecisionLogException"/>.</summary>
    internal T Reading<T>(Func<NpgsqlConnection, T> run)
    {
        try
        {
            using NpgsqlConnection connection = Source.OpenConnection();
            return run(connection);
        }
        catch (Exception e) when (PostgresFaults.IsOutside(e))
        {
            throw PostgresFaults.Translate(e);
        }
    }

    /// <summary>The partition's number in the database.</summary>
    internal int LogOf(NpgsqlConnection connection, int partition) => connection.QuerySingleOrDefault<int?>(
        "SELECT log FROM risk.decision_log WHERE stream = @Stream AND partition = @partition", new { Options.Stream, partition })
        ?? throw new DecisionLogException(LogCodes.Other, $"Partition {partition} of {Options.Stream} has no log yet: open it once.");

    private string OriginOf(int partition) => string.Create(CultureInfo.InvariantCulture, $"risk/{Options.Stream}/{partition}");

    private static NpgsqlConnectionStringBuilder Settings(PostgresStoreOptions options)
    {
        var given = new NpgsqlConnectionStringBuilder(options.ConnectionString);
        return new NpgsqlConnectionStringBuilder(options.ConnectionString)
        {
            ApplicationName = "risk",
            // Acknowledged means durable, whatever the server's default; and a writer that stops within a transaction (a
            // process paused, a cable pulled) must not hold a commit's number for long.
            Options = $"{given.Options} -c synchronous_commit=on -c idle_in_transaction_session_timeout=10s",
            // Sessions keep no state that would have to be reset, and statements stay prepared.
            NoResetOnClose = true,
            MaxAutoPrepare = 32,
            AutoPrepareMinUsages = 2,
            // Never a failed row in an error.
            IncludeErrorDetail = false,
        };
    }

    private static Guid GuidOf(in EntityKey key)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, key.High);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], key.Low);
        return new Guid(bytes, bigEndian: true);
    }

    private static EntityKey KeyOf(Guid guid)
    {
        Span<byte> bytes = stackalloc byte[16];
        guid.TryWriteBytes(bytes, bigEndian: true, out _);
        return new EntityKey(BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]));
    }
}
