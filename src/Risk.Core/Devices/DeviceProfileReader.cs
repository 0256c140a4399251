using System.Text.Json;
using Risk.Core.Costs;
using Risk.Core.Decisions;
using Risk.Core.Transactions;

namespace Risk.Core.Devices;

/// <summary>
/// Reads a device profile:
/// <code>
/// { "name": "nvidia-h200", "kind": "cpu|gpu|asic|fpga|tpu", "executionProvider": "CUDAExecutionProvider", "device": "NVIDIA H200",
///   "basis": "measured|published|derived|assumed", "note": "for people", "machine": "…", "driver": "…",
///   "versions": { "runtime": "1.29.0", "provider": "…" }, "date": "2026-11-22", "padded": true,
///   "power": { "idleWatts": FIGURE, "fullWatts": FIGURE, "method": "model|nvml-total-energy|rapl" },
///   "dataSheet": { "precision": "fp32", "operations": FIGURE, "memory": FIGURE, "link": FIGURE, "launch": FIGURE,
///                  "kernel": FIGURE, "efficiency": FIGURE, "batchMax": 4096 },
///   "models": [ { "model": "card-fraud", "version": "1", "variant": "gemm", "digest": "sha256:…",
///     "points": [ { "batch": 1, "medianMicros": 20, "p99Micros": 30, "spreadMicros": 2, "hostMicros": 8,
///                   "joulesPerBatch": 0.002, "lowMicros": 20, "highMicros": 20 } ] } ] }
/// FIGURE: see <see cref="FigureReader"/>
/// </code>
/// May be left out: power where something was measured and nothing says the watts; note, machine, driver, versions and digest where nothing was measured, padded (only a CPU is not), dataSheet
/// where it was, joulesPerBatch, lowMicros, highMicros. Used once.
/// </summary>
internal sealed class DeviceProfileReader
{
    private const string Invalid = "PROFILE_INVALID";
    private const double MicrosMax = 1e9;

    private readonly ICollection<DefinitionError> _errors;
    private readonly DefinitionReader _reader;
    private readonly FigureReader _figures;

    public DeviceProfileReader(string file, ICollection<DefinitionError> errors)
    {
        _errors = errors;
        _reader = new DefinitionReader(Invalid, file, errors);
        _figures = new FigureReader(_reader, "PROFILE_MISSING", Invalid);
    }

    public DeviceProfile? Read(ReadOnlyMemory<byte> bytes)
    {
        int before = _errors.Count;
        using JsonDocument? document = _reader.Open(bytes, DeviceProfile.FileSizeMax);
        if (document is null)
            return null;
        JsonElement root = document.RootElement;
        _reader.IsObject(root, "$", "name", "kind", "executionProvider", "device", "basis", "note", "machine", "driver", "versions", "date", "padded", "power", "dataSheet", "models");
        if (root.ValueKind != JsonValueKind.Object)
            return null;

        DeviceKind kind = OneOf(root, "$", "kind", DeviceProfileWords.Kinds);
        FigureBasis basis = OneOf(root, "$", "basis", DeviceProfileWords.Bases);
        bool isMeasured = basis == FigureBasis.Measured;
        JsonElement versions = root.TryGetProperty("versions", out JsonElement given) ? given : default;
        if (versions.ValueKind != JsonValueKind.Undefined)
            _reader.IsObject(versions, "$.versions", "runtime", "provider");
        DateOnly date = default;
        if (_reader.Text(root, "$", "date") is { } day && !FigureReader.TryDay(day, out date))
            _reader.Add(Invalid, "$.date", $"'{day}' is not a day such as 2024-04-25");
        DeviceProfile profile = new(
            _reader.Text(root, "$", "name") ?? "", kind, _reader.Text(root, "$", "executionProvider") ?? "", _reader.Text(root, "$", "device") ?? "", basis,
            Optional(root, "$", "machine", isMeasured), Optional(root, "$", "driver", false),
            Optional(versions, "$.versions", "runtime", isMeasured), Optional(versions, "$.versions", "provider", false), date,
            Flag(root, "padded") ?? kind != DeviceKind.Cpu, ReadPower(root, isMeasured), ReadModels(root, isMeasured), ReadSheet(root),
            Optional(root, "$", "note", false) is { Length: > 0 } note ? note : null);
        if (profile.Models.Count == 0 && profile.Sheet is null && _errors.Count == before)
            _reader.Add(Invalid, "$.models", "needs at least one curve, or a dataSheet to make one from");
        if (isMeasured && profile.Sheet is not null)
            _reader.Add(Invalid, "$.dataSheet", "belongs to a profile that was not measured");
        if (profile.Sheet is { } sheet && _errors.Count == before && basis > sheet.Basis)
            _reader.Add(Invalid, "$.basis", $"is better than the worst figure of the data sheet, which is {DeviceProfileWords.Bases.First(word => word.Value == sheet.Basis).Word}");
        return _errors.Count > before ? null : profile;
    }

