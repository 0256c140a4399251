using System.Text;
using Risk.Core.Costs;
using Risk.Core.Devices;
using Risk.Core.Models;
using Risk.Core.Tests.Decisions;
using static Risk.Core.Tests.Costs.PriceBookTests;

namespace Risk.Core.Tests.Devices;

/// <summary>The router at work behind a ladder: a processor of 5 µs a row, and a card that costs a core 50 µs for up to 64 rows.</summary>
public sealed class DeviceDispatchTests : IDisposable
{
    private const int Card = 0, Cpu = 1;
    private const long Start = 1_000_000_000, Day = 24L * 3_600_000_000;

    private static readonly DeviceRates s_core = Core();

    private readonly FakeScorer _card = new("card", 64), _cpu = new("cpu", 512);
    private readonly ModelLadder _ladder;
    private readonly ScoringTrace _trace = new();
    private readonly float[] _rows = new float[512], _scores = new float[512];

    public DeviceDispatchTests() => _ladder = Ladder(StreamGrade.Bulk);

    [Fact]
    public void FewRows_GoToTheProcessor_ManyToTheCard_AndTheBatchIsCutBetweenThem()
    {
        Assert.Equal([(5, 0, Cpu, "")], Score(5, Start));
        Assert.Equal([(60, 0, Card, "")], Score(60, Start));
        Assert.Equal([(64, 0, Card, ""), (70, 0, Cpu, "")], Score(70, Start));
        _card.Batches.Clear();
        _cpu.Batches.Clear();
        Assert.Equal([(128, 0, Card, ""), (133, 0, Cpu, "")], Score(133, Start));
        Assert.Equal([64, 64], _card.Batches);
        Assert.Equal([5], _cpu.Batches);
        Assert.All(_scores[..133], (score, k) => Assert.Equal(k, score));
    }

    [Fact]
    public void DeviceThatFails_LosesNoRow_TheRungAndItsCauseAreTold_AndItIsTriedAgainLater()
    {
        _card.Status = ScoringStatus.OutputInvalid;
        Assert.Equal([(60, 1, Cpu, ModelCodes.OutputInvalid)], Score(60, Start));
        Assert.Equal((1, 1), (_card.Calls, _cpu.Calls));
        Assert.All(_scores[..60], (score, k) => Assert.Equal(k, score));

        _card.Status = ScoringStatus.Scored;
        int calls = _card.Calls;
        Assert.Equal([(60, 1, Cpu, ModelCodes.OutputInvalid)], Score(60, Start + 900_000));
        Assert.Equal([(5, 0, Cpu, "")], Score(5, Start + 900_000)); // would have gone there anyway
        Assert.Equal(calls, _card.Calls);
        Assert.Equal([(60, 0, Card, "")], Score(60, Start + 1_000_000));
        Assert.Equal([(60, 0, Card, "")], Score(60, Start + 1_000_001));
    }

    [Theory]
    [InlineData(StreamGrade.LatencyCritical)]
    [InlineData(StreamGrade.CostSensitive)]
    public void DeviceWhoseSessionIsAway_IsNotAsked_AndGetsTheNextBatchWhenItIsBack(StreamGrade grade)
    {
        ModelLadder ladder = Ladder(grade);
        _card.IsUp = false;
        Assert.Equal([(60, 1, Cpu, ModelCodes.DeviceLost)], Score(60, Start, ladder));
        Assert.Equal([(60, 1, Cpu, ModelCodes.DeviceLost)], Score(60, Start + (Day / 24), ladder));
        Assert.Equal(0, _card.Calls);
        _card.IsUp = true;
        Assert.Equal([(60, 0, Card, "")], Score(60, Start + (Day / 24) + 1, ladder));
    }

