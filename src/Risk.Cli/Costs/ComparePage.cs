using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Risk.Core.Costs;
using Risk.Core.Devices;

namespace Risk.Cli.Costs;

/// <summary>The comparison as one page without scripts or anything from elsewhere: table, picture, arithmetic, and the figures it came from.</summary>
internal static class ComparePage
{
    public static string Write(Comparison comparison)
    {
        var page = new StringBuilder();
        page.Append("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>CPU against accelerators</title>\n<style>\n")
            .Append("body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:88em;padding:0 1em;color:#1a1a1a}h1{font-size:1.5em}h2{font-size:1.2em;margin-top:2em}h3{font-size:1em;margin:1.5em 0 .3em}")
            .Append("table{border-collapse:collapse;font-size:13px;width:100%}th,td{text-align:left;padding:.3em .6em;border-bottom:1px solid #ddd;vertical-align:top}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}td.w{white-space:normal;min-width:14em}")
            .Append(".face{background:#fff6dc;border-left:4px solid #d9a400;padding:.6em 1em;margin:1em 0}td:first-child{min-width:13em}svg{width:100%;height:auto}.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(21em,1fr));gap:1em}code{font-size:12px;overflow-wrap:anywhere}.m{color:#666}</style></head><body>\n");
        page.Append(CultureInfo.InvariantCulture, $"<h1>CPU against accelerators: {Text(comparison.Inputs.ModelReference)}</h1>\n<div class=\"face\">");
        foreach (string warning in comparison.Warnings())
        {
            page.Append("<p>").Append(Text(warning)).Append("</p>");
        }

        page.Append(CultureInfo.InvariantCulture, $"</div>\n<p>{Numbers.Of(comparison.Load)} decisions a second, {Numbers.Micros(comparison.DeadlineMicros)} from arrival to answer. Costs in {Text(comparison.Inputs.Book.Currency)}, expected (low – high). Made on {DateTime.UtcNow:yyyy-MM-dd}.</p>\n");
        page.Append("<h2>Cost of 1,000 decisions by load</h2>\n");
        ComparePicture.Append(page, comparison);
        page.Append("<h2>Costs, latencies and break-even loads</h2>\n");
        Rows(page, comparison);
        page.Append("<h2>The arithmetic</h2>\n<p>Each line names the figures of the price book that it is made of; they stand below with their sources. Expected values; low and high come from the same lines with the ends of the ranges.</p>\n");
        var paths = new List<string> { "$.power", "$.pue" };
        foreach (ComparedDevice row in comparison.Devices)
        {
            Arithmetic(page, comparison, row);
            paths.AddRange(row.Device.Rates.Lines.SelectMany(line => line.Paths));
        }

        Figures(page, comparison, paths.Distinct());
        return page.Append("</body></html>\n").ToString();
    }

    private static void Rows(StringBuilder page, Comparison comparison)
    {
        page.Append("<table><tr><th>device</th><th>basis</th><th></th><th class=\"n\">1,000 decisions, millionths</th><th class=\"n\">J per 1,000</th><th class=\"n\">needs</th><th class=\"n\">batch</th><th class=\"n\">p50, p99</th><th class=\"n\">cheaper at loads /s</th><th class=\"n\">for good from</th><th class=\"n\">p50, p99 there</th></tr>\n");
        foreach (ComparedDevice row in comparison.Devices)
        {
            page.Append(CultureInfo.InvariantCulture, $"<tr><td>{Text(row.Device.Profile.Name)}<br><span class=\"m\">{Text(row.Device.Profile.Device)}</span></td><td>{Numbers.Basis(row.Device.Profile.Basis)}</td><td>{(row.Device.Rates.Tenure == Tenure.Owned ? "owned" : "rented")}</td>");
            Cells(page,
                Numbers.Millionths(row.PerThousand), row.JoulesPerThousand is { } joules ? Numbers.Of(joules) : "", row.At is { } at ? Numbers.Of(at.DeviceCount) + (row.Device.IsDivisible ? " cores" : "") : "",
                row.At?.Batch.ToString(CultureInfo.InvariantCulture) ?? "", row.At is { } point ? Numbers.Latency(point.Latency) : "",
                row.BreakEven is { } even ? Numbers.Intervals(even.Expected) : "", row.BreakEven is { } lasting ? Numbers.Lasting(lasting) : "",
                row.AtBreakEven is { } there ? Numbers.Latency(there.Latency) : "");
            page.Append("</tr>\n");
        }

        page.Append("</table>\n<p class=\"m\">Cheaper: the device costs no more than the CPU. Devices are had whole, so that there can be several such stretches; from the load in the next column on it stays cheaper. Low and high: the same load with all prices and times at their ends. Never: at no load.</p>\n");
    }

    private static void Cells(StringBuilder page, params ReadOnlySpan<string> cells)
    {
        foreach (string cell in cells)
        {
            page.Append(cell.Contains(", ", StringComparison.Ordinal) && cell.Length > 24 ? "<td class=\"n w\">" : "<td class=\"n\">").Append(Text(cell)).Append("</td>");
        }
    }

