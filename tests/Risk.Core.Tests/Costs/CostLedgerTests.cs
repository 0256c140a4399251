using FsCheck;
using FsCheck.Fluent;
using Risk.Core.Costs;
using Risk.Core.Tests.Decisions;
using static Risk.Core.Tests.Costs.PriceBookTests;

namespace Risk.Core.Tests.Costs;

public sealed class CostLedgerTests
{
    private static readonly PriceBook s_book = Read(Shipped.Bytes("ops/prices/default.json"));

    [Fact]
    public void RentedCard_CostsItsHours_BusyOrNot_AndWasteIsTold()
    {
        CostLedger ledger = Ledger(out DeviceMeter card);
        card.Ran(900_000_000, rows: 3, paddedRows: 4, RunFate.Used);          // a quarter of an hour, a quarter of it padding
        card.Ran(360_000_000, rows: 1, paddedRows: 1, RunFate.Failed);
        card.Ran(180_000_000, rows: 1, paddedRows: 1, RunFate.HedgeLost);
        Cost cost = ledger.Charge(cpuMicros: 0, reservedMicros: 3_600_000_000, decisions: 10);

        double hour = card.Rates.OnPerHour.Value, cpuHour = ledger.Machine.Total.PicoUnits / 1e12;
        Assert.Equal(hour + cpuHour, (double)cost.Money, 1e-9);
        Assert.Equal(ledger.Total, cost);
        Assert.Equal(hour * 0.1875, (double)card.Active.Money, 1e-9);
        Assert.Equal(hour * 0.0625, (double)card.Padding.Money, 1e-9);
        Assert.Equal(hour * 0.1, (double)card.Failed.Money, 1e-9);
        Assert.Equal(hour * 0.05, (double)card.HedgesLost.Money, 1e-9);
        Assert.Equal(hour * 0.6, (double)card.Idle.Money, 1e-9);
        Assert.Equal(((card.Rates.IdleWatts.Value * 3600) + ((card.Rates.FullWatts.Value - card.Rates.IdleWatts.Value) * 1440)), card.Total.Joules, 1);
        Assert.Equal(ledger.Total, ledger.Active + ledger.Waste + ledger.Idle);
    }

    [Fact]
    public void EngineAndWhatRunsBesideIt_AddUpToTheMachine_WhoseIdleTimeIsTheEngines()
    {
        MachinePrice machine = s_book.Machines[0];
        CostLedger one = CostLedger.Measured(s_book, machine), engine = CostLedger.Measured(s_book, machine), beside = CostLedger.Beside(s_book, machine);
        var random = new Random(20261122);
        for (int n = 0; n < 200; n++)
        {
            long wall = random.Next(1, 100_000), own = random.NextInt64(0, wall * (machine.Cores - 1)), others = random.NextInt64(0, wall);
            one.Charge(own + others, wall, 1);
            engine.Charge(own + others, wall, 1, others);
            beside.Charge(others, wall, n % 3);
        }
        // Each total is rounded down once.
        Assert.InRange(one.Total.PicoUnits - engine.Total.PicoUnits - beside.Total.PicoUnits, 0, 2);
        Assert.Equal(one.Total.Joules, engine.Total.Joules + beside.Total.Joules, 1e-8);
        Assert.Equal(default, beside.Idle);
        Assert.InRange(one.Idle.PicoUnits - engine.Idle.PicoUnits, -2, 2);
        Assert.Contains("idle time borne by the engine", beside.Describe(), StringComparison.Ordinal);
    }

