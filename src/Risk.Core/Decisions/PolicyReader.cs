using System.Text.Json;
using Risk.Core.Transactions;

namespace Risk.Core.Decisions;

/// <summary>
/// Reads <c>policy.json</c>:
/// <code>
/// { "version": 1, "stream": "card-payments", "note": "for people",
///   "thresholds": { "review": 0.2, "decline": 0.85 },
///   "reasons": { "max": 4 },
///   "rules": [ { "id": "…", "when": { condition }, "outcome": "approve|review|decline", "override": false,
///                "reason": { "code": "…", "text": "…" }, "note": "for people" } ] }
/// </code>
/// Everything wrong in it is reported at once. Used once.
/// </summary>
internal sealed class PolicyReader(string file, string stream, IConditionScope scope, ICollection<DefinitionError> errors)
{
    private readonly DefinitionReader _reader = new("POLICY_INVALID", file, errors);

    public Policy? Read(ReadOnlyMemory<byte> bytes)
    {
        int before = errors.Count;
        using JsonDocument? document = _reader.Open(bytes, Policy.FileSizeMax);
        if (document is null)
            return null;
        JsonElement root = document.RootElement;
        if (!_reader.IsObject(root, "$", "version", "stream", "note", "thresholds", "reasons", "scoreDifferenceMax", "rules") && root.ValueKind != JsonValueKind.Object)
            return null;

        int version = _reader.Integer(root, "$", "version", 1, int.MaxValue) ?? 0;
        string? named = _reader.Text(root, "$", "stream");
        if (named is not null && named != stream)
            _reader.Add("POLICY_INVALID", "$.stream", $"is for '{named}', not for '{stream}'");
        (Threshold review, Threshold decline) = ReadThresholds(root);
        int reasonCountMax = ReadReasonCountMax(root);
        double scoreDifferenceMax = root.TryGetProperty("scoreDifferenceMax", out _) ? _reader.Number(root, "$", "scoreDifferenceMax", 0, 1, "POLICY_INVALID") ?? 0 : 0;
        List<PolicyRule> rules = ReadRules(root);

        return errors.Count > before ? null : new Policy(version, stream, review, decline, [.. rules], reasonCountMax, Sha256Digest.Of(bytes.Span)) { ScoreDifferenceMax = scoreDifferenceMax };
    }

    private (Threshold Review, Threshold Decline) ReadThresholds(JsonElement root)
    {
        if (!_reader.TryMember(root, "$", "thresholds", out JsonElement thresholds) || !_reader.IsObject(thresholds, "$.thresholds", "review", "decline"))
            return default;
        double? review = _reader.Number(thresholds, "$.thresholds", "review", double.Epsilon, 1, "POLICY_THRESHOLD_INVALID");
        double? decline = _reader.Number(thresholds, "$.thresholds", "decline", double.Epsilon, 1, "POLICY_THRESHOLD_INVALID");
        if (decline < review)
            _reader.Add("POLICY_THRESHOLD_INVALID", "$.thresholds.decline", $"is {decline:R}, below review {review:R}: nothing could ever be sent to review");
        return (new Threshold(review ?? 1), new Threshold(decline ?? 1));
    }

    private int ReadReasonCountMax(JsonElement root)
    {
        const int Default = 4;
        if (!root.TryGetProperty("reasons", out JsonElement reasons))
            return Default;
        return _reader.IsObject(reasons, "$.reasons", "max") ? _reader.Integer(reasons, "$.reasons", "max", 1, Policy.ReasonCountLimit) ?? Default : Default;
    }

