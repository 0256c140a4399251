using Risk.Core.Costs;
using Risk.Core.Devices;

namespace Risk.Core.Tests.Costs;

public sealed class FleetPlanTests
{
    // Twelve hours of 40,000 a second, twelve of 1,000.
    private static readonly IReadOnlyList<(double, double)> s_hours = [.. Enumerable.Range(0, 24).Select(hour => hour < 12 ? (40_000.0, 40_000.0) : (1_000.0, 1_000.0))];
    private static readonly PricedDevice s_core = Device(0.1, (1, 100), (16, 1_600));
    private static readonly PricedDevice s_card = Device(0.3, (1, 101), (100, 200), (1_000, 11_000));

    [Fact]
    public void CpuAlone_IsSizedForTheBusiestMinute_AndSavesItsIdleMachinesAtNight()
    {
        FleetOption cpu = new FleetPlan(s_hours, s_core, 4, 50_000, 0.5).CpuOnly()!;
        // 40,000 × 100 µs ÷ 0.5 = 8 cores by day, 0.2 by night: one machine of four.
        Assert.Equal((8, 0), (cpu.CoreCount, cpu.AcceleratorCount));
        Assert.Equal(8 * 0.1 * 730.5, cpu.Cost.Money.Value, 1e-6);
        // Once a day four cores start, one minute long.
        double starts = 4 * 0.1 / 60 / 24;
        Assert.Equal((6 * 0.1 + starts) * 730.5, cpu.Cost.MoneyScaled.Value, 1e-6);
        Assert.Equal((2 * 0.1 - starts) * 730.5, cpu.Cost.Saving.Value, 1e-6);
        Assert.Equal(730.5 * (8 * 10 + (10 * (4 + 0.1) / 2)) / 1000, cpu.Cost.KilowattHours.Value, 1e-6);
        Assert.True(cpu.Cost.KilowattHoursScaled.Value < cpu.Cost.KilowattHours.Value);
    }

    [Fact]
    public void MixedFleet_RunsTheCardByDayAndTheCpuAtNight()
    {
        FleetPlan plan = new(s_hours, s_core, 1, 50_000, 0.5);
        FleetOption only = plan.Only(s_card)!, mixed = plan.Mixed(s_card)!, cpu = plan.CpuOnly()!;
        Assert.Equal((1, 0), (only.AcceleratorCount, only.CoreCount));
        Assert.Equal(0.3 * 730.5, only.Cost.MoneyScaled.Value, 1e-6);
        // One core at night instead of the card: 12 h of 0.3 and 12 h of 0.1.
        Assert.Equal((1, 1), (mixed.AcceleratorCount, mixed.CoreCount));
        Assert.Equal((0.2 + ((0.3 + 0.1) / 60 / 24)) * 730.5, mixed.Cost.MoneyScaled.Value, 1e-6);
        Assert.True(mixed.Cost.MoneyScaled.Value < cpu.Cost.MoneyScaled.Value);
        Assert.Null(new FleetPlan(s_hours, s_core, 1, 50, 0.5).Only(s_card));
        Assert.Null(new FleetPlan(s_hours, s_core, 1, 50, 0.5).CpuOnly());
    }

    [Fact]
    public void MixedFleet_WhoseCardNeverPays_SaysThatItIsNotUsed()
    {
        FleetPlan plan = new(s_hours, s_core, 1, 50_000, 0.5);
        Assert.Equal((12, 24), (plan.Mixed(s_card)!.UsedHours, plan.Only(s_card)!.UsedHours));
        Assert.Equal(0, plan.CpuOnly()!.UsedHours);
        // At 5 EUR/h eight cores of 0.1 are cheaper in any hour: there, switched off.
        FleetOption idle = plan.Mixed(Device(5, (1, 101), (100, 200), (1_000, 11_000)))!;
        Assert.Equal((1, 0), (idle.AcceleratorCount, idle.UsedHours));
        Assert.Equal(plan.CpuOnly()!.Cost.MoneyScaled.Value, idle.Cost.MoneyScaled.Value, 1e-6);
    }

    [Fact]
    public void OwnedCards_AreInTheFleetsOwnMachines_AndTheirCoresScoreToo()
    {
        // Machines of 10 cores at 0.5 EUR/h written off each core, cards at 1 EUR/h, one core kept for each, two a machine; all day
        // 100,000 a second. A card does 50 µs for one row, half used 10,000 a second: ten cards in five machines carry it alone.
        PriceFigure figure(double value, string unit) => new(value, value, value, unit, "test", new DateOnly(2026, 1, 1), FigureBasis.Assumed);
        MachinePrice host = new("host", Tenure.Owned, 10, figure(5 * 8_766, "EUR"), figure(1, "years"), default, figure(0, "W"), figure(0, "W"), default, default) { Slots = figure(2, "1") };
        DevicePrice price = new("card", Tenure.Owned, "host", figure(1, "cores"), figure(8_766, "EUR"), figure(1, "years"), null, figure(0, "W"), figure(0, "W"), figure(0, "min"));
        PriceBook book = new("test", 1, "EUR", figure(0, "EUR/kWh"), figure(1, "1"), [host], default) { Devices = [price] };
        PricedDevice core = new(s_core.Profile, s_core.Curve, DeviceRates.OfCore(book, host), isDivisible: true);
        PricedDevice card = new(s_card.Profile, new ModelCurve("m", "1", "v", null, [new CostPoint(1, 50, 50, 0, 0)]), DeviceRates.OfDevice(book, price, Tenure.Owned), isDivisible: false);
        FleetPlan plan = new([(100_000, 100_000)], core, 10, 50_000, 0.5);
        FleetOption only = plan.Only(card)!;
        Assert.Equal((10, 50), (only.AcceleratorCount, only.CoreCount));
        Assert.Equal(((50 * 0.5) + 10) * FleetPlan.HoursPerMonth, only.Cost.Money.Value, 1e-6);
        // The CPU alone: 20 cores, two machines, and less than any card would add.
        Assert.Equal(20 * 0.5 * FleetPlan.HoursPerMonth, plan.CpuOnly()!.Cost.Money.Value, 1e-6);
        FleetOption mixed = plan.Mixed(card)!;
        Assert.Equal((1, 20), (mixed.AcceleratorCount, mixed.CoreCount));
    }

