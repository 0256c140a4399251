using System.Globalization;
using System.Net;
using System.Text;
using Risk.Core.Costs;

namespace Risk.Cli.Costs;

/// <summary>The comparison as one page without scripts or anything from elsewhere: tables, pictures, arithmetic, and the figures it came from.</summary>
internal static class ComparePage
{
    /// <summary>Colours of the CPU, of a device, and of where the device is the cheaper one.</summary>
    internal const string Cpu = "#2b5d84", Card = "#c05a1e", Cheaper = "#3f8f63";

    private const string Style = """
        body{font:15px/1.5 system-ui,sans-serif;margin:2.5em auto;max-width:84em;padding:0 1.5em;color:#222;background:#fff}
        h1{font-size:1.6em;font-weight:600;margin-bottom:.2em}h2{font-size:1.25em;font-weight:600;margin:2.5em 0 .3em}h3{font-size:1em;margin:2em 0 .3em}
        p{max-width:60em}.m{color:#777;font-size:13px}
        .face{background:#faf6ec;border-left:3px solid #d2a63c;padding:.4em 1.2em;margin:1.2em 0;font-size:13.5px}.face p{margin:.5em 0;max-width:none}
        .wide{overflow-x:auto}table{border-collapse:collapse;font-size:13px;width:100%}
        th,td{text-align:left;padding:.35em .7em;border-bottom:1px solid #eceae6;vertical-align:top}th{font-weight:600;color:#777}
        td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}td.n,td.k{white-space:nowrap}td.w{min-width:13em}td.b{min-width:11em}.old{color:#a86a00}tr.cpu td{background:#f4f7fa}
        svg{width:100%;height:auto;font-family:system-ui,sans-serif;fill:#222}figure{margin:0;display:flex;flex-direction:column;justify-content:space-between}figcaption{font-size:13px;color:#777}figcaption b{color:#222;display:block}
        .panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(19em,1fr));gap:1.5em 2em;margin-top:1em}
        .key{display:inline-block;width:1.6em;height:3px;vertical-align:middle;margin:0 .4em 0 1em}
        details{border-bottom:1px solid #eceae6;padding:.5em 0}summary{cursor:pointer}code{font-size:12px;overflow-wrap:anywhere}a{color:#2b5d84;text-decoration:none}
        """;

    public static string Write(Comparison comparison)
    {
        var page = new StringBuilder();
        page.Append("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>CPU against accelerators</title>\n<style>\n").Append(Style).Append("\n</style></head><body>\n");
        page.Append(CultureInfo.InvariantCulture, $"<h1>CPU against accelerators: {Text(comparison.Inputs.ModelReference)}</h1>\n<p class=\"m\">{Numbers.Of(comparison.Load)} decisions a second, {Numbers.Micros(comparison.DeadlineMicros)} from arrival to answer. Costs in {Text(comparison.Inputs.Book.Currency)}, expected (low – high). Made on {DateTime.UtcNow:yyyy-MM-dd}.</p>\n<div class=\"face\">");
        foreach (string warning in comparison.Warnings())
        {
            page.Append("<p>").Append(Text(warning)).Append("</p>");
        }

        page.Append("</div>\n");
        foreach (Pairing pairing in comparison.Pairings)
        {
            Section(page, comparison, pairing);
        }

        page.Append("<h2>The arithmetic</h2>\n<p>Each line names the figures that it is made of; they stand below with their sources. Expected values first, with their ranges; then, for each end of the break-even load, both sides' lines at that end. Device low goes with CPU high, and the other way round.</p>\n");
        var used = new List<FigureReference>();
        string book = Path.GetFileName(comparison.Inputs.BookFile);
        foreach (Pairing pairing in comparison.Pairings)
        {
            page.Append(CultureInfo.InvariantCulture, $"<h3>{pairing.Title}</h3>\n");
            foreach (ComparedDevice row in pairing.Devices)
            {
                Arithmetic(page, comparison, pairing, row, book, used);
            }
        }

        Figures(page, comparison.Inputs, book, used.Distinct().ToList());
        return page.Append("</body></html>\n").ToString();
    }

