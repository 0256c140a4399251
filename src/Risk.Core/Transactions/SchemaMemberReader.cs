using System.Globalization;
using System.Text.Json;

namespace Risk.Core.Transactions;

/// <summary>Reads the members of a definition's JSON one by one and collects what is wrong, each with file and place.</summary>
internal abstract class SchemaMemberReader(string fileName)
{
    private readonly List<CodedError> _errors = [];

    public IReadOnlyList<CodedError> Errors => _errors;

    protected JsonElement? Section(JsonElement root, string name, string[] members)
    {
        if (!root.TryGetProperty(name, out JsonElement section))
        {
            return null;
        }

        if (section.ValueKind != JsonValueKind.Object)
        {
            Wrong(name, "must be an object");
            return null;
        }

        RefuseUnknown(section, name, members);
        return section;
    }

    protected string? Text(JsonElement element, string place, string member, bool required)
    {
        if (!element.TryGetProperty(member, out JsonElement value))
        {
            if (required)
            {
                Wrong(Join(place, member), "is missing");
            }

            return null;
        }

        if (value.ValueKind == JsonValueKind.String)
        {
            return value.GetString();
        }

        Wrong(Join(place, member), "must be a string");
        return null;
    }

    protected string Choice(JsonElement element, string place, string member, params ReadOnlySpan<string> choices)
    {
        string? text = Text(element, place, member, required: false);
        if (text is not null && !choices.Contains(text))
        {
            Wrong(Join(place, member), $"must be one of {string.Join(", ", choices.ToArray().Where(choice => choice.Length > 0))}");
        }

        return text ?? choices[0];
    }

    protected bool Flag(JsonElement element, string place, string member, bool otherwise)
    {
        if (!element.TryGetProperty(member, out JsonElement value))
        {
            return otherwise;
        }

        if (value.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
        {
            Wrong(Join(place, member), "must be true or false");
            return otherwise;
        }

        return value.GetBoolean();
    }

    protected double? Number(JsonElement element, string place, string member)
    {
        if (!element.TryGetProperty(member, out JsonElement value))
        {
            return null;
        }

        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && Math.Abs(number) < Limits.NumberAbsLimit)
        {
            return number;
        }

        Wrong(Join(place, member), "must be a number below 2^96");
        return null;
    }

    protected int? Whole(JsonElement element, string place, string member, int min, int max, bool required)
    {
        if (!element.TryGetProperty(member, out JsonElement value))
        {
            if (required)
            {
                Wrong(Join(place, member), "is missing");
            }

            return null;
        }

        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= min && number <= max)
        {
            return number;
        }

        Wrong(Join(place, member), $"must be a whole number from {min} to {max}");
        return null;
    }

    protected List<string> Values(JsonElement element, string place)
    {
        var values = new List<string>();
        if (!element.TryGetProperty("values", out JsonElement array))
        {
            return values;
        }

        if (array.ValueKind != JsonValueKind.Array || array.GetArrayLength() is 0 or > Limits.CategoryValuesMax)
        {
            Wrong(place, $"values must be a list of 1 to {Limits.CategoryValuesMax} strings");
            return values;
        }

        foreach (JsonElement value in array.EnumerateArray())
        {
            if (value.ValueKind != JsonValueKind.String || value.GetString() is not { Length: > 0 } text || text.Length > Limits.IdSizeMax || values.Contains(text))
            {
                Wrong(place, $"values[{values.Count}] must be a string of 1 to {Limits.IdSizeMax} characters that is not there yet");
                return values;
            }

            values.Add(text);
        }

        return values;
    }

    protected long? Duration(JsonElement element, string place, string member)
    {
        if (Text(element, place, member, required: false) is not { } text)
        {
            return null;
        }

        if (DurationText.TryParse(text, out long micros))
        {
            return micros;
        }

        Wrong(Join(place, member), "must be a duration such as 90s, 5m, 1h or 7d, at most ten years");
        return null;
    }

    protected DateOnly Day(JsonElement element, string place, string member)
    {
        if (Text(element, place, member, required: true) is { } text
            && !DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out DateOnly _))
        {
            Wrong(Join(place, member), "must be a day such as 2018-07-25");
        }

        return DateOnly.TryParseExact(Text(element, place, member, required: false) ?? "", "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out DateOnly day) ? day : default;
    }

    protected void RefuseUnknown(JsonElement element, string place, string[] members)
    {
        foreach (JsonProperty property in element.EnumerateObject())
        {
            if (!members.Contains(property.Name))
            {
                Wrong(place, $"does not know '{property.Name}'; it may have {string.Join(", ", members)}");
            }
        }
    }

    protected void Wrong(string place, string what) => Wrong(ErrorCode.SchemaInvalid, $"{place} {what}");

    protected void Wrong(ErrorCode code, string what) => _errors.Add(new CodedError(code, $"{fileName}: {what}"));

    private static string Join(string place, string member) => place.Length == 0 ? member : $"{place}.{member}";
}
