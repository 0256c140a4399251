using Risk.Core.Costs;

namespace Risk.Cli.Costs;

/// <summary>What a device's figures rest on, each part as the worst of the figures that are used.</summary>
/// <param name="Price">Of an hour or of purchase, and the exchange rate.</param>
/// <param name="Upkeep">Life, host, power and watts.</param>
/// <param name="Time">Profile, and where no curve was measured the model's workload.</param>
internal sealed record DeviceBasis(FigureBasis Price, FigureBasis Upkeep, FigureBasis Time)
{
    public FigureBasis Worst => (FigureBasis)Math.Min(Math.Min((byte)Price, (byte)Upkeep), (byte)Time);

    /// <summary>Short: <c>price published, rest assumed</c>.</summary>
    public string Words => Upkeep == Time
        ? Price == Upkeep ? $"all {Numbers.Basis(Price)}" : $"price {Numbers.Basis(Price)}, rest {Numbers.Basis(Time)}"
        : $"price {Numbers.Basis(Price)}, upkeep {Numbers.Basis(Upkeep)}, time {Numbers.Basis(Time)}";

    public static DeviceBasis Of(CostInputs inputs, PricedDevice device)
    {
        string book = Path.GetFileName(inputs.BookFile);
        DeviceRates rates = device.Rates;
        FigureReference[] used = [.. rates.Lines.SelectMany(line => line.Paths).Distinct().Select(path => new FigureReference(book, path))];
        // The device's own price and its rate, not those of its host.
        string own = rates.Host is null ? "$.machines" : "$.devices";
        bool isPrice(FigureReference f) => (f.Path.StartsWith(own, StringComparison.Ordinal) && (f.Path.EndsWith(".hourly", StringComparison.Ordinal) || f.Path.EndsWith(".purchase", StringComparison.Ordinal)))
            || f.Path.StartsWith("$.currencies", StringComparison.Ordinal);
        FigureBasis time = inputs.Sources.Worst(TimeSteps.Of(device, inputs, device.Curve.Points[0].Batch).SelectMany(step => step.Figures)) ?? device.Profile.Basis;
        return new DeviceBasis(inputs.Sources.Worst(used.Where(isPrice)) ?? default, inputs.Sources.Worst(used.Where(f => !isPrice(f))) ?? default, time);
    }
}
