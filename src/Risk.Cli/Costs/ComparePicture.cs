using System.Globalization;
using System.Text;
using Risk.Core.Costs;

namespace Risk.Cli.Costs;

/// <summary>Cost of a thousand decisions by load: each accelerator beside the CPU in a small picture of its own, with both ranges.</summary>
internal static class ComparePicture
{
    private const double PanelWidth = 360, PanelHeight = 190, PanelLoadFrom = 3;

    public static void Append(StringBuilder page, Comparison comparison, Pairing pairing)
    {
        // Where little is to be decided, every card is far too dear.
        double[] loads = [.. Comparison.Loads.Where(load => load >= Math.Pow(10, PanelLoadFrom))];
        (ComparedDevice Device, IReadOnlyList<(double Load, Estimate Money)> Line)[] drawn = [.. pairing.Devices.Select(device => (device, Line(comparison, pairing, device, loads)))];
        double[] money = [.. drawn.SelectMany(d => d.Line).Select(p => p.Money.Value)];
        if (money.Length == 0)
        {
            page.Append("<p>No device answers in time at any load.</p>\n");
            return;
        }

        var plot = new LogPlot(52, 8, PanelWidth - 62, PanelHeight - 44, PanelLoadFrom, Math.Log10(loads[^1]), Math.Floor(Math.Log10(money.Min())), Math.Ceiling(Math.Log10(money.Max())));
        page.Append("<div class=\"panels\">\n");
        foreach ((ComparedDevice device, IReadOnlyList<(double Load, Estimate Money)> line) in drawn.Skip(1))
        {
            page.Append(CultureInfo.InvariantCulture, $"<figure><figcaption><b>{ComparePage.Text(device.Name)}</b> {ComparePage.Text(line.Count == 0 ? "too slow for the deadline" : Words(device.BreakEven!))}</figcaption>\n");
            page.Append(CultureInfo.InvariantCulture, $"<svg viewBox=\"0 0 {PanelWidth} {PanelHeight}\" role=\"img\" aria-label=\"{ComparePage.Text(device.Name)} beside the CPU\" font-size=\"11\">\n");
            plot.Grid(page, 2);
            plot.Stretches(page, device.BreakEven!.Expected, ComparePage.Cheaper);
            plot.Band(page, drawn[0].Line, ComparePage.Cpu);
            plot.Band(page, line, ComparePage.Card);
            plot.Line(page, drawn[0].Line, ComparePage.Cpu, 2, drawn[0].Device.Basis.Time);
            plot.Line(page, line, ComparePage.Card, 2, device.Basis.Time);
            page.Append("</svg></figure>\n");
        }

        page.Append("</div>\n");
    }

    private static string Words(BreakEven even) => even.Expected.Lasting is not null
        ? $"cheaper for good from {Numbers.Lasting(even)}"
        : even.Expected.First is { } first ? $"cheaper here and there, first at {Numbers.Load(first)}" : $"never cheaper; at its low end {(even.Low.Lasting is null ? "not for good either" : $"from {Numbers.Load(even.Low.Lasting)}")}";

    private static IReadOnlyList<(double, Estimate)> Line(Comparison comparison, Pairing pairing, ComparedDevice device, IReadOnlyList<double> loads) =>
        [.. loads.Select(load => (load, ComparedDevice.PerThousandAt(device.Device, load, comparison.DeadlineMicros, pairing.Utilisation))).Where(p => p.Item2 is not null).Select(p => (p.load, p.Item2!.Value))];
}
