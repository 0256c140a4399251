using Npgsql;
using Risk.Core.Log;
using Risk.Storage.Postgres;
using static Risk.Storage.Tests.Log.LogFolderFixture;

namespace Risk.Storage.Tests.Postgres;

/// <summary>The faults of a database, on a real server; after each the log holds every entry once and has their root.</summary>
[Collection(PostgresFixture.Name)]
public sealed class PostgresFaultTests(PostgresFixture postgres) : PostgresTest(postgres)
{
    [StoreFact]
    public void ReplyToCommitLost_IsReadBack_AndWrittenOnce()
    {
        (FaultProxy proxy, PostgresDecisionStore store) = Proxied();
        IDecisionLog log = Keep(store.Open(0, ""));
        Append(log, 10);
        proxy.DropAt(FaultProxy.ReplyToCommit);
        Append(log, 10);
        Assert.Equal((1, 1), (store.Committer.Lost, store.Committer.RereadDurable));
        Append(log, 10);
        AssertHoldsOnce(30, commits: 3);
    }

    [StoreFact]
    public void ReplyToCommitLost_OfSeveralLogs_IsReadBack()
    {
        (FaultProxy proxy, PostgresDecisionStore store) = Proxied();
        IDecisionLog[] logs = [Keep(store.Open(0, "")), Keep(store.Open(1, ""))];
        foreach (IDecisionLog log in logs)
        {
            Append(log, 10, commit: false);
        }

        proxy.DropAt(FaultProxy.ReplyToCommit);
        var failures = new List<(IDecisionLog, DecisionLogException)>();
        store.Commit(logs, failures);
        Assert.Empty(failures);
        Assert.Equal(2, store.Committer.RereadDurable);
        AssertHoldsOnce(10, commits: 1);
    }

    [StoreFact]
    public void ConnectionLostBeforeTheCommit_IsSentAgain()
    {
        (FaultProxy proxy, PostgresDecisionStore store) = Proxied();
        IDecisionLog log = Keep(store.Open(0, ""));
        Append(log, 10);
        proxy.DropAt(FaultProxy.ReplyToCopy);
        Append(log, 10);
        Assert.Equal((1, 0), (store.Committer.Lost, store.Committer.RereadDurable));
        AssertHoldsOnce(20, commits: 2);
    }

    [StoreFact]
    public void ReplyToCommitLost_AndAnotherOwnerSince_WhatIsDurableIsAcknowledged_TheRestFenced()
    {
        (FaultProxy proxy, PostgresDecisionStore store) = Proxied();
        IDecisionLog log = Keep(store.Open(0, ""));
        PostgresDecisionStore elsewhere = Connect();
        IDecisionLog? latter = null;
        proxy.Dropped = () => Append(latter = Keep(elsewhere.Open(0, "")), 5);
        proxy.DropAt(FaultProxy.ReplyToCommit);
        Append(log, 10);
        Assert.Equal(10, log.DurableSize);
        Assert.Equal(LogCodes.Fenced, Assert.Throws<DecisionLogException>(() => Append(log, 1)).Code);
        Assert.Equal(15, latter!.DurableSize);
        AssertHoldsOnce(15, commits: 2);
    }

    [StoreFact]
    public void DatabaseDown_NothingIsAcknowledged_UntilItIsBack()
    {
        (FaultProxy proxy, PostgresDecisionStore store) = Proxied(options => options with { UnavailableAfter = TimeSpan.FromMilliseconds(200) });
        IDecisionLog log = Keep(store.Open(0, ""));
        Append(log, 10);
        proxy.IsRefusing = true;
        var down = Assert.Throws<DecisionLogException>(() => Append(log, 10));
        Assert.Equal((LogCodes.Unavailable, true), (down.Code, down.IsRetriable));
        Assert.Equal((20, 10), (log.Size, log.DurableSize));
        Assert.True(log.TryRead(15, new LogEntry()));
        Append(log, 10, commit: false);
        Assert.Equal(LogCodes.Unavailable, Assert.Throws<DecisionLogException>(log.Commit).Code);
        Assert.Equal(ExpectedRoot(10), log.RootHash());
        proxy.IsRefusing = false;
        log.Commit();
        Assert.Equal((30, 30), (log.Size, log.DurableSize));
        AssertHoldsOnce(30, commits: 3);
    }

