using System.Globalization;
using System.Net;
using System.Text;
using Risk.Inference.Devices;

namespace Risk.Cli.Accelerators;

/// <summary>The verification as one page of HTML without anything from elsewhere: for whoever buys, approves or audits a device.</summary>
internal static class VerificationPage
{
    public static string Render(IReadOnlyList<VerifiedDevice> devices, string stream, int transactions, string machine, string runtime, DateTimeOffset at)
    {
        var page = new StringBuilder();
        page.Append("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Accelerator conformance</title><style>")
            .Append("body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}table{border-collapse:collapse;width:100%;margin:.6rem 0 1.2rem}.wide{overflow-x:auto}")
            .Append("th,td{text-align:right;vertical-align:top;padding:.25rem .5rem;border-bottom:1px solid #d8dee4}th:first-child,td:first-child,.name{text-align:left}td.number{white-space:nowrap}.ok{color:#116329}.no{color:#a40e26}")
            .Append(".verdict{font-size:1.15em;font-weight:600;padding:.6rem .9rem;border-left:.4rem solid;background:#f6f8fa}code{font-size:.9em;overflow-wrap:anywhere}</style>");
        page.Append("<h1>Do the accelerators answer as the processor does?</h1><p class=\"verdict ").Append(devices.All(d => d.Conforms) ? "ok" : "no").Append("\">").Append(Text(VerifiedDevice.Verdict(devices))).Append("</p>");
        page.Append("<p>").Append(CultureInfo.InvariantCulture, $"{transactions:N0} recorded transactions of {Text(stream)}, on {Text(machine)}, ONNX Runtime {Text(runtime)}, {at:yyyy-MM-dd HH:mm} UTC.</p>");
        page.Append("<div class=\"wide\"><table><tr><th>Device</th><th class=\"name\">Verdict</th><th class=\"name\">Model</th><th>Largest difference</th><th>99.9 % below</th><th>Outcomes changed</th><th>Same in any batch</th><th>Same every run</th><th>After a loss</th></tr>");
        foreach (VerifiedDevice device in devices) { Row(page, device); }
        page.Append("</table></div><p>A device conforms when no score is more than ").Append(DeviceModel.ToleranceMax.ToString("0e+0", CultureInfo.InvariantCulture))
            .Append(" away (a model in fewer bits: than its manifest states) from ONNX Runtime's on the processor, at any batch size; when no transaction gets another outcome; when a batch gives the same scores every time; and when a lost device is noticed, gives no score, and comes back by itself with the same answers.</p>");
        foreach (VerifiedDevice device in devices) { Details(page, device); }
        return page.Append("</html>\n").ToString();
    }

    private static void Row(StringBuilder page, VerifiedDevice device)
    {
        page.Append("<tr><td>").Append(Text(device.Device)).Append("<br><small>").Append(Text(device.ExecutionProvider)).Append("</small></td>")
            .Append(device.Conforms ? "<td class=\"name ok\">conforms</td>" : "<td class=\"name no\">does not conform</td>")
            .Append("<td class=\"name\">").Append(Text(device.Model)).Append("<br><small>").Append(Text(device.Variant)).Append("</small></td>");
        if (device.Refusal is not null)
        {
            page.Append("<td colspan=\"6\" class=\"name\">not checked: ").Append(Text(device.Refusal.Code)).Append("</td></tr>");
            return;
        }
        double invariance = device.Batches.Count == 0 ? 0 : device.Batches.Max(b => b.InvarianceMax);
        page.Append("<td class=\"number\">").Append(Number(device.Parity.Max)).Append("</td><td class=\"number\">").Append(Number(device.Parity.P999)).Append("</td><td class=\"number\">").Append(device.FlipCount)
            .Append("</td><td>").Append(invariance == 0 ? "to the bit" : $"within {Number(invariance)}").Append("</td><td>").Append(device.Batches.All(b => b.IsDeterministic) ? "yes" : "no")
            .Append("</td><td>").Append(device.Loss is { } loss ? loss.Conforms ? string.Create(CultureInfo.InvariantCulture, $"back in {loss.RecoverySeconds:0.0} s") : "fails" : "cannot be lost").Append("</td></tr>");
    }

