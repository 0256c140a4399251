using Risk.Core.Costs;
using Risk.Core.Devices;
using Risk.Core.Devices.Simulation;

namespace Risk.Core.Tests.Devices;

public sealed class DeviceRouterTests
{
    private const int Cpu = 0, Card = 1;
    private static readonly DeviceRouter s_router = new(ReferencePair.Devices(), ReferencePair.Options);

    [Fact]
    public void EmptyQueue_WaitsForAnArrival() =>
        Assert.Equal(RouteStep.Wait(long.MaxValue), Next(new RouteQueue(0, false, 0, long.MaxValue, StreamGrade.Bulk), On(), 5));

    [Fact]
    public void CostSensitiveRows_WaitUntilTheDeadlineLeavesTheirBatchsTime()
    {
        // 5 rows on the card: padded to 8, (300 + 40) µs × 1.2 at p99, 200 µs kept back.
        RouteStep wait = Next(Queue(5), On(), 0);
        Assert.Equal(RouteStep.Wait(20_000 - 200 - 408), wait);
        Assert.Equal((Card, 5, 8), Choice(Next(Queue(5), On(), wait.WakeAtMicros)));
    }

    [Fact]
    public void LatencyCriticalRows_WaitNoLongerThanTheirDelay()
    {
        Assert.Equal(RouteStep.Wait(1_000), Next(Queue(5, StreamGrade.LatencyCritical), On(), 0));
        Assert.Equal((Card, 5, 8), Choice(Next(Queue(5, StreamGrade.LatencyCritical), On(), 1_000)));
    }

    [Fact]
    public void FullBatch_LeavesAtOnce()
    {
        Assert.Equal((Card, 512, 512), Choice(Next(Queue(600), On(), 0)));
        Assert.Equal((Card, 600 - 88, 512), Choice(Next(Queue(600) with { Grade = StreamGrade.Bulk, EarliestDeadlineMicros = long.MaxValue }, On(), 0)));
    }

    [Fact]
    public void RowsThatWouldBeMostlyPadding_StayForTheNextBatch()
    {
        // Make each computed row cost, as on a card that is owned: then 35 rows leave as 32.
        RoutedDevice cpu = ReferencePair.Devices()[0], padded = new("card", new CostCurve(new ModelCurve("m", "1", "v", null, [Point(8), Point(32), Point(128)]), isPadded: true), ReferenceRates(), isElastic: true);
        DeviceRouter router = new([padded, cpu], ReferencePair.Options);
        DeviceState[] states = router.CreateStates(true, 0);
        RouterLoad load = new() { MoneyPerRow = padded.Of(32).Money / 32 };
        RouteStep step = router.Next(Queue(35), states, load, 19_380);
        Assert.Equal((0, 32, 32), Choice(step));
        Assert.Equal((0, 120, 128), Choice(router.Next(Queue(120), states, load, 18_420)));
    }

    [Fact]
    public void CardThatIsOff_OrBusyTooLong_LeavesTheRowsToTheCpu()
    {
        DeviceState[] off = s_router.CreateStates(acceleratorsOn: false, 0);
        RouteStep wait = Next(Queue(5), off, 0);
        Assert.Equal(RouteStep.Wait((long)(20_000 - 200 - (3_550 * 1.2))), wait);
        Assert.Equal((Cpu, 5, 5), Choice(Next(Queue(5), off, wait.WakeAtMicros)));

        DeviceState[] busy = On();
        busy[Card].BusyUntilMicros = 19_500;
        Assert.Equal((Cpu, 5, 5), Choice(Next(Queue(5), busy, wait.WakeAtMicros)));
        busy[Card].BusyUntilMicros = 17_000;
        Assert.Equal(RouteStep.Wait(17_000), Next(Queue(5), busy, wait.WakeAtMicros));
    }

