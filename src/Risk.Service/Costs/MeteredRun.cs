using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Risk.Core.Costs;

namespace Risk.Service.Costs;

/// <summary>What the meter of a run showed: idle time and waste, which decisions only carry their shares of, told apart.</summary>
/// <param name="From">First record of the log that the meter covers; <paramref name="To"/>: behind the last. Of a served stream, which has a log a partition, 0 and the decisions counted.</param>
/// <param name="Unallocated">Of the total, what no decision bears yet: of a run that goes on, or that was killed.</param>
public sealed record MeteredRun(long From, long To, Cost Total, Cost Active, Cost Idle, Cost Waste, Cost Unallocated, string Currency, string Method)
{
    /// <summary>The run and its day (UTC), where it writes a line now and then, each with everything of that day so far; null where it writes one at its end.</summary>
    public (string Run, DateOnly Day)? Part { get; init; }

    /// <summary>Of the total, what came after the last decision of a run that has ended: no decision will ever bear it.</summary>
    public Cost AtEnd { get; init; }

    /// <summary>There were prices to charge by; without them the costs stand for nothing, and <see cref="Method"/> says why.</summary>
    public bool IsPriced => Currency.Length > 0;

    /// <summary>The processor first.</summary>
    public IReadOnlyList<MeteredDevice> Devices { get; init; } = [];

    private const string Counter = "counter", Model = "model";

    /// <summary>What a ledger shows now.</summary>
    /// <param name="processorBatches">That the processor scored; a ledger meters its time and does not count them.</param>
    public static MeteredRun Of(CostLedger ledger, long from, long to, long processorBatches) => new(from, to, ledger.Total, ledger.Active, ledger.Idle, ledger.Waste, ledger.Unallocated, ledger.Book.Currency, ledger.Describe())
    {
        Devices =
        [
            new MeteredDevice("cpu", processorBatches, ledger.Machine.CpuSeconds, ledger.Machine.Total, ledger.Machine.Active, ledger.Machine.Idle, default),
            .. ledger.Devices.Select(device => new MeteredDevice(device.Name, device.RunCount, device.BusyMicros / 1e6, device.Total, device.Active, device.Idle, device.Waste) { IsEnergyCounted = device.IsEnergyCounted }),
        ],
    };

    /// <summary>As the last line of a run: what no decision bears now, none ever will.</summary>
    public MeteredRun Closed() => this with { AtEnd = AtEnd + Unallocated, Unallocated = default };

    /// <summary>What came since an earlier look at the same ledger.</summary>
    public MeteredRun Since(MeteredRun earlier) => this with
    {
        From = earlier.To,
        Total = Total - earlier.Total,
        Active = Active - earlier.Active,
        Idle = Idle - earlier.Idle,
        Waste = Waste - earlier.Waste,
        Unallocated = Unallocated - earlier.Unallocated,
        AtEnd = AtEnd - earlier.AtEnd,
        Devices = [.. Devices.Zip(earlier.Devices, (now, then) => now.Since(then))],
    };

    internal string Line()
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            if (Part is var (run, day))
            {
                json.WriteString("run", run);
                json.WriteString("day", day.ToString("yyyy-MM-dd", System.Globalization.CultureInfo.InvariantCulture));
            }
            json.WriteNumber("from", From);
            json.WriteNumber("to", To);
            Write(json, "total", Total);
            Write(json, "active", Active);
            Write(json, "idle", Idle);
            Write(json, "waste", Waste);
            Write(json, "unallocated", Unallocated);
            if (AtEnd != default) { Write(json, "atEnd", AtEnd, "idle at the end, borne by no decision"); }
            json.WriteString("currency", Currency);
            json.WriteString("method", Method);
            json.WriteStartArray("devices");
            foreach (MeteredDevice device in Devices)
            {
                json.WriteStartObject();
                json.WriteString("name", device.Name);
                json.WriteNumber("runs", device.Runs);
                json.WriteNumber("busySeconds", Math.Round(device.BusySeconds, 6));
                Write(json, "total", device.Total);
                Write(json, "active", device.Active);
                Write(json, "idle", device.Idle);
                Write(json, "waste", device.Waste);
                json.WriteString("energy", device.IsEnergyCounted ? Counter : Model);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    /// <summary>Null where the line is none, or half of one.</summary>
    internal static MeteredRun? Read(string line)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            JsonElement root = document.RootElement;
            return new MeteredRun(
                root.GetProperty("from").GetInt64(), root.GetProperty("to").GetInt64(), Cost(root, "total"), Cost(root, "active"), Cost(root, "idle"), Cost(root, "waste"), Cost(root, "unallocated"),
                root.GetProperty("currency").GetString()!, root.GetProperty("method").GetString()!)
            {
                Part = root.TryGetProperty("run", out JsonElement run)
                    ? (run.GetString()!, DateOnly.ParseExact(root.GetProperty("day").GetString()!, "yyyy-MM-dd", System.Globalization.CultureInfo.InvariantCulture))
                    : null,
                AtEnd = root.TryGetProperty("atEnd", out _) ? Cost(root, "atEnd") : default,
                Devices = root.TryGetProperty("devices", out JsonElement devices) ? [.. devices.EnumerateArray().Select(ReadDevice)] : [],
            };
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }

    private static MeteredDevice ReadDevice(JsonElement device) => new(
        device.GetProperty("name").GetString()!, device.GetProperty("runs").GetInt64(), device.GetProperty("busySeconds").GetDouble(),
        Cost(device, "total"), Cost(device, "active"), Cost(device, "idle"), Cost(device, "waste"))
    {
        IsEnergyCounted = device.TryGetProperty("energy", out JsonElement energy) && energy.GetString() == Counter,
    };

    private static void Write(Utf8JsonWriter json, string name, Cost cost, string? note = null)
    {
        json.WriteStartObject(name);
        if (note is not null) { json.WriteString("note", note); }
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

/// <summary>Of a run's cost, one device's.</summary>
/// <param name="Runs">Batches.</param>
/// <param name="BusySeconds">Of the processor CPU time, all cores together.</param>
public sealed record MeteredDevice(string Name, long Runs, double BusySeconds, Cost Total, Cost Active, Cost Idle, Cost Waste)
{
    /// <summary>The joules are those of the device's own counter; otherwise of stated watts.</summary>
    public bool IsEnergyCounted { get; init; }

    internal MeteredDevice Since(MeteredDevice earlier) => this with
    {
        Runs = Runs - earlier.Runs,
        BusySeconds = BusySeconds - earlier.BusySeconds,
        Total = Total - earlier.Total,
        Active = Active - earlier.Active,
        Idle = Idle - earlier.Idle,
        Waste = Waste - earlier.Waste,
    };
}
