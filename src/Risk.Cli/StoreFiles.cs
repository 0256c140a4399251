using Risk.Cli.CommandLine;
using Risk.Core.Log;
using Risk.Service.Engine;
using Risk.Service.Serving;
using Risk.Storage.Log;
using Risk.Storage.Postgres;

namespace Risk.Cli;

/// <summary>The store that a configuration names.</summary>
internal static class StoreFiles
{
    private const string PostgresSetting = "store.postgres";

    // Less than an HTTP answer waits, so that whoever asks is told what is wrong, and health tells it soon.
    private static readonly TimeSpan s_unavailableAfter = TimeSpan.FromSeconds(5);

    /// <param name="directory">Of the files; with PostgreSQL of the signing key and the last exported checkpoints.</param>
    /// <param name="keyFolder">Of the signing key with PostgreSQL, which every process of the stream must have alike; null: the directory.</param>
    /// <exception cref="CommandFailure">SECRET_MISSING, SECRET_INLINE.</exception>
    /// <exception cref="DecisionLogException">The database does not answer, or lacks the schema.</exception>
    public static IDecisionStore Open(StoreConfiguration store, string stream, KeyRing keys, string directory, string? keyFolder = null) => store.Postgres is null
        ? new FileDecisionStore(directory, stream, new DecisionLogOptions { Origin = "", KeySeed = keys.LogSeed, TokenFingerprint = keys.TokenFingerprint })
        : PostgresDecisionStore.Connect(new PostgresStoreOptions
        {
            ConnectionString = Secret(store.Postgres, PostgresSetting),
            Stream = stream,
            KeySeed = keys.LogSeed,
            KeyFolder = keyFolder ?? directory,
            TokenFingerprint = keys.TokenFingerprint,
            CheckpointFolder = Path.Combine(directory, "checkpoints"),
            UnavailableAfter = s_unavailableAfter,
        });

    /// <summary>The store's directory as a full path; made where it is missing.</summary>
    /// <exception cref="CommandFailure">IO_FAILED.</exception>
    public static string MakeDirectory(StoreConfiguration store)
    {
        try
        {
            return Directory.CreateDirectory(Path.GetFullPath(store.Directory)).FullName;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            // Of a file system that takes no folders the message speaks of a file that is not found.
            string reason = e is FileNotFoundException or DirectoryNotFoundException ? "the file system refuses it" : e.Message.TrimEnd('.');
            throw CommandFailure.WorldFailed("IO_FAILED", $"store.directory: the directory {store.Directory} cannot be made: {reason}; name one that this user may write");
        }
    }

    /// <summary>Refuses a connection string that stands in the configuration itself.</summary>
    /// <exception cref="CommandFailure">SECRET_INLINE.</exception>
    public static void RefuseInline(StoreConfiguration store)
    {
        if (store.Postgres is { } reference && !IsReference(reference)) { throw Inline(PostgresSetting); }
    }

    /// <summary>What <c>env:NAME</c> or <c>file:PATH</c> stands for.</summary>
    /// <param name="setting">Where the reference stands, for whoever has to mend it.</param>
    /// <exception cref="CommandFailure">SECRET_MISSING, SECRET_INLINE.</exception>
    public static string Secret(string reference, string setting)
    {
        if (!IsReference(reference)) { throw Inline(setting); }
        if (reference.StartsWith("env:", StringComparison.Ordinal))
        {
            return Environment.GetEnvironmentVariable(reference[4..]) is { Length: > 0 } value ? value
                : throw CommandFailure.BadInput("SECRET_MISSING", $"{setting}: the environment has no {reference[4..]}; set it, or name another place");
        }
        try
        {
            return File.ReadAllText(reference[5..]).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CommandFailure.BadInput("SECRET_MISSING", $"{setting}: {reference[5..]} cannot be read: {e.Message}");
        }
    }

    private static bool IsReference(string text) => text.StartsWith("env:", StringComparison.Ordinal) || text.StartsWith("file:", StringComparison.Ordinal);

    // What was given is not repeated: it may be the secret.
    private static CommandFailure Inline(string setting) =>
        CommandFailure.BadInput("SECRET_INLINE", $"{setting}: a connection string may hold a password, so it does not stand here itself: name where it stands, env:NAME or file:PATH");
}
