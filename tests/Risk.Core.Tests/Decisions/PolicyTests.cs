using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Risk.Core.Decisions;
using Outcome = Risk.Core.Decisions.Outcome;

namespace Risk.Core.Tests.Decisions;

public sealed class PolicyTests
{
    private const string Reason = """{ "code": "large_amount", "text": "The amount is unusually high" }""";
    private static readonly TestScope s_scope = new(numbers: ["amount"], texts: ["terminal_id"], features: ["a", "r", "d", "o"]);

    // One rule of each kind; feature i switches rule i on.
    private static readonly string s_four = Json(rules: $$"""
        { "id": "approve", "when": {{On("a")}}, "outcome": "approve", "reason": {{Reason}} },
        { "id": "review", "when": {{On("r")}}, "outcome": "review", "reason": {{Reason}} },
        { "id": "decline", "when": {{On("d")}}, "outcome": "decline", "reason": {{Reason}} },
        { "id": "trusted", "when": {{On("o")}}, "outcome": "approve", "override": true, "reason": {{Reason}} }
        """);

    [Theory]
    // score, rules that hold → outcome, source
    [InlineData(0.10, "", "approve", "score")]
    [InlineData(0.20, "", "review", "score")]
    [InlineData(0.199999, "", "approve", "score")]
    [InlineData(0.85, "", "decline", "score")]
    [InlineData(0.849999, "", "review", "score")]
    [InlineData(0.00, "", "approve", "score")]
    [InlineData(1.00, "", "decline", "score")]
    [InlineData(0.10, "a", "approve", "score")]
    [InlineData(0.50, "a", "review", "score")]
    [InlineData(0.90, "a", "decline", "score")]
    [InlineData(0.10, "r", "review", "rule")]
    [InlineData(0.50, "r", "review", "score+rule")]
    [InlineData(0.90, "r", "decline", "score")]
    [InlineData(0.10, "d", "decline", "rule")]
    [InlineData(0.50, "d", "decline", "rule")]
    [InlineData(0.90, "d", "decline", "score+rule")]
    [InlineData(0.10, "ard", "decline", "rule")]
    [InlineData(0.10, "ar", "review", "rule")]
    [InlineData(0.10, "o", "approve", "rule")]
    [InlineData(0.50, "o", "approve", "rule")]
    [InlineData(0.90, "o", "approve", "rule")]
    [InlineData(0.90, "ao", "approve", "rule")]
    [InlineData(0.10, "ro", "review", "rule")]
    [InlineData(0.90, "ro", "decline", "score")]
    [InlineData(0.10, "do", "decline", "rule")]
    [InlineData(double.NaN, "", "refer", "none")]
    [InlineData(double.NaN, "a", "refer", "none")]
    [InlineData(double.NaN, "o", "refer", "none")]
    [InlineData(double.NaN, "r", "review", "rule")]
    [InlineData(double.NaN, "d", "decline", "rule")]
    [InlineData(double.NegativeInfinity, "", "refer", "none")]
    [InlineData(double.PositiveInfinity, "", "refer", "none")]
    [InlineData(-0.001, "", "refer", "none")]
    [InlineData(1.001, "", "refer", "none")]
    public void Precedence_IsAsDocumented(double score, string holding, string outcome, string source)
    {
        PolicyResult result = Read(s_four).Decide(score, TestRow.Inputs([0], Switched(holding)));
        Assert.Equal((outcome, source), (result.Outcome.Name(), result.Source.Name()));
        Assert.Equal(holding, string.Concat("ardo".Where((_, rule) => (result.RulesFired >> rule & 1) != 0)));
    }

    [Fact]
    public void Precedence_DoesNotDependOnTheOrderOfRules()
    {
        string Rule(string feature, string outcome) => $$"""{ "id": "{{outcome}}", "when": {{On(feature)}}, "outcome": "{{outcome}}", "reason": {{Reason}} }""";
        Policy gravestFirst = Read(Json(rules: $"{Rule("d", "decline")}, {Rule("r", "review")}, {Rule("a", "approve")}"));
        Assert.Equal(Outcome.Decline, gravestFirst.Decide(0.1, TestRow.Inputs([0], Switched("ard"))).Outcome);
        Assert.Equal(Outcome.Review, gravestFirst.Decide(0.1, TestRow.Inputs([0], Switched("ar"))).Outcome);
    }