    private static void Details(StringBuilder page, VerifiedDevice device)
    {
        page.Append("<h2>").Append(Text(device.Device)).Append("</h2>");
        if (device.Refusal is not null)
        {
            page.Append("<p>Nothing was run on it").Append(device.ExecutionProvider.Length > 0 ? $"; it would be reached by {Text(device.ExecutionProvider)}" : "")
                .Append(". ").Append(Text(device.Model)).Append(" was to be compared.</p>");
        }
        else
        {
            string[] known = [device.Description, device.ExecutionProvider, device.Driver.Length > 0 ? $"driver {device.Driver}" : "", device.ProviderVersion.Length > 0 ? $"provider {device.ProviderVersion}" : ""];
            page.Append("<p>").Append(Text(string.Join(", ", known.Where(word => word.Length > 0)))).Append(". Model ").Append(Text(device.Model)).Append(" as ").Append(Text(device.Variant))
                .Append(", <code>sha256:").Append(Text(device.Digest)).Append("</code>.</p>");
        }
        foreach (string fault in device.Faults()) { page.Append("<p class=\"no\">").Append(Text(fault)).Append("</p>"); }
        if (device.Refusal is not null) { return; }
        if (device.Batches.Count > 0) { page.Append(CultureInfo.InvariantCulture, $"<p>The first {device.Batches[0].Parity.RowCount} transactions again, in batches of each size, several times:</p>"); }
        page.Append("<div class=\"wide\"><table><tr><th>Rows a batch</th><th>Largest difference</th><th>Half below</th><th>99 % below</th><th>Against one by one</th><th>Same every run</th></tr>");
        foreach (BatchConformance batch in device.Batches)
        {
            page.Append("<tr><td>").Append(batch.BatchSize).Append("</td><td>").Append(Number(batch.Parity.Max)).Append("</td><td>").Append(Number(batch.Parity.P50)).Append("</td><td>").Append(Number(batch.Parity.P99))
                .Append("</td><td>").Append(Number(batch.InvarianceMax)).Append("</td><td>").Append(batch.IsDeterministic ? "yes" : "no").Append("</td></tr>");
        }
        page.Append("</table></div>");
        if (device.Memory is { } memory)
        {
            page.Append("<p>Memory: ").Append(CultureInfo.InvariantCulture, $"{(memory.HostBytes < 1e6 ? "below 1" : (memory.HostBytes / 1e6).ToString("N0", CultureInfo.InvariantCulture))} MB of the host (an estimate)").Append(memory.DeviceBytes is { } bytes ? string.Create(CultureInfo.InvariantCulture, $", {bytes / 1e6:N0} MB of the device") : ", the device does not say").Append(".</p>");
        }
        if (device.Flips.Count == 0) { return; }
        page.Append("<h3>Outcomes that changed").Append(device.FlipCount > device.Flips.Count ? $" (the first {device.Flips.Count} of {device.FlipCount})" : "").Append("</h3><div class=\"wide\"><table><tr><th>Transaction</th><th>Processor's score</th><th>Device's score</th><th>Outcome</th><th>On the device</th></tr>");
        foreach (OutcomeFlip flip in device.Flips)
        {
            page.Append("<tr><td>").Append(Text(flip.Id)).Append("</td><td>").Append(flip.Reference.ToString("R", CultureInfo.InvariantCulture)).Append("</td><td>").Append(flip.Score.ToString("R", CultureInfo.InvariantCulture))
                .Append("</td><td>").Append(flip.Expected.ToString().ToLowerInvariant()).Append("</td><td>").Append(flip.Found.ToString().ToLowerInvariant()).Append("</td></tr>");
        }
        page.Append("</table></div>");
    }

    private static string Number(double value) => double.IsFinite(value) ? value == 0 ? "0" : value.ToString("0.0e+0", CultureInfo.InvariantCulture) : "failed";

    private static string Text(string text) => WebUtility.HtmlEncode(text);
}
