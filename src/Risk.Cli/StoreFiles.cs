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
    // Less than an HTTP answer waits, so that whoever asks is told what is wrong, and health tells it soon.
    private static readonly TimeSpan s_unavailableAfter = TimeSpan.FromSeconds(5);

    /// <param name="directory">Of the files; with PostgreSQL of the signing key and the last exported checkpoints.</param>
    /// <param name="keyFolder">Of the signing key with PostgreSQL, which every process of the stream must have alike; null: the directory.</param>
    /// <exception cref="CommandFailure">SECRET_MISSING.</exception>
    /// <exception cref="DecisionLogException">The database does not answer, or lacks the schema.</exception>
    public static IDecisionStore Open(StoreConfiguration store, string stream, KeyRing keys, string directory, string? keyFolder = null) => store.Postgres is null
        ? new FileDecisionStore(directory, stream, new DecisionLogOptions { Origin = "", KeySeed = keys.LogSeed, TokenFingerprint = keys.TokenFingerprint })
        : PostgresDecisionStore.Connect(new PostgresStoreOptions
        {
            ConnectionString = Secret(store.Postgres),
            Stream = stream,
            KeySeed = keys.LogSeed,
            KeyFolder = keyFolder ?? directory,
            TokenFingerprint = keys.TokenFingerprint,
            CheckpointFolder = Path.Combine(directory, "checkpoints"),
            UnavailableAfter = s_unavailableAfter,
        });

    /// <summary>What <c>env:NAME</c> or <c>file:PATH</c> stands for.</summary>
    /// <exception cref="CommandFailure">SECRET_MISSING, SECRET_INLINE.</exception>
    public static string Secret(string reference)
    {
        if (reference.StartsWith("env:", StringComparison.Ordinal))
        {
            return Environment.GetEnvironmentVariable(reference[4..]) is { Length: > 0 } value ? value
                : throw CommandFailure.BadInput("SECRET_MISSING", $"the environment has no {reference[4..]}; set it, or name another place");
        }
        if (!reference.StartsWith("file:", StringComparison.Ordinal)) { throw CommandFailure.BadInput("SECRET_INLINE", "a secret must not stand here itself: name where it stands, env:NAME or file:PATH"); }
        try
        {
            return File.ReadAllText(reference[5..]).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CommandFailure.BadInput("SECRET_MISSING", $"{reference[5..]} cannot be read: {e.Message}");
        }
    }
}
