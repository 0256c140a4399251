using System.Text;
using System.Text.Json.Nodes;
using Risk.Core.Costs;
using Risk.Core.Decisions;
using Risk.Core.Devices;
using Risk.Core.Transactions;

namespace Risk.Core.Tests.Devices;

public sealed class DeviceProfileTests
{
    internal static readonly DeviceProfile Measured = new(
        "test-gpu", DeviceKind.Gpu, "CUDAExecutionProvider", "Test GPU", FigureBasis.Measured, "2 × test processor", "580.1", "1.29.0", "13.0", new DateOnly(2026, 11, 22),
        true, new DevicePower(Watts(30, 25, 35), Watts(300, 300, 300), EnergyMethod.NvmlTotalEnergy),
        [new ModelCurve("card-fraud", "1", "gemm", Sha256Digest.Of("model"u8), [new CostPoint(1, 20.5, 30, 2, 8, 0.002), new CostPoint(64, 40, 52, 3, 9), new CostPoint(512, 95, 110, 4, 12, 0.02, 90, 100)])]);

    [Fact]
    public void WrittenProfile_ReadsBackEqual()
    {
        DeviceProfile read = Read(Measured.Write());
        Assert.Equal(Measured with { Models = [] }, read with { Models = [] });
        Assert.Equal(Measured.Models[0].Points, read.Models[0].Points);
        Assert.Equal(Measured.Models[0] with { Points = [] }, read.Models[0] with { Points = [] });
        Assert.Equal(Measured.Write(), read.Write());
    }

    [Fact]
    public void DataSheetProfile_ReadsBackEqual()
    {
        PriceFigure figure(double value, string unit) => new(value, value / 2, value * 2, unit, "data sheet", new DateOnly(2020, 5, 14), FigureBasis.Published);
        DeviceProfile sheet = Measured with
        {
            Basis = FigureBasis.Published, Machine = "", Driver = "", RuntimeVersion = "", ProviderVersion = "", Models = [], Note = "from a data sheet: µ stays µ",
            Power = Measured.Power! with { Method = EnergyMethod.Model },
            Sheet = new DataSheet("fp32", figure(1e13, "op/s"), figure(1e12, "B/s"), figure(1e10, "B/s"), figure(10, "µs"), figure(2, "µs"), figure(0.25, "1"), 4096),
        };
        DeviceProfile read = Read(sheet.Write());
        Assert.Equal(sheet with { Models = [] }, read with { Models = [] });
        Assert.Contains("µ stays µ", Encoding.UTF8.GetString(sheet.Write()), StringComparison.Ordinal);
    }

    [Fact]
    public void PowerThatNobodyKnows_IsLeftOut_OfWhatWasMeasuredOnly()
    {
        DeviceProfile unknown = Measured with { Power = null };
        Assert.Null(Read(unknown.Write()).Power);
        List<DefinitionError> errors = [];
        Assert.False(DeviceProfile.TryRead((unknown with { Basis = FigureBasis.Published }).Write(), "test.json", errors, out _));
        Assert.Contains(errors, fault => fault.Path == "$.power");
    }