    [Fact]
    public void WhereNobodyCanScore_TheRowsHaveNone_AndTheOthersKeepTheirs()
    {
        _cpu.Status = ScoringStatus.OutputInvalid;
        Assert.Equal([(64, 0, Card, ""), (70, LadderStep.RulesOnly, -1, ModelCodes.OutputInvalid)], Score(70, Start));
        Assert.All(_scores[..64], score => Assert.False(float.IsNaN(score)));
        Assert.All(_scores[64..70], score => Assert.True(float.IsNaN(score)));
    }

    [Fact]
    public void Deadline_SendsRowsWhereTheyAreInTime()
    {
        // The card takes 400 µs: with 300 left, 64 rows of 5 µs each are late there and 20 are not on the processor.
        Assert.Equal([(20, 0, Cpu, "")], Score(20, Start, deadline: Start + 500));
        Assert.Equal([(20, 0, Card, "")], Score(20, Start, deadline: Start + 5_000));
        // Rows that bring no deadline have the stream's.
        Assert.Equal([(20, 0, Cpu, "")], Score(20, Start, Ladder(StreamGrade.Bulk, deadlineMicros: 500)));
    }

    [Fact]
    public void CardThatIsLate_IsHedged_AndGetsTheNextBatchOnceItHasComeBack()
    {
        ModelLadder ladder = Ladder(StreamGrade.LatencyCritical);
        _card.IsLate = true;
        Assert.Equal([(60, 1, Cpu, ModelCodes.DeviceLate)], Score(60, Start, ladder, Start + 5_000));
        Assert.All(_scores[..60], (score, k) => Assert.Equal(k, score));
        // The processor needs 300 µs for them, and 200 are kept back.
        Assert.Equal([4_500], _card.Waits);
        Assert.Equal((1, 1), (_card.Left, _cpu.Calls));

        Assert.Equal([(60, 1, Cpu, ModelCodes.DeviceLate)], Score(60, Start + Day, ladder, Start + Day + 5_000));
        Assert.Equal([(5, 0, Cpu, "")], Score(5, Start + Day, ladder, Start + Day + 5_000)); // would have gone there anyway
        Assert.Equal(1, _card.Calls);

        _card.IsLate = false;
        _card.Standing = ScoringStatus.Scored;
        // At once, and not like one that was lost, which is tried only where the processor could still follow in time.
        Assert.Equal([(60, 0, Card, "")], Score(60, Start + Day + 1, ladder, Start + Day + 801));
        Assert.Equal((1, 2), (_card.Left, _card.Calls));
    }

    [Fact]
    public void LateBatch_EarnsTheCardNothing()
    {
        ModelLadder ladder = Ladder(StreamGrade.LatencyCritical);
        _card.IsLate = true;
        Score(60, Start + 2_000_000, ladder, Start + 2_005_000);
        // Three starts of a second are spent after three seconds; in time, the batch would have put that off by 250 µs.
        Assert.True(ladder.Dispatch!.IsWorthRunning(1, Start + 2_999_900));
        Assert.False(ladder.Dispatch.IsWorthRunning(1, Start + 3_000_100));
    }

    [Fact]
    public void CardThatIsAwayForLong_IsLostOnce()
    {
        _card.IsUp = false;
        for (int i = 0; i < 10; i++) { Score(60, Start + i); }
        _card.IsUp = true;
        _card.Status = ScoringStatus.DeviceLost;
        Assert.Equal([(60, 1, Cpu, ModelCodes.DeviceLost)], Score(60, Start + 10));
        _card.Status = ScoringStatus.Scored;
        // The second loss: two seconds.
        Assert.Equal([(60, 1, Cpu, ModelCodes.DeviceLost)], Score(60, Start + 2_000_009));
        Assert.Equal([(60, 0, Card, "")], Score(60, Start + 2_000_010));
    }

    [Fact]
    public void BatchThatIsLargerThanTheSession_IsCutThere_AndNotHedged()
    {
        using var small = new FakeScorer("card", 32) { IsLate = true };
        Assert.Equal([(60, 0, Card, "")], Score(60, Start, Ladder(StreamGrade.LatencyCritical, card: small), Start + 5_000));
        Assert.Equal([32, 28], small.Batches);
    }

