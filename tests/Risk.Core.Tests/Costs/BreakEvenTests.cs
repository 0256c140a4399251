using Risk.Core.Costs;
using Risk.Core.Devices;

namespace Risk.Core.Tests.Costs;

public sealed class BreakEvenTests
{
    // A core of 0.1 EUR/h that takes 100 µs a row, and a card of 1 EUR/h that takes 100 µs + 1 µs a row.
    private static readonly PricedDevice s_core = Device(0.1, 1, DeviceKind.Cpu, isDivisible: true, (1, 100), (16, 1_600));
    private static readonly PricedDevice s_card = Device(1, 1, DeviceKind.Gpu, isDivisible: false, (1, 101), (100, 200), (1_000, 1_100));

    [Fact]
    public void BreakEven_IsWhereTheCardsHourEqualsTheCoresHours()
    {
        // Half used, a row costs 100 µs ÷ 0.5 of 0.1 EUR/h: the card's hour is worth 50,000 rows a second.
        BreakEven found = BreakEven.Find(s_core, s_card, deadlineMicros: 50_000, utilisationMax: 0.5);
        Assert.Equal(50_000, found.Expected.Lasting!.Value, 1);
        Assert.Equal(found.Expected.Lasting, found.Low.Lasting);
        Assert.True(s_card.TryOperate(50_000, 50_000, 0.5, Scenario.Expected, out OperatingPoint point));
        Assert.Equal((100, 1, 0.1, 1), (point.Batch, point.DeviceCount, point.BusyCount, point.MoneyPerHour));
        Assert.Equal(BatchLatency.Of(100, 50_000, 1, 0.1, 200, 200), point.Latency);
    }

    [Fact]
    public void WholeCards_AreAStaircase_AndEveryStretchWhereTheyAreCheaperIsFound()
    {
        // One row at a time, 10 µs: a card is worth its 1 EUR/h from 50,000 a second, carries half of 100,000 and so never pays;
        // at 0.8 EUR/h from 40,000 to its 50,000, two from 80,000 to 100,000, …, four from 160,000; five from 200,000 at once.
        PricedDevice card = Device(0.8, 1, DeviceKind.Gpu, isDivisible: false, (1, 10));
        CheaperLoads found = BreakEven.Find(s_core, card, 50_000, 0.5).Expected;
        Assert.Equal([(40_000, 50_000), (80_000, 100_000), (120_000, 150_000), (160_000, double.PositiveInfinity)],
            found.Intervals.Select(i => (Math.Round(i.From), Math.Round(i.To))));
        Assert.Equal((40_000, 160_000), (Math.Round(found.First!.Value), Math.Round(found.Lasting!.Value)));
        // So little that a coarse grid of loads would step over it: 49,900 to 50,000.
        CheaperLoads narrow = BreakEven.Find(s_core, Device(0.998, 1, DeviceKind.Gpu, isDivisible: false, (1, 10)), 50_000, 0.5).Expected;
        Assert.Equal((49_900, 50_000), (Math.Round(narrow.Intervals[0].From), Math.Round(narrow.Intervals[0].To)));
    }

    [Fact]
    public void RangesOfPricesAndTimes_MakeARangeOfLoads_AndNeverIsSaid()
    {
        PricedDevice card = Device(1, 2, DeviceKind.Gpu, isDivisible: false, (1, 101), (1_000, 1_100));
        BreakEven found = BreakEven.Find(s_core, card, 100_000, 0.5);
        Assert.Equal(25_000, found.Low.Lasting!.Value, 1);
        Assert.Equal(50_000, found.Expected.Lasting!.Value, 1);
        Assert.Equal(100_000, found.High.Lasting!.Value, 1);

        PricedDevice dear = Device(1_000, 1, DeviceKind.Gpu, isDivisible: false, (1, 101));
        Assert.Empty(BreakEven.Find(s_core, dear, 50_000, 0.5).Low.Intervals);
        // One that is too slow for the deadline is none, however cheap.
        CheaperLoads late = BreakEven.Find(s_core, Device(1e-9, 1, DeviceKind.Gpu, isDivisible: false, (1, 60_000)), 50_000, 0.5).Expected;
        Assert.Equal((null, null), (late.First, late.Lasting));
    }

