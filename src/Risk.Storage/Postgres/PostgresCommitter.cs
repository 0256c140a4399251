using System.Collections.Concurrent;
using Npgsql;
using Risk.Core.Log;

namespace Risk.Storage.Postgres;

/// <summary>
/// Commits staged logs, and decides what a failure means. A commit is acknowledged only when the database said so, or, where
/// its answer was lost, when the commit was read back by its number, epoch and root. So nothing is ever written blindly
/// twice: even a transaction that is still under way on the server holds the number, and the repeated one waits for it.
/// Thread-safe for different logs.
/// </summary>
internal sealed class PostgresCommitter(NpgsqlDataSource source, PostgresStoreOptions options) : IDisposable
{
    private static readonly TimeSpan DelayMin = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan DelayMax = TimeSpan.FromSeconds(1);

    private readonly ConcurrentStack<PostgresSession> _sessions = new();
    private readonly ManualResetEventSlim _closing = new();
    private long _conflicts;
    private long _lost;
    private long _rereadDurable;
    private long _fenced;

    /// <summary>As <see cref="IDecisionStore.Overcame"/>.</summary>
    public Action<string, string>? Overcame { get; set; }

    /// <summary>Transactions repeated after a deadlock or a serialization failure.</summary>
    public long Conflicts => Volatile.Read(ref _conflicts);

    /// <summary>Exchanges that ended without an answer.</summary>
    public long Lost => Volatile.Read(ref _lost);

    /// <summary>Commits whose answer was lost and that were found durable.</summary>
    public long RereadDurable => Volatile.Read(ref _rereadDurable);

    /// <summary>Commits refused because another owner has the log.</summary>
    public long Fenced => Volatile.Read(ref _fenced);

    public void Commit(PostgresDecisionLog log)
    {
        // Twice when a commit was waiting for its outcome and more was appended since.
        while (log.Stage())
        {
            if (Send([log]) is { } failure)
            {
                throw failure;
            }
        }

        log.PublishIfDue();
    }

    public void Commit(IReadOnlyList<IDecisionLog> logs, ICollection<(IDecisionLog Log, DecisionLogException Failure)> failures)
    {
        var open = new List<PostgresDecisionLog>(logs.Count);
        foreach (IDecisionLog log in logs)
        {
            open.Add((PostgresDecisionLog)log);
        }

        // Always in one order: two transactions over the same logs then wait for each other instead of deadlocking.
        open.Sort((a, b) => a.Id.CompareTo(b.Id));
        var staged = new List<PostgresDecisionLog>(open.Count);
        while (StageAll(open, staged, failures))
        {
            DecisionLogException? together = Send(staged);
            if (together is null)
            {
                continue;
            }

            if (together.IsRetriable)
            {
                // The database was waited for already; log by log it would be as long again for each.
                foreach (PostgresDecisionLog log in staged)
                {
                    failures.Add((log, together));
                }

                return;
            }

            // One log's failure must not keep the others from being committed.
            foreach (PostgresDecisionLog log in staged)
            {
                if (log.Staged.IsWaiting && Send([log]) is { } failure)
                {
                    failures.Add((log, failure));
                    open.Remove(log);
                }
            }
        }

        foreach (PostgresDecisionLog log in open)
        {
            log.PublishIfDue();
        }
    }

    public void Dispose()
    {
        _closing.Set();
        while (_sessions.TryPop(out PostgresSession? session))
        {
            session.Dispose();
        }
    }

    private static bool StageAll(List<PostgresDecisionLog> open, List<PostgresDecisionLog> staged, ICollection<(IDecisionLog Log, DecisionLogException Failure)> failures)
    {
        staged.Clear();
        for (int i = open.Count - 1; i >= 0; i--)
        {
            try
            {
                if (open[i].Stage())
                {
                    staged.Insert(0, open[i]);
                }
            }
            catch (DecisionLogException e)
            {
                failures.Add((open[i], e));
                open.RemoveAt(i);
            }
        }

        return staged.Count > 0;
    }

