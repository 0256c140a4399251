using Risk.Core.Costs;

namespace Risk.Core.Devices;

/// <summary>
/// What a maker's data sheet says of a device, in the figures that <see cref="DataSheetModel"/> turns into time.
/// </summary>
/// <param name="Precision">Of the operations: fp32, tf32, fp16, bf16, int8.</param>
/// <param name="Operations">Peak, unit op/s (a multiply-add counts as two).</param>
/// <param name="Memory">Bandwidth of the device's memory, unit B/s.</param>
/// <param name="Link">Bandwidth between host and device, unit B/s.</param>
/// <param name="Launch">Fixed time of a call: driver, launch, both copies' latency, notification; unit µs.</param>
/// <param name="Kernel">Added by each kernel of the graph, unit µs.</param>
/// <param name="Efficiency">Share of both peaks that a small dense graph reaches, unit 1.</param>
/// <param name="BatchMax">The largest batch it is planned with.</param>
public sealed record DataSheet(
    string Precision, PriceFigure Operations, PriceFigure Memory, PriceFigure Link, PriceFigure Launch, PriceFigure Kernel, PriceFigure Efficiency, int BatchMax)
{
    /// <summary>Every figure with its name in the profile.</summary>
    public IReadOnlyList<(string Name, PriceFigure Figure)> Figures =>
        [("operations", Operations), ("memory", Memory), ("link", Link), ("launch", Launch), ("kernel", Kernel), ("efficiency", Efficiency)];

    /// <summary>As if every figure were known to be at one end of the time that it makes: peaks are divided by.</summary>
    public DataSheet At(Scenario end) => this with
    {
        Operations = Operations.Under(end), Memory = Memory.Under(end), Link = Link.Under(end), Launch = Launch.At(end), Kernel = Kernel.At(end), Efficiency = Efficiency.Under(end),
    };

    /// <summary>That of the worst figure.</summary>
    public FigureBasis Basis => Figures.Min(static named => named.Figure.Basis);
}
