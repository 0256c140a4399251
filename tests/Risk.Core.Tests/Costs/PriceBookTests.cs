using System.Text;
using System.Text.Json.Nodes;
using Risk.Core.Costs;
using Risk.Core.Decisions;
using Risk.Core.Tests.Decisions;

namespace Risk.Core.Tests.Costs;

public sealed class PriceBookTests
{
    private const string Path = "ops/prices/default.json";

    [Fact]
    public void ShippedBook_Reads_AndEveryFigureHasItsOrigin()
    {
        PriceBook book = Read(Shipped.Bytes(Path));
        Assert.Equal(("default", "EUR"), (book.Name, book.Currency));
        Assert.True(book.TryMachine("cloud-2", out MachinePrice? machine));
        Assert.False(book.TryMachine("gpu", out _));
        Assert.Equal((2, Tenure.Rented), (machine.Cores, machine.Tenure));
        Assert.All(
            [book.Power, book.PowerUsageEffectiveness, machine.Purchase, machine.Life, machine.Hourly, machine.Idle, machine.Full, machine.Utilisation, machine.CpuMicrosPerDecision],
            figure => Assert.True(figure is { Value: > 0, Source.Length: > 20, Date.Year: > 2000 } && figure.Low < figure.Value && figure.Value < figure.High, figure.ToString()));
        Assert.Equal(FigureBasis.Published, book.Power.Basis);
        Assert.Equal(FigureBasis.Assumed, machine.CpuMicrosPerDecision.Basis);
    }

    [Fact]
    public void MachineThatNobodyNames_IsTheFirstOfTheBook_AndItsPriceIsNobodysGuess()
    {
        PriceBook book = Read(Shipped.Bytes(Path));
        MachinePrice engine = book.DefaultMachine()!;
        Assert.Equal(("cloud-2", Tenure.Rented), (engine.Name, engine.Tenure));
        Assert.Equal((FigureBasis.Published, "USD/h"), (engine.Price.Basis, engine.Price.Unit));
        Assert.Equal(("cloud-2", "server-64"), (book.DefaultMachine(Tenure.Rented)?.Name, book.DefaultMachine(Tenure.Owned)?.Name));

        // The order decides, not how good a price is: whoever writes a book says which machine is theirs.
        MachinePrice mine = engine with { Name = "mine", Hourly = engine.Hourly with { Basis = FigureBasis.Assumed } };
        PriceBook own = book with { Machines = [mine, .. book.Machines] };
        Assert.Equal(("mine", "mine"), (own.DefaultMachine()!.Name, own.DefaultMachine(Tenure.Rented)!.Name));
        Assert.Null((book with { Machines = [engine] }).DefaultMachine(Tenure.Owned));
    }

