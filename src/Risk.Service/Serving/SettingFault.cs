using System.Text.Json;

namespace Risk.Service.Serving;

/// <summary>What is wrong with a setting, for a person: the serializer's own words name its types.</summary>
internal static class SettingFault
{
    private const string Unknown = "The JSON property '", NotMapped = "' could not be mapped", NotConverted = " could not be converted to ", NoNulls = "doesn't allow setting null values";

    /// <summary>Path and sentence.</summary>
    public static string Explain(JsonException failure)
    {
        string path = failure.Path ?? "$", words = failure.Message.Split(" Path:")[0];
        if (Between(words, Unknown, NotMapped) is { } name)
        {
            return $"{(path.EndsWith("." + name, StringComparison.Ordinal) ? path : $"{path}.{name}")}: it is not a setting; see ops/config/serve.json";
        }
        if (words.Contains(NoNulls, StringComparison.Ordinal)) { return $"{path}: it must not be null; leave it out for its default"; }
        return words.IndexOf(NotConverted, StringComparison.Ordinal) is >= 0 and var at ? $"{path}: it must be {Kind(words[(at + NotConverted.Length)..])}" : $"{path}: {words}";
    }

    /// <summary>What a value of the type is, in words.</summary>
    /// <param name="type">As the runtime writes it: <c>System.Nullable`1[System.Int32]</c>.</param>
    public static string Kind(string type) =>
        type.Contains("Int16", StringComparison.Ordinal) ? $"a whole number, at most {short.MaxValue}"
        : type.Contains("Int32", StringComparison.Ordinal) ? $"a whole number, at most {int.MaxValue}"
        : type.Contains("Int64", StringComparison.Ordinal) ? "a whole number"
        : type.Contains("Double", StringComparison.Ordinal) || type.Contains("Decimal", StringComparison.Ordinal) ? "a number"
        : type.Contains("Boolean", StringComparison.Ordinal) ? "true or false"
        : type.StartsWith("System.String", StringComparison.Ordinal) ? "a text in quotes"
        : "an object in braces, with settings of its own";

    private static string? Between(string text, string before, string behind)
    {
        int from = text.IndexOf(before, StringComparison.Ordinal) + before.Length, to = text.IndexOf(behind, StringComparison.Ordinal);
        return from >= before.Length && to > from ? text[from..to] : null;
    }
}
