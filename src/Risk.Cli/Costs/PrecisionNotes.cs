using System.Globalization;
using System.Text.Json;

namespace Risk.Cli.Costs;

/// <param name="Short">What becomes of outcomes, in a few words.</param>
/// <param name="Text">One sentence.</param>
internal sealed record PrecisionNote(string Short, string Text);

/// <summary>What it does to a model's decisions that a device is timed in fewer bits than the model has.</summary>
internal static class PrecisionNotes
{
    /// <summary>The models' own.</summary>
    public const string Full = "fp32";

    /// <summary>Null for full precision.</summary>
    /// <param name="precision">Of a data sheet's peak.</param>
    public static PrecisionNote? Of(string model, string version, string precision)
    {
        if (precision == Full)
        {
            return null;
        }

        string name = $"models/{model}/{version}-{precision}", file = Path.Combine(RiskHome.Find(), "models", model, $"{version}-{precision}", "model.json");
        if (!File.Exists(file))
        {
            return new PrecisionNote($"{precision}: changes not measured", $"{precision}: {model}@{version} has no version in it, and nobody has measured how many outcomes would change");
        }

        using JsonDocument manifest = JsonDocument.Parse(File.ReadAllBytes(file));
        JsonElement recorded = manifest.RootElement.GetProperty("precision").GetProperty("measured").GetProperty("recorded");
        string changes = string.Create(CultureInfo.InvariantCulture, $"{precision}: {recorded.GetProperty("outcomeFlips").GetInt64()} of {recorded.GetProperty("rows").GetInt64():#,0} outcomes change");
        return new PrecisionNote(changes, $"{changes}, see {name}");
    }
}
