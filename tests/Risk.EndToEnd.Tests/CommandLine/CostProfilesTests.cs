using System.Text.Json;
using System.Text.Json.Nodes;

namespace Risk.EndToEnd.Tests.CommandLine;

/// <summary>Profiles that a measuring machine gave back: which of them <c>risk cost compare</c> takes.</summary>
public sealed class CostProfilesTests
{
    private static string Shipped => Path.Combine(RiskProcess.Home, "ops", "profiles");

    [Fact]
    public void CpuIsPriced_ByTheQuickestOfItsProfiles()
    {
        using var folder = new TestFolder();
        string profiles = Split(folder, "cpu", "tree-ensemble"); // comes first by name
        Split(folder, "forest-kernel", "forest-kernel");
        File.Copy(Path.Combine(Shipped, "nvidia-t4.json"), Path.Combine(profiles, "nvidia-t4.json"));
        File.Copy(Path.Combine(Shipped, "workloads.json"), Path.Combine(profiles, "workloads.json"));

        JsonElement compared = Compare(profiles);
        Assert.Equal(["forest-kernel", "nvidia-t4"], Devices(compared).Select(d => d.GetProperty("name").GetString()));
        Assert.Equal("cpu", Devices(Compare(profiles, "--cpu", "cpu"))[0].GetProperty("name").GetString());
    }

    [Fact]
    public void CardThatWasMeasured_TakesItsDataSheetsPlace_UnderTheCardsNameOnly()
    {
        using var folder = new TestFolder();
        string profiles = Split(folder, "forest-kernel", "forest-kernel");
        foreach (string name in (string[])["cuda", "nvidia-h200"])
        {
            JsonNode card = JsonNode.Parse(File.ReadAllText(Path.Combine(profiles, "forest-kernel.json")))!;
            (card["name"], card["kind"], card["device"], card["padded"]) = (name, "gpu", "NVIDIA H200", true);
            File.WriteAllText(Path.Combine(profiles, $"{name}.json"), card.ToJsonString());
        }

        RiskResult result = RiskCommand.Run("cost", "compare", "--json", "--profiles", profiles, "--price-age-max", "100000").Succeeded();
        JsonElement found = Assert.Single(Devices(result.Json).Skip(1));
        Assert.Equal(("nvidia-h200", "measured"), (found.GetProperty("name").GetString(), found.GetProperty("timeBasis").GetString()));
        Assert.Contains("PRICE_MISSING", result.Error, StringComparison.Ordinal);
    }

    private static JsonElement[] Devices(JsonElement compared) => [.. compared.GetProperty("pairings")[0].GetProperty("devices").EnumerateArray()];

    private static JsonElement Compare(string profiles, params string[] more) =>
        RiskCommand.Run(["cost", "compare", "--json", "--profiles", profiles, "--price-age-max", "100000", .. more]).Succeeded().Json;

    /// <summary>One variant of the shipped processor's profile, as a profile of its own.</summary>
    private static string Split(TestFolder folder, string name, string variant)
    {
        Directory.CreateDirectory(folder["profiles"]);
        JsonNode profile = JsonNode.Parse(File.ReadAllText(Path.Combine(Shipped, "cpu-epyc-2.json")))!;
        profile["name"] = name;
        profile["models"] = new JsonArray([.. profile["models"]!.AsArray().Where(c => (string?)c!["variant"] == variant).Select(c => c!.DeepClone())]);
        return Path.GetDirectoryName(folder.Write($"profiles/{name}.json", profile.ToJsonString()))!;
    }
}