    [Fact]
    public void LateAnswer_ThatComesBeforeTheHedges_IsTaken()
    {
        ModelLadder ladder = Ladder(StreamGrade.LatencyCritical);
        (_card.IsLate, _card.Meanwhile) = (true, ScoringStatus.Scored);
        Assert.Equal([(60, 0, Card, "")], Score(60, Start, ladder, Start + 5_000));
        Assert.All(_scores[..60], (score, k) => Assert.Equal(k + 0.5f, score));
        Assert.Equal((0, 1), (_card.Left, _cpu.Calls));
    }

    [Fact]
    public void LateCard_ThatTurnsOutToBeLost_IsRetriedAsAnyLostOne_AndTheHedgeStands()
    {
        ModelLadder ladder = Ladder(StreamGrade.LatencyCritical);
        (_card.IsLate, _card.Meanwhile) = (true, ScoringStatus.DeviceHung);
        Assert.Equal([(60, 1, Cpu, ModelCodes.DeviceHung)], Score(60, Start, ladder, Start + 5_000));
        Assert.All(_scores[..60], (score, k) => Assert.Equal(k, score));
        _card.IsLate = false;
        Assert.Equal([(60, 1, Cpu, ModelCodes.DeviceHung)], Score(60, Start + 900_000, ladder));
        Assert.Equal((0, 1, 2), (_card.Left, _card.Calls, _cpu.Calls));
        Assert.Equal([(60, 0, Card, "")], Score(60, Start + 2_000_000, ladder));
    }

    [Fact]
    public void CardThatIsLateAgainAndAgain_IsTriedEverMoreRarely_AndIsBackWithItsFirstBatchInTime()
    {
        const long every = 10_000, hour = 3_600_000_000;
        ModelLadder ladder = Ladder(StreamGrade.LatencyCritical);
        List<long> tries = [];
        _card.IsLate = true;
        long now = Start;
        for (; now < Start + hour; now += every) { Batch(); }
        // Three at once; then 1, 2, 4 s from when it is back, and another second because these rows cannot wait.
        Assert.Equal([0, 10_000, 20_000, 2_030_000, 5_040_000, 10_050_000], tries.Take(6).Select(at => at - Start));
        // No wait is longer than five minutes.
        Assert.InRange(tries.Count, 20, 24);
        Assert.All(tries.Zip(tries.Skip(1)), pair => Assert.InRange(pair.Second - pair.First, 0, 301_020_000));
        Assert.Equal([(3, 1_000_000), (4, 2_000_000), (5, 4_000_000)], _card.Asides.Take(3));
        Assert.Equal(Enumerable.Range(3, _card.Asides.Count), _card.Asides.Select(aside => aside.Lates));
        Assert.Equal(0, _card.TimesInTime);
        Assert.Equal([(60, 1, Cpu, ModelCodes.DeviceLate)], Parts());

        _card.IsLate = false;
        int asides = _card.Asides.Count;
        for (long end = now + 302_000_000; now < end; now += every) { Batch(); }
        Assert.Equal([(60, 0, Card, "")], Parts());
        Assert.Equal((1, asides), (_card.TimesInTime, _card.Asides.Count));
        Assert.Equal(every, tries[^1] - tries[^2]);

        // And it is as it was: two in a row are nothing, whatever was before.
        _card.IsLate = true;
        for (int late = 0; late < 2; late++, now += every) { Batch(); }
        _card.IsLate = false;
        Batch();
        Assert.Equal([(60, 0, Card, "")], Parts());
        Assert.Equal((1, asides), (_card.TimesInTime, _card.Asides.Count));

        void Batch()
        {
            int calls = _card.Calls;
            Run(ladder, 60, now, now + 5_000);
            if (_card.Calls > calls) { tries.Add(now); }
            _card.Standing = ScoringStatus.Scored; // its late run is over before the next batch
            _card.Batches.Clear();
            _cpu.Batches.Clear();
            _card.Waits.Clear();
        }
    }

