using System.Text;
using Risk.Core.Decisions;
using Risk.Core.Devices;

namespace Risk.Accelerators.Tests;

public sealed class AcceleratorConfigurationTests
{
    [Fact]
    public void NameAlone_IsEnough()
    {
        Assert.True(Read("""{ "accelerators": [ { "name": "webgpu" } ] }""", out IReadOnlyList<AcceleratorConfiguration>? found, out _));
        Assert.Equal(("webgpu", "webgpu", 0), (found![0].Name, found[0].Provider, found[0].Device));
        Assert.Null(found[0].Library);
        Assert.Null(found[0].RunMillisMax);
    }

    [Fact]
    public void Everything_IsTaken()
    {
        Assert.True(Read("""{ "accelerators": [ { "name": "gpu:1", "provider": "cuda", "library": "/opt/x.so", "options": { "a": 1, "b": true, "c": "d" }, "device": 1, "prices": "h200", "profile": "p.json", "runMillisMax": 750, "openMillisMax": 9000 } ] }""", out IReadOnlyList<AcceleratorConfiguration>? found, out _));
        AcceleratorConfiguration one = found![0];
        Assert.Equal(("gpu:1", "cuda", "/opt/x.so", 1, "h200"), (one.Name, one.Provider, one.Library, one.Device, one.Prices));
        Assert.Equal(("p.json", 750, 9000), (one.Profile, one.RunMillisMax, one.OpenMillisMax));
        Assert.Equal("a=1,b=true,c=d", string.Join(',', one.Options.Select(o => $"{o.Key}={o.Value}")));
    }

    [Theory]
    [InlineData("[]", "$")]
    [InlineData("{}", "$.accelerators")]
    [InlineData("""{ "accelerators": {} }""", "$.accelerators")]
    [InlineData("""{ "accelerators": [ 1 ] }""", "$.accelerators[0]")]
    [InlineData("""{ "accelerators": [ { "provider": "cuda" } ] }""", "$.accelerators[0].name")]
    [InlineData("""{ "accelerators": [ { "name": "a b" } ] }""", "$.accelerators[0].name")]
    [InlineData("""{ "accelerators": [ { "name": "a" }, { "name": "a" } ] }""", "$.accelerators[1].name")]
    [InlineData("""{ "accelerators": [ { "name": "a", "device": -1 } ] }""", "$.accelerators[0].device")]
    [InlineData("""{ "accelerators": [ { "name": "a", "runMillisMax": -1 } ] }""", "$.accelerators[0].runMillisMax")]
    [InlineData("""{ "accelerators": [ { "name": "a", "runMillisMax": 600001 } ] }""", "$.accelerators[0].runMillisMax")]
    [InlineData("""{ "accelerators": [ { "name": "a", "openMillisMax": -1 } ] }""", "$.accelerators[0].openMillisMax")]
    [InlineData("""{ "accelerators": [ { "name": "a", "options": { "x": [] } } ] }""", "$.accelerators[0].options.x")]
    [InlineData("""{ "accelerators": [ { "name": "a", "colour": 1 } ] }""", "$.accelerators[0].colour")]
    [InlineData("""{ "accelerators": [ { "name": "a", "library": "" } ] }""", "$.accelerators[0].library")]
    public void Fault_IsNamedByItsPath(string json, string path)
    {
        Assert.False(Read(json, out _, out List<DefinitionError> errors));
        DefinitionError error = Assert.Single(errors);
        Assert.Equal(("ACCELERATOR_INVALID", path), (error.Code, error.Path));
    }

    private static bool Read(string json, out IReadOnlyList<AcceleratorConfiguration>? found, out List<DefinitionError> errors)
    {
        errors = [];
        return AcceleratorConfiguration.TryRead(Encoding.UTF8.GetBytes(json), "accelerators.json", errors, out found);
    }
}