    private static void Section(StringBuilder page, Comparison comparison, Pairing pairing)
    {
        page.Append(CultureInfo.InvariantCulture, $"<h2>{pairing.Title}</h2>\n<p>{Text(pairing.Machine.Name)}, {pairing.Machine.Cores} cores a machine, beside {pairing.Accelerators.Count} accelerators that the price book has {Numbers.Word(pairing.Tenure)}. The load from which each costs no more than the CPU, and stays so:</p>\n");
        BreakEvenChart.Append(page, pairing);
        page.Append("<p class=\"m\">Point: expected. Line: from every price and time at the device's best to the CPU's best; dashed to the edge where the high end is never. Pale: loads at which the device is expected to cost no more; devices and machines are had whole, so that there can be several.</p>\n");
        Rows(page, pairing, comparison.Load);
        page.Append("<p class=\"m\">p50 and p99 are of scoring alone, from a row's arrival to its score: a decision has its features, its record and its commit on top. At break-even: at the load from which the device is expected to cost no more for good (where there is none, the first at which it does), the CPU's beside it.</p>\n");
        page.Append(CultureInfo.InvariantCulture, $"<h3>Each beside the CPU, {Numbers.Word(pairing.Tenure)}</h3>\n<p class=\"m\">{Text(comparison.Inputs.Book.Currency)} for 1,000 decisions by decisions a second.<span class=\"key\" style=\"background:{Cpu}\"></span>CPU<span class=\"key\" style=\"background:{Card}\"></span>device<span class=\"key\" style=\"background:{Cheaper};opacity:.3;height:10px\"></span>device cheaper. Full lines: times measured; dotted: not. Bands: low to high; one that ends at the top is too slow at its high end.</p>\n");
        ComparePicture.Append(page, comparison, pairing);
    }

    private static void Rows(StringBuilder page, Pairing pairing, double load)
    {
        // What the page is for comes first: it must be seen on a narrow screen, too.
        page.Append("<div class=\"wide\"><table><tr><th>device</th><th class=\"n\">for good from</th><th class=\"n\">cores shared</th><th>cheaper at, a second</th><th class=\"n\">10⁻⁶ for 1,000</th><th class=\"n\">J for 1,000</th><th class=\"n\">needs, batch</th><th class=\"n\">p50, p99 at ").Append(Numbers.Short(load)).Append("/s</th><th class=\"n\">p50, p99 at break-even</th><th>basis</th></tr>\n");
        foreach (ComparedDevice row in pairing.Devices)
        {
            page.Append(CultureInfo.InvariantCulture, $"<tr{(row.BreakEven is null ? " class=\"cpu\"" : "")}><td class=\"k\"><b>{Text(row.Name)}</b><br><span class=\"m\">{Text(row.PrecisionNote?.Short ?? row.Precision)}</span></td>");
            if (row.BreakEven is { } even && row.Shared is { } shared)
            {
                page.Append(CultureInfo.InvariantCulture, $"<td class=\"n\">{Loads(even)}</td><td class=\"n\">{Loads(shared)}</td><td class=\"w\">{Text(Numbers.Intervals(even.Expected))}</td>");
            }
            else
            {
                page.Append("<td></td><td></td><td></td>");
            }

