using System.Text.Json;
using System.Text.RegularExpressions;

namespace Risk.Repository.Tests.Operations;

/// <summary>Runbooks, alerts and example configurations: what they name exists.</summary>
public sealed partial class RunbookTests
{
    [Fact]
    public void EveryFaultOfAServingProcess_HasItsLine()
    {
        string faults = File.ReadAllText(Checkout.FullPath("ops/runbooks/faults.md"));

        Assert.Contains("FENCED", ServedApi.Faults);
        Assert.Contains("OFFSET_GAP", ServedApi.Faults);
        Assert.All(ServedApi.Faults, code => Assert.Matches($@"(?m)^\|[^|]*`{code}`", faults));
    }

    [Fact]
    public void EveryLink_LeadsSomewhere() => Assert.All(Runbooks(), path => Assert.All(Link().Matches(File.ReadAllText(Checkout.FullPath(path))), link =>
    {
        string target = Path.Combine(Path.GetDirectoryName(Checkout.FullPath(path))!, link.Groups["target"].Value);
        Assert.True(File.Exists(target) || Directory.Exists(target), $"{path} links to {link.Groups["target"].Value}, which does not exist");
    }));

    [Fact]
    public void EveryAlert_SaysHowBadWhatAndWhere()
    {
        object[] rules = [.. Rules()];

        Assert.NotEmpty(rules);
        Assert.All(rules, rule =>
        {
            Assert.Contains(rule.Text("labels", "severity"), (string[])["warning", "critical"]);
            Assert.NotEmpty(rule.Text("annotations", "summary")!);
            Assert.True(File.Exists(Checkout.FullPath(rule.Text("annotations", "runbook")!)));
        });
    }

    [Fact]
    public void EveryMetricInAnAlert_IsOneThatTheEngineHas() => Assert.All(Rules(), rule =>
        Assert.All(Metric().Matches(rule.Text("expr")!), match => Assert.Contains(match.Value, ServedApi.Metrics)));

    [FactWithTool("promtool", "prometheus")]
    public void Alerts_AreRulesOfPrometheus_AndFireWhenTheyShould()
    {
        (int exitCode, string output) = Checkout.Run("promtool", "check", "rules", "ops/alerts/risk.yml");
        Assert.True(exitCode == 0, output);
        (exitCode, output) = Checkout.Run("promtool", "test", "rules", "ops/alerts/risk.test.yml");
        Assert.True(exitCode == 0, output);
    }

    [Fact]
    public void EveryExampleConfiguration_IsJsonWithoutSecrets()
    {
        string[] files = [.. Checkout.TrackedFiles.Where(path => path.StartsWith("ops/config/", StringComparison.Ordinal))];

        Assert.NotEmpty(files);
        Assert.All(files, path =>
        {
            using var json = JsonDocument.Parse(File.ReadAllText(Checkout.FullPath(path)), new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
            Assert.Equal(JsonValueKind.Object, json.RootElement.ValueKind);
            Assert.True(!json.RootElement.TryGetProperty("store", out JsonElement store) || !store.TryGetProperty("postgres", out JsonElement postgres) || Reference().IsMatch(postgres.GetString()!));
        });
    }

    private static IEnumerable<string> Runbooks() => Checkout.TrackedFiles.Where(path => path.StartsWith("ops/", StringComparison.Ordinal) && path.EndsWith(".md", StringComparison.Ordinal));

    private static IEnumerable<object> Rules() => Yaml.Document("ops/alerts/risk.yml").List("groups").SelectMany(group => group.List("rules"));

    [GeneratedRegex(@"\]\((?<target>[^)#:]+)(#[^)]*)?\)")]
    private static partial Regex Link();

    [GeneratedRegex("risk_[a-z_]+")]
    private static partial Regex Metric();

    [GeneratedRegex("^(env|file):.")]
    private static partial Regex Reference();
}
