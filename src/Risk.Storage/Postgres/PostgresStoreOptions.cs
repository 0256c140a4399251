namespace Risk.Storage.Postgres;

/// <summary>How a <see cref="PostgresDecisionStore"/> is opened.</summary>
internal sealed record PostgresStoreOptions
{
    /// <summary>Npgsql's words, with a login that is a member of <c>risk_runtime</c>. A secret: it is never logged.</summary>
    public required string ConnectionString { get; init; }

    /// <summary>Name of the stream, e.g. <c>card-payments</c>; its partitions' logs are <c>risk/card-payments/0</c> and so on.</summary>
    public required string Stream { get; init; }

    /// <summary>32 bytes that the signing key of all logs is derived from, the same in every process; empty takes <see cref="KeyFolder"/>.</summary>
    public ReadOnlyMemory<byte> KeySeed { get; init; }

    /// <summary>
    /// Holds <c>keys/log.key</c>, made when it is not there; the same file in every process. Needed when there is no
    /// <see cref="KeySeed"/>: the key is never in the database.
    /// </summary>
    public string? KeyFolder { get; init; }

    /// <summary>
    /// 32 bytes that tell the key by which ids are hashed, one-way; the stream keeps them from its first opening on, and others
    /// are refused (<c>LOG_OTHER</c>). Empty for whoever hashes none: not compared.
    /// </summary>
    public ReadOnlyMemory<byte> TokenFingerprint { get; init; }

    /// <summary>
    /// Where the last checkpoint of each partition is kept outside the database, as <c>0007.checkpoint</c>; null for nowhere.
    /// A database that is behind or differs from it is not opened (<c>LOG_ROLLBACK</c>).
    /// </summary>
    public string? CheckpointFolder { get; init; }

    /// <summary>A commit publishes a checkpoint at most this often, and closing does; 10 s unless told.</summary>
    public TimeSpan CheckpointEvery { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a commit tries while the database does not answer, before it says <c>STORE_UNAVAILABLE</c>; 30 s unless told.</summary>
    public TimeSpan UnavailableAfter { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How often a commit is tried again after a deadlock or a serialization failure; 10 unless told.</summary>
    public int ConflictRetriesMax { get; init; } = 10;

    public TimeProvider Clock { get; init; } = TimeProvider.System;
}
