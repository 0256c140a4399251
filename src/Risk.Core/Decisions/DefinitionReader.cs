using System.Diagnostics.CodeAnalysis;
using System.Text.Json;

namespace Risk.Core.Decisions;

/// <summary>
/// The steps that every definition file is read with: bounded, strict JSON, typed members, and each fault as a coded
/// error at its path instead of an exception. A getter that answers null has added an error.
/// </summary>
/// <param name="code">The code of faults in the shape, e.g. <c>POLICY_INVALID</c>.</param>
internal sealed class DefinitionReader(string code, string file, ICollection<DefinitionError> errors)
{
    private static readonly JsonDocumentOptions s_strict = new() { AllowDuplicateProperties = false, MaxDepth = 64 };

    public string File => file;

    /// <summary>Errors found so far, in this file and before it.</summary>
    public int ErrorCount => errors.Count;

    public void Add(string faultCode, string path, string sentence) => errors.Add(new DefinitionError(faultCode, file, path, sentence));

    /// <summary>Opens the file; null when it is too large, not JSON, not UTF-8, or names a member twice.</summary>
    public JsonDocument? Open(ReadOnlyMemory<byte> bytes, int sizeMax)
    {
        if (bytes.Length > sizeMax)
        {
            Add("TOO_LARGE", "$", $"a file of this kind has at most {sizeMax} bytes, not {bytes.Length}");
            return null;
        }
        try
        {
            RequireUnicode(bytes.Span);
            return JsonDocument.Parse(bytes, s_strict);
        }
        catch (JsonException exception)
        {
            Add(code, "$", $"is not JSON: {exception.Message}");
        }
        catch (InvalidOperationException) // what the reader throws at text that is not UTF-8, or half a surrogate pair
        {
            Add(code, "$", "holds a text that is not Unicode");
        }
        return null;
    }

    /// <summary>That <paramref name="element"/> is an object which has nothing beside <paramref name="allowed"/>.</summary>
    public bool IsObject(JsonElement element, string path, params ReadOnlySpan<string> allowed)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            Add(code, path, "needs an object");
            return false;
        }
        bool known = true;
        foreach (JsonProperty member in element.EnumerateObject())
        {
            if (allowed.Contains(member.Name))
                continue;
            Add(code, $"{path}.{member.Name}", $"is unknown here; there are {string.Join(", ", allowed)}");
            known = false;
        }
        return known;
    }

    public bool TryMember(JsonElement element, string path, string name, out JsonElement member)
    {
        if (element.TryGetProperty(name, out member))
            return true;
        Add(code, $"{path}.{name}", "is missing");
        return false;
    }

    /// <summary>A text that is not empty.</summary>
    public string? Text(JsonElement element, string path, string name)
    {
        if (!TryMember(element, path, name, out JsonElement member))
            return null;
        if (member.ValueKind == JsonValueKind.String && member.GetString() is { Length: > 0 } text)
            return text;
        Add(code, $"{path}.{name}", "needs a text");
        return null;
    }

    /// <summary>A finite number in [<paramref name="min"/>, <paramref name="max"/>].</summary>
    public double? Number(JsonElement element, string path, string name, double min, double max, string? faultCode = null)
    {
        if (!TryMember(element, path, name, out JsonElement member))
            return null;
        if (member.ValueKind == JsonValueKind.Number && member.TryGetDouble(out double value) && value >= min && value <= max)
            return value;
        Add(faultCode ?? code, $"{path}.{name}", $"needs a number from {min:R} to {max:R}, not {member.GetRawText()}");
        return null;
    }

    public int? Integer(JsonElement element, string path, string name, int min, int max)
    {
        if (!TryMember(element, path, name, out JsonElement member))
            return null;
        if (member.ValueKind == JsonValueKind.Number && member.TryGetInt32(out int value) && value >= min && value <= max)
            return value;
        Add(code, $"{path}.{name}", $"needs a whole number from {min} to {max}, not {member.GetRawText()}");
        return null;
    }

    [SuppressMessage("Performance", "CA1806", Justification = "read for the exception alone")]
    private static void RequireUnicode(ReadOnlySpan<byte> bytes)
    {
        Utf8JsonReader reader = new(bytes, new JsonReaderOptions { MaxDepth = 64 });
        while (reader.Read())
        {
            if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName)
                _ = reader.GetString();
        }
    }
}