    [Fact]
    public void AnyScoreAndRules_NeverApproveWithoutAScore_AndNeverFallBelowARule() =>
        Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
        {
            Random random = new(seed);
            Policy policy = Read(s_four);
            string holding = string.Concat("ardo".Where(_ => random.Next(2) == 0));
            double score = random.Next(5) switch { 0 => double.NaN, 1 => random.NextDouble() * 3 - 1, _ => random.NextDouble() };
            PolicyResult result = policy.Decide(score, TestRow.Inputs([0], Switched(holding)));
            Outcome atLeast = holding.Contains('d') ? Outcome.Decline : holding.Contains('r') ? Outcome.Review : Outcome.Approve;
            bool scored = score is >= 0 and <= 1;
            return (scored || result.Outcome != Outcome.Approve)
                && (result.Outcome == Outcome.Refer) == (!scored && atLeast == Outcome.Approve)
                && (result.Outcome == Outcome.Refer || result.Outcome >= atLeast)
                && (result.Outcome == Outcome.Refer) == (result.Source == OutcomeSource.None);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [Fact]
    public void DefaultOutcome_IsNeverAnApproval() => Assert.Equal(Outcome.Refer, default(PolicyResult).Outcome);

    [Fact]
    public void Decide_AllocatesNothing()
    {
        Policy policy = Read(s_four);
        ConditionInputs inputs = TestRow.Inputs([0], Switched("ar"));
        long reviews = 0;
        for (int i = 0; i < 1000; i++)
            reviews += (long)policy.Decide(0.1, in inputs).Outcome;
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10_000; i++)
            reviews += (long)policy.Decide(0.1, in inputs).Outcome;
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(22_000, reviews);
    }

