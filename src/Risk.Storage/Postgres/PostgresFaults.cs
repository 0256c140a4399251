using System.Net.Sockets;
using Npgsql;
using Risk.Core.Log;

namespace Risk.Storage.Postgres;

/// <summary>What a failed exchange with the database means for what was to be written.</summary>
internal enum PostgresFault
{
    /// <summary>No answer: the outcome is unknown until it is read again.</summary>
    Lost,

    /// <summary>Deadlock or serialization failure: nothing was written, the same data may be tried at once.</summary>
    Conflict,

    /// <summary>Another owner took the log, or wrote this commit's number: nothing was written.</summary>
    Fenced,

    /// <summary>The database refuses, and will again until somebody helps.</summary>
    Refused,
}

/// <summary>Reads faults from SQLSTATEs, https://www.postgresql.org/docs/current/errcodes-appendix.html.</summary>
internal static class PostgresFaults
{
    /// <summary>Of the trigger <c>risk.require_newest_owner</c>.</summary>
    private const string NotNewestOwner = "RF001";

    private const string IdleInTransactionTimeout = "25P03";

    /// <summary>True for what a database and the way to it may throw; everything else is a bug of ours.</summary>
    public static bool IsOutside(Exception e) => e is NpgsqlException or SocketException or TimeoutException || (e is IOException and not DecisionLogException);

    public static PostgresFault Of(Exception e) => (e as PostgresException)?.SqlState switch
    {
        null => PostgresFault.Lost,
        PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure => PostgresFault.Conflict,
        PostgresErrorCodes.UniqueViolation or NotNewestOwner => PostgresFault.Fenced,
        // Connections, resources (disk full among them), a server that stops or starts, its own I/O errors.
        var state when state[..2] is "08" or "53" or "57" or "58" => PostgresFault.Lost,
        IdleInTransactionTimeout => PostgresFault.Lost,
        _ => PostgresFault.Refused,
    };

    /// <summary>The exception for the caller of a call that was not tried again.</summary>
    public static DecisionLogException Translate(Exception e) => Of(e) switch
    {
        PostgresFault.Lost or PostgresFault.Conflict => Unavailable(e),
        PostgresFault.Fenced => new DecisionLogException(LogCodes.Fenced, $"Another owner has taken the log since: {Sentence(e)} Open it again.", inner: e),
        _ when e is PostgresException { SqlState: PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.InvalidSchemaName } =>
            new DecisionLogException(LogCodes.Schema, "The database has no decision log yet: apply the migrations with its owner's login.", inner: e),
        _ => Refused(e),
    };

    public static DecisionLogException Unavailable(Exception? e) =>
        new(LogCodes.Unavailable, $"The database does not answer: {Sentence(e)} Nothing was acknowledged; try again once it does.", isRetriable: true, e);

    public static DecisionLogException Refused(Exception e) =>
        new(LogCodes.ReadOnly, $"The database refuses: {Sentence(e)} Nothing is acknowledged any more; mend that and open the log again.", inner: e);

    // Never the detail: it quotes rows.
    public static string Sentence(Exception? e) => e is PostgresException p ? $"{p.MessageText} ({p.SqlState})." : $"{e?.Message.TrimEnd('.')}.";
}