    [Fact]
    public void BatchThatMissesTheDeadline_IsNoCapacity()
    {
        // In batches of 1,000 one card would do 50,000 a second, in 20 ms each; 10 ms are allowed, so it does 10,000, one by one.
        PricedDevice card = Device(0.3, (1, 100), (1_000, 20_000));
        FleetOption only = new FleetPlan(s_hours, s_core, 1, 10_000, 0.5).Only(card)!;
        Assert.Equal(8, only.AcceleratorCount);
        // All eight by day, one at night, seven starts.
        Assert.Equal((4.5 + (7.0 / 60 / 24)) * 0.3 * 730.5, only.Cost.MoneyScaled.Value, 1e-6);
        Assert.Equal(20_000, card.Carried(40_000, 4, 10_000, 0.5), 1e-3);
        // A batch that is fast enough, and that this load does not fill in time.
        Assert.Equal(5_000, Device(0.3, (1, 100), (1_000, 5_000)).Carried(50_000, 1, 10_000, 0.5), 1e-3);
    }

    [Fact]
    public void DeadlineOfADataSheet_IsHeldAgainstItsHighEnd_AndWhatIsTooSlowThenIsNotFree()
    {
        PricedDevice doubtful = Device(0.3, new CostPoint(1, 100, 60_000, 0, 0, null, 50, 60_000));
        Assert.False(doubtful.TryOperate(100, 50_000, 0.5, Scenario.Expected, out _));
        PricedDevice slow = Device(0.3, new CostPoint(1, 100, 100, 0, 0, null, 50, 60_000));
        MonthlyCost cost = new FleetPlan(s_hours, s_core, 1, 50_000, 0.5).Only(slow)!.Cost;
        Assert.True(double.IsFinite(cost.Money.Value));
        Assert.Equal((double.PositiveInfinity, double.PositiveInfinity), (cost.Money.High, cost.MoneyScaled.High));
    }

    [Fact]
    public void LowAndHigh_AreFleetsOfTheirOwn_ForAsManyCardsAsThatTakes()
    {
        // 40,000 a second at 50, 100 or 400 µs, half used: 4, 8 or 32 cards.
        FleetOption only = new FleetPlan(s_hours, s_core, 1, 50_000, 0.5).Only(Device(0.3, new CostPoint(1, 100, 400, 0, 0, null, 50, 400)))!;
        Assert.Equal(new Estimate(4, 8, 32), only.Accelerators);
        Assert.Equal(8 * 0.3 * 730.5, only.Cost.Money.Value, 1e-6);
        Assert.Equal(32 * 0.3 * 730.5, only.Cost.Money.High, 1e-6);
    }

    [Fact]
    public void Deadline_IsMetThroughTheDay_QueueIncluded()
    {
        FleetPlan plan = new(s_hours, s_core, 4, 5_000, 0.9);
        foreach (FleetOption? option in (FleetOption?[])[plan.CpuOnly(), plan.Only(s_card), plan.Mixed(s_card)])
            Assert.InRange(option!.Peak.P99, 100, 5_000);
        // 1 ms a row, 900 rows a second, nine tenths used: one card would do, and queue for 21 ms.
        IReadOnlyList<(double, double)> steady = [(900, 900)];
        Assert.Equal(1, new FleetPlan(steady, s_core, 4, 50_000, 0.9).Only(Device(0.3, (1, 1_000)))!.AcceleratorCount);
        Assert.Equal(2, new FleetPlan(steady, s_core, 4, 10_000, 0.9).Only(Device(0.3, (1, 1_000)))!.AcceleratorCount);
    }

    [Fact]
    public void Hours_AreMeanAndBusiestMinute()
    {
        int[] counts = [.. Enumerable.Repeat(1, 3600), .. Enumerable.Repeat(3, 60), .. Enumerable.Repeat(0, 3540)];
        Assert.Equal([(2, 2), (0.1, 6)], FleetPlan.Hours(counts, 2));
    }

    private static PricedDevice Device(double hourly, params (int Batch, double Micros)[] points) =>
        Device(hourly, [.. points.Select(point => new CostPoint(point.Batch, point.Micros, point.Micros, 0, 0))]);

    private static PricedDevice Device(double hourly, params CostPoint[] points)
    {
        PriceFigure figure(double value, string unit) => new(value, value, value, unit, "test", new DateOnly(2026, 1, 1), FigureBasis.Assumed);
        MachinePrice machine = new("m", Tenure.Rented, 1, default, default, figure(hourly, "EUR/h"), figure(10, "W"), figure(20, "W"), default, default);
        DeviceRates rates = DeviceRates.OfCore(new PriceBook("test", 1, "EUR", figure(0.2, "EUR/kWh"), figure(1, "1"), [machine], default), machine);
        ModelCurve curve = new("m", "1", "v", null, points);
        DeviceProfile profile = new("d", DeviceKind.Gpu, "p", "d", FigureBasis.Assumed, "", "", "", "", new DateOnly(2026, 1, 1), true, new DevicePower(default, default, EnergyMethod.Model), [curve]);
        return new PricedDevice(profile, curve, rates, isDivisible: points[^1].Batch == 16);
    }
}