    [Fact]
    public void MoreRowsThanTheCpuCanDoInTime_LeaveAsManyAsItCan()
    {
        DeviceState[] off = s_router.CreateStates(acceleratorsOn: false, 0);
        // (50 + 700 n) × 1.2 ≤ 19,800 − 3,000: n = 19.
        RouteStep step = Next(Queue(40), off, 3_000);
        Assert.Equal(Cpu, step.Device);
        Assert.Equal(19, step.Rows);
    }

    [Fact]
    public void RowsThatAreLateAnyway_GoWhereTheyAreDoneSoonest() =>
        Assert.Equal((Card, 5, 8), Choice(Next(Queue(5), On(), 30_000)));

    [Fact]
    public void LostCard_GetsNoWorkUntilItsRetry_AndEachLossDoublesTheWait()
    {
        DeviceState[] states = On();
        s_router.Lost(ref states[Card], 0);
        Assert.Equal((1, 1_000_000), (states[Card].Losses, states[Card].RetryAtMicros));
        RouteQueue at(long now) => new(5, false, now, now + 20_000, StreamGrade.CostSensitive);
        Assert.Equal(20_000 - 200 - (long)(3_550 * 1.2), Next(at(0), states, 0).WakeAtMicros);
        // Time for one try and for the CPU after it.
        Assert.Equal((Card, 5), Next(at(990_000) with { IsFull = true }, states, 1_000_000) is var step ? (step.Device, step.Rows) : default);
        Assert.Equal(Cpu, Next(at(990_000) with { IsFull = true }, states, 999_999).Device);
        Assert.Equal(Cpu, Next(new RouteQueue(5, true, 990_000, 1_004_800, StreamGrade.CostSensitive), states, 1_000_000).Device);
        // Rows that cannot wait are not what a device is tried out with.
        Assert.Equal(Cpu, Next(at(990_000) with { IsFull = true, Grade = StreamGrade.LatencyCritical }, states, 1_000_000).Device);

        s_router.Lost(ref states[Card], 1_000_000);
        Assert.Equal(3_000_000, states[Card].RetryAtMicros);
        for (int i = 0; i < 40; i++)
            s_router.Lost(ref states[Card], 0);
        Assert.Equal(300_000_000, states[Card].RetryAtMicros);
        DeviceRouter.Answered(ref states[Card]);
        Assert.Equal(Card, Next(at(5_000_000) with { IsFull = true }, states, 5_000_000).Device);
    }

    [Theory]
    [InlineData(StreamGrade.CostSensitive)]
    [InlineData(StreamGrade.LatencyCritical)]
    public void CardThatWasLost_IsSwitchedOff_AndComesBackUnderLoad(StreamGrade grade)
    {
        DeviceState[] states = On();
        RouterLoad load = s_router.CreateLoad();
        for (int loss = 0; loss < 4; loss++)
            s_router.Lost(ref states[Card], 0);
        bool wasOff = false, isBack = false;
        for (long now = 0; now < 1_200_000_000 && !isBack; now += 250)
        {
            RouteQueue queue = new(20, true, now, now + 20_000, grade);
            RouteStep step = s_router.Next(queue, states, load, now);
            isBack = step.Device == Card;
            Assert.True(!isBack || now >= 8_000_000, "tried before its time");
            if (!step.IsWait)
                s_router.Account(step, queue, states, ref load, now);
            if (s_router.PowerAdvice(Card, ref states[Card], true, now) is { } on)
                s_router.Switch(Card, ref states[Card], on, now);
            wasOff |= !states[Card].IsOn;
        }
        Assert.True(wasOff && isBack);
    }