    [Fact]
    public void BookAtOneEnd_GivesAtItsValues_WhatTheRangesGiveAtThatEnd()
    {
        PriceBook book = PriceBookTests.Read(Decisions.Shipped.Bytes("ops/prices/default.json"));
        foreach (Scenario end in (Scenario[])[Scenario.Low, Scenario.Expected, Scenario.High])
        {
            PriceBook known = book.At(end);
            foreach ((DevicePrice device, Tenure tenure) in book.Devices.SelectMany(device => new[] { Tenure.Rented, Tenure.Owned }.Where(device.CanBe).Select(tenure => (device, tenure))))
            {
                DeviceRates ranged = DeviceRates.OfDevice(book, device, tenure, null, isWhole: true), exact = DeviceRates.OfDevice(known, known.Devices.Single(d => d.Name == device.Name), tenure, null, isWhole: true);
                Assert.Equal(ranged.OnPerHour.At(end), exact.OnPerHour.Value, 1e-12);
                Assert.Equal(ranged.BusyPerHour.At(end), exact.BusyPerHour.Value, 1e-12);
                Assert.Equal(ranged.Host!.Core.OnPerHour.At(end), exact.Host!.Core.OnPerHour.Value, 1e-12);
                Assert.Equal(ranged.Host.MachinesFor(19, end), exact.Host.MachinesFor(19, Scenario.Expected));
                Assert.Equal(ranged.Lines.Select(line => line.What), exact.Lines.Select(line => line.What));
            }
        }
    }

    [Fact]
    public void MeasuredTimes_HaveTheirQuartilesAsEnds_AndSheetsKeepTheirOwn()
    {
        CostPoint measured = new CostPoint(16, 100, 150, 30, 10).BetweenQuartiles(), wild = new CostPoint(16, 100, 150, 300, 10).BetweenQuartiles();
        Assert.Equal((85, 115), (measured.LowMicros, measured.HighMicros));
        Assert.Equal((10, 250), (wild.LowMicros, wild.HighMicros));
        CostPoint sheet = new(16, 100, 150, 30, 10, null, 40, 150);
        Assert.Equal(sheet, sheet.BetweenQuartiles());
        Assert.Equal((40, 10), (sheet.At(Scenario.Low).MedianMicros, sheet.At(Scenario.Low).HostMicros));
        ModelCurve curve = new("m", "1", "v", null, [new CostPoint(16, 100, 150, 30, 10)]);
        Assert.Same(curve, curve.BetweenQuartiles());
    }

    [Fact]
    public void Load_BeyondOneCard_NeedsMore_AndLittleLoadASmallBatch()
    {
        Assert.True(s_card.TryOperate(2_000_000, 50_000, 0.5, Scenario.Expected, out OperatingPoint many));
        Assert.Equal((1_000, 5), (many.Batch, many.DeviceCount));           // 2 M/s × 1.1 µs ÷ 0.5 = 4.4
        Assert.True(s_card.TryOperate(100, 50_000, 0.5, Scenario.Expected, out OperatingPoint few));
        Assert.Equal((1, 1), (few.Batch, few.DeviceCount));
        Assert.False(s_card.TryOperate(100, 50, 0.5, Scenario.Expected, out _));
        Assert.False(s_card.TryOperate(2_000_000, 4, 50_000, 0.5, Scenario.Expected, out _));
    }