    [Fact]
    public void Digest_IsOfTheFilesBytes()
    {
        string json = Json();
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(json))), Read(json).Digest.ToString());
        Assert.NotEqual(Read(json).Digest, Read(json + "\n").Digest);
    }

    [Fact]
    public void ReasonsMax_IsFourUnlessGiven()
    {
        Assert.Equal(4, Read(Json()).ReasonCountMax);
        Assert.Equal(2, Read(Json(more: """, "reasons": { "max": 2 }""")).ReasonCountMax);
    }

    [Theory]
    [InlineData("not json", "POLICY_INVALID", "$", "JSON")]
    [InlineData("[]", "POLICY_INVALID", "$", "object")]
    [InlineData("""{ "version": 1, "version": 2 }""", "POLICY_INVALID", "$", "version")]
    [InlineData("""{ "version": 1, "stream": "\ud800" }""", "POLICY_INVALID", "$", "Unicode")]
    public void UnreadableFile_IsOneError(string json, string code, string path, string says)
    {
        DefinitionError error = Assert.Single(Errors(json));
        Assert.Equal((code, "policy.json", path), (error.Code, error.File, error.Path));
        Assert.Contains(says, error.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void InvalidUtf8_IsAnError()
    {
        List<DefinitionError> errors = [];
        byte[] bytes = Encoding.UTF8.GetBytes(Json());
        bytes[Encoding.UTF8.GetString(bytes).IndexOf("test", StringComparison.Ordinal)] = 0xFF;
        Assert.False(Policy.TryRead(bytes, "policy.json", "test", s_scope, errors, out _));
        Assert.Equal("POLICY_INVALID", Assert.Single(errors).Code);
        Assert.False(Policy.TryRead(new byte[Policy.FileSizeMax + 1], "policy.json", "test", s_scope, errors, out _));
        Assert.Equal("TOO_LARGE", errors[^1].Code);
    }

    [Theory]
    [InlineData("""{ "review": 0.5, "decline": 0.4 }""", "POLICY_THRESHOLD_INVALID", "$.thresholds.decline")]
    [InlineData("""{ "review": 0, "decline": 0.4 }""", "POLICY_THRESHOLD_INVALID", "$.thresholds.review")]
    [InlineData("""{ "review": 0.5, "decline": 1.01 }""", "POLICY_THRESHOLD_INVALID", "$.thresholds.decline")]
    [InlineData("""{ "review": 0.5, "decline": "0.6" }""", "POLICY_THRESHOLD_INVALID", "$.thresholds.decline")]
    [InlineData("""{ "review": 0.5 }""", "POLICY_INVALID", "$.thresholds.decline")]
    [InlineData("""{ "review": 0.5, "decline": 0.6, "refer": 0.7 }""", "POLICY_INVALID", "$.thresholds.refer")]
    public void FaultyThresholds_AreNamed(string thresholds, string code, string path)
    {
        DefinitionError error = Assert.Single(Errors(Json(thresholds: thresholds)));
        Assert.Equal((code, path), (error.Code, error.Path));
    }

    [Fact]
    public void EqualThresholds_LeaveNoReviewByScore()
    {
        Policy policy = Read(Json(thresholds: """{ "review": 0.5, "decline": 0.5 }"""));
        Assert.Equal(Outcome.Decline, policy.Decide(0.5, TestRow.Inputs([0], Switched(""))).Outcome);
        Assert.Equal(Outcome.Approve, policy.Decide(0.4999, TestRow.Inputs([0], Switched(""))).Outcome);
    }

    [Theory]
    [InlineData("""{ "id": "x", "when": {"feature":"z","op":"==","value":1}, "outcome": "review", "reason": R }""", "CONDITION_NAME_UNKNOWN", ".when.feature")]
    [InlineData("""{ "id": "x", "outcome": "review", "reason": R }""", "POLICY_INVALID", ".when")]
    [InlineData("""{ "id": "x", "when": W, "outcome": "refer", "reason": R }""", "POLICY_INVALID", ".outcome")]
    [InlineData("""{ "id": "x", "when": W, "reason": R }""", "POLICY_INVALID", ".outcome")]
    [InlineData("""{ "id": "x", "when": W, "outcome": "review", "override": true, "reason": R }""", "POLICY_INVALID", ".override")]
    [InlineData("""{ "id": "x", "when": W, "outcome": "approve", "override": 1, "reason": R }""", "POLICY_INVALID", ".override")]
    [InlineData("""{ "id": "x", "when": W, "outcome": "review" }""", "POLICY_REASON_INVALID", ".reason")]
    [InlineData("""{ "id": "x", "when": W, "outcome": "review", "reason": { "code": "c" } }""", "POLICY_REASON_INVALID", ".reason.text")]
    [InlineData("""{ "id": "x", "when": W, "outcome": "review", "reason": { "code": "c", "text": " " } }""", "POLICY_REASON_INVALID", ".reason.text")]
    [InlineData("""{ "id": "x", "when": W, "outcome": "review", "reason": { "code": "c", "text": "Score too low" } }""", "POLICY_REASON_INVALID", ".reason.text")]
    [InlineData("""{ "id": "x", "when": W, "outcome": "review", "reason": { "code": "c", "text": "Does not meet internal standards" } }""", "POLICY_REASON_INVALID", ".reason.text")]
    [InlineData("""{ "id": "x", "when": W, "outcome": "review", "reason": { "code": "c", "text": "The ALGORITHM found it" } }""", "POLICY_REASON_INVALID", ".reason.text")]
    [InlineData("""{ "id": "x", "when": W, "outcome": "review", "reason": { "code": "Not A Code", "text": "The amount is unusually high" } }""", "POLICY_REASON_INVALID", ".reason.code")]
    [InlineData("""{ "id": "x", "when": W, "outcome": "review", "reason": R, "enabled": false }""", "POLICY_INVALID", ".enabled")]
    public void FaultyRule_NamesTheRuleAndWhatIsWrong(string rule, string code, string path)
    {
        string json = Json(rules: $$"""{ "id": "first", "when": {{On("a")}}, "outcome": "review", "reason": {{Reason}} }, """
            + rule.Replace(" R ", $" {Reason} ", StringComparison.Ordinal).Replace(" R,", $" {Reason},", StringComparison.Ordinal).Replace("W", On("r"), StringComparison.Ordinal));
        DefinitionError error = Assert.Single(Errors(json));
        Assert.Equal((code, "policy.json", $"$.rules[1]{path}"), (error.Code, error.File, error.Path));
        Assert.StartsWith("rule 'x': ", error.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void SeveralFaults_AreAllNamedAtOnce()
    {
        string rule = $$"""{ "id": "x", "when": {{On("q")}}, "outcome": "maybe", "reason": {{Reason}} }""";
        List<DefinitionError> errors = Errors(Json(rules: $"{rule}, {rule}", thresholds: """{ "review": 2, "decline": 0.5 }""", stream: "other"));
        Assert.Equal(
            ["POLICY_INVALID $.stream", "POLICY_THRESHOLD_INVALID $.thresholds.review",
             "CONDITION_NAME_UNKNOWN $.rules[0].when.feature", "POLICY_INVALID $.rules[0].outcome",
             "POLICY_RULE_DUPLICATE $.rules[1].id", "CONDITION_NAME_UNKNOWN $.rules[1].when.feature", "POLICY_INVALID $.rules[1].outcome"],
            errors.Select(error => $"{error.Code} {error.Path}"));
    }

    [Fact]
    public void RuleCount_HasABound()
    {
        string Rules(int count) => string.Join(",", Enumerable.Range(0, count).Select(index => $$"""{ "id": "r{{index}}", "when": {{On("a")}}, "outcome": "review", "reason": {{Reason}} }"""));
        Assert.Equal(ulong.MaxValue, Read(Json(rules: Rules(Policy.RuleCountMax))).Decide(0, TestRow.Inputs([0], Switched("a"))).RulesFired);
        Assert.Equal("$.rules", Assert.Single(Errors(Json(rules: Rules(Policy.RuleCountMax + 1)))).Path);
    }

    [Fact]
    public void ShippedPolicy_ReadsWithTheShippedCatalog_AndItsRulesHoldWhereTheyShould()
    {
        using JsonDocument catalog = JsonDocument.Parse(Shipped.Bytes("streams/card-payments/features.json"));
        string[] names = [.. catalog.RootElement.GetProperty("features").EnumerateArray().Select(feature => feature.GetProperty("name").GetString()!)];
        List<DefinitionError> errors = [];
        Assert.True(
            Policy.TryRead(Shipped.Bytes("streams/card-payments/policy.json"), "policy.json", "card-payments", new TestScope(["amount"], ["customer_id", "terminal_id"], names), errors, out Policy? policy),
            string.Join('\n', errors));

        string Held(double amount, double count, double rate7, double rate1, double payments)
        {
            double[] features = new double[names.Length];
            features[Array.IndexOf(names, "terminal_count_7d_delay_7d")] = count;
            features[Array.IndexOf(names, "terminal_fraud_rate_7d_delay_7d")] = rate7;
            features[Array.IndexOf(names, "terminal_fraud_rate_1d_delay_7d")] = rate1;
            features[Array.IndexOf(names, "customer_count_1d")] = payments;
            PolicyResult result = policy.Decide(0.01, TestRow.Inputs([amount], features));
            List<string> ids = [];
            for (int rule = 0; rule < policy.Rules.Length; rule++)
            {
                if ((result.RulesFired >> rule & 1) != 0)
                    ids.Add(policy.Rules[rule].Id);
            }
            return $"{result.Outcome.Name()}:{string.Join(",", ids)}";
        }
        Assert.Equal("approve:", Held(500, 4, 1, 1, 19));
        Assert.Equal("approve:", Held(50, 5, 0.5, 0.4, 1));
        Assert.Equal("review:large-amount", Held(500.01, 0, 0, 0, 1));
        Assert.Equal("review:compromised-terminal", Held(50, 5, 0.5, 0.5, 1));
        Assert.Equal("review:large-amount,compromised-terminal,card-testing", Held(501, 9, 1, 1, 20));
    }

    internal static Policy Read(string json)
    {
        List<DefinitionError> errors = [];
        Assert.True(Policy.TryRead(Encoding.UTF8.GetBytes(json), "policy.json", "test", s_scope, errors, out Policy? policy), string.Join('\n', errors));
        Assert.Empty(errors);
        return policy;
    }

    internal static string Json(string rules = "", string thresholds = """{ "review": 0.2, "decline": 0.85 }""", string stream = "test", string more = "") =>
        $$"""{ "version": 1, "stream": "{{stream}}", "thresholds": {{thresholds}}, "rules": [ {{rules}} ]{{more}} }""";

    internal static string On(string feature) => $$"""{ "feature": "{{feature}}", "op": "==", "value": 1 }""";

    internal static double[] Switched(string on) => [.. "ardo".Select(feature => on.Contains(feature) ? 1.0 : 0.0)];

    private static List<DefinitionError> Errors(string json)
    {
        List<DefinitionError> errors = [];
        bool read = Policy.TryRead(Encoding.UTF8.GetBytes(json), "policy.json", "test", s_scope, errors, out Policy? policy);
        Assert.Equal(errors.Count == 0, read);
        Assert.Equal(read, policy is not null);
        return errors;
    }
}