    private static void Arithmetic(StringBuilder page, Comparison comparison, ComparedDevice row)
    {
        PricedDevice device = row.Device;
        page.Append(CultureInfo.InvariantCulture, $"<h3>{Text(device.Profile.Name)}: {Text(device.Profile.Device)}, {Numbers.Basis(device.Profile.Basis)}</h3>\n<table>");
        foreach (CostLine line in device.Rates.Lines)
        {
            page.Append(CultureInfo.InvariantCulture, $"<tr><td>{Text(line.What)}</td><td>{Text(line.Arithmetic)}</td><td class=\"n\">{Text(Numbers.Range(line.Result))} {Text(line.Unit)}</td><td>");
            page.Append(string.Join(" ", line.Paths.Select(path => $"<a href=\"#{Anchor(path)}\"><code>{Text(path)}</code></a>"))).Append("</td></tr>\n");
        }

        if (device.Profile.Sheet is { } sheet && device.Curve.Digest is null && comparison.Inputs.Workload is { } workload && row.At is { } sheetPoint)
        {
            page.Append(CultureInfo.InvariantCulture, $"<tr><td>time by the data sheet</td><td colspan=\"3\">{Text(DataSheetModel.Describe(sheet, workload, sheetPoint.Batch))}</td></tr>\n");
        }

        if (row.At is { } at)
        {
            Steps(page, comparison, row, comparison.Load, at, "at the load asked for");
        }

        if (row.BreakEvenLoad is { } even && row.AtBreakEven is { } there)
        {
            Steps(page, comparison, row, even, there, "at its break-even load");
            if (comparison.Inputs.CpuDevice.TryOperate(even, comparison.DeadlineMicros, comparison.Utilisation, Scenario.Expected, out OperatingPoint cpu))
            {
                page.Append(CultureInfo.InvariantCulture, $"<tr><td>the CPU at that load</td><td colspan=\"3\">{Numbers.Of(cpu.DeviceCount)} cores, {Numbers.Of(cpu.MoneyPerHour)} {Text(comparison.Inputs.Book.Currency)} an hour</td></tr>\n");
            }
        }

        page.Append("</table>\n");
    }

    private static void Steps(StringBuilder page, Comparison comparison, ComparedDevice row, double load, OperatingPoint at, string when)
    {
        foreach ((string what, string arithmetic) in ComparisonSteps.Of(row.Device, load, at, comparison.Utilisation, comparison.Inputs.Book.Currency))
        {
            page.Append(CultureInfo.InvariantCulture, $"<tr><td>{Text(what)}</td><td colspan=\"3\">{Text(arithmetic)} <span class=\"m\">{when}</span></td></tr>\n");
        }
    }

    /// <summary>The figures as they stand in the price book.</summary>
    private static void Figures(StringBuilder page, Comparison comparison, IEnumerable<string> paths)
    {
        using JsonDocument book = JsonDocument.Parse(File.ReadAllBytes(comparison.Inputs.BookFile));
        page.Append(CultureInfo.InvariantCulture, $"<h2>Figures of {Text(Path.GetFileName(comparison.Inputs.BookFile))}</h2>\n<p class=\"m\">sha256:{comparison.Inputs.Book.Digest}</p>\n<table><tr><th>where</th><th class=\"n\">value</th><th class=\"n\">low – high</th><th>basis</th><th>date</th><th>source</th></tr>\n");
        foreach (string path in paths)
        {
            JsonElement figure = At(book.RootElement, path);
            double value = figure.GetProperty("value").GetDouble();
            bool hasLow = figure.TryGetProperty("low", out JsonElement low), hasHigh = figure.TryGetProperty("high", out JsonElement high);
            string range = hasLow || hasHigh ? $"{Numbers.Of(hasLow ? low.GetDouble() : value)} – {Numbers.Of(hasHigh ? high.GetDouble() : value)}" : "";
            page.Append(CultureInfo.InvariantCulture, $"<tr id=\"{Anchor(path)}\"><td><code>{Text(path)}</code></td><td class=\"n\">{Numbers.Of(value)} {Text(figure.GetProperty("unit").GetString()!)}</td><td class=\"n\">{Text(range)}</td><td>{Text(figure.GetProperty("basis").GetString()!)}</td><td>{Text(figure.GetProperty("date").GetString()!)}</td><td>{Text(figure.GetProperty("source").GetString()!)}</td></tr>\n");
        }

        page.Append("</table>\n");
    }

    private static JsonElement At(JsonElement root, string path)
    {
        JsonElement element = root;
        foreach (string step in path[2..].Replace("[", ".", StringComparison.Ordinal).Replace("]", "", StringComparison.Ordinal).Split('.'))
        {
            element = element.ValueKind == JsonValueKind.Array ? element[int.Parse(step, CultureInfo.InvariantCulture)] : element.GetProperty(step);
        }

        return element;
    }

    private static string Anchor(string path) => path[2..].Replace('[', '-').Replace("]", "", StringComparison.Ordinal).Replace('.', '-');

    internal static string Text(string text) => WebUtility.HtmlEncode(text);
}
