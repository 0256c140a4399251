using System.Globalization;
using System.Text;
using Risk.Core.Costs;

namespace Risk.Cli.Costs;

/// <summary>Cost of a thousand decisions by load, both axes logarithmic: a line a device, the range of the CPU as a band, break-even loads as dots.</summary>
internal static class ComparePicture
{
    private const double Width = 960, Height = 520, Left = 80, Right = 210, Top = 20, Bottom = 50;
    private static readonly string[] s_colours = ["#0b6e99", "#d1495b", "#3c9a5f", "#8d5fb0", "#e08e0b", "#5a6b7b", "#a83279", "#6b8e23", "#2f4fb5", "#b5651d", "#008b8b", "#7a2e2e", "#4b8bbe", "#9a9a2f", "#444444"];

    public static void Append(StringBuilder page, Comparison comparison)
    {
        IReadOnlyList<double> loads = Comparison.Loads;
        List<(string Name, IReadOnlyList<(double Load, Estimate Cost)> Line, double? Even)> lines =
        [
            Line(comparison, comparison.Cpu, loads),
            .. comparison.Accelerators.Select(device => Line(comparison, device, loads)),
        ];
        double low = lines.SelectMany(line => line.Line).Min(point => point.Cost.Value), high = lines.SelectMany(line => line.Line).Max(point => point.Cost.Value);
        double from = Math.Floor(Math.Log10(low)), to = Math.Ceiling(Math.Log10(high)), loadTo = Math.Log10(loads[^1]);
        double X(double load) => Left + (Math.Log10(load) / loadTo * (Width - Left - Right));
        double Y(double cost) => Top + ((to - Math.Log10(Math.Clamp(cost, Math.Pow(10, from), Math.Pow(10, to)))) / (to - from) * (Height - Top - Bottom));

        page.Append(CultureInfo.InvariantCulture, $"<svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"Cost of 1,000 decisions by load, one line a device\" font-family=\"system-ui,sans-serif\" font-size=\"12\">\n");
        for (double decade = 0; decade <= loadTo + 1e-9; decade++)
        {
            double x = X(Math.Pow(10, decade));
            page.Append(CultureInfo.InvariantCulture, $"<line x1=\"{x:0.#}\" y1=\"{Top}\" x2=\"{x:0.#}\" y2=\"{Height - Bottom}\" stroke=\"#e4e4e4\"/><text x=\"{x:0.#}\" y=\"{Height - Bottom + 18}\" text-anchor=\"middle\">{Math.Pow(10, decade):#,0}</text>\n");
        }

        for (double decade = from; decade <= to + 1e-9; decade++)
        {
            double y = Y(Math.Pow(10, decade));
            page.Append(CultureInfo.InvariantCulture, $"<line x1=\"{Left}\" y1=\"{y:0.#}\" x2=\"{Width - Right}\" y2=\"{y:0.#}\" stroke=\"#e4e4e4\"/><text x=\"{Left - 8}\" y=\"{y + 4:0.#}\" text-anchor=\"end\">{Numbers.Of(Math.Pow(10, decade))}</text>\n");
        }

        page.Append(CultureInfo.InvariantCulture, $"<text x=\"{(Left + Width - Right) / 2}\" y=\"{Height - 8}\" text-anchor=\"middle\">decisions a second</text><text transform=\"rotate(-90)\" x=\"{-(Top + Height - Bottom) / 2}\" y=\"14\" text-anchor=\"middle\">{ComparePage.Text(comparison.Inputs.Book.Currency)} per 1,000 decisions</text>\n");
        if (lines[0].Line.Count > 0)
        {
            page.Append("<polygon fill=\"#0b6e99\" fill-opacity=\".12\" points=\"");
            Points(page, lines[0].Line.Select(p => (X(p.Load), Y(p.Cost.High))).Concat(lines[0].Line.Reverse().Select(p => (X(p.Load), Y(p.Cost.Low)))));
            page.Append("\"/>\n");
        }

        // Names beside the lines' ends would lie on each other: a legend, cheapest at the highest load first.
        int place = 0;
        foreach ((int index, var line) in lines.Index().OrderBy(pair => pair.Item.Line.Count > 0 ? pair.Item.Line[^1].Cost.Value : double.MaxValue))
        {
            string colour = s_colours[index % s_colours.Length];
            page.Append(CultureInfo.InvariantCulture, $"<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"{(index == 0 ? 3 : 1.6)}\" points=\"");
            Points(page, line.Line.Select(p => (X(p.Load), Y(p.Cost.Value))));
            page.Append("\"/>\n");
            if (line.Even is { } even && even <= loads[^1] && ComparedDevice.PerThousandAt(index == 0 ? comparison.Cpu.Device : comparison.Accelerators[index - 1].Device, even, comparison.DeadlineMicros, comparison.Utilisation) is { } cost)
            {
                page.Append(CultureInfo.InvariantCulture, $"<circle cx=\"{X(even):0.#}\" cy=\"{Y(cost.Value):0.#}\" r=\"5\" fill=\"#fff\" stroke=\"{colour}\" stroke-width=\"2\"><title>{ComparePage.Text(line.Name)}: break-even at {Numbers.Of(even)} a second</title></circle>\n");
            }

            double y = Top + 10 + (place++ * 20);
            page.Append(CultureInfo.InvariantCulture, $"<line x1=\"{Width - Right + 14}\" y1=\"{y}\" x2=\"{Width - Right + 34}\" y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"{(index == 0 ? 3 : 2)}\"/><text x=\"{Width - Right + 40}\" y=\"{y + 4}\">{ComparePage.Text(line.Name)}</text>\n");
        }

        page.Append("</svg>\n<p class=\"m\">The band is the CPU's low to high; circles are expected break-even loads.</p>\n");
    }

    private static (string, IReadOnlyList<(double, Estimate)>, double?) Line(Comparison comparison, ComparedDevice device, IReadOnlyList<double> loads) =>
    (
        device.Device.Profile.Name,
        [.. loads.Select(load => (load, ComparedDevice.PerThousandAt(device.Device, load, comparison.DeadlineMicros, comparison.Utilisation))).Where(p => p.Item2 is not null).Select(p => (p.load, p.Item2!.Value))],
        device.BreakEven?.Value
    );

    private static void Points(StringBuilder page, IEnumerable<(double X, double Y)> points)
    {
        foreach ((double x, double y) in points)
        {
            page.Append(CultureInfo.InvariantCulture, $"{x:0.#},{y:0.#} ");
        }
    }
}