    [Fact]
    public void QueueThatIsTooLong_TakesMoreDevices()
    {
        // 1,000 µs each, used to nine tenths: alone, one in a hundred waits for 22 ms; two devices wait under 2.
        PricedDevice card = Device(1, 1, DeviceKind.Gpu, isDivisible: false, (1, 1_000));
        Assert.True(card.TryOperate(900, 50_000, 0.9, Scenario.Expected, out OperatingPoint one));
        Assert.True(card.TryOperate(900, 10_000, 0.9, Scenario.Expected, out OperatingPoint two));
        Assert.Equal((1, 2), (one.DeviceCount, two.DeviceCount));
        Assert.InRange(two.Latency.P99, 1_000, 10_000);
        Assert.Equal(900, card.Carried(2_000, 1, 50_000, 0.9), 1e-6);
        Assert.InRange(card.Carried(2_000, 1, 10_000, 0.9), 500, 850);
    }

    [Fact]
    public void CpuInWholeMachines_CostsAMachineMore_OnceTheyAreFull()
    {
        // Machines of four cores at 0.1 EUR/h, 100 µs a row, half used: 20,000 a second each.
        PricedDevice machines = new(s_core.Profile, s_core.Curve, s_core.Rates, isDivisible: false, lot: 4);
        Assert.True(machines.TryOperate(1, 50_000, 0.5, Scenario.Expected, out OperatingPoint one));
        Assert.True(machines.TryOperate(20_000, 50_000, 0.5, Scenario.Expected, out OperatingPoint full));
        Assert.True(machines.TryOperate(20_001, 50_000, 0.5, Scenario.Expected, out OperatingPoint over));
        Assert.Equal((4, 4, 8), (one.DeviceCount, full.DeviceCount, over.DeviceCount));
        Assert.Equal((0.4, 0.8), (full.MoneyPerHour, over.MoneyPerHour));
        // So a card of 1 EUR/h is worth three machines, from the first row that two do not carry: 40,000, not 50,000.
        Assert.Equal(40_000, BreakEven.Find(machines, s_card, 50_000, 0.5).Expected.Lasting!.Value, 1);
        // A queue that is too long takes a whole machine more.
        PricedDevice slow = new(s_core.Profile, new ModelCurve("m", "1", "v", null, [new CostPoint(1, 1_000, 1_000, 0, 0)]), s_core.Rates, isDivisible: false, lot: 2);
        Assert.True(slow.TryOperate(1_790, 50_000, 0.9, Scenario.Expected, out OperatingPoint patient));
        Assert.True(slow.TryOperate(1_790, 4_000, 0.9, Scenario.Expected, out OperatingPoint hasty));
        Assert.Equal((2, 4), (patient.DeviceCount, hasty.DeviceCount));
    }

    [Fact]
    public void OwnedCards_AreInWholeMachines_AndRentedOnesPayForWholeMachinesMore()
    {
        // As below, in machines of ten cores with two slots: a card keeps one core and needs two.
        (DeviceRates owned, DeviceRates rented) = HostedRates(isWhole: true);
        ModelCurve curve = new("m", "1", "v", null, [new CostPoint(100, 10, 10, 0, 100)]);
        double core = 0.5 + 0.001;
        Assert.True(Priced(curve, owned, isDivisible: false).TryOperate(1e6, 50_000, 0.5, Scenario.Expected, out OperatingPoint own));
        Assert.Equal(new HostUse(1, 1, 9), own.Host);
        Assert.Equal(1 + 0.01 + (10 * core) + (0.1 * 0.09) + 0.009, own.MoneyPerHour, 1e-9);
        // Three cards where one would do: two machines for their slots.
        Assert.True(Priced(curve, owned, isDivisible: false).TryOperate(1e6, 3, 50_000, 0.5, Scenario.Expected, out OperatingPoint three));
        Assert.Equal((3, 17), (three.Host.Kept, three.Host.More));
        Assert.True(Priced(curve, rented, isDivisible: false).TryOperate(1e6, 50_000, 0.5, Scenario.Expected, out OperatingPoint rent));
        // A core more than the rent has, in a machine of ten of which half a core's work is paid.
        Assert.Equal(3 + (10 * core) + (0.5 * 0.009), rent.MoneyPerHour, 1e-9);
    }

