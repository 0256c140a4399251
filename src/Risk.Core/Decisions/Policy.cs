using System.Diagnostics.CodeAnalysis;
using Risk.Core.Transactions;

namespace Risk.Core.Decisions;

/// <summary>A calibrated probability from which on an outcome applies (score ≥ threshold). In (0, 1].</summary>
public readonly record struct Threshold(double Value);

/// <summary>One rule: when its condition holds, at least this outcome, for this reason.</summary>
/// <param name="Id">Unique in the policy; lower case, what <see cref="ReasonCode"/> allows.</param>
/// <param name="Overrides">Only of an approve rule: beats what the score says (never another rule).</param>
public sealed record PolicyRule(string Id, Condition When, Outcome Outcome, ReasonCode ReasonCode, string ReasonText, bool Overrides);

/// <summary>What the policy says of one transaction.</summary>
/// <param name="Source">What led to the outcome: score, rule, or both when each alone would have.</param>
/// <param name="RulesFired">Bit i: rule i of <see cref="Policy.Rules"/> held, whether or not it changed the outcome.</param>
public readonly record struct PolicyResult(Outcome Outcome, OutcomeSource Source, ulong RulesFired);

/// <summary>
/// Scores to outcomes: two thresholds and a list of rules, from <c>streams/&lt;stream&gt;/policy.json</c>. Immutable; named by
/// the SHA-256 of the file's bytes, which every decision records.
/// <para>Precedence, in full:</para>
/// <list type="number">
/// <item>The score says decline from the decline threshold on, review from the review threshold on, else approve.</item>
/// <item>Every rule is evaluated. Of those that hold the gravest counts: decline over review over approve.</item>
/// <item>The graver of score and rules wins. When both say it, both are its source.</item>
/// <item>An approve rule changes nothing, unless it has <c>"override": true</c> and no review or decline rule holds: then
/// it beats the score.</item>
/// <item>Without a valid score (NaN, outside [0, 1]) nothing is approved: a review or decline rule that holds still
/// decides, else the outcome is refer.</item>
/// </list>
/// </summary>
public sealed class Policy
{
    /// <summary>Rules of one policy: they are a bit set of 64 in each decision, and few enough to be reviewed.</summary>
    public const int RuleCountMax = 64;
    /// <summary>The most that <c>reasons.max</c> may be; more than four are "not likely to be helpful" (12 CFR 1002.9(b)(2), comment 1).</summary>
    public const int ReasonCountLimit = 16;
    /// <summary>Bytes of a policy file.</summary>
    public const int FileSizeMax = 1 << 20;

    private readonly PolicyRule[] _rules;

    internal Policy(int version, string stream, Threshold review, Threshold decline, PolicyRule[] rules, int reasonCountMax, Sha256Digest digest)
    {
        Version = version;
        Stream = stream;
        Review = review;
        Decline = decline;
        _rules = rules;
        ReasonCountMax = reasonCountMax;
        Digest = digest;
    }

    public int Version { get; }
    public string Stream { get; }
    public Threshold Review { get; }
    public Threshold Decline { get; }
    public ReadOnlySpan<PolicyRule> Rules => _rules;
    /// <summary>How far the raw scores of a model in fewer bits may be from those of the model it was made from; 0 unless given: such models do not serve.</summary>
    public double ScoreDifferenceMax { get; internal init; }
    /// <summary>How many reasons are shown by default (all contributions are stored).</summary>
    public int ReasonCountMax { get; }
    /// <summary>SHA-256 of the file's bytes.</summary>
    public Sha256Digest Digest { get; }

    /// <summary>
    /// Reads a policy. On false, <paramref name="errors"/> names everything that is wrong, by file, JSON path and rule:
    /// <c>POLICY_INVALID</c> (shape, wrong stream), <c>POLICY_THRESHOLD_INVALID</c>, <c>POLICY_RULE_DUPLICATE</c>,
    /// <c>POLICY_REASON_INVALID</c> (missing, or no reason at all: see <see cref="ReasonText"/>), <c>TOO_LARGE</c>, and the
    /// codes of <see cref="Condition.TryParse"/>.
    /// </summary>
    /// <param name="bytes">The file, UTF-8 JSON.</param>
    /// <param name="file">For the errors: its name.</param>
    /// <param name="stream">The stream it must be for.</param>
    public static bool TryRead(ReadOnlyMemory<byte> bytes, string file, string stream, IConditionScope scope, ICollection<DefinitionError> errors, [NotNullWhen(true)] out Policy? policy)
    {
        policy = new PolicyReader(file, stream, scope, errors).Read(bytes);
        return policy is not null;
    }

    /// <summary>What the policy says of one transaction. Allocates nothing.</summary>
    /// <param name="score">The calibrated probability; NaN when there is none.</param>
    public PolicyResult Decide(double score, in ConditionInputs inputs)
    {
        ulong fired = 0;
        Outcome byRules = Outcome.Approve;
        bool overrides = false;
        PolicyRule[] rules = _rules;
        for (int index = 0; index < rules.Length; index++)
        {
            PolicyRule rule = rules[index];
            if (!rule.When.Evaluate(in inputs))
                continue;
            fired |= 1UL << index;
            overrides |= rule.Overrides;
            if (rule.Outcome > byRules)
                byRules = rule.Outcome;
        }

        if (!(score is >= 0 and <= 1)) // NaN too
            return byRules == Outcome.Approve
                ? new PolicyResult(Outcome.Refer, OutcomeSource.None, fired)
                : new PolicyResult(byRules, OutcomeSource.Rule, fired);

        Outcome byScore = score >= Decline.Value ? Outcome.Decline : score >= Review.Value ? Outcome.Review : Outcome.Approve;
        if (byRules == Outcome.Approve)
            return overrides
                ? new PolicyResult(Outcome.Approve, OutcomeSource.Rule, fired)
                : new PolicyResult(byScore, OutcomeSource.Score, fired);
        if (byScore == byRules)
            return new PolicyResult(byScore, OutcomeSource.Score | OutcomeSource.Rule, fired);
        return byScore > byRules
            ? new PolicyResult(byScore, OutcomeSource.Score, fired)
            : new PolicyResult(byRules, OutcomeSource.Rule, fired);
    }
}