    [Theory]
    [InlineData("kind", "\"abacus\"", "PROFILE_INVALID", "$.kind")]
    [InlineData("basis", "\"guessed\"", "PROFILE_INVALID", "$.basis")]
    [InlineData("date", "\"22.11.2026\"", "PROFILE_INVALID", "$.date")]
    [InlineData("machine", "\"\"", "PROFILE_INVALID", "$.machine")]
    [InlineData("versions.runtime", null, "PROFILE_INVALID", "$.versions.runtime")]
    [InlineData("padded", "1", "PROFILE_INVALID", "$.padded")]
    [InlineData("power", "1", "PROFILE_INVALID", "$.power")]
    [InlineData("power.idleWatts", null, "PROFILE_MISSING", "$.power.idleWatts")]
    [InlineData("power.idleWatts.source", null, "PROFILE_MISSING", "$.power.idleWatts.source")]
    [InlineData("power.idleWatts.unit", "\"kW\"", "PROFILE_INVALID", "$.power.idleWatts.unit")]
    [InlineData("power.fullWatts.value", "-300", "PROFILE_INVALID", "$.power.fullWatts.value")]
    [InlineData("power.method", "\"tea leaves\"", "PROFILE_INVALID", "$.power.method")]
    [InlineData("models", "[]", "PROFILE_INVALID", "$.models")]
    [InlineData("models.0.digest", null, "PROFILE_INVALID", "$.models[0].digest")]
    [InlineData("models.0.digest", "\"sha256:12\"", "PROFILE_INVALID", "$.models[0].digest")]
    [InlineData("models.0.points", "[]", "PROFILE_INVALID", "$.models[0].points")]
    [InlineData("models.0.points.1.batch", "1", "PROFILE_INVALID", "$.models[0].points[1].batch")]
    [InlineData("models.0.points.1.batch", "0", "PROFILE_INVALID", "$.models[0].points[1].batch")]
    [InlineData("models.0.points.1.p99Micros", "39", "PROFILE_INVALID", "$.models[0].points[1]")]
    [InlineData("models.0.points.1.medianMicros", "-1", "PROFILE_INVALID", "$.models[0].points[1].medianMicros")]
    [InlineData("models.0.points.1.hostMicros", "60", "PROFILE_INVALID", "$.models[0].points[1].hostMicros")]
    [InlineData("models.0.points.1.highMicros", "39", "PROFILE_INVALID", "$.models[0].points[1]")]
    [InlineData("colour", "\"green\"", "PROFILE_INVALID", "$.colour")]
    public void OneChange_IsOneCodedError(string member, string? json, string code, string path)
    {
        List<DefinitionError> errors = [];
        Assert.False(DeviceProfile.TryRead(Changed(Measured.Write(), member, json), "test.json", errors, out _));
        DefinitionError error = errors.First(fault => fault.Path == path);
        Assert.Equal((code, "test.json"), (error.Code, error.File));
    }

    [Fact]
    public void FullBelowIdle_TwoCurvesOfOneVariant_AndNoJson_AreRefused()
    {
        List<DefinitionError> errors = [];
        Assert.False(DeviceProfile.TryRead((Measured with { Power = Measured.Power! with { Full = Watts(10, 10, 10) } }).Write(), "test.json", errors, out _));
        Assert.Equal("$.power.fullWatts", Assert.Single(errors).Path);
        errors.Clear();
        Assert.False(DeviceProfile.TryRead((Measured with { Models = [Measured.Models[0], Measured.Models[0]] }).Write(), "test.json", errors, out _));
        Assert.Equal("$.models[1]", Assert.Single(errors).Path);
        errors.Clear();
        Assert.False(DeviceProfile.TryRead("{"u8.ToArray(), "test.json", errors, out _));
        Assert.False(DeviceProfile.TryRead(new byte[DeviceProfile.FileSizeMax + 1], "test.json", errors, out _));
        Assert.Equal(["PROFILE_INVALID", "TOO_LARGE"], errors.Select(error => error.Code));
    }

    [Fact]
    public void ProfileFromAnotherDriver_IsStale()
    {
        Assert.Null(Measured.Mismatch("580.1", "1.29.0", "13.0"));
        // What nothing here can confirm does not fit either.
        Assert.Equal("$.versions.runtime", Measured.Mismatch("580.1", "", "13.0")?.Path);
        Assert.Equal("$.driver", Measured.Mismatch("", "1.29.0", "13.0")?.Path);
        DefinitionError error = Assert.NotNull(Measured.Mismatch("590.0", "1.29.0", "13.0"));
        Assert.Equal(("PROFILE_STALE", "$.driver"), (error.Code, error.Path));
        Assert.Equal("$.versions.runtime", Measured.Mismatch("580.1", "1.30.0", "13.0")?.Path);
    }

    internal static DeviceProfile Read(byte[] bytes)
    {
        List<DefinitionError> errors = [];
        Assert.True(DeviceProfile.TryRead(bytes, "test.json", errors, out DeviceProfile? profile), string.Join('\n', errors));
        return profile;
    }

    internal static byte[] Changed(byte[] bytes, string member, string? json)
    {
        JsonNode root = JsonNode.Parse(bytes)!;
        string[] steps = member.Split('.');
        JsonNode owner = root;
        foreach (string step in steps[..^1])
            owner = owner is JsonArray list ? list[int.Parse(step)]! : owner[step]!;
        if (json is null)
            owner.AsObject().Remove(steps[^1]);
        else
            owner.AsObject()[steps[^1]] = JsonNode.Parse(json);
        return Encoding.UTF8.GetBytes(root.ToJsonString());
    }

    private static PriceFigure Watts(double value, double low, double high) => new(value, low, high, "W", "NVML", new DateOnly(2026, 11, 22), FigureBasis.Measured);
}