    [Fact]
    public void HostsCores_ArePaidAndPoweredByTheAcceleratorTheyFeed()
    {
        // A batch of 100 keeps the host busy for 100 µs: at 1 M rows a second one core, two at half use; one is kept for the card.
        (DeviceRates owned, DeviceRates rented) = HostedRates();
        ModelCurve curve = new("m", "1", "v", null, [new CostPoint(100, 10, 10, 0, 100)]);
        Assert.True(Priced(curve, owned, isDivisible: false).TryOperate(1e6, 50_000, 0.5, Scenario.Expected, out OperatingPoint own));
        Assert.Equal(new HostUse(1, 1, 1), own.Host);
        // Card: on 8.766 EUR/h of purchase (1 a hour) + 10 W; host 2 cores on; 0.1 busy card of 90 W more, 1 busy core of 9 W more; 1 EUR/kWh.
        double core = 0.5 + 0.001;
        Assert.Equal(1 + 0.01 + (2 * core) + (0.1 * 0.09) + 0.009, own.MoneyPerHour, 1e-9);
        Assert.Equal(10 + (0.1 * 90) + (2 * 1) + 9, own.Watts, 1e-9);

        Assert.True(Priced(curve, rented, isDivisible: false).TryOperate(1e6, 50_000, 0.5, Scenario.Expected, out OperatingPoint rent));
        // The rent has one core in it; the other is paid like any, with its half of the work.
        Assert.Equal(3 + core + (0.5 * 0.009), rent.MoneyPerHour, 1e-9);
        Assert.Equal(own.Watts, rent.Watts, 1e-9);
        Assert.Contains(rented.Lines, line => line.Paths.Contains("$.machines[0].idleWatts"));
    }

    private static (DeviceRates Owned, DeviceRates Rented) HostedRates(bool isWhole = false)
    {
        PriceFigure figure(double value, string unit) => new(value, value, value, unit, "test", new DateOnly(2026, 1, 1), FigureBasis.Assumed);
        MachinePrice host = new("host", Tenure.Owned, 10, figure(5 * 8_766, "EUR"), figure(1, "years"), default, figure(10, "W"), figure(100, "W"), default, default) { Slots = figure(2, "1") };
        DevicePrice card = new("card", Tenure.Owned, "host", figure(1, "cores"), figure(8_766, "EUR"), figure(1, "years"), figure(3, "EUR/h"), figure(10, "W"), figure(100, "W"), figure(1, "min"));
        PriceBook book = new("test", 1, "EUR", figure(1, "EUR/kWh"), figure(1, "1"), [host], default) { Devices = [card] };
        return (DeviceRates.OfDevice(book, card, Tenure.Owned, null, isWhole), DeviceRates.OfDevice(book, card, Tenure.Rented, null, isWhole));
    }

    private static PricedDevice Device(double hourly, double spread, DeviceKind kind, bool isDivisible, params (int Batch, double Micros)[] points)
    {
        PriceFigure figure(double value, double factor, string unit) => new(value, value / factor, value * factor, unit, "test", new DateOnly(2026, 1, 1), FigureBasis.Assumed);
        MachinePrice machine = new("m", Tenure.Rented, 1, default, default, figure(hourly, spread, "EUR/h"), figure(10, 1, "W"), figure(20, 1, "W"), default, default);
        DeviceRates rates = DeviceRates.OfCore(new PriceBook("test", 1, "EUR", figure(0.2, 1, "EUR/kWh"), figure(1, 1, "1"), [machine], default), machine);
        ModelCurve curve = new("m", "1", "v", null, [.. points.Select(point => new CostPoint(point.Batch, point.Micros, point.Micros, 0, 0))]);
        return Priced(curve, rates, isDivisible, kind);
    }

    private static PricedDevice Priced(ModelCurve curve, DeviceRates rates, bool isDivisible, DeviceKind kind = DeviceKind.Gpu)
    {
        DeviceProfile profile = new("d", kind, "p", "d", FigureBasis.Assumed, "", "", "", "", new DateOnly(2026, 1, 1), true, new DevicePower(default, default, EnergyMethod.Model), [curve]);
        return new PricedDevice(profile, curve, rates, isDivisible);
    }
}
