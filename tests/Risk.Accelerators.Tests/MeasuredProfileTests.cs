using Risk.Cli.Accelerators;
using Risk.Cli.Verbs;
using Risk.Core.Costs;
using Risk.Core.Devices;

namespace Risk.Accelerators.Tests;

/// <summary>What a measured profile is called, and which watts it gets without a counter.</summary>
public sealed class MeasuredProfileTests
{
    private static readonly (PriceBook Book, MachinePrice Machine) s_prices = PriceBookFile.LoadDefault();

    [Theory]
    [InlineData("CUDAExecutionProvider", "NVIDIA H200", "nvidia-h200")]
    [InlineData("CUDAExecutionProvider", "NVIDIA A100-SXM4-40GB", "nvidia-a100")]
    [InlineData("TensorrtExecutionProvider", "Tesla T4", "nvidia-t4")]
    [InlineData("CUDAExecutionProvider", "NVIDIA L40S", null)] // neither an L4 nor anything that has a price
    [InlineData("CUDAExecutionProvider", "NVIDIA GH200 480GB", null)]
    [InlineData("CUDAExecutionProvider", "NVIDIA H200 MIG 1g.18gb", null)] // a seventh of a card has not its price
    [InlineData("WebGpuExecutionProvider", "Tesla T4", null)]
    [InlineData("CUDAExecutionProvider", "", null)]
    public void CardsName_IsTheOneItsPriceIsKeptUnder(string executionProvider, string description, string? expected) =>
        Assert.Equal(expected, ProfileName.Of(executionProvider, description, ProfileName.Known(s_prices.Book)));

    [Fact]
    public void WithoutACounter_WattsAreThePriceBooks_AndNoneAreMadeUp()
    {
        DevicePrice card = s_prices.Book.Devices.First(d => d.Name == "nvidia-h200");
        DevicePower power = MeasuredPower.Known("nvidia-h200", isProcessor: false, s_prices.Book, s_prices.Machine).Power!;
        Assert.Equal((card.Idle.Value, card.Full.High, EnergyMethod.Model), (power.Idle.Value, power.Full.High, power.Method));
        Assert.Contains("nvidia-h200", power.Full.Source, StringComparison.Ordinal);

        DevicePower core = MeasuredPower.Known("cpu", isProcessor: true, s_prices.Book, s_prices.Machine).Power!;
        Assert.Equal(s_prices.Machine.Full.Value / s_prices.Machine.Cores, core.Full.Value);

        MeasuredPower unknown = MeasuredPower.Known("some-card", isProcessor: false, s_prices.Book, s_prices.Machine);
        Assert.Null(unknown.Power);
        Assert.Contains("--watts", unknown.Note, StringComparison.Ordinal);
    }

    [Fact]
    public void EnergyOfARow_IsCountedOrModelledOrUnknown_NeverAWordForANumber()
    {
        static PriceFigure Watts(double low, double value, double high) => new(value, low, high, "W", "", default, FigureBasis.Assumed);
        var power = new DevicePower(Watts(1, 1, 1), Watts(10, 20, 40), EnergyMethod.Model);
        var point = new CostPoint(4, 100, 120, 1, 5, null, 80, 200);
        Assert.Equal(new Estimate(200, 500, 2000), RowEnergy.Micros(power, point)); // µs × W ÷ rows
        Assert.Equal(Estimate.Of(0.5e6), RowEnergy.Micros(power, point with { JoulesPerBatch = 2 }));
        Assert.Null(RowEnergy.Micros(null, point));
    }
}
