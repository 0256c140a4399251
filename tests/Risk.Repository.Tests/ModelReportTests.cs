using System.Globalization;
using System.Text.Json;

namespace Risk.Repository.Tests;

/// <summary>Reports beside the models: made by their scripts, of the models that ship.</summary>
public sealed class ModelReportTests
{
    [Fact]
    public void LiftOfTheSequenceModel_IsOfTheModelsThatShip_AndTheReadmeSaysItsFigures()
    {
        JsonElement lift = Json("models/card-fraud-sequence/lift.json");
        foreach ((string which, string name) in (ReadOnlySpan<(string, string)>)[("forest", "card-fraud"), ("sequence", "card-fraud-sequence")])
        {
            Assert.Equal($"{name}@1 {Json($"models/{name}/1/model.json").GetProperty("digest").GetString()}", lift.GetProperty("models").GetProperty(which).GetString());
        }
        string readme = File.ReadAllText(Checkout.FullPath("models/card-fraud-sequence/README.md"));
        foreach (JsonElement row in lift.GetProperty("money").EnumerateArray().Where(r => r.GetProperty("of").GetString() == "cards"))
        {
            JsonElement caught = row.GetProperty("caughtADay"), gain = row.GetProperty("liftAMonth");
            string expected = $"{row.GetProperty("reviewsADay")} cards | {Euros(caught, "forest")} | {Euros(caught, "sequence")} | {Euros(gain, "value")} ({Euros(gain, "low")} to {Euros(gain, "high")})";
            Assert.Contains(expected.Replace("€", "", StringComparison.Ordinal), readme.Replace("**", "", StringComparison.Ordinal).Replace("€", "", StringComparison.Ordinal), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void MeansOfTheFourWeeks_AreThoseOfTheirWeeks_AndTheReadmeSaysThem()
    {
        string readme = File.ReadAllText(Checkout.FullPath("models/card-fraud-sequence/README.md"));
        foreach ((string name, string recipe) in (ReadOnlySpan<(string, string)>)[("card-fraud", "the forest's recipe"), ("card-fraud-sequence", "this model's recipe")])
        {
            string row = recipe;
            JsonElement found = Json($"models/{name}/prequential.json");
            JsonElement[] weeks = [.. found.GetProperty("weeks").EnumerateArray()];
            Assert.Equal(["2018-08-08", "2018-08-15", "2018-08-22", "2018-08-29"], weeks.Select(w => w.GetProperty("testWeek").GetString()));
            foreach (string measure in (string[])["aucRoc", "averagePrecision", "cardPrecisionAt100"])
            {
                Assert.Equal(weeks.Average(w => w.GetProperty(measure).GetDouble()), found.GetProperty("mean").GetProperty(measure).GetDouble(), 5.1e-5);
                row += $" | {Share(found.GetProperty("mean"), measure)} ({Share(found.GetProperty("standardDeviation"), measure)})";
            }
            Assert.Contains(row, readme, StringComparison.Ordinal);
        }
    }

    private static JsonElement Json(string path) => JsonDocument.Parse(File.ReadAllBytes(Checkout.FullPath(path))).RootElement;

    private static string Euros(JsonElement row, string name) => row.GetProperty(name).GetDouble().ToString("€#,0;−€#,0;€0", CultureInfo.InvariantCulture);

    private static string Share(JsonElement row, string name) => row.GetProperty(name).GetDouble().ToString(".000", CultureInfo.InvariantCulture);
}