    [Fact]
    public void RunsThatSomebodyElseCounts_AreChargedWheneverTheLedgerLooks_WarmUpToo()
    {
        var use = new DeviceUse().With(2_000_000, rows: 1, paddedRows: 1, RunFate.WarmUp); // before there was a ledger
        var card = new DeviceMeter(DeviceRates.OfDevice(s_book, s_book.Devices[0], Tenure.Rented), use: () => use);
        CostLedger ledger = CostLedger.Measured(s_book, s_book.Machines[0], card);
        ledger.Charge(0, 1_000_000, 1);
        use = use.With(3_000_000, rows: 3, paddedRows: 4, RunFate.Used).With(500_000, 1, 1, RunFate.HedgeLost);
        ledger.Charge(0, 8_000_000, 0);

        double second = card.Rates.OnPerHour.Value / 3600;
        Assert.Equal((3, 5_500_000), (card.RunCount, card.BusyMicros));
        Assert.Equal(second * 2, (double)card.WarmUp.Money, 1e-9);
        Assert.Equal(second * 2.25, (double)card.Active.Money, 1e-9);
        Assert.Equal(second * 0.5, (double)card.HedgesLost.Money, 1e-9);
        Assert.Equal(second * 10, (double)card.Total.Money, 1e-9); // the two seconds before the ledger, and eight since
        Assert.Equal(ledger.Total, ledger.Active + ledger.Waste + ledger.Idle);
        Assert.Throws<InvalidOperationException>(() => card.Ran(1, 1, 1, RunFate.Used));
    }

    [Theory]
    [InlineData(Tenure.Owned)]
    [InlineData(Tenure.Rented)]
    public void CountersJoules_TakeThePlaceOfTheWatts_InEveryPart(Tenure tenure)
    {
        DevicePrice price = s_book.Devices.First(device => device.CanBe(tenure));
        double? counter = 5_000; // before there was a ledger
        var use = new DeviceUse();
        DeviceMeter card = new(DeviceRates.OfCard(s_book, price, tenure), use: () => use, joules: () => counter), stated = new(card.Rates, use: () => use);
        CostLedger ledger = CostLedger.Measured(s_book, s_book.Machines[0], card, stated);
        ledger.Charge(0, 0, 1);
        Assert.True(ledger.IsEnergyCounted);

        // A thousand seconds, half of them busy, at twice the stated watts.
        double site = card.Rates.PowerUsageEffectiveness.Value;
        for (int second = 0; second < 1_000; second++)
        {
            use = second % 2 == 0 ? use.With(1_000_000, 3, 4, RunFate.Used) : use;
            counter += 2 * (second % 2 == 0 ? card.Rates.FullWatts.Value : card.Rates.IdleWatts.Value) / site;
            ledger.Charge(0, 1_000_000, 1);
        }
        Assert.Equal(2 * stated.Total.Joules, card.Total.Joules, 1);
        Assert.Equal(2 * stated.Active.Joules, card.Active.Joules, 1);
        Assert.Equal(2 * stated.Padding.Joules, card.Padding.Joules, 1);
        Assert.Equal(2 * stated.Idle.Joules, card.Idle.Joules, 1);
        // An owned card's power is paid by the joule, a rented one's is in the rent.
        double more = tenure == Tenure.Owned ? (double)s_book.Power.Value * (card.Total.Joules - stated.Total.Joules) / 3.6e6 : 0;
        Assert.Equal((double)stated.Total.Money + more, (double)card.Total.Money, 1e-7);
        Assert.Equal(ledger.Total, ledger.Active + ledger.Waste + ledger.Idle);
    }

    [Fact]
    public void CounterThatStopsAnswering_LeavesTheRestToTheWatts()
    {
        double? counter = 0;
        DeviceMeter card = new(DeviceRates.OfCard(s_book, s_book.Devices[0], Tenure.Rented), joules: () => counter);
        CostLedger ledger = CostLedger.Measured(s_book, s_book.Machines[0], card);
        ledger.Charge(0, 0, 1);
        counter = 700;
        ledger.Charge(0, 1_000_000, 1);
        double site = card.Rates.PowerUsageEffectiveness.Value;
        Assert.Equal(700 * site, card.Total.Joules, 1e-3);
        counter = null;
        Cost before = card.Total;
        ledger.Charge(0, 10_000_000, 1);
        Assert.False(ledger.IsEnergyCounted);
        Assert.Equal(card.Rates.IdleWatts.Value * 10, (card.Total - before).Joules, 1e-3);
    }