    private DevicePower? ReadPower(JsonElement root, bool isMeasured)
    {
        if (isMeasured && !root.TryGetProperty("power", out _))
            return null;
        if (!_reader.TryMember(root, "$", "power", out JsonElement element) || !_reader.IsObject(element, "$.power", "idleWatts", "fullWatts", "method"))
            return new DevicePower(default, default, default);
        PriceFigure idle = _figures.Read(element, "$.power", "idleWatts", "W", 0, 100_000);
        PriceFigure full = _figures.Read(element, "$.power", "fullWatts", "W", 0, 100_000);
        if (full.Value < idle.Value)
            _reader.Add(Invalid, "$.power.fullWatts", $"is {full.Value:R} W, below idle {idle.Value:R} W");
        return new DevicePower(idle, full, OneOf(element, "$.power", "method", DeviceProfileWords.Methods));
    }

    private DataSheet? ReadSheet(JsonElement root)
    {
        const string path = "$.dataSheet";
        if (!root.TryGetProperty("dataSheet", out JsonElement element))
            return null;
        if (!_reader.IsObject(element, path, "precision", "operations", "memory", "link", "launch", "kernel", "efficiency", "batchMax"))
            return null;
        return new DataSheet(
            _reader.Text(element, path, "precision") ?? "",
            _figures.Read(element, path, "operations", "op/s", 1e6, 1e18),
            _figures.Read(element, path, "memory", "B/s", 1e6, 1e16),
            _figures.Read(element, path, "link", "B/s", 1e6, 1e13),
            _figures.Read(element, path, "launch", "µs", 0, 1e6),
            _figures.Read(element, path, "kernel", "µs", 0, 1e6),
            _figures.Read(element, path, "efficiency", "1", 1e-6, 1),
            _reader.Integer(element, path, "batchMax", 1, Limits.BatchCapacityMax) ?? 1);
    }

    private List<ModelCurve> ReadModels(JsonElement root, bool isMeasured)
    {
        List<ModelCurve> curves = [];
        if (!root.TryGetProperty("models", out JsonElement list))
            return curves;
        if (list.ValueKind != JsonValueKind.Array || list.GetArrayLength() > DeviceProfile.ModelCountMax)
        {
            _reader.Add(Invalid, "$.models", $"needs a list of at most {DeviceProfile.ModelCountMax} curves");
            return curves;
        }
        int index = 0;
        foreach (JsonElement element in list.EnumerateArray())
        {
            string path = $"$.models[{index++}]";
            _reader.IsObject(element, path, "model", "version", "variant", "digest", "points");
            if (element.ValueKind != JsonValueKind.Object)
                continue;
            ModelCurve curve = new(
                _reader.Text(element, path, "model") ?? "", _reader.Text(element, path, "version") ?? "", _reader.Text(element, path, "variant") ?? "",
                ReadDigest(element, path, isMeasured), ReadPoints(element, path));
            if (curves.Exists(other => (other.Model, other.Version, other.Variant) == (curve.Model, curve.Version, curve.Variant)))
                _reader.Add(Invalid, path, $"{curve.Model}@{curve.Version} as {curve.Variant} has an earlier curve as well");
            curves.Add(curve);
        }
        return curves;
    }

    private Sha256Digest? ReadDigest(JsonElement element, string path, bool isRequired)
    {
        const string prefix = "sha256:";
        if (!isRequired && !element.TryGetProperty("digest", out _))
            return null;
        if (_reader.Text(element, path, "digest") is not { } text)
            return null;
        if (text.StartsWith(prefix, StringComparison.Ordinal) && text.Length == prefix.Length + (2 * Sha256Digest.Size) && !text.AsSpan(prefix.Length).ContainsAnyExcept(DeviceProfileWords.HexDigits))
            return Sha256Digest.From(Convert.FromHexString(text.AsSpan(prefix.Length)));
        _reader.Add(Invalid, $"{path}.digest", $"'{text}' is not sha256: and 64 hexadecimal digits");
        return null;
    }

