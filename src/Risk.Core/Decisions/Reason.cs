using System.Buffers;

namespace Risk.Core.Decisions;

/// <summary>A stable short name of a reason: a feature's name, or the code a rule gives. Lower case letters, digits, <c>_ - .</c>, at most 64.</summary>
public readonly record struct ReasonCode(string Value)
{
    public const int LengthMax = 64;
    private static readonly SearchValues<char> s_allowed = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789_-.");

    public static bool IsValid(string value) => value.Length is > 0 and <= LengthMax && !value.AsSpan().ContainsAnyExcept(s_allowed);
    public override string ToString() => Value;
}

/// <summary>One principal reason of a decision, as it is recorded and may be told to the customer.</summary>
/// <param name="Source">The one component it comes from: score, rule or human.</param>
/// <param name="Contribution">How far it pushed the raw margin toward fraud or default (TreeSHAP, log-odds); 0 for rules and humans.</param>
public readonly record struct Reason(ReasonCode Code, string Text, OutcomeSource Source, double Contribution);

/// <summary>
/// Which texts may be given to a customer as a reason. Statements that the action rests on "internal standards or
/// policies", or that the applicant "failed to achieve a qualifying score", are insufficient: 12 CFR 1002.9(b)(2),
/// https://www.consumerfinance.gov/rules-policy/regulations/1002/9/ ; that the algorithm is complex is no excuse: CFPB
/// circular 2023-03. So the texts of rules and of features pass here when they are loaded.
/// </summary>
public static class ReasonText
{
    public const int LengthMin = 12;
    public const int LengthMax = 200;

    // Each names the procedure instead of the factor.
    private static readonly string[] s_insufficient =
    [
        "score", "scoring", "algorithm", "the model", "internal standard", "internal polic", "our polic", "our criteria",
        "company policy", "high risk", "risk too high", "too risky", "not qualif", "qualifying", "other reason", "declined by",
    ];

    /// <summary>Null when the text will do; otherwise what is wrong with it.</summary>
    public static string? Fault(string? text)
    {
        if (string.IsNullOrWhiteSpace(text))
            return "needs a reason text";
        if (text.Trim().Length != text.Length || text.Any(char.IsControl))
            return "has white space around it or control characters in it";
        if (text.Length is < LengthMin or > LengthMax)
            return $"must have {LengthMin} to {LengthMax} characters, not {text.Length}";
        string? phrase = s_insufficient.FirstOrDefault(phrase => text.Contains(phrase, StringComparison.OrdinalIgnoreCase));
        return phrase is null ? null : $"says '{phrase}', which names the procedure and not the factor (12 CFR 1002.9(b)(2))";
    }
}
