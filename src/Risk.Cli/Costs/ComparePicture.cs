using System.Globalization;
using System.Text;
using Risk.Core.Costs;

namespace Risk.Cli.Costs;

/// <summary>
/// Cost of a thousand decisions by load: all devices in one picture, and each accelerator beside the CPU in a small one of its
/// own, with both ranges and the loads at which it is cheaper.
/// </summary>
internal static class ComparePicture
{
    private const double Width = 1080, Height = 560, Legend = 300;
    private const double PanelWidth = 340, PanelHeight = 250, PanelLoadFrom = 3;
    private const string CpuColour = "#0b6e99", CheaperColour = "#3c9a5f";
    private static readonly string[] s_colours = ["#d1495b", "#3c9a5f", "#8d5fb0", "#e08e0b", "#5a6b7b", "#a83279", "#6b8e23", "#2f4fb5", "#b5651d", "#008b8b", "#7a2e2e", "#4b8bbe", "#9a9a2f", "#444444"];

    private sealed record Drawn(ComparedDevice Device, string Colour, IReadOnlyList<(double Load, Estimate Money)> Line)
    {
        public string Name => Device.Device.Profile.Name;
        public FigureBasis Basis => Device.Device.Profile.Basis;
    }

    public static void Append(StringBuilder page, Comparison comparison)
    {
        IReadOnlyList<double> loads = Comparison.Loads;
        Drawn[] drawn = [.. comparison.Devices.Select((device, index) => new Drawn(device, index == 0 ? CpuColour : s_colours[(index - 1) % s_colours.Length], Line(comparison, device, loads)))];
        double[] money = [.. drawn.SelectMany(d => d.Line).Select(p => p.Money.Value)];
        if (money.Length == 0)
        {
            page.Append("<p>No device answers in time at any load.</p>\n");
            return;
        }

        (double from, double to, double loadTo) = (Math.Floor(Math.Log10(money.Min())), Math.Ceiling(Math.Log10(money.Max())), Math.Log10(loads[^1]));
        All(page, comparison, drawn, new LogPlot(84, 20, Width - 84 - Legend, Height - 76, 0, loadTo, from, to));
        page.Append("<h2>Each beside the CPU</h2>\n<p class=\"m\">Bands: from all prices and times at their least to all at their most (a band that ends at the top: at its high end the device is too slow). Green: loads at which the accelerator is expected to cost no more than the CPU. Bar at the foot: the load from which it stays cheaper, low to high; no bar: at no load.</p>\n<div class=\"panels\">\n");
        // Where little is to be decided, every card is far too dear.
        Drawn[] busy = [.. drawn.Select(d => d with { Line = [.. d.Line.Where(p => p.Load >= Math.Pow(10, PanelLoadFrom))] })];
        money = [.. busy.SelectMany(d => d.Line).Select(p => p.Money.Value)];
        (from, to) = money.Length == 0 ? (from, to) : (Math.Floor(Math.Log10(money.Min())), Math.Ceiling(Math.Log10(money.Max())));
        foreach (Drawn device in busy.Skip(1))
        {
            Panel(page, busy[0], device, new LogPlot(58, 44, PanelWidth - 70, PanelHeight - 96, PanelLoadFrom, loadTo, from, to));
        }

        page.Append("</div>\n");
    }

    private static void All(StringBuilder page, Comparison comparison, Drawn[] drawn, LogPlot plot)
    {
        page.Append(CultureInfo.InvariantCulture, $"<svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"Cost of 1,000 decisions by load, one line a device\" font-family=\"system-ui,sans-serif\" font-size=\"12\">\n");
        plot.Grid(page, 1);
        double middle = plot.Left + (plot.Width / 2);
        page.Append(CultureInfo.InvariantCulture, $"<text x=\"{middle:0.#}\" y=\"{Height - 14}\" text-anchor=\"middle\">decisions a second</text><text transform=\"rotate(-90)\" x=\"{-(plot.Top + (plot.Height / 2)):0.#}\" y=\"14\" text-anchor=\"middle\">{ComparePage.Text(comparison.Inputs.Book.Currency)} per 1,000 decisions</text>\n");
        plot.Band(page, drawn[0].Line, CpuColour);
        // Names at the lines' ends would lie on each other: a legend, cheapest at the highest load first.
        int place = 0;
        foreach (Drawn device in drawn.OrderBy(d => d.Line.Count > 0 ? d.Line[^1].Money.Value : double.MaxValue))
        {
            bool isCpu = device == drawn[0];
            plot.Line(page, device.Line, device.Colour, isCpu ? 3 : 1.6, device.Basis);
            if (device.Device.BreakEvenLoad is { } even && even <= Comparison.Loads[^1] && device.Device.AtBreakEven is { } there)
            {
                page.Append(CultureInfo.InvariantCulture, $"<circle cx=\"{plot.X(even):0.#}\" cy=\"{plot.Y(there.MoneyPerHour / even / 3.6):0.#}\" r=\"5\" fill=\"#fff\" stroke=\"{device.Colour}\" stroke-width=\"2\"><title>{ComparePage.Text(device.Name)}: break-even at {Numbers.Of(even)} a second</title></circle>\n");
            }

            double x = Width - Legend + 14, y = plot.Top + 10 + (place++ * 22);
            page.Append(CultureInfo.InvariantCulture, $"<line x1=\"{x:0.#}\" y1=\"{y:0.#}\" x2=\"{x + 30:0.#}\" y2=\"{y:0.#}\" stroke=\"{device.Colour}\" stroke-width=\"{(isCpu ? 3 : 2)}\"{LogPlot.Dashes(device.Basis)}/><text x=\"{x + 38:0.#}\" y=\"{y + 4:0.#}\">{ComparePage.Text(device.Name)} <tspan fill=\"#666\">{Numbers.Basis(device.Basis)}{(device.Line.Count == 0 ? ", too slow" : "")}</tspan></text>\n");
        }

        page.Append("</svg>\n<p class=\"m\">Full line: measured; long dashes: from published figures; short dashes: assumed. The band is the CPU's low to high; circles are expected break-even loads.</p>\n");
    }

