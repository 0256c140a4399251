using Microsoft.Data.Sqlite;
using Risk.Core.Log;
using Risk.Storage.Index;
using Risk.Storage.Log;
using Risk.Storage.Tests.Log;

namespace Risk.Storage.Tests.Index;

public class DecisionIndexTests : LogFolderFixture
{
    private readonly VerifierKey _key = new LogKey("risk/test", Seed).Key;

    [Fact]
    public void CaughtUpIndex_FindsEveryDecision()
    {
        using FileDecisionLog log = Open();
        Append(log, 700);
        using DecisionIndex index = DecisionIndex.Open(Folder, _key);
        Assert.Equal(700, CatchUp(index, log));
        IndexedDecision found = Assert.Single(index.Find("431"));
        Assert.Equal((431L, "card-payments", "431", 431 % 3, 0.1), (found.Sequence, found.Stream, found.EventId, found.Outcome, found.Score));
        Assert.Equal((1_522_540_800_000_431, 1_522_540_800_000_531, 16, 64), (found.EventTime, found.DecisionTime, found.Subject!.Length, found.Model!.Length));
        Assert.Equal(found.EventId, index.At(431)!.EventId);
        Assert.Empty(index.Find("700"));
        Assert.Null(index.At(700));
        Assert.Equal(700, index.CountByOutcome().Values.Sum());
    }

    [Fact]
    public void CatchingUp_GoesOnWhereItStopped()
    {
        using FileDecisionLog log = Open();
        Append(log, 300);
        using (DecisionIndex index = DecisionIndex.Open(Folder, _key))
        {
            Assert.Equal(300, CatchUp(index, log));
            Assert.Equal(0, CatchUp(index, log));
        }

        Append(log, 200);
        using DecisionIndex again = DecisionIndex.Open(Folder, _key);
        Assert.Equal(300, again.NextSequence);
        Assert.Equal(200, CatchUp(again, log));
        Assert.Equal(499, Assert.Single(again.Find("499")).Sequence);
    }

    [Fact]
    public void DeletedOrDamagedIndex_IsBuiltAgain()
    {
        using FileDecisionLog log = Open();
        Append(log, 50);
        string path = Path.Combine(Folder, "index.db");
        using (DecisionIndex index = DecisionIndex.Open(Folder, _key))
        {
            CatchUp(index, log);
        }

        File.Delete(path);
        using (DecisionIndex index = DecisionIndex.Open(Folder, _key))
        {
            Assert.Equal(50, CatchUp(index, log));
        }

        File.WriteAllText(path, new string('x', 5000));
        using (DecisionIndex index = DecisionIndex.Open(Folder, _key))
        {
            Assert.Equal(50, CatchUp(index, log));
        }
    }

    [Theory]
    [InlineData("PRAGMA user_version = 99")]
    [InlineData("UPDATE meta SET value = 'another' WHERE name = 'log'")]
    [InlineData("DROP TABLE meta")]
    public void IndexOfAnotherSchemaOrLog_IsBuiltAgain(string change)
    {
        using FileDecisionLog log = Open();
        Append(log, 50);
        using (DecisionIndex index = DecisionIndex.Open(Folder, _key))
        {
            CatchUp(index, log);
        }

        using (var connection = new SqliteConnection($"Data Source={Path.Combine(Folder, "index.db")};Pooling=False"))
        {
            connection.Open();
            using SqliteCommand command = connection.CreateCommand();
#pragma warning disable CA2100 // a constant of this test
            command.CommandText = change;
#pragma warning restore CA2100
            command.ExecuteNonQuery();
        }

        using DecisionIndex again = DecisionIndex.Open(Folder, _key);
        Assert.Equal(0, again.NextSequence);
        Assert.Equal(50, CatchUp(again, log));
    }

    [Fact]
    public void LogBehindItsIndex_IsToldAsRollback()
    {
        using (FileDecisionLog log = Open())
        {
            Append(log, 50);
            using DecisionIndex index = DecisionIndex.Open(Folder, _key);
            CatchUp(index, log);
        }

        foreach (string part in new[] { "log", "journal", "private" })
        {
            Directory.Delete(Path.Combine(Folder, part), true);
        }

        using FileDecisionLog shorter = Open();
        Append(shorter, 10);
        using DecisionIndex ahead = DecisionIndex.Open(Folder, _key);
        Assert.Equal(LogCodes.Rollback, Assert.Throws<DecisionLogException>(() => CatchUp(ahead, shorter)).Code);
    }

    private static long CatchUp(DecisionIndex index, FileDecisionLog log)
    {
        using IDecisionLogReader reader = log.Read(index.NextSequence);
        return index.CatchUp(reader);
    }
}
