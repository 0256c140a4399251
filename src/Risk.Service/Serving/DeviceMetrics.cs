using System.Text;
using Risk.Core.Costs;
using Risk.Core.Replay;
using Risk.Inference.Devices;
using Risk.Service.Costs;
using Risk.Service.Engine;

namespace Risk.Service.Serving;

/// <summary>
/// What each device does, under our names and under those of Triton, for dashboards that know them
/// (https://github.com/triton-inference-server/server/blob/main/docs/user_guide/metrics.md). As in Triton, durations are
/// those that requests saw: a batch of ten rows that took 1 ms adds 10 ms. A request is a transaction's row.
/// <para>Left out, because a live run is not taken apart: <c>nv_inference_compute_input_duration_us</c> and
/// <c>nv_inference_compute_output_duration_us</c>; moving rows to a device and scores back is in
/// <c>nv_inference_compute_infer_duration_us</c>, and <c>risk accelerators measure</c> tells the host's part of it apart. Of the
/// energy, <c>nv_energy_consumption</c> counts what the ledger does, at the site's meter.</para>
/// </summary>
internal static class DeviceMetrics
{
    /// <param name="costs">What the process has cost so far.</param>
    public static void Render(StringBuilder text, ServeHost host, MeteredRun costs)
    {
        string model = $"model=\"{host.Model.Champion.Reference.Split('@')[0]}\",version=\"{host.Model.Champion.Reference.Split('@')[^1]}\"";
        (string Labels, DeviceStatistics Of)[] devices =
            [.. host.Model.Scorers.Select(s => ($"device=\"{s.Device}\",execution_provider=\"{s.ExecutionProvider}\"", s.Statistics))];
        ServeMetrics.Gauge(text, "risk_device_up", "1 while the device takes batches.", devices.Select(d => (d.Labels, d.Of.IsUp ? 1.0 : 0.0)));
        ServeMetrics.Gauge(text, "risk_device_batch_size", "Rows of the device's last batch.", devices.Select(d => (d.Labels, (double)d.Of.LastBatch)));
        Batches(text, devices);
        ServeMetrics.Gauge(text, "risk_device_queue_batches", "Batches on their way through the process. No label of a device: there is one queue before all of them, and a batch gets its device when its turn comes.", [("", host.Pipeline.Waiting)]);
        ServeMetrics.Counter(text, "risk_device_compute_seconds_total", "Time in calls that were scored.", devices.Select(d => (d.Labels, d.Of.ComputeMicros / 1e6)));
        ServeMetrics.Counter(text, "risk_device_failed_seconds_total", "Time in calls that came to nothing.", devices.Select(d => (d.Labels, d.Of.FailedMicros / 1e6)));
        ServeMetrics.Counter(text, "risk_device_failures_total", "Batches offered that came to nothing.", devices.Select(d => (d.Labels, (double)d.Of.Failures)));
        ServeMetrics.Counter(text, "risk_device_losses_total", "Times that the device was lost.", devices.Select(d => (d.Labels, (double)d.Of.Losses)));
        ServeMetrics.Counter(text, "risk_device_hangs_total", "Of the losses, those where it neither answered nor failed in its time.", devices.Select(d => (d.Labels, (double)d.Of.Hangs)));
        ServeMetrics.Counter(text, "risk_device_recoveries_total", "Times that it came back.", devices.Select(d => (d.Labels, (double)d.Of.Recoveries)));
        ServeMetrics.Counter(text, "risk_device_hedges_total", "Batches that were run on the processor too, because the device was late with them; lost where the processor's answer was first.",
            devices.SelectMany(d => new[] { ($"{d.Labels},outcome=\"lost\"", (double)d.Of.HedgesLost), ($"{d.Labels},outcome=\"answered\"", (double)(d.Of.Hedges - d.Of.HedgesLost)) }));
        ServeMetrics.Counter(text, "risk_device_set_asides_total", "Times that the device got no work for a while, because it was late with too many batches in a row.", devices.Select(d => (d.Labels, (double)d.Of.SetAsides)));
        ServeMetrics.Counter(text, "nv_inference_request_success", "Rows scored.", devices.Select(d => ($"{model},{d.Labels}", (double)d.Of.Rows)));
        // As Triton: rejected before it was a row of a batch, or failed where it ran.
        ServeMetrics.Counter(text, "nv_inference_request_failure", "Requests that failed. REJECTED: turned away by this process, or not answered by their deadline. BACKEND: rows that a device came to nothing with; they were scored elsewhere, or decided by rules, unless the records say otherwise.",
        [
            ($"{model},reason=\"REJECTED\"", host.Counters.Read("risk_faults_total", "code=\"OVERLOAD\"") + host.Counters.Read("risk_faults_total", "code=\"DEADLINE_EXCEEDED\"")),
            .. devices.Select(d => ($"{model},{d.Labels},reason=\"BACKEND\"", (double)d.Of.FailedRows)),
        ]);
        ServeMetrics.Counter(text, "nv_inference_count", "Rows scored.", devices.Select(d => ($"{model},{d.Labels}", (double)d.Of.Rows)));
        ServeMetrics.Counter(text, "nv_inference_exec_count", "Batches scored.", devices.Select(d => ($"{model},{d.Labels}", (double)d.Of.Batches)));
        ServeMetrics.Counter(text, "nv_inference_compute_infer_duration_us", "Time in the model, summed over the rows.", devices.Select(d => ($"{model},{d.Labels}", Math.Floor(d.Of.RequestMicros))));
        LatencyHistogram total = host.Pipeline.Latencies.Total;
        ServeMetrics.Counter(text, "nv_inference_request_duration_us", "From the arrival of a transaction to its durable decision, which is more than scoring.", [(model, Math.Floor(total.Mean * total.Count))]);
        LatencyHistogram waits = host.Pipeline.Latencies[StageLatencies.Names[0]];
        ServeMetrics.Counter(text, "nv_inference_queue_duration_us", "Time that transactions waited for their batch to close.", [(model, Math.Floor(waits.Mean * waits.Count))]);
        if (costs.IsPriced) { Costs(text, costs); }
        if (host.Model.Devices.Count > 0)
        {
            long now = host.Clock.NowMicros;
            ServeMetrics.Gauge(text, "risk_device_worth_running", "0 while the device earns less than it costs to be on, by the router's balance up to now: it should be switched off. Nothing with routing.order 'configured': devices are not compared then, so nobody knows what one saves.",
                host.Routes.Dispatch is not { } dispatch ? [] : dispatch.Devices.Select((d, i) => ($"device=\"{d.Name}\"", dispatch.IsWorthRunning(i, now) ? 1.0 : 0.0)));
        }
    }