    private List<PolicyRule> ReadRules(JsonElement root)
    {
        List<PolicyRule> rules = [];
        if (!_reader.TryMember(root, "$", "rules", out JsonElement list))
            return rules;
        if (list.ValueKind != JsonValueKind.Array || list.GetArrayLength() > Policy.RuleCountMax)
        {
            _reader.Add("POLICY_INVALID", "$.rules", $"needs a list of at most {Policy.RuleCountMax} rules");
            return rules;
        }
        HashSet<string> ids = [];
        int index = 0;
        foreach (JsonElement element in list.EnumerateArray())
        {
            string path = $"$.rules[{index++}]";
            // A rule's faults are gathered apart, so that each can be told with the rule's id.
            List<DefinitionError> faults = [];
            PolicyRule? rule = ReadRule(element, path, ids, faults, out string? id);
            foreach (DefinitionError fault in faults)
                errors.Add(id is null ? fault : fault with { Sentence = $"rule '{id}': {fault.Sentence}" });
            if (rule is not null && faults.Count == 0)
                rules.Add(rule);
        }
        return rules;
    }

    private PolicyRule? ReadRule(JsonElement element, string path, HashSet<string> ids, List<DefinitionError> faults, out string? id)
    {
        id = null;
        DefinitionReader reader = new("POLICY_INVALID", file, faults);
        reader.IsObject(element, path, "id", "when", "outcome", "override", "reason", "note");
        if (element.ValueKind != JsonValueKind.Object)
            return null;
        id = reader.Text(element, path, "id");
        if (id is not null && !ReasonCode.IsValid(id))
            reader.Add("POLICY_INVALID", $"{path}.id", $"may have lower case letters, digits, _ - . and {ReasonCode.LengthMax} characters");
        if (id is not null && !ids.Add(id))
            reader.Add("POLICY_RULE_DUPLICATE", $"{path}.id", "is the id of an earlier rule as well");

        Condition? when = null;
        if (reader.TryMember(element, path, "when", out JsonElement condition))
            Condition.TryParse(condition, file, $"{path}.when", scope, faults, out when);
        Outcome? outcome = ReadOutcome(reader, element, path);
        bool overrides = ReadOverride(reader, element, path, outcome);
        (string code, string text) = ReadReason(reader, element, path);
        return id is null || when is null || outcome is null ? null : new PolicyRule(id, when, outcome.Value, new ReasonCode(code), text, overrides);
    }

    private static Outcome? ReadOutcome(DefinitionReader reader, JsonElement element, string path)
    {
        string? word = reader.Text(element, path, "outcome");
        Outcome? outcome = word switch { "approve" => Outcome.Approve, "review" => Outcome.Review, "decline" => Outcome.Decline, _ => null };
        if (word is not null && outcome is null)
            reader.Add("POLICY_INVALID", $"{path}.outcome", $"'{word}' is none of approve, review, decline");
        return outcome;
    }

    private static bool ReadOverride(DefinitionReader reader, JsonElement element, string path, Outcome? outcome)
    {
        if (!element.TryGetProperty("override", out JsonElement value))
            return false;
        if (value.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
            reader.Add("POLICY_INVALID", $"{path}.override", "needs true or false");
        else if (value.ValueKind == JsonValueKind.True && outcome is not (null or Outcome.Approve))
            reader.Add("POLICY_INVALID", $"{path}.override", "only goes with outcome approve: review and decline win by themselves");
        return value.ValueKind == JsonValueKind.True;
    }

    private static (string Code, string Text) ReadReason(DefinitionReader reader, JsonElement element, string path)
    {
        if (!element.TryGetProperty("reason", out JsonElement reason) || reason.ValueKind != JsonValueKind.Object)
        {
            reader.Add("POLICY_REASON_INVALID", $"{path}.reason", "needs a reason with code and text");
            return ("", "");
        }
        reader.IsObject(reason, $"{path}.reason", "code", "text");
        string? code = reason.TryGetProperty("code", out JsonElement given) && given.ValueKind == JsonValueKind.String ? given.GetString() : null;
        if (code is null || !ReasonCode.IsValid(code))
            reader.Add("POLICY_REASON_INVALID", $"{path}.reason.code", $"needs lower case letters, digits, _ - . and at most {ReasonCode.LengthMax} characters");
        string? text = reason.TryGetProperty("text", out given) && given.ValueKind == JsonValueKind.String ? given.GetString() : null;
        if (ReasonText.Fault(text) is { } fault)
            reader.Add("POLICY_REASON_INVALID", $"{path}.reason.text", fault);
        return (code ?? "", text ?? "");
    }
}