    private List<CostPoint> ReadPoints(JsonElement owner, string ownerPath)
    {
        List<CostPoint> points = [];
        if (!owner.TryGetProperty("points", out JsonElement list) || list.ValueKind != JsonValueKind.Array || list.GetArrayLength() is 0 or > DeviceProfile.PointCountMax)
        {
            _reader.Add(Invalid, $"{ownerPath}.points", $"needs a list of 1 to {DeviceProfile.PointCountMax} points");
            return points;
        }
        int index = 0;
        foreach (JsonElement element in list.EnumerateArray())
        {
            string path = $"{ownerPath}.points[{index++}]";
            _reader.IsObject(element, path, "batch", "medianMicros", "p99Micros", "spreadMicros", "hostMicros", "joulesPerBatch", "lowMicros", "highMicros");
            if (element.ValueKind != JsonValueKind.Object)
                continue;
            int batch = _reader.Integer(element, path, "batch", 1, Limits.BatchCapacityMax) ?? 1;
            double median = _reader.Number(element, path, "medianMicros", 1e-3, MicrosMax) ?? 1;
            double p99 = _reader.Number(element, path, "p99Micros", 1e-3, MicrosMax) ?? median;
            double host = _reader.Number(element, path, "hostMicros", 0, MicrosMax) ?? 0;
            double low = OptionalNumber(element, path, "lowMicros", 1e-3, MicrosMax) ?? median;
            double high = OptionalNumber(element, path, "highMicros", 1e-3, MicrosMax) ?? median;
            if (points.Count > 0 && batch <= points[^1].Batch)
                _reader.Add(Invalid, $"{path}.batch", $"{batch} does not come after {points[^1].Batch}: points rise by batch");
            if (p99 < median || low > median || median > high)
                _reader.Add(Invalid, path, $"low {low:R}, median {median:R}, high {high:R} and p99 {p99:R} µs are not in order");
            if (host > p99)
                _reader.Add(Invalid, $"{path}.hostMicros", $"{host:R} is more than the call took at p99, {p99:R} µs");
            points.Add(new CostPoint(
                batch, median, p99, _reader.Number(element, path, "spreadMicros", 0, MicrosMax) ?? 0, host, OptionalNumber(element, path, "joulesPerBatch", 0, 1e9), low, high));
        }
        return points;
    }

    private double? OptionalNumber(JsonElement element, string path, string name, double min, double max) =>
        element.TryGetProperty(name, out _) ? _reader.Number(element, path, name, min, max) : null;

    private string Optional(JsonElement element, string path, string name, bool isRequired)
    {
        if (isRequired && (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty(name, out JsonElement there) || there.ValueKind != JsonValueKind.String || there.GetString() is not { Length: > 0 }))
        {
            _reader.Add(Invalid, $"{path}.{name}", "is missing: a measured profile says on what it was measured");
            return "";
        }
        if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty(name, out JsonElement member))
            return "";
        if (member.ValueKind == JsonValueKind.String)
            return member.GetString()!;
        _reader.Add(Invalid, $"{path}.{name}", "needs a text");
        return "";
    }

    private bool? Flag(JsonElement element, string name)
    {
        if (!element.TryGetProperty(name, out JsonElement member))
            return null;
        if (member.ValueKind is JsonValueKind.True or JsonValueKind.False)
            return member.GetBoolean();
        _reader.Add(Invalid, $"$.{name}", "needs true or false");
        return null;
    }

    private T OneOf<T>(JsonElement element, string path, string name, IReadOnlyList<(string Word, T Value)> words)
        where T : struct
    {
        if (_reader.Text(element, path, name) is not { } text)
            return default;
        foreach ((string word, T value) in words)
        {
            if (word == text)
                return value;
        }
        _reader.Add(Invalid, $"{path}.{name}", $"'{text}' is none of {string.Join(", ", words.Select(pair => pair.Word))}");
        return default;
    }
}
