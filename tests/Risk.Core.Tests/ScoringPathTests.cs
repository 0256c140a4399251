using System.Globalization;
using System.Text;
using Risk.Core.Costs;
using Risk.Core.Decisions;
using Risk.Core.Log;
using Risk.Core.Models;
using Risk.Core.Transactions;

namespace Risk.Core.Tests;

/// <summary>The whole path in Core, with the shipped stream's definition and a scorer that needs no model.</summary>
public sealed class ScoringPathTests
{
    private const int BatchSize = 256;
    private const long Spacing = 600 * Micro.Second;

    private readonly StreamDefinition _definition = Load();
    private readonly KeyedHash _secret = new(new byte[KeyedHash.KeySize]);

    [Fact]
    public void SteadyState_FromParsingToTheRecord_AllocatesNothing()
    {
        (ScoringPath path, CsvTransactionParser parser) = Create(new FixedScorer(0.5f));
        ScoringBatch batch = path.CreateBatch(BatchSize);
        // 50 cards and 50 terminals for 200 days: every window is full. The index of known ids grows in steps; between
        // 35,000 and 38,400 decisions there is none.
        byte[][] lines = [.. Enumerable.Range(0, 38_400).Select(Line)];
        int next = 0;
        while (next < 35_000) { Run(path, parser, batch, lines, ref next); }

        long before = GC.GetAllocatedBytesForCurrentThread();
        while (next + BatchSize <= lines.Length) { Run(path, parser, batch, lines, ref next); }
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void SameId_IsDecidedOnce_AndAnotherPayloadIsAConflict()
    {
        (ScoringPath path, CsvTransactionParser parser) = Create(new FixedScorer(0.5f));
        ScoringBatch batch = path.CreateBatch(BatchSize);
        foreach (string line in new[] { "a,2018-04-01T00:00:31Z,1,2,10", "a,2018-04-01T00:00:31Z,1,2,10", "a,2018-04-01T00:00:31Z,1,2,11", "b,2018-04-01T00:00:32Z,1,2,10" })
        {
            Assert.Equal(ErrorCode.None, parser.Parse(Encoding.ASCII.GetBytes(line), 1, Limits.EventTimeMax, batch.Transactions, out _));
        }
        path.Decide(batch);

        Assert.Equal([0, 3], batch.Admitted.ToArray());
        Assert.Equal((1, 0L), Assert.Single(batch.Duplicates));
        Assert.Equal((2, 0L), Assert.Single(batch.Conflicts));
    }

    [Fact]
    public void WithoutAScore_NothingIsApproved_AndTheRungSaysWhy()
    {
        (ScoringPath path, CsvTransactionParser parser) = Create(new FixedScorer(float.NaN));
        ScoringBatch batch = path.CreateBatch(BatchSize);
        int next = 0;
        Run(path, parser, batch, [.. Enumerable.Range(0, BatchSize).Select(Line)], ref next, clear: false);

        Assert.Equal(RecordFault.None, DecisionRecordCodec.Read(batch.Group.Record(0), out DecisionRecord record));
        Assert.Equal((int)Outcome.Refer, record.Outcome);
        Assert.Equal(LadderStep.ReferToHuman, record.Rung);
        Assert.Equal(ModelCodes.OutputInvalid, Encoding.ASCII.GetString(record.RungCause));
        Assert.True(float.IsNaN(record.RawScore));
        Assert.False(record.SolelyAutomated);
    }

    [Fact]
    public void BatchPolicy_LeavesWhenFullOrWaitedOrDue_AndSaysWhenToLookAgain()
    {
        var policy = new BatchPolicy(SizeMax: 4, DelayMaxMicros: 1_000, ServiceMicros: 300);
        Assert.Equal(new BatchStep(false, long.MaxValue), policy.Next(new BatchQueue(0, false, 0, long.MaxValue), 5_000));
        Assert.Equal(new BatchStep(false, 1_010), policy.Next(new BatchQueue(1, false, 10, long.MaxValue), 1_009));
        Assert.True(policy.Next(new BatchQueue(1, false, 10, long.MaxValue), 1_010).Close);
        Assert.True(policy.Next(new BatchQueue(4, false, 10, long.MaxValue), 11).Close);
        Assert.True(policy.Next(new BatchQueue(1, true, 10, long.MaxValue), 11).Close);
        Assert.Equal(new BatchStep(false, 500), policy.Next(new BatchQueue(1, false, 10, 800), 499));
        Assert.True(policy.Next(new BatchQueue(1, false, 10, 800), 500).Close);
    }

    private (ScoringPath, CsvTransactionParser) Create(IScorer scorer)
    {
        var champion = new ChampionModel("fixed@1", default, [0], ModelCalibration.None);
        var path = new ScoringPath(_definition, champion, new ModelLadder(scorer), null, null, _secret, new RecordIdentity("test", 0, "engine", ""));
        CsvTransactionParser parser = CsvTransactionParser.Create(_definition.Schema, new TransactionKeys(_definition.Schema.Name, _secret), "transaction_id,time,customer_id,terminal_id,amount"u8, out _)!;
        return (path, parser);
    }

    private static void Run(ScoringPath path, CsvTransactionParser parser, ScoringBatch batch, byte[][] lines, ref int next, bool clear = true)
    {
        for (int i = 0; i < BatchSize; i++, next++) { parser.Parse(lines[next], next, Limits.EventTimeMax, batch.Transactions, out _); }
        path.Decide(batch);
        batch.Cost = new Cost(1_000, 1_000);
        path.Record(batch);
        if (clear) { batch.Clear(); }
    }

    private static byte[] Line(int i) => Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture,
        $"t{i:d8},{Micro.ToIso8601(1_522_540_800 * Micro.Second + i * Spacing)},{i % 50},{i * 7 % 50},{10 + i % 90}.5"));

    private static StreamDefinition Load()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder!.FullName, "Risk.sln"))) { folder = folder.Parent; }
        string stream = Path.Combine(folder.FullName, "streams", "card-payments");
        var errors = new List<DefinitionError>();
        byte[] Read(string name) => File.ReadAllBytes(Path.Combine(stream, name));
        return StreamDefinition.Read(Read("schema.json"), Read("features.json"), Read("policy.json"), stream, errors) ?? throw new InvalidOperationException(string.Join('\n', errors));
    }

    private sealed class FixedScorer(float score) : IScorer
    {
        public string ExecutionProvider => "fixed";
        public string Device => "cpu";
        public int FeatureCount => 1;
        public int BatchSizeMax => BatchSize;

        public ScoringStatus Score(ReadOnlySpan<float> rows, int count, Span<float> scores)
        {
            scores[..count].Fill(score);
            return float.IsNaN(score) ? ScoringStatus.OutputInvalid : ScoringStatus.Scored;
        }

        public void Dispose()
        {
        }
    }
}
