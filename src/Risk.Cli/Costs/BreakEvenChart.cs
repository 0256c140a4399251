using System.Globalization;
using System.Text;
using Risk.Core.Costs;

namespace Risk.Cli.Costs;

/// <summary>The break-even loads of a pairing in one picture: a row a device, load across.</summary>
internal static class BreakEvenChart
{
    private const double Width = 980, Left = 190, Right = 90, RowHeight = 26, Top = 8, Foot = 40;
    private const int DecadeFrom = 2, DecadeTo = 9;

    public static void Append(StringBuilder page, Pairing pairing)
    {
        double height = Top + (pairing.Accelerators.Count * RowHeight) + Foot, bottom = height - Foot;
        page.Append(CultureInfo.InvariantCulture, $"<svg viewBox=\"0 0 {Width} {height}\" role=\"img\" aria-label=\"{pairing.Title}: break-even loads\" font-size=\"13\">\n");
        for (int decade = DecadeFrom; decade <= DecadeTo; decade++)
        {
            double x = X(Math.Pow(10, decade));
            page.Append(CultureInfo.InvariantCulture, $"<line x1=\"{x:0.#}\" y1=\"{Top}\" x2=\"{x:0.#}\" y2=\"{bottom}\" stroke=\"#eceae6\"/><text x=\"{x:0.#}\" y=\"{bottom + 18}\" text-anchor=\"middle\" fill=\"#777\">{Numbers.Short(Math.Pow(10, decade))}</text>\n");
        }

        page.Append(CultureInfo.InvariantCulture, $"<text x=\"{(Left + Width - Right) / 2:0.#}\" y=\"{bottom + 36}\" text-anchor=\"middle\" fill=\"#777\" font-size=\"12\">decisions a second</text>\n");
        double y = Top + (RowHeight / 2);
        foreach (ComparedDevice device in pairing.Accelerators.OrderBy(d => d.BreakEven!.Expected.Lasting ?? double.MaxValue).ThenBy(d => d.BreakEven!.Low.Lasting ?? double.MaxValue))
        {
            Row(page, device, y);
            y += RowHeight;
        }

        page.Append("</svg>\n");
    }

    private static void Row(StringBuilder page, ComparedDevice device, double y)
    {
        BreakEven even = device.BreakEven!;
        page.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left - 12}\" y=\"{y + 4.5:0.#}\" text-anchor=\"end\">{ComparePage.Text(device.Name)}</text><line x1=\"{Left}\" y1=\"{y:0.#}\" x2=\"{Width - Right}\" y2=\"{y:0.#}\" stroke=\"#f3f1ed\"/>\n");
        foreach (LoadInterval stretch in even.Expected.Intervals)
        {
            page.Append(CultureInfo.InvariantCulture, $"<rect x=\"{X(stretch.From):0.#}\" y=\"{y - 7:0.#}\" width=\"{Math.Max(1, X(stretch.To) - X(stretch.From)):0.#}\" height=\"14\" fill=\"{ComparePage.Cheaper}\" fill-opacity=\".16\"/>");
        }

        if (even.Low.Lasting is { } low)
        {
            double end = even.High.Lasting is { } high ? X(high) : Width - Right;
            page.Append(CultureInfo.InvariantCulture, $"<line x1=\"{X(low):0.#}\" y1=\"{y:0.#}\" x2=\"{end:0.#}\" y2=\"{y:0.#}\" stroke=\"{ComparePage.Cheaper}\" stroke-width=\"2\"{(even.High.Lasting is null ? " stroke-dasharray=\"5 4\"" : "")}/><line x1=\"{X(low):0.#}\" y1=\"{y - 5:0.#}\" x2=\"{X(low):0.#}\" y2=\"{y + 5:0.#}\" stroke=\"{ComparePage.Cheaper}\" stroke-width=\"2\"/>");
        }

        if (even.Expected.Lasting is { } expected)
        {
            page.Append(CultureInfo.InvariantCulture, $"<circle cx=\"{X(expected):0.#}\" cy=\"{y:0.#}\" r=\"5.5\" fill=\"{ComparePage.Cheaper}\" stroke=\"#fff\" stroke-width=\"1.5\"/>");
        }

        string words = even.Expected.Lasting is { } load ? Numbers.Load(load) : "never";
        page.Append(CultureInfo.InvariantCulture, $"<text x=\"{Width - Right + 12}\" y=\"{y + 4.5:0.#}\" fill=\"{(even.Expected.Lasting is null ? "#999" : "#222")}\">{words}</text>\n");
    }

    private static double X(double load) => Left + (Math.Clamp((Math.Log10(load) - DecadeFrom) / (DecadeTo - DecadeFrom), 0, 1) * (Width - Left - Right));
}