    [Fact]
    public void LateAnswersThatAreTaken_AreLateToo()
    {
        ModelLadder ladder = Ladder(StreamGrade.LatencyCritical);
        (_card.IsLate, _card.Meanwhile) = (true, ScoringStatus.Scored);
        for (int late = 0; late < 3; late++) { Assert.Equal([(60, 0, Card, "")], Score(60, Start + late, ladder, Start + late + 5_000)); }
        Assert.Equal([(3, 1_000_000)], _card.Asides);
        Assert.Equal([(60, 1, Cpu, ModelCodes.DeviceLate)], Score(60, Start + 3, ladder, Start + 5_003));
        // A batch that is not hedged says nothing of its time.
        Assert.Equal([(60, 0, Card, "")], Score(60, Start + 3_000_000, ladder));
        Assert.Equal([(60, 0, Card, "")], Score(60, Start + 3_000_001, ladder, Start + 3_005_001));
        Assert.Equal([(3, 1_000_000), (4, 2_000_000)], _card.Asides);
    }

    [Fact]
    public void BatchThatBeginsLate_IsNotTheCardsFault()
    {
        // 4,500 µs are left when it is planned, and 399 when it begins; the card is said to need 400.
        ModelLadder ladder = Ladder(StreamGrade.LatencyCritical, clock: () => Start + 4_101);
        _card.IsLate = true;
        for (int late = 0; late < 10; late++)
        {
            Score(60, Start, ladder, Start + 5_000);
            _card.Standing = ScoringStatus.Scored;
        }
        Assert.Equal(10, _card.Calls);
        Assert.Empty(_card.Asides);
        Assert.Equal(399, _card.Waits[^1]);
    }

    [Fact]
    public void LateCard_ThatIsLostEachTime_IsSetAsideAsWell()
    {
        ModelLadder ladder = Ladder(StreamGrade.LatencyCritical);
        _card.IsLate = true;
        for (int late = 0; late < 3; late++)
        {
            Score(60, Start + late, ladder, Start + late + 5_000);
            _card.Standing = ScoringStatus.DeviceHung; // given up at its bound,
            Score(60, Start + late, ladder, Start + late + 5_000);
            _card.Standing = ScoringStatus.Scored; // and opened anew
        }
        Assert.Equal(3, _card.Calls);
        Assert.Equal([(60, 1, Cpu, ModelCodes.DeviceLate)], Score(60, Start + 3, ladder, Start + 5_003));
        Assert.Equal([(3, 1_000_000)], _card.Asides);
    }

    [Fact]
    public void WhereTheHedgeHasNoScores_TheLateCardIsWaitedFor()
    {
        ModelLadder ladder = Ladder(StreamGrade.LatencyCritical);
        _cpu.Status = ScoringStatus.OutputInvalid;
        _card.IsLate = true;
        Assert.Equal([(60, 0, Card, "")], Score(60, Start, ladder, Start + 5_000));
        Assert.All(_scores[..60], (score, k) => Assert.Equal(k + 0.5f, score));
    }

    [Fact]
    public void HedgeIsCountedDown_FromWhenTheBatchBegins()
    {
        ModelLadder ladder = Ladder(StreamGrade.LatencyCritical, clock: () => Start + 1_000);
        Score(60, Start, ladder, Start + 5_000);
        Assert.Equal([3_500], _card.Waits);
    }

