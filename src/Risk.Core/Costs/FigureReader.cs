using System.Globalization;
using System.Text.Json;
using Risk.Core.Decisions;

namespace Risk.Core.Costs;

/// <summary>
/// Reads the one form that every figure of a price book or a device profile has:
/// <code>
/// { "value": 0.2, "low": 0.1, "high": 0.3, "unit": "EUR/kWh", "source": "…", "date": "2024-04-25",
///   "basis": "measured|published|derived|assumed" }                       (low and high may be left out)
/// </code>
/// </summary>
/// <param name="missing">The code where a figure, or its unit, source, date or basis is not there.</param>
/// <param name="invalid">The code of what is there and wrong: negative, out of its range, of another unit, not in order.</param>
internal sealed class FigureReader(DefinitionReader reader, string missing, string invalid)
{
    /// <summary>The figure <paramref name="name"/> of <paramref name="owner"/>; the default where it is not there or no object, with an error added.</summary>
    /// <param name="unit">The unit it must be in.</param>
    public PriceFigure Read(JsonElement owner, string ownerPath, string name, string unit, double min, double max)
    {
        string path = $"{ownerPath}.{name}";
        if (!owner.TryGetProperty(name, out JsonElement element))
        {
            reader.Add(missing, path, $"is missing: what is it in {unit}, by which source?");
            return default;
        }
        reader.IsObject(element, path, "value", "low", "high", "unit", "source", "date", "basis");
        if (element.ValueKind != JsonValueKind.Object)
            return default;
        if (!element.TryGetProperty("value", out _))
        {
            reader.Add(missing, $"{path}.value", $"is missing: what is it in {unit}?");
            return default;
        }
        int before = reader.ErrorCount;
        double value = reader.Number(element, path, "value", min, max) ?? min;
        double low = element.TryGetProperty("low", out _) ? reader.Number(element, path, "low", min, max) ?? value : value;
        double high = element.TryGetProperty("high", out _) ? reader.Number(element, path, "high", min, max) ?? value : value;
        // Of what could be read: a value that is refused stands in no order.
        if (reader.ErrorCount == before && (low > value || value > high))
            reader.Add(invalid, path, $"low {low:R}, value {value:R}, high {high:R} are not in order");
        if (Word(element, path, "unit") is { } given && given != unit)
            reader.Add(invalid, $"{path}.unit", $"must be {unit}, not {given}");
        string source = Word(element, path, "source") ?? "";
        DateOnly date = default;
        if (Word(element, path, "date") is { } day && !TryDay(day, out date))
            reader.Add(invalid, $"{path}.date", $"'{day}' is not a day such as 2024-04-25");
        FigureBasis basis = default;
        if (Word(element, path, "basis") is { } word && !TryBasis(word, out basis))
            reader.Add(invalid, $"{path}.basis", $"'{word}' is none of measured, published, derived, assumed");
        return new PriceFigure(value, low, high, unit, source, date, basis);
    }

    /// <summary>The same where it may be left out: null then, without an error.</summary>
    public PriceFigure? ReadOptional(JsonElement owner, string ownerPath, string name, string unit, double min, double max) =>
        owner.TryGetProperty(name, out _) ? Read(owner, ownerPath, name, unit, min, max) : null;

    public static bool TryDay(string text, out DateOnly day) => DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out day);

    public static bool TryBasis(string word, out FigureBasis basis)
    {
        basis = word switch { "measured" => FigureBasis.Measured, "published" => FigureBasis.Published, "derived" => FigureBasis.Derived, _ => FigureBasis.Assumed };
        return word is "measured" or "published" or "derived" or "assumed";
    }

    private string? Word(JsonElement element, string path, string name)
    {
        if (element.TryGetProperty(name, out JsonElement member) && member.ValueKind == JsonValueKind.String && member.GetString() is { Length: > 0 } text)
            return text;
        reader.Add(missing, $"{path}.{name}", "is missing: a figure has value, unit, source, date and basis");
        return null;
    }
}