    [StoreFact]
    public void DatabaseDown_IsToldOfEveryLog_AfterOneWait()
    {
        (FaultProxy proxy, PostgresDecisionStore store) = Proxied(options => options with { UnavailableAfter = TimeSpan.Zero });
        IDecisionLog[] logs = [Keep(store.Open(0, "")), Keep(store.Open(1, ""))];
        foreach (IDecisionLog log in logs)
        {
            Append(log, 10, commit: false);
        }

        proxy.IsRefusing = true;
        var failures = new List<(IDecisionLog Log, DecisionLogException Failure)>();
        store.Commit(logs, failures);
        Assert.Equal(logs, failures.Select(failure => failure.Log));
        Assert.All(failures, failure => Assert.Equal(LogCodes.Unavailable, failure.Failure.Code));
        Assert.Equal(1, store.Committer.Lost);
        proxy.IsRefusing = false;
        failures.Clear();
        store.Commit(logs, failures);
        Assert.Empty(failures);
        AssertHoldsOnce(10, commits: 1);
    }

    [StoreFact]
    public void DatabaseDownForAMoment_IsWaitedFor()
    {
        (FaultProxy proxy, PostgresDecisionStore store) = Proxied();
        IDecisionLog log = Keep(store.Open(0, ""));
        Append(log, 10);
        proxy.IsRefusing = true;
        Append(log, 10, commit: false);
        Task commit = Task.Run(log.Commit);
        Assert.True(SpinWait.SpinUntil(() => store.Committer.Lost > 1, TimeSpan.FromSeconds(20)));
        Assert.Equal(10, log.DurableSize);
        proxy.IsRefusing = false;
        Assert.True(commit.Wait(TimeSpan.FromSeconds(20)));
        AssertHoldsOnce(20, commits: 2);
    }

    [StoreFact]
    public void FormerOwner_IsFenced_AndKeepsNobodyElseFromCommitting()
    {
        PostgresDecisionStore store = Connect();
        IDecisionLog[] logs = [Keep(store.Open(0, "")), Keep(store.Open(1, "")), Keep(store.Open(2, ""))];
        IDecisionLog latter = Keep(Connect().Open(1, ""));
        foreach (IDecisionLog log in logs)
        {
            Append(log, 10, commit: false);
        }

        var failures = new List<(IDecisionLog Log, DecisionLogException Failure)>();
        store.Commit(logs, failures);
        Assert.Equal((logs[1], LogCodes.Fenced, false), (Assert.Single(failures).Log, failures[0].Failure.Code, failures[0].Failure.IsRetriable));
        Assert.Equal([10, 0, 10], logs.Select(log => log.DurableSize));
        Assert.Equal(1, store.Committer.Fenced);
        Assert.Equal(LogCodes.Fenced, Assert.Throws<DecisionLogException>(() => Append(logs[1], 1)).Code);
        Append(latter, 3);
        Assert.Equal(3, AsOwner<long>("SELECT count(*) FROM risk.entry JOIN risk.decision_log USING (log) WHERE partition = 1"));
    }

    [StoreFact]
    public void FormerOwnersTransaction_ThatSlipsIn_Wins_AndTheNewOwnerReloads()
    {
        PostgresDecisionStore store = Connect();
        Append(Keep(store.Open(0, "")), 10);
        using var former = new NpgsqlConnection(Postgres.OwnerOf(Database));
        former.Open();
        using NpgsqlTransaction transaction = former.BeginTransaction();
        // Past the fence, not committed yet: a commit that only moves the position.
        Execute(former, "INSERT INTO risk.log_commit SELECT log, number + 1, end_sequence, end_sequence, epoch, '\\x0900000000000000', root_hash FROM risk.log_commit");
        IDecisionLog latter = Keep(store.Open(0, ""));
        transaction.Commit();
        Assert.Equal(LogCodes.Fenced, Assert.Throws<DecisionLogException>(() => Append(latter, 10)).Code);
        IDecisionLog again = Keep(store.Open(0, ""));
        Assert.Equal((10, 9), (again.Size, PositionOf(again)));
        Append(again, 10);
        AssertHoldsOnce(20, commits: 3);
    }

    [StoreFact]
    public void SerializationFailure_IsTriedAgain_AFewTimes()
    {
        PostgresDecisionStore store = Connect(Options with { ConflictRetriesMax = 3 });
        IDecisionLog log = Keep(store.Open(0, ""));
        AsOwner("""
            CREATE SEQUENCE risk.failure;
            GRANT USAGE ON SEQUENCE risk.failure TO risk_runtime;
            CREATE FUNCTION risk.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('risk.failure') <= 2 THEN RAISE EXCEPTION 'could not serialize' USING ERRCODE = '40001'; END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER fail BEFORE INSERT ON risk.log_commit FOR EACH ROW EXECUTE FUNCTION risk.fail();
            """);
        Append(log, 10);
        Assert.Equal(2, store.Committer.Conflicts);
        Assert.Equal((10, 10), (log.DurableSize, AsOwner<long>("SELECT count(*) FROM risk.entry")));

        AsOwner("ALTER SEQUENCE risk.failure MINVALUE -1000 RESTART WITH -100");
        var failure = Assert.Throws<DecisionLogException>(() => Append(log, 10));
        Assert.Equal((LogCodes.Unavailable, true), (failure.Code, failure.IsRetriable));
        Assert.Equal((20, 10), (log.Size, log.DurableSize));
        AsOwner("ALTER SEQUENCE risk.failure RESTART WITH 100");
        log.Commit();
        AssertHoldsOnce(20, commits: 2);
    }