    [Fact]
    public void WhereNoDeadlinePresses_NothingIsHedged()
    {
        _card.IsLate = true;
        Assert.Equal([(60, 0, Card, "")], Score(60, Start, Ladder(StreamGrade.LatencyCritical)));
        Assert.Equal([(60, 0, Card, "")], Score(60, Start, Ladder(StreamGrade.Bulk), Start + 5_000));
        _card.CanBeLeft = false;
        Assert.Equal([(60, 0, Card, "")], Score(60, Start, Ladder(StreamGrade.LatencyCritical), Start + 5_000));
        Assert.Empty(_card.Waits);
        Assert.Equal(0, _cpu.Calls);
    }

    [Fact]
    public void CardThatEarnsNothing_IsSaidToBeNotWorthRunning_UntilItHasEarnedAStart()
    {
        DeviceDispatch dispatch = _ladder.Dispatch!;
        Score(60, Start);
        Assert.True(dispatch.IsWorthRunning(1, Start));
        Score(1, Start + Day);
        Assert.False(dispatch.IsWorthRunning(1, Start + Day));
        Assert.True(dispatch.IsWorthRunning(0, Start + Day));
        Score(60, Start + Day + 1);
        Assert.False(dispatch.IsWorthRunning(1, Start + Day + 1));
        for (int i = 0; i < 20_000 && !dispatch.IsWorthRunning(1, Start + Day + 2); i++) { Score(448, Start + Day + 2); }
        Assert.True(dispatch.IsWorthRunning(1, Start + Day + 2));
    }

    [Fact]
    public void CardThatNobodyUses_IsNotWorthRunning_OnceItsStartsAreSpent_ThoughNoBatchTellsOfIt()
    {
        DeviceDispatch dispatch = _ladder.Dispatch!;
        // It begins with what three starts of a second cost, and costs the same a second.
        Assert.True(dispatch.IsWorthRunning(1, Start + 2_900_000));
        Assert.False(dispatch.IsWorthRunning(1, Start + 3_100_000));
        Assert.True(dispatch.IsWorthRunning(0, Start + Day));
        // Whoever asks changes nothing; a batch in time puts it off, one that comes later does not take it back.
        Assert.True(dispatch.IsWorthRunning(1, Start + 2_900_000));
        for (int i = 0; i < 2_500; i++) { Score(448, Start + 2_000_000); }
        Assert.True(dispatch.IsWorthRunning(1, Start + 4_900_000));
        Assert.False(dispatch.IsWorthRunning(1, Start + 5_100_000));
        Score(60, Start + 5_100_000);
        Assert.False(dispatch.IsWorthRunning(1, Start + 5_100_001));
    }

