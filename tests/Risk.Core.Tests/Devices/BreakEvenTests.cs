using Risk.Core.Costs;
using Risk.Core.Devices;

namespace Risk.Core.Tests.Devices;

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
        Assert.Equal(50_000, found.Value!.Value, 1);
        Assert.Equal(found.Value, found.Low);
        Assert.True(s_card.TryOperate(50_000, 50_000, 0.5, Scenario.Expected, out OperatingPoint point));
        Assert.Equal((100, 1, 0.1, 1), (point.Batch, point.DeviceCount, point.BusyCount, point.MoneyPerHour));
        Assert.Equal((99 / 50_000.0 * 1e6) + 200, point.LatencyMicros, 1e-6);
    }

    [Fact]
    public void RangesOfPricesAndTimes_MakeARangeOfLoads_AndNeverIsSaid()
    {
        PricedDevice card = Device(1, 2, DeviceKind.Gpu, isDivisible: false, (1, 101), (1_000, 1_100));
        BreakEven found = BreakEven.Find(s_core, card, 50_000, 0.5);
        Assert.Equal(25_000, found.Low!.Value, 1);
        Assert.Equal(50_000, found.Value!.Value, 1);
        Assert.Equal(100_000, found.High!.Value, 1);

        PricedDevice dear = Device(1_000, 1, DeviceKind.Gpu, isDivisible: false, (1, 101));
        Assert.Equal(new BreakEven(null, null, null), BreakEven.Find(s_core, dear, 50_000, 0.5));
        // One that is too slow for the deadline is none, however cheap.
        Assert.Null(BreakEven.Find(s_core, Device(1e-9, 1, DeviceKind.Gpu, isDivisible: false, (1, 60_000)), 50_000, 0.5).Value);
    }

    [Fact]
    public void Load_BeyondOneCard_NeedsMore_AndLittleLoadASmallBatch()
    {
        Assert.True(s_card.TryOperate(2_000_000, 50_000, 0.5, Scenario.Expected, out OperatingPoint many));
        Assert.Equal((1_000, 5), (many.Batch, many.DeviceCount));           // 2 M/s × 1.1 µs ÷ 0.5 = 4.4
        Assert.True(s_card.TryOperate(100, 50_000, 0.5, Scenario.Expected, out OperatingPoint few));
        Assert.Equal((1, 1), (few.Batch, few.DeviceCount));
        Assert.False(s_card.TryOperate(100, 50, 0.5, Scenario.Expected, out _));
    }

    private static PricedDevice Device(double hourly, double spread, DeviceKind kind, bool isDivisible, params (int Batch, double Micros)[] points)
    {
        PriceFigure figure(double value, double factor, string unit) => new(value, value / factor, value * factor, unit, "test", new DateOnly(2026, 1, 1), FigureBasis.Assumed);
        MachinePrice machine = new("m", Tenure.Rented, 1, default, default, figure(hourly, spread, "EUR/h"), figure(10, 1, "W"), figure(20, 1, "W"), default, default);
        DeviceRates rates = DeviceRates.OfCore(new PriceBook("test", 1, "EUR", figure(0.2, 1, "EUR/kWh"), figure(1, 1, "1"), [machine], default), machine);
        ModelCurve curve = new("m", "1", "v", null, [.. points.Select(point => new CostPoint(point.Batch, point.Micros, point.Micros, 0, 0))]);
        DeviceProfile profile = new("d", kind, "p", "d", FigureBasis.Assumed, "", "", "", "", new DateOnly(2026, 1, 1), true, new DevicePower(default, default, EnergyMethod.Model), [curve]);
        return new PricedDevice(profile, curve, rates, isDivisible);
    }
}
