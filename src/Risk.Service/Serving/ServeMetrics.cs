using System.Globalization;
using System.Text;
using Risk.Core.Replay;
using Risk.Service.Costs;
using Risk.Service.Engine;
using Risk.Streams.Kafka;

namespace Risk.Service.Serving;

/// <summary>The state of a serving process in Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/). Never a value of a transaction.</summary>
internal static class ServeMetrics
{
    private static readonly Dictionary<string, string> s_help = new(StringComparer.Ordinal)
    {
        ["risk_transactions_total"] = "Records taken from the source or by a call.",
        ["risk_decisions_total"] = "Durable decisions.",
        ["risk_dead_letters_total"] = "Records that were not accepted.",
        ["risk_faults_total"] = "Everything that went wrong, by stable code.",
        ["risk_labels_total"] = "Outcomes that became known.",
        ["risk_published_total"] = "Decisions that the broker has acknowledged.",
        ["risk_calls_total"] = "Transactions handed on to the cluster.",
        ["risk_partition_changes_total"] = "Partitions that the consumer group gave to this process, asked back, or gave to others without asking.",
        ["risk_decisions_reapplied_total"] = "Decisions taken again from the log when a partition was opened.",
    };

    public static string Render(ServeHost host)
    {
        var text = new StringBuilder(Render(host.Counters));
        Latencies(text, host.Pipeline.Latencies);
        Gauge(text, "risk_batches_waiting", "Batches on their way through the pipeline.", [("", host.Pipeline.Waiting)]);
        MeteredRun costs = host.Costs();
        DeviceMetrics.Render(text, host, costs);
        Gauge(text, "risk_priced", "1 where decisions carry a cost; 0 where the process has no prices that it can use, and no metric of money or energy.", [("", costs.IsPriced ? 1 : 0)]);
        if (costs.IsPriced)
        {
            Head(text, "risk_cost_money_total", "counter", $"Cost charged so far, in {costs.Currency}.");
            Line(text, "risk_cost_money_total", "", (double)costs.Total.Money);
            Head(text, "risk_cost_joules_total", "counter", "Energy charged so far, by the price book's power model.");
            Line(text, "risk_cost_joules_total", "", costs.Total.Joules);
        }
        ChallengerMetrics.Render(text, host.Challengers);
        Partitions(text, host);
        if (host.Kafka is { } kafka)
        {
            IReadOnlyList<PartitionLag> lags = kafka.Lags();
            Gauge(text, "risk_partition_lag", "Messages written to the partition and not read yet; -1 while unknown.", lags.Select(l => (Of(l.Partition), (double)l.Lag)));
            Gauge(text, "risk_kafka_up", "1 while a broker can be reached.", [("", kafka.IsDown ? 0 : 1)]);
        }
        return text.ToString();
    }

    /// <summary>Counters alone.</summary>
    public static string Render(ServeCounters counters)
    {
        var text = new StringBuilder();
        string last = "";
        foreach ((string name, string labels, long value) in counters.All())
        {
            if (name != last) { Head(text, name, "counter", s_help.GetValueOrDefault(name, name)); }
            last = name;
            Line(text, name, labels, value);
        }
        return text.ToString();
    }

    private static void Partitions(StringBuilder text, ServeHost host)
    {
        PartitionHost[] partitions = [.. host.Partitions];
        Gauge(text, "risk_partition_serving", "1 while the partition takes transactions here.", partitions.Select(p => (Of(p.Partition), p.State == PartitionState.Serving ? 1.0 : 0.0)));
        Gauge(text, "risk_partition_takeover_seconds", "From assignment to readiness: opening the log, rebuilding the state.", partitions.Where(p => p.TakeoverSeconds is not null).Select(p => (Of(p.Partition), p.TakeoverSeconds!.Value)));
        Gauge(text, "risk_partition_first_decision_seconds", "From assignment to the first durable decision.", partitions.Where(p => p.FirstDecisionSeconds is not null).Select(p => (Of(p.Partition), p.FirstDecisionSeconds!.Value)));
        Shard[] shards = [.. partitions.Select(p => p.Shard).OfType<Shard>()];
        Gauge(text, "risk_log_size", "Entries of the partition's log.", shards.Select(s => (Of(s.Partition), (double)s.Log.Size)));
        Gauge(text, "risk_state_bytes", "Memory of histories and ids.", shards.Select(s => (Of(s.Partition), (double)s.StateBytes)));
        Gauge(text, "risk_entities", "Entities with history.", shards.Select(s => (Of(s.Partition), (double)s.Path.Features.EntityCount)));
        Gauge(text, "risk_watermark_seconds", "The highest event time, or where the idle policy moved it, since 1970.", shards.Select(s => (Of(s.Partition), s.Path.Features.Watermark / 1e6)));
    }

    private static void Latencies(StringBuilder text, StageLatencies latencies)
    {
        Head(text, "risk_decision_seconds", "summary", "From arrival to durable decision, by stage; the stages of a transaction add up to its total.");
        foreach (string stage in StageLatencies.Names)
        {
            LatencyHistogram histogram = latencies[stage];
            foreach ((string quantile, double percent) in new[] { ("0.5", 50.0), ("0.99", 99.0), ("0.999", 99.9) })
            {
                Line(text, "risk_decision_seconds", $"stage=\"{stage}\",quantile=\"{quantile}\"", histogram.Percentile(percent) / 1e6);
            }
            Line(text, "risk_decision_seconds_sum", $"stage=\"{stage}\"", histogram.Mean * histogram.Count / 1e6);
            Line(text, "risk_decision_seconds_count", $"stage=\"{stage}\"", histogram.Count);
        }
    }

    private static string Of(int partition) => string.Create(CultureInfo.InvariantCulture, $"partition=\"{partition}\"");

    internal static void Gauge(StringBuilder text, string name, string help, IEnumerable<(string Labels, double Value)> values) => Family(text, name, "gauge", help, values);

    internal static void Counter(StringBuilder text, string name, string help, IEnumerable<(string Labels, double Value)> values) => Family(text, name, "counter", help, values);

    private static void Family(StringBuilder text, string name, string type, string help, IEnumerable<(string Labels, double Value)> values)
    {
        Head(text, name, type, help);
        foreach ((string labels, double value) in values) { Line(text, name, labels, value); }
    }

    internal static void Head(StringBuilder text, string name, string type, string help) => text.Append("# HELP ").Append(name).Append(' ').Append(help).Append("\n# TYPE ").Append(name).Append(' ').Append(type).Append('\n');

    internal static void Line(StringBuilder text, string name, string labels, double value)
    {
        text.Append(name);
        if (labels.Length > 0) { text.Append('{').Append(labels).Append('}'); }
        text.Append(' ').Append(value.ToString("R", CultureInfo.InvariantCulture)).Append('\n');
    }
}