    [Fact]
    public void Dispatching_AllocatesNothing()
    {
        for (int i = 0; i < 100; i++) { Once(); }
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1_000; i++) { Once(); }
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Once()
        {
            _card.Status = ScoringStatus.Scored;
            Run(_ladder, 133, Start, long.MaxValue);
            _card.Status = ScoringStatus.DeviceLost;
            Run(_ladder, 133, Start, long.MaxValue);
            Run(_ladder, 133, Start + 400_000_000, long.MaxValue);
            _card.Batches.Clear();
            _cpu.Batches.Clear();
        }
    }

    public void Dispose()
    {
        _card.Dispose();
        _cpu.Dispose();
    }

    private List<(int End, int Rung, int Scorer, string Cause)> Score(int count, long now, ModelLadder? ladder = null, long deadline = long.MaxValue)
    {
        Run(ladder ?? _ladder, count, now, deadline);
        int part = 0;
        Assert.Equal(_trace.Parts[^1].Step, _trace.StepOf(count - 1, ref part));
        return Parts();
    }

    private List<(int End, int Rung, int Scorer, string Cause)> Parts()
    {
        return [.. _trace.Parts.Select(p => (p.End, p.Step.Rung, p.Step.Scorer, Encoding.ASCII.GetString(p.Step.Cause.Span)))];
    }

    private void Run(ModelLadder ladder, int count, long now, long deadline)
    {
        for (int i = 0; i < count; i++) { _rows[i] = i; }
        _scores.AsSpan().Fill(-1);
        ladder.Score(_rows.AsSpan(0, count), count, _scores, new ScoringDemand(now, now, deadline), _trace);
    }

    private ModelLadder Ladder(StreamGrade grade, long deadlineMicros = long.MaxValue, Func<long>? clock = null, FakeScorer? card = null)
    {
        var ladder = new ModelLadder(card ?? _card, _cpu);
        CostPoint Processor(int rows) => new(rows, 5 * rows, 5 * rows, 0, 5 * rows);
        CostPoint OnCard(int rows) => new(rows, 400, 400, 0, 50);
        var processor = new RoutedDevice("cpu", new CostCurve(new ModelCurve("m", "1", "v", null, [Processor(1), Processor(512)]), isPadded: false), s_core, isElastic: true);
        var routed = new RoutedDevice("card", new CostCurve(new ModelCurve("m", "1", "v", null, [OnCard(8), OnCard(64)]), isPadded: true), s_core, isElastic: false, hostCore: s_core) { StartMicros = 1_000_000 };
        ladder.Dispatch = new DeviceDispatch([(processor, _cpu, Cpu), (routed, card ?? _card, Card)], new RouterOptions(GuardMicros: 200), grade, deadlineMicros, Start, clock);
        return ladder;
    }

    private static DeviceRates Core()
    {
        PriceBook book = Read(Shipped.Bytes("ops/prices/default.json"));
        return DeviceRates.OfCore(book, book.Machines[0]);
    }

    /// <summary>Gives each row itself as its score; when it was late, a half more.</summary>
    private sealed class FakeScorer(string device, int batchSizeMax) : IHedgedScorer
    {
        private readonly float[] _late = new float[batchSizeMax];
        private int _lateCount;

        public string ExecutionProvider => "fake";
        public string Device => device;
        public int FeatureCount => 1;
        public int BatchSizeMax => batchSizeMax;
        public bool IsUp
        {
            get => Standing == ScoringStatus.Scored;
            set => Standing = value ? ScoringStatus.Scored : ScoringStatus.DeviceLost;
        }
        public ScoringStatus Standing { get; set; }
        public int Calls { get; private set; }
        public List<int> Batches { get; } = new(8);
        public ScoringStatus Status { get; set; }

        public bool CanBeLeft { get; set; } = true;
        public bool IsLate { get; set; }
        /// <summary>What has become of a late batch when its hedge is done.</summary>
        public ScoringStatus Meanwhile { get; set; } = ScoringStatus.DeviceLate;
        public List<long> Waits { get; } = [];
        public int Left { get; private set; }
        public List<(int Lates, long Micros)> Asides { get; } = [];
        public int TimesInTime { get; private set; }

        public ScoringStatus Score(ReadOnlySpan<float> rows, int count, Span<float> scores)
        {
            Calls++;
            Batches.Add(count);
            if (Status == ScoringStatus.Scored) { rows[..count].CopyTo(scores); }
            return Status;
        }

        public ScoringStatus Score(ReadOnlySpan<float> rows, int count, Span<float> scores, long waitMicros)
        {
            Waits.Add(waitMicros);
            if (!IsLate) { return Score(rows, count, scores); }
            Calls++;
            rows[..count].CopyTo(_late);
            _lateCount = count;
            return ScoringStatus.DeviceLate;
        }

        public ScoringStatus TakeLate(Span<float> scores, bool isWaiting)
        {
            ScoringStatus status = isWaiting ? ScoringStatus.Scored : Meanwhile;
            for (int i = 0; status == ScoringStatus.Scored && i < _lateCount; i++) { scores[i] = _late[i] + 0.5f; }
            return status;
        }

        public void Leave()
        {
            Left++;
            Standing = ScoringStatus.DeviceLate;
        }

        public void SetAside(int lateCount, long waitMicros) => Asides.Add((lateCount, waitMicros));

        public void InTime() => TimesInTime++;

        public void Dispose()
        {
        }
    }
}