    /// <summary>Sends until the outcome is known or time is up; returns why it is not durable, null when it is.</summary>
    private DecisionLogException? Send(List<PostgresDecisionLog> logs)
    {
        long started = options.Clock.GetTimestamp();
        TimeSpan delay = DelayMin;
        bool isInDoubt = false;
        for (int conflicts = 0; ;)
        {
            try
            {
                SendOnce(logs, isInDoubt);
                return null;
            }
            catch (Exception e) when (PostgresFaults.IsOutside(e))
            {
                switch (PostgresFaults.Of(e))
                {
                    case PostgresFault.Conflict when ++conflicts <= options.ConflictRetriesMax:
                        Interlocked.Increment(ref _conflicts);
                        Overcame?.Invoke(LogCodes.Conflict, $"The database gave way to another transaction: {PostgresFaults.Sentence(e)} Nothing was written; the commit is sent again ({conflicts} of {options.ConflictRetriesMax}).");
                        _closing.Wait(Random.Shared.Next(1, 1 + 2 * conflicts)); // so that two do not meet again
                        break;
                    case PostgresFault.Conflict:
                        return PostgresFaults.Unavailable(e);
                    case PostgresFault.Lost:
                        Interlocked.Increment(ref _lost);
                        isInDoubt = true;
                        if (options.Clock.GetElapsedTime(started) >= options.UnavailableAfter || _closing.Wait(delay))
                        {
                            return PostgresFaults.Unavailable(e);
                        }

                        delay = delay * 2 < DelayMax ? delay * 2 : DelayMax;
                        break;
                    case PostgresFault.Fenced when logs.Count > 1:
                        return Fence(logs[0], e); // of whichever: the caller asks one by one
                    case PostgresFault.Fenced:
                        // The answer to a commit of ours may have been lost, and it may be its number that is taken.
                        if (IsDurable(logs[0]) is not { } isDurable)
                        {
                            isInDoubt = true;
                            break;
                        }

                        if (isDurable)
                        {
                            return null;
                        }

                        Interlocked.Increment(ref _fenced);
                        return logs[0].Fail(Fence(logs[0], e));
                    default:
                        return logs.Count > 1 ? PostgresFaults.Refused(e) : logs[0].Fail(PostgresFaults.Refused(e));
                }
            }
        }
    }

    private void SendOnce(List<PostgresDecisionLog> logs, bool isInDoubt)
    {
        if (!_sessions.TryPop(out PostgresSession? session))
        {
            session = new PostgresSession(source);
        }

        try
        {
            if (isInDoubt)
            {
                for (int i = logs.Count - 1; i >= 0; i--)
                {
                    if (session.IsDurable(logs[i]))
                    {
                        ConfirmReread(logs[i]);
                        logs.RemoveAt(i);
                    }
                }
            }

            if (logs.Count > 0)
            {
                session.Write(logs);
                if (isInDoubt)
                {
                    Overcame?.Invoke(LogCodes.CommitResent, $"The connection to the database was lost before a commit of {logs.Count} logs was durable; it was sent again.");
                }
            }
        }
        catch
        {
            session.Dispose();
            throw;
        }

        foreach (PostgresDecisionLog log in logs)
        {
            log.Confirm();
        }

        _sessions.Push(session);
    }

    /// <summary>Reads the log's staged commit back and confirms it when it is there; null when there was no answer.</summary>
    private bool? IsDurable(PostgresDecisionLog log)
    {
        try
        {
            using var session = new PostgresSession(source);
            if (!session.IsDurable(log))
            {
                return false;
            }

            ConfirmReread(log);
            return true;
        }
        catch (Exception e) when (PostgresFaults.IsOutside(e))
        {
            return null;
        }
    }

    private void ConfirmReread(PostgresDecisionLog log)
    {
        Interlocked.Increment(ref _rereadDurable);
        log.Confirm();
        Overcame?.Invoke(LogCodes.CommitReread, $"The reply to a commit of {log.Origin} was lost; it was read back and is durable up to {log.DurableSize}.");
    }

    private static DecisionLogException Fence(PostgresDecisionLog log, Exception e) =>
        new(LogCodes.Fenced, $"Another owner has taken {log.Origin} since epoch {log.Epoch}: open it again to go on from what that owner wrote.", inner: e);
}