            string shares = row.SharedPerThousand is { } money && money.Value != row.PerThousand?.Value ? $"<br><span class=\"m\">cores shared {Numbers.Of(money.Value * 1e6)}</span>" : "";
            string old = string.Concat(row.Old.Select(price => $"<br><span class=\"old\">{price.What switch { "power" => "power price", "rate" => "exchange rate", _ => "price" }} of {price.Date:yyyy-MM}</span>"));
            page.Append(CultureInfo.InvariantCulture, $"<td class=\"n\">{Range(row.PerThousand is { } whole ? whole * 1e6 : null)}{shares}</td><td class=\"n\">{(row.JoulesPerThousand is { } joules ? Numbers.Of(joules) : "")}</td>")
                .Append(CultureInfo.InvariantCulture, $"<td class=\"n\">{(row.At is { } at ? $"{Numbers.Of(at.DeviceCount)}{(row.BreakEven is null ? " cores" : "")}, {at.Batch}" : "")}</td><td class=\"n\">{(row.At is { } point ? Numbers.Latency(point.Latency).Replace(", ", "<br>", StringComparison.Ordinal) : "")}{(row.BreakEven is null ? "<br><span class=\"m\">scoring alone</span>" : "")}</td>")
                .Append(CultureInfo.InvariantCulture, $"<td class=\"n\">{AtBreakEven(row)}</td>")
                .Append(CultureInfo.InvariantCulture, $"<td class=\"b\">{row.Basis.Words}{old}</td></tr>\n");
        }

        page.Append("</table></div>\n");
    }

    private static string AtBreakEven(ComparedDevice row) => row.BreakEven is null ? ""
        : row is not { BreakEvenLoad: { } load, AtBreakEven: { } there } ? "never"
        : $"{Numbers.Latency(there.Latency).Replace(", ", "<br>", StringComparison.Ordinal)}<br><span class=\"m\">at {Numbers.Load(load)}<br>CPU {(row.CpuAtBreakEven is { } cpu ? Numbers.Latency(cpu.Latency).Replace(", ", ",<br>", StringComparison.Ordinal) : "too slow")}</span>";

    private static string Range(Estimate? estimate) => estimate is { } e ? $"{Numbers.Of(e.Value)}<br><span class=\"m\">{Numbers.Of(e.Low)} – {Numbers.Of(e.High)}</span>" : "too slow";

    private static string Loads(BreakEven even) => $"<b>{Numbers.Load(even.Expected.Lasting)}</b><br><span class=\"m\">{Numbers.Load(even.Low.Lasting)} – {Numbers.Load(even.High.Lasting)}</span>";

    private static void Arithmetic(StringBuilder page, Comparison comparison, Pairing pairing, ComparedDevice row, string book, List<FigureReference> used)
    {
        page.Append(CultureInfo.InvariantCulture, $"<details><summary><b>{Text(row.Name)}</b> <span class=\"m\">{Text(row.Device.Profile.Device)}; {row.Basis.Words}; {row.Precision}</span></summary>\n");
        string[] notes = [.. new[] { row.Device.Profile.Note, row.PrecisionNote?.Text }.OfType<string>()];
        if (notes.Length > 0)
        {
            page.Append("<p class=\"m\">").Append(Text(string.Join(" ", notes.Select(note => note.TrimEnd('.') + ".")))).Append("</p>\n");
        }

        page.Append("<div class=\"wide\"><table>\n");
        foreach (Step step in row.Device.Rates.Lines.Select(line => new Step(line.What, line.Arithmetic, $"{Numbers.Range(line.Result)} {line.Unit}", [.. line.Paths.Select(path => new FigureReference(book, path))]))
            .Concat(ComparisonSteps.All(comparison, pairing, row)))
        {
            page.Append(CultureInfo.InvariantCulture, $"<tr{(step.What.StartsWith("break-even", StringComparison.Ordinal) ? " class=\"cpu\"" : "")}><td>{Text(step.What)}</td><td class=\"w\">{Text(step.Arithmetic)}</td><td class=\"n\">{Text(step.Result)}</td><td>");
            page.AppendJoin("<br>", step.Figures.Select(figure => $"<a href=\"#{Anchor(figure)}\"><code>{Text(figure.Text(book))}</code></a>")).Append("</td></tr>\n");
            used.AddRange(step.Figures);
        }

        page.Append("</table></div></details>\n");
    }

    /// <summary>The figures as they stand in their files.</summary>
    private static void Figures(StringBuilder page, CostInputs inputs, string book, IReadOnlyList<FigureReference> used)
    {
        page.Append(CultureInfo.InvariantCulture, $"<h2>The figures</h2>\n<p class=\"m\">derived: computed from published or counted figures, as the source says. {Text(book)} is sha256:{inputs.Book.Digest}.</p>\n");
        foreach (IGrouping<string, FigureReference> file in used.GroupBy(figure => figure.File))
        {
            page.Append(CultureInfo.InvariantCulture, $"<h3>{Text(file.Key)}</h3>\n<div class=\"wide\"><table><tr><th>where</th><th class=\"n\">value</th><th class=\"n\">low – high</th><th>basis</th><th>date</th><th>source</th></tr>\n");
            foreach (FigureReference reference in file)
            {
                SourcedFigure figure = inputs.Sources.Figure(reference);
                page.Append(CultureInfo.InvariantCulture, $"<tr id=\"{Anchor(reference)}\"><td><code>{Text(reference.Path)}</code></td><td class=\"n\">{Text(figure.Value)}</td><td class=\"n\">{Text(figure.Range)}</td><td>{Numbers.Basis(figure.Basis)}</td><td class=\"k\">{Text(figure.Date)}</td><td class=\"w\">{Text(figure.Source)}</td></tr>\n");
            }

            page.Append("</table></div>\n");
        }
    }

    private static string Anchor(FigureReference figure) => $"{figure.File}-{figure.Path[2..]}".Replace('[', '-').Replace("]", "", StringComparison.Ordinal).Replace('.', '-');

    internal static string Text(string text) => WebUtility.HtmlEncode(text);
}