    private static void Panel(StringBuilder page, Drawn cpu, Drawn device, LogPlot plot)
    {
        BreakEven even = device.Device.BreakEven!;
        page.Append(CultureInfo.InvariantCulture, $"<svg viewBox=\"0 0 {PanelWidth} {PanelHeight}\" role=\"img\" aria-label=\"{ComparePage.Text(device.Name)} beside the CPU\" font-family=\"system-ui,sans-serif\" font-size=\"11\">\n");
        page.Append(CultureInfo.InvariantCulture, $"<text x=\"{plot.Left:0.#}\" y=\"16\" font-size=\"13\" font-weight=\"600\" fill=\"{device.Colour}\">{ComparePage.Text(device.Name)}</text><text x=\"{PanelWidth - 12}\" y=\"16\" text-anchor=\"end\" fill=\"#666\">{Numbers.Basis(device.Basis)}, {(device.Device.Device.Rates.Tenure == Tenure.Owned ? "owned" : "rented")}</text>\n");
        page.Append(CultureInfo.InvariantCulture, $"<text x=\"{plot.Left:0.#}\" y=\"33\" fill=\"#444\">{ComparePage.Text(device.Line.Count == 0 ? "too slow for the deadline" : Words(even))}</text>\n");
        plot.Grid(page, 2);
        plot.Stretches(page, even.Expected, CheaperColour);
        plot.Band(page, cpu.Line, CpuColour);
        plot.Band(page, device.Line, device.Colour);
        plot.Line(page, cpu.Line, CpuColour, 2, cpu.Basis);
        plot.Line(page, device.Line, device.Colour, 2, device.Basis);
        if (even.Low.Lasting is { } low)
        {
            // To the right edge where the high end is: never.
            double y = plot.Top + plot.Height + 26, x = plot.X(low), end = plot.X(even.High.Lasting ?? double.MaxValue);
            page.Append(CultureInfo.InvariantCulture, $"<line x1=\"{x:0.#}\" y1=\"{y:0.#}\" x2=\"{end:0.#}\" y2=\"{y:0.#}\" stroke=\"{CheaperColour}\" stroke-width=\"4\"{(even.High.Lasting is null ? " stroke-dasharray=\"6 3\"" : "")}/>");
            if (even.Expected.Lasting is { } expected)
            {
                page.Append(CultureInfo.InvariantCulture, $"<circle cx=\"{plot.X(expected):0.#}\" cy=\"{y:0.#}\" r=\"5\" fill=\"#fff\" stroke=\"{CheaperColour}\" stroke-width=\"2\"/>");
            }
        }

        page.Append(CultureInfo.InvariantCulture, $"<text x=\"{plot.Left + (plot.Width / 2):0.#}\" y=\"{PanelHeight - 4}\" text-anchor=\"middle\" fill=\"#666\">decisions a second</text>\n</svg>\n");
    }

    private static string Words(BreakEven even) => even.Expected.Lasting is not null
        ? $"cheaper for good from {Numbers.Lasting(even)}"
        : even.Expected.First is { } first ? $"cheaper at times, first at {Numbers.Load(first)}" : $"expected: never cheaper; low end {Numbers.Load(even.Low.Lasting)}";

    private static IReadOnlyList<(double, Estimate)> Line(Comparison comparison, ComparedDevice device, IReadOnlyList<double> loads) =>
        [.. loads.Select(load => (load, ComparedDevice.PerThousandAt(device.Device, load, comparison.DeadlineMicros, comparison.Utilisation))).Where(p => p.Item2 is not null).Select(p => (p.load, p.Item2!.Value))];
}