    [StoreFact]
    public void Deadlock_IsTriedAgain_AndWrittenOnce()
    {
        PostgresDecisionStore store = Connect();
        IDecisionLog[] logs = [Keep(store.Open(0, "")), Keep(store.Open(1, ""))];
        foreach (IDecisionLog log in logs)
        {
            Append(log, 10);
            Append(log, 10, commit: false);
        }

        using var other = new NpgsqlConnection(Postgres.OwnerOf(Database));
        other.Open();
        using NpgsqlTransaction transaction = other.BeginTransaction();
        Execute(other, "SET LOCAL deadlock_timeout = '100s'"); // so that the store's session is the one that gives way
        const string insert = "INSERT INTO risk.log_commit SELECT c.log, number + 1, end_sequence, end_sequence, epoch, source_position, root_hash FROM risk.log_commit c JOIN risk.decision_log USING (log) WHERE partition = ";
        Execute(other, insert + "1");
        var failures = new List<(IDecisionLog, DecisionLogException)>();
        Task commit = Task.Run(() => store.Commit(logs, failures));
        Assert.True(SpinWait.SpinUntil(() => AsOwner<long>("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'transactionid'") > 0, TimeSpan.FromSeconds(20)));
        Execute(other, insert + "0");
        transaction.Rollback();
        Assert.True(commit.Wait(TimeSpan.FromSeconds(20)));
        Assert.Empty(failures);
        Assert.Equal(1, store.Committer.Conflicts);
        AssertHoldsOnce(20, commits: 2);
    }

    [StoreFact]
    public void DatabaseThatRefuses_MakesTheLogReadOnly()
    {
        PostgresDecisionStore store = Connect();
        IDecisionLog log = Keep(store.Open(0, ""));
        Append(log, 10);
        AsOwner("REVOKE INSERT ON risk.entry FROM risk_runtime");
        var failure = Assert.Throws<DecisionLogException>(() => Append(log, 10));
        Assert.Equal((LogCodes.ReadOnly, false), (failure.Code, failure.IsRetriable));
        AsOwner("GRANT INSERT ON risk.entry TO risk_runtime");
        Assert.Equal(LogCodes.ReadOnly, Assert.Throws<DecisionLogException>(log.Commit).Code);
        Assert.True(log.TryRead(3, new LogEntry()));
        AssertHoldsOnce(10, commits: 1);
    }

    [StoreFact]
    public void LogsOfDifferentThreads_CommitAtOnce()
    {
        PostgresDecisionStore store = Connect();
        Parallel.For(0, 4, partition =>
        {
            using IDecisionLog log = store.Open(partition, "");
            for (int i = 0; i < 10; i++)
            {
                Append(log, 40);
            }
        });
        for (int partition = 0; partition < 4; partition++)
        {
            using IDecisionLog log = store.Open(partition, "");
            AssertHoldsInOrder(log, 400);
        }
    }

    private static void Execute(NpgsqlConnection connection, string statement)
    {
        using var command = new NpgsqlCommand(statement, connection);
        command.ExecuteNonQuery();
    }

    private (FaultProxy Proxy, PostgresDecisionStore Store) Proxied(Func<PostgresStoreOptions, PostgresStoreOptions>? change = null)
    {
        FaultProxy proxy = Keep(new FaultProxy(Postgres.Server.SocketPath));
        var through = new NpgsqlConnectionStringBuilder(Options.ConnectionString) { Host = "127.0.0.1", Port = proxy.Port };
        PostgresStoreOptions options = Options with { ConnectionString = through.ConnectionString };
        return (proxy, Connect(change is null ? options : change(options)));
    }

    /// <summary>What partition 0 holds, seen from outside and by its next owner, who derives the root again.</summary>
    private void AssertHoldsOnce(long entries, long commits)
    {
        const string of = "JOIN risk.decision_log USING (log) WHERE partition = 0";
        Assert.Equal(entries, AsOwner<long>($"SELECT count(*) FROM risk.entry {of}"));
        Assert.Equal(commits, AsOwner<long>($"SELECT count(*) FROM risk.log_commit {of}"));
        using PostgresDecisionStore fresh = PostgresDecisionStore.Connect(Options);
        using IDecisionLog log = fresh.Open(0, "");
        AssertHoldsInOrder(log, entries);
    }
}