    [Fact]
    public void CountedJoules_AreTheSameAtTheLeastAndAtTheMost_OfStatedWattsTheRangeIsTold()
    {
        double? counter = 0;
        DeviceRates rates = DeviceRates.OfCard(s_book, s_book.Devices.First(device => device.Idle.High > device.Idle.Low || device.Full.High > device.Full.Low), Tenure.Rented);
        DeviceMeter card = new(rates, joules: () => counter), stated = new(rates);
        CostLedger ledger = CostLedger.Measured(s_book, s_book.Machines[0], card, stated);
        card.Ran(500_000, 1, 1, RunFate.Used);
        stated.Ran(500_000, 1, 1, RunFate.Used);
        ledger.Charge(0, 0, 1);
        counter = 700;
        ledger.Charge(0, 1_000_000, 1);
        Assert.Equal(card.Total.Joules, card.JoulesAt(Scenario.Low), 1e-6);
        Assert.Equal(card.Total.Joules, card.JoulesAt(Scenario.High), 1e-6);
        Assert.True(stated.JoulesAt(Scenario.Low) < stated.JoulesAt(Scenario.High));
    }

    [Fact]
    public void CardThatComputedWhileItWasSaidToBeOff_WasOnAllThatTime()
    {
        CostLedger ledger = Ledger(out DeviceMeter card);
        card.IsOn = false;
        card.Ran(1_000_000, rows: 1, paddedRows: 1, RunFate.Used);
        ledger.Charge(0, 3_000_000, 1);
        Assert.Equal(3_000_000, card.OnMicros);
        ledger.Charge(0, 3_000_000, 1);
        Assert.Equal(3_000_000, card.OnMicros);
    }

    [Theory]
    [InlineData(Tenure.Owned)]
    [InlineData(Tenure.Rented)]
    public void HostsCores_AreNotPaidTwice(Tenure tenure)
    {
        DevicePrice price = s_book.Devices.First(device => device.CanBe(tenure) && device.HostCores.Value > 0);
        DeviceRates core = DeviceRates.OfCore(s_book, s_book.Machines.Single(machine => machine.Name == price.Host));
        DeviceRates whole = DeviceRates.OfDevice(s_book, price, tenure), card = DeviceRates.OfCard(s_book, price, tenure);
        Assert.Equal(whole.OnPerHour.Value, card.OnPerHour.Value + (core.OnPerHour.Value * price.HostCores.Value), 1e-9);
        Assert.Equal((whole.OffPerHour, whole.BusyPerHour, whole.IdleWatts, whole.FullWatts), (card.OffPerHour, card.BusyPerHour, card.IdleWatts, card.FullWatts));
        Assert.True(card.OnPerHour.Value > card.OffPerHour.Value);
    }

    [Fact]
    public void RunToldOfAtItsEnd_IsPaidOnce()
    {
        CostLedger ledger = Ledger(out DeviceMeter card);
        for (int i = 0; i < 10; i++)
        {
            if (i == 9)
                card.Ran(100_000, rows: 1, paddedRows: 1, RunFate.Used);
            ledger.Charge(0, 10_000, 1);
        }
        Assert.Equal(100_000, card.OnMicros);
        Assert.Equal(card.Rates.OnPerHour.Value * 0.1 / 3600, (double)card.Total.Money, 1e-11);
    }

    [Fact]
    public void ChargesGoOn_WhereTheSumOutgrowsACost()
    {
        const long day = 86_400_000_000;
        MachinePrice server = s_book.Machines.Single(machine => machine.Name == "server-64");
        DeviceMeter card = new(DeviceRates.OfDevice(s_book, s_book.Devices.Single(device => device.Name == "nvidia-h200"), Tenure.Rented));
        CostLedger ledger = CostLedger.Measured(s_book, server, card);
        Cost first = default, last = default;
        for (int i = 0; i < 400; i++)
        {
            card.Ran(day, 1, 1, RunFate.Used);
            last = ledger.Charge(day * server.Cores, day, 1);
            first = i == 0 ? last : first;
        }
        Assert.InRange(last.NanoJoules - first.NanoJoules, -2, 2);
        Assert.InRange(last.PicoUnits - first.PicoUnits, -2, 2);
        Assert.Equal(long.MaxValue, ledger.Total.NanoJoules);
        Assert.Equal(long.MaxValue, card.Total.NanoJoules);
        Assert.Equal(400, ledger.Total.PicoUnits / (double)first.PicoUnits, 1e-6);
    }