    [Fact]
    public void LateRowInFront_DoesNotMakeThoseBehindItLate()
    {
        DeviceState[] off = s_router.CreateStates(acceleratorsOn: false, 0);
        // 64 rows would take the CPU 54 ms at p99; those behind the late one have until 40 ms.
        RouteQueue queue = new(64, false, 0, 20_000, StreamGrade.CostSensitive, NextDeadlineMicros: 40_000);
        RouteStep step = Next(queue, off, 20_500);
        // (50 + 700 n) × 1.2 ≤ 40,000 − 200 − 20,500: n = 22.
        Assert.Equal((Cpu, 22, 22), Choice(step));
        // One that is due at once lets the late one go alone; where nobody says, half of a row's time is left.
        Assert.Equal((Cpu, 1, 1), Choice(Next(queue with { NextDeadlineMicros = 20_900 }, off, 20_500)));
        Assert.Equal((Cpu, 11, 11), Choice(Next(queue with { NextDeadlineMicros = 0 }, off, 20_500)));
        // All of them late: as many as there are.
        Assert.Equal((Cpu, 64, 64), Choice(Next(queue with { NextDeadlineMicros = long.MaxValue }, off, 60_500)));
    }

    [Fact]
    public void CountedJoules_AreTakenToTheMeter_LikeTheIdleWattsThatComeOff()
    {
        static PriceFigure figure(double value, string unit) => new(value, value, value, unit, "test", new DateOnly(2026, 1, 1), FigureBasis.Assumed);
        MachinePrice machine = new("m", Tenure.Rented, 1, default, default, figure(1, "EUR/h"), figure(10, "W"), figure(20, "W"), default, default);
        DeviceRates rates = DeviceRates.OfCore(new PriceBook("test", 1, "EUR", figure(0.2, "EUR/kWh"), figure(1.5, "1"), [machine], default), machine);
        CostCurve curve = new(new ModelCurve("m", "1", "v", null, [new CostPoint(1, 1e6, 1e6, 0, 0, joulesPerBatch: 18)]), isPadded: true);
        // 18 J × 1.5 at the meter, less a second of 10 W × 1.5.
        Assert.Equal(12, new RoutedDevice("card", curve, rates, isElastic: false).Of(1).Joules, 1e-6);
        Assert.Equal(27, new RoutedDevice("cpu", curve, rates, isElastic: true).Of(1).Joules, 1e-6);
    }

    [Fact]
    public void Hedge_IsSetWhereAMissWouldCostMoreThanTheCpu()
    {
        RouteStep step = Next(Queue(5, StreamGrade.LatencyCritical), On(), 1_000);
        Assert.Equal(((long)(20_000 - 200 - (3_550 * 1.2)), Cpu), (step.HedgeAtMicros, step.HedgeDevice));
        // Too late for the CPU once the card is late; or nobody pays for a miss; or rows that can wait.
        Assert.Equal(long.MaxValue, Next(Queue(20, StreamGrade.LatencyCritical), On(), 10_000).HedgeAtMicros);
        // More rows than the CPU takes at once.
        Assert.Equal((Card, 65, 128, long.MaxValue), Next(Queue(65, StreamGrade.LatencyCritical), On(), 1_000) is var large ? (large.Device, large.Rows, large.PaddedRows, large.HedgeAtMicros) : default);
        DeviceRouter worthless = new(ReferencePair.Devices(), ReferencePair.Options with { MissMoney = 0 });
        Assert.Equal(long.MaxValue, worthless.Next(Queue(5, StreamGrade.LatencyCritical), On(), worthless.CreateLoad(), 1_000).HedgeAtMicros);
        Assert.Equal(long.MaxValue, Next(Queue(5), On(), 19_392).HedgeAtMicros);
    }

    [Fact]
    public void IdleCard_IsToBeSwitchedOff_AfterAFewStartsWorthOfIdling_AndNotBefore()
    {
        DeviceState[] states = On();
        long start = s_router.Devices[Card].StartMicros * 3;
        Assert.Null(s_router.PowerAdvice(Card, ref states[Card], true, start - 1));
        // Not under rows that wait for it.
        Assert.Null(s_router.PowerAdvice(Card, ref states[Card], false, start + 1));
        Assert.False(s_router.PowerAdvice(Card, ref states[Card], true, start + 1));
        Assert.Null(s_router.PowerAdvice(Cpu, ref states[Cpu], true, start + 1));
        s_router.Switch(Card, ref states[Card], on: false, start + 1);
        Assert.Null(s_router.PowerAdvice(Card, ref states[Card], true, start * 100));
    }

