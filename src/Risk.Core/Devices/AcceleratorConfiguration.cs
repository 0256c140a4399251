using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Risk.Core.Decisions;

namespace Risk.Core.Devices;

/// <summary>
/// One accelerator as an operator names it:
/// <code>
/// { "accelerators": [ { "name": "h200-0", "provider": "CUDA", "library": "/opt/ort/libonnxruntime_providers_cuda.so",
///                       "options": { "device_id": "0" }, "device": 0, "prices": "h200" } ] }
/// </code>
/// Nothing but <c>name</c> is needed where the name is that of a ready profile.
/// </summary>
/// <param name="Name">How records, metrics, profiles and errors call the device: letters, digits, <c>-_.:</c>; 1 to 64 of them.</param>
/// <param name="Provider">A ready profile (<c>cuda</c>), or an execution provider by ONNX Runtime's name (<c>CUDAExecutionProvider</c>); the name itself when left out.</param>
/// <param name="Library">
/// The vendor's library: one that exports <c>CreateEpFactories</c> is registered beside the runtime; one that exports
/// <c>OrtGetApiBase</c> is a whole ONNX Runtime with the provider built in and is used by the whole process. Null: where the
/// ready profile looks.
/// </param>
/// <param name="Options">The provider's own options, as ONNX Runtime's documentation names them.</param>
/// <param name="Device">0-based, among the devices that the provider offers.</param>
/// <param name="Prices">The machine or device of the price book that stands for it; null: the one with the same name.</param>
public sealed record AcceleratorConfiguration(
    string Name, string Provider, string? Library, IReadOnlyDictionary<string, string> Options, int Device, string? Prices)
{
    /// <summary>Bytes of a configuration file.</summary>
    public const int FileSizeMax = 1 << 20;

    /// <summary>Accelerators of one process: no machine holds more devices than that.</summary>
    public const int CountMax = 64;

    /// <summary>The longest that a batch may be waited for.</summary>
    public const int RunMillisMaxMax = 600_000;

    /// <summary>
    /// Milliseconds after which a batch is scored elsewhere and the device counts as hung; null: the ready profile's (2 s for most).
    /// 0: no bound; the batch then runs on the thread that scores, which saves waking another one, and a device that hangs keeps it for ever.
    /// </summary>
    public int? RunMillisMax { get; init; }

    /// <summary>The longest that opening may be waited for.</summary>
    public const int OpenMillisMaxMax = 3_600_000;

    /// <summary>
    /// Milliseconds after which opening the device, or the model on it, is given up (<c>DEVICE_HUNG</c>) and the engine goes on
    /// without it; null: the ready profile's (2 minutes, 10 where the provider compiles). 0: no bound.
    /// </summary>
    public int? OpenMillisMax { get; init; }

    /// <summary>
    /// The device's profile, as <c>risk accelerators measure</c> writes it: a file. Where one is named it must fit what is here
    /// (<c>PROFILE_STALE</c> otherwise, and the device stays out). Null: the one that ships under the device's name, where it was
    /// measured and fits; otherwise the device is measured when the engine starts.
    /// </summary>
    public string? Profile { get; init; }

    private const string Invalid = "ACCELERATOR_INVALID";
    private const int NameLengthMax = 64, OptionCountMax = 256;

    /// <summary>One that needs no more than its name.</summary>
    public static AcceleratorConfiguration Named(string name) => new(name, name, null, new Dictionary<string, string>(), 0, null);

    /// <summary>Reads the member <c>accelerators</c> of a file; other members are somebody else's. Every fault is added, with its path.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> bytes, string file, ICollection<DefinitionError> errors, [NotNullWhen(true)] out IReadOnlyList<AcceleratorConfiguration>? accelerators)
    {
        var reader = new DefinitionReader(Invalid, file, errors);
        accelerators = null;
        using JsonDocument? document = reader.Open(bytes, FileSizeMax);
        if (document is null) { return false; }
        if (document.RootElement.ValueKind != JsonValueKind.Object)
        {
            reader.Add(Invalid, "$", "needs an object with the member accelerators");
            return false;
        }
        return reader.TryMember(document.RootElement, "$", "accelerators", out JsonElement list) && TryRead(list, file, errors, out accelerators);
    }

    /// <summary>Reads the list itself, which stands at <c>$.accelerators</c> of the file.</summary>
    public static bool TryRead(JsonElement list, string file, ICollection<DefinitionError> errors, [NotNullWhen(true)] out IReadOnlyList<AcceleratorConfiguration>? accelerators)
    {
        int before = errors.Count;
        var reader = new DefinitionReader(Invalid, file, errors);
        var found = new List<AcceleratorConfiguration>();
        if (list.ValueKind != JsonValueKind.Array || list.GetArrayLength() > CountMax)
        {
            reader.Add(Invalid, "$.accelerators", $"needs a list of at most {CountMax} accelerators");
        }
        else
        {
            foreach (JsonElement element in list.EnumerateArray())
            {
                string path = $"$.accelerators[{found.Count}]";
                AcceleratorConfiguration one = Read(reader, element, path);
                if (found.Exists(other => other.Name == one.Name && one.Name.Length > 0)) { reader.Add(Invalid, $"{path}.name", $"'{one.Name}' is the name of an earlier accelerator as well"); }
                found.Add(one);
            }
        }
        accelerators = errors.Count == before ? found : null;
        return accelerators is not null;
    }

    private static AcceleratorConfiguration Read(DefinitionReader reader, JsonElement element, string path)
    {
        if (!reader.IsObject(element, path, "name", "provider", "library", "options", "device", "prices", "profile", "runMillisMax", "openMillisMax", "note") && element.ValueKind != JsonValueKind.Object) { return Named(""); }
        string name = reader.Text(element, path, "name") ?? "";
        if (name.Length > 0 && !IsName(name)) { reader.Add(Invalid, $"{path}.name", $"needs 1 to {NameLengthMax} letters, digits or -_.: of ASCII"); }
        string provider = Optional(reader, element, path, "provider") ?? name;
        int device = element.TryGetProperty("device", out _) ? reader.Integer(element, path, "device", 0, 1023) ?? 0 : 0;
        return new AcceleratorConfiguration(name, provider, Optional(reader, element, path, "library"), ReadOptions(reader, element, path), device, Optional(reader, element, path, "prices"))
        {
            Profile = Optional(reader, element, path, "profile"),
            OpenMillisMax = element.TryGetProperty("openMillisMax", out _) ? reader.Integer(element, path, "openMillisMax", 0, OpenMillisMaxMax) : null,
            RunMillisMax = element.TryGetProperty("runMillisMax", out _) ? reader.Integer(element, path, "runMillisMax", 0, RunMillisMaxMax) : null,
        };
    }

    private static Dictionary<string, string> ReadOptions(DefinitionReader reader, JsonElement element, string path)
    {
        var options = new Dictionary<string, string>(StringComparer.Ordinal);
        if (!element.TryGetProperty("options", out JsonElement members)) { return options; }
        if (members.ValueKind != JsonValueKind.Object || members.GetPropertyCount() > OptionCountMax)
        {
            reader.Add(Invalid, $"{path}.options", $"needs an object of at most {OptionCountMax} texts");
            return options;
        }
        foreach (JsonProperty member in members.EnumerateObject())
        {
            // Vendors' options are texts, but 1 and true are what people write.
            string? value = member.Value.ValueKind switch
            {
                JsonValueKind.String => member.Value.GetString(),
                JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => member.Value.GetRawText(),
                _ => null,
            };
            if (value is null) { reader.Add(Invalid, $"{path}.options.{member.Name}", "needs a text, a number, true or false"); }
            else { options[member.Name] = value; }
        }
        return options;
    }

    private static string? Optional(DefinitionReader reader, JsonElement element, string path, string name) =>
        element.TryGetProperty(name, out JsonElement member) && member.ValueKind != JsonValueKind.Null ? reader.Text(element, path, name) : null;

    private static bool IsName(string name) => name.Length is >= 1 and <= NameLengthMax && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or ':');
}
