using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Risk.Core.Costs;

namespace Risk.Cli.Costs;

/// <summary>
/// What the meter of each run showed at its end, beside the log, in <c>costs.jsonl</c>: one line a run, with the records that
/// it covers. Decisions carry their shares; idle time and waste are only here.
/// </summary>
internal sealed record MeteredRun(long From, long To, Cost Total, Cost Active, Cost Idle, Cost Waste, Cost Unallocated, string Currency, string Method)
{
    private const string FileName = "costs.jsonl";

    /// <summary>Puts a run's line behind those of the runs before it.</summary>
    /// <param name="from">First record that the meter covers; a modelled meter begins with the log.</param>
    public static void Add(string directory, CostMeter meter, long from, long to)
    {
        long first = meter.Method == CostMethod.Modelled ? 0 : from;
        var run = new MeteredRun(first, to, meter.Total, meter.Active, meter.Idle, default, meter.Unallocated, meter.Book.Currency, meter.Describe());
        File.WriteAllLines(Path.Combine(directory, FileName), [.. Read(directory).Where(earlier => earlier.From < first).Append(run).Select(Line)]);
    }

    private static string Line(MeteredRun run)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteNumber("from", run.From);
            json.WriteNumber("to", run.To);
            Write(json, "total", run.Total);
            Write(json, "active", run.Active);
            Write(json, "idle", run.Idle);
            Write(json, "waste", run.Waste);
            Write(json, "unallocated", run.Unallocated);
            json.WriteString("currency", run.Currency);
            json.WriteString("method", run.Method);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    /// <summary>The runs, each covering records that no later one covers again; lines that cannot be read are left out.</summary>
    public static IReadOnlyList<MeteredRun> Read(string directory)
    {
        string file = Path.Combine(directory, FileName);
        var runs = new List<MeteredRun>();
        if (!File.Exists(file))
        {
            return runs;
        }

        foreach (string line in File.ReadLines(file))
        {
            try
            {
                using var document = JsonDocument.Parse(line);
                JsonElement root = document.RootElement;
                var run = new MeteredRun(
                    root.GetProperty("from").GetInt64(), root.GetProperty("to").GetInt64(), Cost(root, "total"), Cost(root, "active"), Cost(root, "idle"), Cost(root, "waste"), Cost(root, "unallocated"),
                    root.GetProperty("currency").GetString()!, root.GetProperty("method").GetString()!);
                runs.RemoveAll(earlier => earlier.From >= run.From);
                runs.Add(run);
            }
            catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
            {
            }
        }

        return runs;
    }

    private static void Write(Utf8JsonWriter json, string name, Cost cost)
    {
        json.WriteStartObject(name);
        json.WriteNumber("picoUnits", cost.PicoUnits);
        json.WriteNumber("nanoJoules", cost.NanoJoules);
        json.WriteEndObject();
    }

    private static Cost Cost(JsonElement root, string name)
    {
        JsonElement cost = root.GetProperty(name);
        return new Cost(cost.GetProperty("picoUnits").GetInt64(), cost.GetProperty("nanoJoules").GetInt64());
    }
}