    [Fact]
    public void CardThatIsOff_CostsNothingRented_AndItsAmortisationOwned()
    {
        DevicePrice price = s_book.Devices[0];
        DeviceMeter rented = new(DeviceRates.OfDevice(s_book, price, Tenure.Rented), isOn: false), owned = new(DeviceRates.OfDevice(s_book, price, Tenure.Owned), isOn: false);
        CostLedger ledger = CostLedger.Measured(s_book, s_book.Machines[0], rented, owned);
        ledger.Charge(0, 3_600_000_000, 1);
        Assert.Equal(default, rented.Total);
        Assert.Equal((decimal)owned.Rates.OffPerHour.Value, owned.Total.Money, 9);
        Assert.Equal(0, owned.Total.NanoJoules);
        Assert.Equal(owned.Total, owned.Idle);
    }

    [Fact]
    public void ChargesAndShares_AddUpExactly() =>
        Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
        {
            Random random = new(seed);
            DeviceMeter[] cards = [.. s_book.Devices.Take(3).Select(price => new DeviceMeter(DeviceRates.OfDevice(s_book, price, price.CanBe(Tenure.Owned) && random.Next(2) == 0 ? Tenure.Owned : price.Tenure), random.Next(2) == 0, joules: random.Next(2) == 0 ? null : Counter(random)))];
            CostLedger ledger = CostLedger.Measured(s_book, s_book.Machines[0], cards);
            Cost shared = default;
            for (int batch = random.Next(1, 60); batch > 0; batch--)
            {
                for (int run = random.Next(4); run > 0; run--)
                {
                    int rows = random.Next(1, 300);
                    cards[random.Next(3)].Ran(random.Next(3_000), rows, rows + random.Next(200), (RunFate)random.Next(4));
                }
                int count = random.Next(4) == 0 ? 0 : random.Next(1, 200);
                Cost cost = ledger.Charge(random.Next(5_000), random.Next(4_000), count);
                for (int index = 0; index < count; index++)
                    shared += cost.Share(index, count);
                cards[random.Next(3)].IsOn = random.Next(2) == 0;
            }
            return shared + ledger.Unallocated == ledger.Total && ledger.Active + ledger.Waste + ledger.Idle == ledger.Total
                && cards.All(card => card.Active + card.Waste + card.Idle == card.Total && (card.IsEnergyCounted || card.Idle is { PicoUnits: >= 0, NanoJoules: >= 0 }) && card.Waste is { PicoUnits: >= 0, NanoJoules: >= 0 });
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(300));

    /// <summary>Now and then it cannot be read, or begins anew.</summary>
    private static Func<double?> Counter(Random random)
    {
        double sum = 0;
        return () => random.Next(10) switch { 0 => null, 1 => sum = 0, _ => sum += random.NextDouble() * 20 };
    }

    [Fact]
    public void Charge_AllocatesNothing()
    {
        CostLedger ledger = Ledger(out DeviceMeter card);
        Cost sum = Charge(10);
        long before = GC.GetAllocatedBytesForCurrentThread();
        sum += Charge(1_000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.True(sum.PicoUnits > 0);

        Cost Charge(int times)
        {
            Cost total = default;
            for (int i = 0; i < times; i++)
            {
                card.Ran(50, 60, 64, RunFate.Used);
                total += ledger.Charge(20, 100, 60).Share(1, 60);
            }
            return total;
        }
    }

    private static CostLedger Ledger(out DeviceMeter card)
    {
        card = new DeviceMeter(DeviceRates.OfDevice(s_book, s_book.Devices[0], Tenure.Rented));
        return CostLedger.Measured(s_book, s_book.Machines[0], card);
    }
}
