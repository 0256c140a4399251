using System.Globalization;
using System.Text.Json;

namespace Risk.Cli.Costs;

/// <summary>What it does to a model's decisions that a device is timed in fewer bits than the model has.</summary>
internal static class PrecisionNotes
{
    /// <summary>The models' own.</summary>
    public const string Full = "fp32";

    /// <summary>One sentence; null for full precision.</summary>
    /// <param name="precision">Of a data sheet's peak.</param>
    public static string? Of(string model, string version, string precision)
    {
        if (precision == Full)
        {
            return null;
        }

        string name = $"models/{model}/{version}-{precision}", file = Path.Combine(RiskHome.Find(), "models", model, $"{version}-{precision}", "model.json");
        if (!File.Exists(file))
        {
            return $"{precision}: {model}@{version} has no version in it, and nobody has measured how many outcomes would change";
        }

        using JsonDocument manifest = JsonDocument.Parse(File.ReadAllBytes(file));
        JsonElement recorded = manifest.RootElement.GetProperty("precision").GetProperty("measured").GetProperty("recorded");
        return string.Create(CultureInfo.InvariantCulture, $"{precision}: {recorded.GetProperty("outcomeFlips").GetInt64()} of {recorded.GetProperty("rows").GetInt64():#,0} outcomes change, see {name}");
    }
}