    [Fact]
    public void CardThatIsOff_IsToBeSwitchedOn_WhenItWouldHaveSavedAFewStarts()
    {
        DeviceState[] states = s_router.CreateStates(acceleratorsOn: false, 0);
        RouterLoad load = s_router.CreateLoad();
        RouteStep onCpu = new(Cpu, 20, 20, 0, long.MaxValue, -1);
        int batches = 0;
        for (long now = 0; s_router.PowerAdvice(Card, ref states[Card], true, now) is null && batches < 1000; now += 250, batches++)
            s_router.Account(onCpu, Queue(20) with { EarliestDeadlineMicros = now + 20_000 }, states, ref load, now);
        // A start costs a minute at the trace's speed, 60,000 µs of 0.48 EUR/h, and three of them are asked for; a batch saves 14,050 µs of 0.037 EUR/h and 250 µs of holding pass with each.
        double net = (14_050 * 0.037) - (250 * 0.48);
        Assert.InRange(batches, (int)(180_000 * 0.48 / net) - 1, (int)(180_000 * 0.48 / net) + 3);
        s_router.Switch(Card, ref states[Card], on: true, 10_000);
        Assert.Equal(70_000, states[Card].ReadyAtMicros);
        Assert.Null(s_router.PowerAdvice(Card, ref states[Card], true, 80_000));
    }

    [Fact]
    public void CardUnderLittleLoad_IsSwitchedOff_AndNoDeadlineIsMissed()
    {
        long[] arrivals = [.. Enumerable.Range(0, 2_000).Select(i => i * 2_000L)];
        RoutingResult result = RoutingSimulation.Run(new RouterPolicy(s_router, startsOn: true), s_router, arrivals, ReferencePair.DeadlineMicros);
        // Three starts' worth of a minute each at the trace's speed, and little more: one row in 2 ms is no load.
        Assert.InRange(result.OnMicros, 100_000, 300_000);
        Assert.Equal((0, 0), (result.MissedCount, result.SwitchCount));
    }

    [Fact]
    public void Deciding_AllocatesNothing()
    {
        DeviceState[] states = On();
        RouterLoad load = s_router.CreateLoad();
        long rows = Decide(10);
        long before = GC.GetAllocatedBytesForCurrentThread();
        rows += Decide(1_000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.True(rows > 0);

        long Decide(int times)
        {
            long sum = 0;
            for (int i = 1; i <= times; i++)
            {
                RouteQueue queue = Queue((i % 700) + 1);
                RouteStep step = s_router.Next(queue, states, load, 19_000);
                if (step.IsWait)
                    continue;
                sum += step.Rows;
                s_router.Account(step, queue, states, ref load, 19_000);
                s_router.PowerAdvice(Card, ref states[Card], true, 19_000);
            }
            return sum;
        }
    }

    private static RouteQueue Queue(int rows, StreamGrade grade = StreamGrade.CostSensitive) => new(rows, false, 0, 20_000, grade);

    private static DeviceState[] On() => s_router.CreateStates(acceleratorsOn: true, 0);

    private static RouteStep Next(in RouteQueue queue, DeviceState[] states, long now) => s_router.Next(queue, states, s_router.CreateLoad(), now);

    private static (int Device, int Rows, int Padded) Choice(in RouteStep step) => (step.Device, step.Rows, step.PaddedRows);

    private static CostPoint Point(int batch) => new(batch, 100 + (10 * batch), 100 + (10 * batch), 0, 0);

    private static DeviceRates ReferenceRates()
    {
        PriceBook book = Tests.Costs.PriceBookTests.Read(Decisions.Shipped.Bytes("ops/prices/default.json"));
        return DeviceRates.OfCore(book, book.Machines[0]);
    }
}