    private static void Batches(StringBuilder text, (string Labels, DeviceStatistics Of)[] devices)
    {
        const string name = "risk_device_batch_rows";
        ServeMetrics.Head(text, name, "histogram", "Rows of the batches that the device scored.");
        foreach ((string labels, DeviceStatistics of) in devices)
        {
            long[] counts = of.BatchesUpTo();
            for (int i = 0; i < counts.Length; i++) { ServeMetrics.Line(text, $"{name}_bucket", $"{labels},le=\"{DeviceStatistics.BatchSizes[i]}\"", counts[i]); }
            ServeMetrics.Line(text, $"{name}_bucket", $"{labels},le=\"+Inf\"", counts[^1]);
            ServeMetrics.Line(text, $"{name}_sum", labels, of.Rows);
            ServeMetrics.Line(text, $"{name}_count", labels, counts[^1]);
        }
    }

    /// <summary>The parts of a device add up to its total, and the devices to that of the process. A device in software is part of the processor's.</summary>
    private static void Costs(StringBuilder text, MeteredRun costs)
    {
        (string Labels, Cost Cost)[] parts =
        [
            .. costs.Devices.SelectMany(device => new[] { ("active", device.Active), ("idle", device.Idle), ("waste", device.Waste) }
                .Select(part => ($"device=\"{device.Name}\",part=\"{part.Item1}\"", part.Item2))),
        ];
        ServeMetrics.Counter(text, "risk_device_energy_joules_total", "Energy of the device, at the site's meter: computing, idle, or for nothing (padding, failed runs, lost hedges, warm-up).", parts.Select(p => (p.Labels, p.Cost.Joules)));
        ServeMetrics.Counter(text, "risk_device_cost_money_total", $"Cost of the device in {costs.Currency}, the same parts.", parts.Select(p => (p.Labels, (double)p.Cost.Money)));
        ServeMetrics.Counter(text, "nv_energy_consumption", "Energy of the accelerator, joules.", costs.Devices.Skip(1).Select(device => ($"device=\"{device.Name}\"", device.Total.Joules)));
    }
}
