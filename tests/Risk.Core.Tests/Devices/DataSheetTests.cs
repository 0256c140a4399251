using Risk.Core.Costs;
using Risk.Core.Decisions;
using Risk.Core.Devices;
using Risk.Core.Tests.Decisions;

namespace Risk.Core.Tests.Devices;

public sealed class DataSheetTests
{
    private static readonly DataSheet s_sheet = new(
        "fp32", Figure(2e12, 1e12, 4e12, "op/s"), Figure(1e11, 1e11, 1e11, "B/s"), Figure(1e10, 1e10, 1e10, "B/s"), Figure(20, 10, 40, "µs"), Figure(2, 2, 2, "µs"), Figure(0.5, 0.25, 1, "1"), 1024);
    private static readonly ModelWorkload s_workload = new("m", "1", "gemm", Figure(1e6, 1e6, 1e6, "op"), Figure(1000, 1000, 1000, "B"), Figure(0, 0, 0, "B"), Figure(100, 100, 100, "B"), Figure(5, 5, 5, "1"));

    [Fact]
    public void Time_IsFixedPlusLinkPlusTheHigherRoof()
    {
        // 20 + 5×2 + 100 rows × 100 B ÷ 10 GB/s (1 µs) + max(1e8 op ÷ 1e12 op/s = 100 µs, 1e5 B ÷ 5e10 B/s = 2 µs)
        Estimate micros = DataSheetModel.Micros(s_sheet, s_workload, 100);
        Assert.Equal(131, micros.Value, 1e-9);
        Assert.Equal(10 + 10 + 1 + 25, micros.Low, 1e-9);
        Assert.Equal(40 + 10 + 1 + 400, micros.High, 1e-9);
        SheetTime parts = DataSheetModel.Parts(s_sheet, s_workload, 100);
        Assert.Equal((20, 10, 1), (parts.Launch.Value, parts.Kernels.Value, Math.Round(parts.Transfer.Value, 9)));
        Assert.Equal((100, 2), (Math.Round(parts.Arithmetic.Value, 9), Math.Round(parts.Memory.Value, 9)));

        ModelCurve curve = DataSheetModel.Curve(s_sheet, s_workload);
        Assert.Equal((1, 1024, null), (curve.Points[0].Batch, curve.Points[^1].Batch, curve.Digest));
        Assert.All(curve.Points, point => Assert.True(point.LowMicros < point.MedianMicros && point.MedianMicros < point.HighMicros && point.JoulesPerBatch is null));
    }

    [Fact]
    public void ShippedProfiles_Read_SayWhatTheyRestOn_AndHaveAPrice()
    {
        string folder = Path.GetDirectoryName(Shipped.PathOf("ops/profiles/workloads.json"))!;
        List<DefinitionError> errors = [];
        Assert.True(ModelWorkload.TryReadAll(File.ReadAllBytes(Path.Combine(folder, "workloads.json")), "workloads.json", errors, out IReadOnlyList<ModelWorkload>? workloads), string.Join('\n', errors));
        Assert.True(PriceBook.TryRead(Shipped.Bytes("ops/prices/default.json"), "prices", errors, out PriceBook? book), string.Join('\n', errors));
        string[] files = [.. Directory.GetFiles(folder, "*.json").Where(file => Path.GetFileName(file) != "workloads.json")];
        Assert.True(files.Length >= 15);
        foreach (string file in files)
        {
            Assert.True(DeviceProfile.TryRead(File.ReadAllBytes(file), Path.GetFileName(file), errors, out DeviceProfile? profile), string.Join('\n', errors));
            Assert.Equal(Path.GetFileNameWithoutExtension(file), profile.Name);
            if (profile.Basis == FigureBasis.Measured)
                continue;
            Assert.Contains(book.Devices, device => device.Name == profile.Name);
            ModelCurve curve = DataSheetModel.Curve(profile.Sheet!, workloads[0]);
            Assert.All(curve.Points, point => Assert.InRange(point.MedianMicros / point.Batch, 1e-3, 2e3));
        }
    }

    [Fact]
    public void GoyasSheet_DoesNotPromiseMoreThanItReached()
    {
        DeviceProfile goya = DeviceProfileTests.Read(Shipped.Bytes("ops/profiles/habana-goya-hl-100.json"));
        ModelWorkload resNet = s_workload with { Operations = Figure(8.2e9, 8.2e9, 8.2e9, "op"), Transfer = Figure(150_528, 150_528, 150_528, "B"), Kernels = Figure(1, 1, 1, "1"), Traffic = Figure(0, 0, 0, "B") };
        Estimate micros = DataSheetModel.Micros(goya.Sheet!, resNet, 10);
        Assert.InRange(800, micros.Low, micros.High);
        Assert.True(10e6 / micros.Low < 16_000, "images a second at the better end");
    }

    [Fact]
    public void Profile_IsNotBetterFoundedThanTheWorstFigureOfItsSheet()
    {
        byte[] goya = Shipped.Bytes("ops/profiles/habana-goya-hl-100.json");
        Assert.Equal(FigureBasis.Assumed, DeviceProfileTests.Read(goya).Basis);
        List<DefinitionError> errors = [];
        Assert.False(DeviceProfile.TryRead(DeviceProfileTests.Changed(goya, "basis", "\"published\""), "goya.json", errors, out _));
        Assert.Equal(("PROFILE_INVALID", "$.basis"), (Assert.Single(errors).Code, errors[0].Path));
    }

    private static PriceFigure Figure(double value, double low, double high, string unit) => new(value, low, high, unit, "test", new DateOnly(2026, 1, 1), FigureBasis.Assumed);
}
