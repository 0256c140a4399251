using System.Globalization;
using System.Text;
using Risk.Core.Costs;

namespace Risk.Cli.Costs;

/// <summary>A part of an SVG picture with load across and money up, both logarithmic.</summary>
/// <param name="LoadFrom">The lowest decade of load; <paramref name="LoadTo"/> the highest.</param>
/// <param name="From">The lowest decade of money; <paramref name="To"/> the highest.</param>
internal sealed record LogPlot(double Left, double Top, double Width, double Height, double LoadFrom, double LoadTo, double From, double To)
{
    private double Right => Left + Width;
    private double Bottom => Top + Height;

    public double X(double load) => Left + (Math.Clamp((Math.Log10(load) - LoadFrom) / (LoadTo - LoadFrom), 0, 1) * Width);

    public double Y(double money) => Top + (Math.Clamp((To - Math.Log10(Math.Max(money, 1e-300))) / (To - From), 0, 1) * Height);

    /// <summary>Lines at every decade; words at every <paramref name="labelEvery"/>th.</summary>
    public void Grid(StringBuilder page, int labelEvery)
    {
        for (int decade = (int)LoadFrom; decade <= LoadTo; decade++)
        {
            double x = X(Math.Pow(10, decade));
            page.Append(CultureInfo.InvariantCulture, $"<line x1=\"{x:0.#}\" y1=\"{Top:0.#}\" x2=\"{x:0.#}\" y2=\"{Bottom:0.#}\" stroke=\"#e6e6e6\"/>");
            if ((decade - (int)LoadFrom) % labelEvery == 0)
            {
                page.Append(CultureInfo.InvariantCulture, $"<text x=\"{x:0.#}\" y=\"{Bottom + 16:0.#}\" text-anchor=\"middle\">{Short(decade)}</text>\n");
            }
        }

        for (int decade = (int)From; decade <= To; decade++)
        {
            double y = Y(Math.Pow(10, decade));
            page.Append(CultureInfo.InvariantCulture, $"<line x1=\"{Left:0.#}\" y1=\"{y:0.#}\" x2=\"{Right:0.#}\" y2=\"{y:0.#}\" stroke=\"#e6e6e6\"/>");
            if ((decade - (int)From) % labelEvery == 0)
            {
                page.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left - 6:0.#}\" y=\"{y + 4:0.#}\" text-anchor=\"end\">{Numbers.Of(Math.Pow(10, decade))}</text>\n");
            }
        }
    }

    public void Band(StringBuilder page, IReadOnlyList<(double Load, Estimate Money)> line, string colour)
    {
        // Past the end where nothing is in time, the band goes to the top.
        page.Append(CultureInfo.InvariantCulture, $"<polygon fill=\"{colour}\" fill-opacity=\".14\" points=\"");
        Points(page, line.Select(p => (p.Load, p.Money.High)).Concat(line.Reverse().Select(p => (p.Load, p.Money.Low))));
        page.Append("\"/>\n");
    }

    public void Line(StringBuilder page, IReadOnlyList<(double Load, Estimate Money)> line, string colour, double width, FigureBasis basis)
    {
        page.Append(CultureInfo.InvariantCulture, $"<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{Dashes(basis)} points=\"");
        Points(page, line.Select(p => (p.Load, p.Money.Value)));
        page.Append("\"/>\n");
    }

    /// <summary>Stretches of load, over the whole height.</summary>
    public void Stretches(StringBuilder page, CheaperLoads loads, string colour)
    {
        foreach (LoadInterval interval in loads.Intervals.Where(i => Math.Log10(i.From) < LoadTo && Math.Log10(i.To) > LoadFrom))
        {
            page.Append(CultureInfo.InvariantCulture, $"<rect x=\"{X(interval.From):0.#}\" y=\"{Top:0.#}\" width=\"{Math.Max(1, X(interval.To) - X(interval.From)):0.#}\" height=\"{Height:0.#}\" fill=\"{colour}\" fill-opacity=\".2\"/>\n");
        }
    }

    /// <summary>What is measured is a full line; what is not, is dashed.</summary>
    public static string Dashes(FigureBasis basis) => basis switch { FigureBasis.Measured => "", FigureBasis.Published => " stroke-dasharray=\"7 3\"", _ => " stroke-dasharray=\"2 3\"" };

    private void Points(StringBuilder page, IEnumerable<(double Load, double Money)> points)
    {
        foreach ((double load, double money) in points)
        {
            page.Append(CultureInfo.InvariantCulture, $"{X(load):0.#},{Y(money):0.#} ");
        }
    }

    private static string Short(int decade) => decade switch { < 3 => Math.Pow(10, decade).ToString(CultureInfo.InvariantCulture), < 6 => $"{Math.Pow(10, decade - 3):0} k", _ => $"{Math.Pow(10, decade - 6):0} M" };
}
