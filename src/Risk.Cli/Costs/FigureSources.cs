using System.Globalization;
using System.Text.Json;
using Risk.Core.Costs;

namespace Risk.Cli.Costs;

/// <summary>Where a figure stands: a file, and the JSON path in it.</summary>
internal readonly record struct FigureReference(string File, string Path)
{
    /// <summary>Of the price book, whose paths stand for themselves, the path alone.</summary>
    public string Text(string bookFile) => File == bookFile ? Path : $"{File} {Path}";
}

/// <summary>A figure as it stands in its file.</summary>
/// <param name="Range">Low – high; empty where there is none.</param>
internal sealed record SourcedFigure(string Value, string Range, FigureBasis Basis, string Date, string Source);

/// <summary>The files that a report's figures come from, read once, so that each can be shown as it stands there.</summary>
internal sealed class FigureSources
{
    private readonly Dictionary<string, JsonElement> _files = [];

    /// <param name="files">Paths; their names are what references name.</param>
    public FigureSources(IEnumerable<string> files)
    {
        foreach (string file in files.Where(File.Exists))
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(file));
            _files[Path.GetFileName(file)] = document.RootElement.Clone();
        }
    }

    public SourcedFigure Figure(FigureReference reference)
    {
        JsonElement root = _files[reference.File], figure = At(root, reference.Path);
        if (figure.ValueKind == JsonValueKind.Number)
        {
            // A point of a measured curve: what is said of the profile holds for it.
            return new SourcedFigure($"{Numbers.Of(figure.GetDouble())} µs", "", Word(root.GetProperty("basis").GetString()!), root.GetProperty("date").GetString()!, root.GetProperty("machine").GetString()!);
        }

        double value = figure.GetProperty("value").GetDouble();
        bool hasLow = figure.TryGetProperty("low", out JsonElement low), hasHigh = figure.TryGetProperty("high", out JsonElement high);
        return new SourcedFigure(
            string.Create(CultureInfo.InvariantCulture, $"{Numbers.Of(value)} {figure.GetProperty("unit").GetString()}"),
            hasLow || hasHigh ? $"{Numbers.Of(hasLow ? low.GetDouble() : value)} – {Numbers.Of(hasHigh ? high.GetDouble() : value)}" : "",
            Word(figure.GetProperty("basis").GetString()!), figure.GetProperty("date").GetString()!, figure.GetProperty("source").GetString()!);
    }

    /// <summary>That of the worst of them; null of none.</summary>
    public FigureBasis? Worst(IEnumerable<FigureReference> references) => references.Select(reference => (FigureBasis?)Figure(reference).Basis).Min();

    private static FigureBasis Word(string word) => word switch { "measured" => FigureBasis.Measured, "published" => FigureBasis.Published, "derived" => FigureBasis.Derived, _ => FigureBasis.Assumed };

    private static JsonElement At(JsonElement root, string path)
    {
        JsonElement element = root;
        foreach (string step in path[2..].Replace("[", ".", StringComparison.Ordinal).Replace("]", "", StringComparison.Ordinal).Split('.'))
        {
            element = element.ValueKind == JsonValueKind.Array ? element[int.Parse(step, CultureInfo.InvariantCulture)] : element.GetProperty(step);
        }

        return element;
    }
}