    [Theory]
    [InlineData("machines[0].hourly.value", "-0.01", "PRICE_INVALID", "$.machines[0].hourly.value")]
    [InlineData("machines[0].purchase.value", "-1", "PRICE_INVALID", "$.machines[0].purchase.value")]
    [InlineData("machines[0].hourly.unit", "\"GBP/h\"", "PRICE_INVALID", "$.machines[0].hourly.unit")]
    [InlineData("power.value", "\"0.2\"", "PRICE_INVALID", "$.power.value")]
    [InlineData("power.value", "1e400", "PRICE_INVALID", "$.power.value")]
    [InlineData("power.value", "0.05", "PRICE_INVALID", "$.power")]
    [InlineData("power.unit", "\"EUR/MWh\"", "PRICE_INVALID", "$.power.unit")]
    [InlineData("power.basis", "\"guessed\"", "PRICE_INVALID", "$.power.basis")]
    [InlineData("power.date", "\"25.4.2024\"", "PRICE_INVALID", "$.power.date")]
    [InlineData("power.vat", "0.19", "PRICE_INVALID", "$.power.vat")]
    [InlineData("pue.value", "0.9", "PRICE_INVALID", "$.pue.value")]
    [InlineData("currency", "\"euro\"", "PRICE_INVALID", "$.currency")]
    [InlineData("machines[0].cores", "0", "PRICE_INVALID", "$.machines[0].cores")]
    [InlineData("machines[0].cores", "2.5", "PRICE_INVALID", "$.machines[0].cores")]
    [InlineData("machines[0].tenure", "\"leased\"", "PRICE_INVALID", "$.machines[0].tenure")]
    [InlineData("machines[0].idleWatts.value", "6", null, null)]
    [InlineData("machines", "[]", "PRICE_INVALID", "$.machines")]
    [InlineData("power", null, "PRICE_MISSING", "$.power")]
    [InlineData("power.value", null, "PRICE_MISSING", "$.power.value")]
    [InlineData("power.source", null, "PRICE_MISSING", "$.power.source")]
    [InlineData("power.unit", null, "PRICE_MISSING", "$.power.unit")]
    [InlineData("power.date", null, "PRICE_MISSING", "$.power.date")]
    [InlineData("power.basis", null, "PRICE_MISSING", "$.power.basis")]
    [InlineData("machines[0].hourly", null, "PRICE_MISSING", "$.machines[0].hourly")]
    [InlineData("machines[0].idleWatts", null, "PRICE_MISSING", "$.machines[0].idleWatts")]
    [InlineData("machines[0].cpuMicrosPerDecision", null, "PRICE_MISSING", "$.machines[0].cpuMicrosPerDecision")]
    public void OneChange_IsOneCodedError(string member, string? json, string? code, string? path)
    {
        byte[] bytes = Changed(member, json);
        List<DefinitionError> errors = [];
        bool read = PriceBook.TryRead(bytes, "prices.json", errors, out _);
        Assert.Equal(code is null, read);
        if (code is null)
            return;
        DefinitionError error = errors.Count(fault => fault.Code == code) is var count && count > 1 ? errors.First(fault => fault.Path == path) : Assert.Single(errors);
        Assert.Equal((code, "prices.json", path), (error.Code, error.File, error.Path));
    }

    [Fact]
    public void FullBelowIdle_AndRepeatedNames_AreRefused()
    {
        List<DefinitionError> errors = [];
        Assert.False(PriceBook.TryRead(Changed("machines[0].idleWatts", Figure(50, "W")), "prices.json", errors, out _));
        Assert.Equal("$.machines[0].fullWatts", Assert.Single(errors).Path);

        JsonNode root = JsonNode.Parse(Shipped.Bytes(Path))!;
        int count = root["machines"]!.AsArray().Count;
        root["machines"]!.AsArray().Add(root["machines"]![0]!.DeepClone());
        errors.Clear();
        Assert.False(PriceBook.TryRead(Encoding.UTF8.GetBytes(root.ToJsonString()), "prices.json", errors, out _));
        Assert.Equal($"$.machines[{count}].name", Assert.Single(errors).Path);
    }

    internal static string Figure(double value, string unit) =>
        FormattableString.Invariant($$"""{ "value": {{value}}, "unit": "{{unit}}", "source": "test", "date": "2025-01-01", "basis": "assumed" }""");

    internal static PriceBook Read(byte[] bytes)
    {
        List<DefinitionError> errors = [];
        Assert.True(PriceBook.TryRead(bytes, "prices.json", errors, out PriceBook? book), string.Join('\n', errors));
        return book;
    }

    /// <summary>The shipped book with one member set, or taken out (null).</summary>
    internal static byte[] Changed(string member, string? json)
    {
        JsonNode root = JsonNode.Parse(Shipped.Bytes(Path))!;
        string[] steps = member.Replace("[0]", ".0", StringComparison.Ordinal).Split('.');
        JsonNode owner = root;
        foreach (string step in steps[..^1])
            owner = owner is JsonArray list ? list[int.Parse(step)]! : owner[step]!;
        if (json is null)
            owner.AsObject().Remove(steps[^1]);
        else
            owner.AsObject()[steps[^1]] = JsonNode.Parse(json);
        return Encoding.UTF8.GetBytes(root.ToJsonString());
    }
}
