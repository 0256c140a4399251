using System.Globalization;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Risk.Core.Decisions;

namespace Risk.Core.Tests.Decisions;

public sealed class ConditionTests
{
    private static readonly TestScope Scope = new(numbers: ["amount", "limit"], texts: ["terminal_id", "country"], features: ["is_night", "rate", "count"]);

    [Theory]
    [InlineData("""{"field":"amount","op":">","value":100}""", true)]
    [InlineData("""{"field":"amount","op":">","value":150}""", false)]
    [InlineData("""{"field":"amount","op":">=","value":150}""", true)]
    [InlineData("""{"field":"amount","op":"<","value":150}""", false)]
    [InlineData("""{"field":"amount","op":"<=","value":150}""", true)]
    [InlineData("""{"field":"amount","op":"==","value":150}""", true)]
    [InlineData("""{"field":"amount","op":"!=","value":150}""", false)]
    [InlineData("""{"field":"amount","op":"in","values":[1,150,2]}""", true)]
    [InlineData("""{"field":"amount","op":"in","values":[1,2]}""", false)]
    [InlineData("""{"feature":"is_night","op":"==","value":1}""", true)]
    [InlineData("""{"field":"terminal_id","op":"==","value":"T7"}""", true)]
    [InlineData("""{"field":"terminal_id","op":"!=","value":"T7"}""", false)]
    [InlineData("""{"field":"terminal_id","op":"!=","value":"T8"}""", true)]
    [InlineData("""{"field":"terminal_id","op":"in","values":["Z","T7","A"]}""", true)]
    [InlineData("""{"field":"terminal_id","op":"in","values":["Z","A"]}""", false)]
    [InlineData("""{"all":[{"field":"amount","op":">","value":1},{"feature":"is_night","op":"==","value":0}]}""", false)]
    [InlineData("""{"any":[{"field":"amount","op":">","value":999},{"feature":"is_night","op":"==","value":1}]}""", true)]
    [InlineData("""{"not":{"any":[{"field":"amount","op":">","value":999},{"feature":"is_night","op":"==","value":1}]}}""", false)]
    [InlineData("""{"not":{"not":{"field":"amount","op":">","value":100}}}""", true)]
    public void Condition_OnAFullRow_AnswersAsWritten(string json, bool expected) =>
        Assert.Equal(expected, Evaluate(json, [150, 1000], [1, 0.25, 7], ["T7", "DE"]));

    [Theory]
    [InlineData("""{"field":"amount","op":"<","value":1}""", false)]
    [InlineData("""{"field":"amount","op":">=","value":1}""", false)]
    [InlineData("""{"field":"amount","op":"==","value":1}""", false)]
    [InlineData("""{"field":"amount","op":"!=","value":1}""", false)]
    [InlineData("""{"field":"amount","op":"in","values":[1,2]}""", false)]
    [InlineData("""{"field":"amount","op":"is_missing"}""", true)]
    [InlineData("""{"feature":"rate","op":"is_missing"}""", true)]
    [InlineData("""{"field":"terminal_id","op":"is_missing"}""", true)]
    [InlineData("""{"field":"terminal_id","op":"==","value":"T7"}""", false)]
    [InlineData("""{"field":"terminal_id","op":"!=","value":"T7"}""", false)]
    [InlineData("""{"field":"terminal_id","op":"in","values":["T7"]}""", false)]
    [InlineData("""{"not":{"field":"amount","op":">","value":1}}""", true)]
    public void MissingValue_IsFalseInEveryComparison_AndTrueOnlyForIsMissing(string json, bool expected) =>
        Assert.Equal(expected, Evaluate(json, [double.NaN, double.NaN], [double.NaN, double.NaN, double.NaN], ["", ""]));

