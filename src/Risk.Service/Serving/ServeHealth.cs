using System.Text.Json;

namespace Risk.Service.Serving;

/// <summary>Whether the process can decide, and what is wrong.</summary>
/// <param name="IsReady">False: send it nothing. With reasons it may be true all the same: degraded.</param>
internal sealed record ServeHealth(bool IsReady, IReadOnlyList<(string Code, string Sentence)> Reasons, IReadOnlyList<int> Partitions)
{
    public static ServeHealth Of(ServeHost host)
    {
        var reasons = new List<(string Code, string Sentence)>();
        bool ready = true;
        foreach (PartitionHost partition in host.Partitions)
        {
            if (partition.Problem is { } problem)
            {
                reasons.Add((problem.Code, $"partition {partition.Partition}: {problem.Sentence}"));
                ready = false;
            }
            else if (partition.Shard is { Owner: { IsReady: false } }) { reasons.Add(("ENTITIES_REBUILDING", $"partition {partition.Partition}: the history of its shared entities is being rebuilt; decisions go on without it, marked INCOMPLETE")); }
            else if (partition.State == PartitionState.Opening)
            {
                reasons.Add(("PARTITION_OPENING", $"partition {partition.Partition}: its state is being rebuilt"));
                ready = false;
            }
        }
        foreach ((string Code, string Sentence) reason in host.Kafka?.Problems() ?? []) { reasons.Add(reason); }
        return new ServeHealth(ready, reasons, host.Partitions.Select(p => p.Partition).ToArray());
    }

    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("status", !IsReady ? "not ready" : Reasons.Count > 0 ? "degraded" : "ready");
        json.WriteStartArray("partitions");
        foreach (int partition in Partitions) { json.WriteNumberValue(partition); }
        json.WriteEndArray();
        json.WriteStartArray("reasons");
        foreach ((string code, string sentence) in Reasons)
        {
            json.WriteStartObject();
            json.WriteString("code", code);
            json.WriteString("message", sentence);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