    [Theory]
    [InlineData("""[]""", "CONDITION_INVALID", "$.when")]
    [InlineData("""{}""", "CONDITION_INVALID", "$.when")]
    [InlineData("""{"field":"amonut","op":">","value":1}""", "CONDITION_NAME_UNKNOWN", "$.when.field")]
    [InlineData("""{"feature":"amount","op":">","value":1}""", "CONDITION_NAME_UNKNOWN", "$.when.feature")]
    [InlineData("""{"field":7,"op":">","value":1}""", "CONDITION_INVALID", "$.when.field")]
    [InlineData("""{"field":"amount","op":"=","value":1}""", "CONDITION_INVALID", "$.when.op")]
    [InlineData("""{"field":"amount","value":1}""", "CONDITION_INVALID", "$.when.op")]
    [InlineData("""{"field":"amount","op":">"}""", "CONDITION_INVALID", "$.when")]
    [InlineData("""{"field":"amount","op":">","value":"1"}""", "CONDITION_INVALID", "$.when.value")]
    [InlineData("""{"field":"amount","op":">","value":1e400}""", "CONDITION_INVALID", "$.when.value")]
    [InlineData("""{"field":"amount","op":">","values":[1]}""", "CONDITION_INVALID", "$.when.values")]
    [InlineData("""{"field":"amount","op":"in","value":1}""", "CONDITION_INVALID", "$.when.value")]
    [InlineData("""{"field":"amount","op":"in","values":[]}""", "CONDITION_INVALID", "$.when.values")]
    [InlineData("""{"field":"amount","op":"in","values":[1,"2"]}""", "CONDITION_INVALID", "$.when.values[1]")]
    [InlineData("""{"field":"amount","op":"is_missing","value":1}""", "CONDITION_INVALID", "$.when.value")]
    [InlineData("""{"field":"terminal_id","op":">","value":"A"}""", "CONDITION_INVALID", "$.when.op")]
    [InlineData("""{"field":"terminal_id","op":"==","value":""}""", "CONDITION_INVALID", "$.when.value")]
    [InlineData("""{"field":"terminal_id","op":"==","value":"\ud800"}""", "CONDITION_INVALID", "$.when")]
    [InlineData("""{"field":"amount","op":">","value":1,"unit":"EUR"}""", "CONDITION_INVALID", "$.when.unit")]
    [InlineData("""{"field":"amount","op":">","op":"<","value":1}""", "CONDITION_INVALID", "$.when.op")]
    [InlineData("""{"all":[]}""", "CONDITION_INVALID", "$.when.all")]
    [InlineData("""{"all":{}}""", "CONDITION_INVALID", "$.when.all")]
    [InlineData("""{"all":[{"field":"amount","op":">","value":1}],"any":[]}""", "CONDITION_INVALID", "$.when.any")]
    [InlineData("""{"all":[{"field":"amount","op":">","value":1},{"not":{"feature":"night","op":"==","value":1}}]}""", "CONDITION_NAME_UNKNOWN", "$.when.all[1].not.feature")]
    public void FaultyCondition_NamesCodeFileAndPath(string json, string code, string path)
    {
        DefinitionError error = Assert.Single(Errors(json));
        Assert.Equal((code, "policy.json", path), (error.Code, error.File, error.Path));
        Assert.StartsWith($"{code}: policy.json {path}: ", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void FaultyParts_AreAllNamedAtOnce() =>
        Assert.Equal(
            ["$.when.any[0].field", "$.when.any[2].op"],
            Errors("""{"any":[{"field":"x","op":">","value":1},{"field":"amount","op":">","value":1},{"field":"amount","op":"~","value":1}]}""").Select(error => error.Path));

    [Fact]
    public void Bounds_AreExact()
    {
        const string Leaf = """{"field":"amount","op":">","value":1}""";
        string Nested(int depth) => string.Concat(Enumerable.Repeat("{\"not\":", depth - 1)) + Leaf + new string('}', depth - 1);
        string Wide(int count) => $$"""{"any":[{{string.Join(",", Enumerable.Repeat(Leaf, count - 1))}}]}""";
        string In(int count) => $$"""{"field":"amount","op":"in","values":[{{string.Join(",", Enumerable.Range(0, count))}}]}""";
        string Text(int bytes) => $$"""{"field":"country","op":"==","value":"{{new string('x', bytes)}}"}""";

        Assert.All([Nested(Condition.DepthMax), Wide(Condition.NodeCountMax), In(Condition.ValueCountMax), Text(Condition.TextBytesMax)], json => Assert.Empty(Errors(json)));
        Assert.All(
            [Nested(Condition.DepthMax + 1), Wide(Condition.NodeCountMax + 1), In(Condition.ValueCountMax + 1), Text(Condition.TextBytesMax + 1)],
            json => Assert.Equal("CONDITION_TOO_LARGE", Assert.Single(Errors(json)).Code));
    }

    [Fact]
    public void ToString_ReadsLikeTheRule()
    {
        Condition condition = Parse("""{"all":[{"field":"amount","op":">","value":0.1},{"any":[{"feature":"rate","op":"is_missing"},{"field":"country","op":"in","values":["DE","AT"]}]},{"not":{"feature":"is_night","op":"==","value":1}}]}""");
        Assert.Equal("amount > 0.1 and (rate is missing or country in ('DE', 'AT')) and not (is_night == 1)", condition.ToString());
        Assert.Equal([0, 1], condition.FeatureIndices.ToArray());
    }

    [Fact]
    public void AnyCondition_AnswersLikeANaiveReadingOfItsJson() =>
        Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
        {
            Random random = new(seed);
            string json = RandomCondition(random, depth: 1);
            using JsonDocument document = JsonDocument.Parse(json);
            Condition condition = Parse(json);
            for (int row = 0; row < 20; row++)
            {
                double[] numbers = [RandomNumber(random), RandomNumber(random)];
                double[] features = [RandomNumber(random), RandomNumber(random), RandomNumber(random)];
                string[] texts = [RandomText(random), RandomText(random)];
                if (condition.Evaluate(TestRow.Inputs(numbers, features, texts)) != Naive(document.RootElement, numbers, features, texts))
                    return false;
            }
            return true;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [Fact]
    public void Evaluate_AllocatesNothing()
    {
        Condition condition = Parse("""{"all":[{"field":"amount","op":">","value":1},{"field":"country","op":"in","values":["DE","AT","CH"]},{"field":"amount","op":"in","values":[5,6,7]},{"not":{"feature":"is_night","op":"==","value":1}}]}""");
        ConditionInputs inputs = TestRow.Inputs([6, 0], [0, 0, 0], ["T", "CH"]);
        int yes = 0;
        for (int i = 0; i < 1000; i++)
            yes += condition.Evaluate(in inputs) ? 1 : 0;
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10_000; i++)
            yes += condition.Evaluate(in inputs) ? 1 : 0;
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(11_000, yes);
    }

    private static bool Evaluate(string json, double[] numbers, double[] features, string[] texts) =>
        Parse(json).Evaluate(TestRow.Inputs(numbers, features, texts));

    private static Condition Parse(string json)
    {
        List<DefinitionError> errors = [];
        using JsonDocument document = JsonDocument.Parse(json);
        Assert.True(Condition.TryParse(document.RootElement, "policy.json", "$.when", Scope, errors, out Condition? condition), string.Join('\n', errors));
        Assert.Empty(errors);
        return condition;
    }

    private static List<DefinitionError> Errors(string json)
    {
        List<DefinitionError> errors = [];
        using JsonDocument document = JsonDocument.Parse(json);
        bool parsed = Condition.TryParse(document.RootElement, "policy.json", "$.when", Scope, errors, out _);
        Assert.Equal(parsed, errors.Count == 0);
        return errors;
    }

    private static double RandomNumber(Random random) => random.Next(6) == 0 ? double.NaN : random.Next(-2, 3);
    private static string RandomText(Random random) => random.Next(5) == 0 ? "" : ((char)('a' + random.Next(4))).ToString();

    private static string RandomCondition(Random random, int depth)
    {
        if (depth < 6 && random.Next(3) != 0)
        {
            string[] parts = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => RandomCondition(random, depth + 1))];
            return random.Next(3) switch
            {
                0 => $$"""{"not":{{parts[0]}}}""",
                1 => $$"""{"all":[{{string.Join(",", parts)}}]}""",
                _ => $$"""{"any":[{{string.Join(",", parts)}}]}""",
            };
        }
        bool text = random.Next(3) == 0;
        string subject = text
            ? random.Next(2) == 0 ? "\"field\":\"terminal_id\"" : "\"field\":\"country\""
            : random.Next(2) == 0 ? "\"field\":\"limit\"" : "\"feature\":\"count\"";
        string Value() => text ? $"\"{(char)('a' + random.Next(4))}\"" : random.Next(-2, 3).ToString(CultureInfo.InvariantCulture);
        string op = text ? new[] { "==", "!=", "in", "is_missing" }[random.Next(4)] : new[] { "==", "!=", "in", "is_missing", "<", "<=", ">", ">=" }[random.Next(8)];
        return op switch
        {
            "in" => $$"""{{{subject}},"op":"in","values":[{{string.Join(",", Enumerable.Range(0, random.Next(1, 4)).Select(_ => Value()))}}]}""",
            "is_missing" => $$"""{{{subject}},"op":"is_missing"}""",
            _ => $$"""{{{subject}},"op":"{{op}}","value":{{Value()}}}""",
        };
    }

    private static bool Naive(JsonElement condition, double[] numbers, double[] features, string[] texts)
    {
        if (condition.TryGetProperty("not", out JsonElement not))
            return !Naive(not, numbers, features, texts);
        if (condition.TryGetProperty("all", out JsonElement all))
            return all.EnumerateArray().All(part => Naive(part, numbers, features, texts));
        if (condition.TryGetProperty("any", out JsonElement any))
            return any.EnumerateArray().Any(part => Naive(part, numbers, features, texts));
        string op = condition.GetProperty("op").GetString()!;
        if (condition.TryGetProperty("field", out JsonElement field) && field.GetString() is "terminal_id" or "country")
        {
            string given = texts[field.GetString() == "terminal_id" ? 0 : 1];
            return op switch
            {
                "is_missing" => given == "",
                "==" => given == condition.GetProperty("value").GetString(),
                "!=" => given != "" && given != condition.GetProperty("value").GetString(),
                _ => condition.GetProperty("values").EnumerateArray().Any(value => value.GetString() == given),
            };
        }
        double number = condition.TryGetProperty("feature", out _) ? features[2] : numbers[1];
        if (double.IsNaN(number) || op == "is_missing")
            return double.IsNaN(number) && op == "is_missing";
        if (op == "in")
            return condition.GetProperty("values").EnumerateArray().Any(value => value.GetDouble() == number);
        double against = condition.GetProperty("value").GetDouble();
        return op switch { "<" => number < against, "<=" => number <= against, ">" => number > against, ">=" => number >= against, "==" => number == against, _ => number != against };
    }
}
