using Risk.Core.Decisions;
using Risk.Core.Log;
using Risk.Core.Models;
using Risk.Core.Replay;
using Risk.Service.Engine;

namespace Risk.Cli.Verbs;

/// <summary>One feature's share of a decision.</summary>
/// <param name="Value">As recorded; NaN is missing.</param>
/// <param name="Amount">Log-odds; above 0 pushes toward the adverse outcome.</param>
internal sealed record Contribution(string Feature, float Value, double Amount, string Text);

/// <summary>
/// One decision explained from its own record and payload: exact contributions that add up to the raw margin, the rules
/// that held, and whether deriving the decision again gives the same. Approvals too.
/// </summary>
internal sealed class Explanation
{
    /// <summary>The mean margin that contributions start from; NaN when the model cannot be explained.</summary>
    public double BaseMargin { get; private init; } = double.NaN;

    /// <summary>Largest first, whichever way they push.</summary>
    public IReadOnlyList<Contribution> Contributions { get; private init; } = [];

    /// <summary>Base and contributions together; its logistic is the raw score.</summary>
    public double Margin => BaseMargin + Contributions.Sum(c => c.Amount);

    /// <summary>Raw score that follows from <see cref="Margin"/>.</summary>
    public double MarginScore => Logistic.Of(Margin);

    /// <summary>The policy's rules with whether each held; empty when the policy is not here.</summary>
    public IReadOnlyList<(PolicyRule Rule, bool Held)> Rules { get; private init; } = [];

    public required RederivationResult Rederivation { get; init; }

    public static Explanation Of(StoredDecision decision, DecisionParts parts)
    {
        DecisionRecord record = decision.Record();
        Rederivation? rederivation = parts.CreateRederivation(RunDirectory.FindSecret(decision.Directory));
        if (rederivation is null)
        {
            return new Explanation { Rederivation = new RederivationResult(RederivationState.Impossible, "modelDigest", Convert.ToHexStringLower(record.ModelDigest), "the model or the definition that decided is not here") };
        }

        RederivationResult result = rederivation.Check(record, decision.Payload);
        return new Explanation
        {
            BaseMargin = parts.Model?.Shap?.ExpectedMargin ?? double.NaN,
            Contributions = parts.Model is { } model && decision.TryPayload(out PrivatePayload payload) ? Explain(model, parts, payload) : [],
            Rules = result.State == RederivationState.Impossible ? [] : [.. parts.Policy!.Rules.ToArray().Select((rule, i) => (rule, (result.Policy.RulesFired & (1UL << i)) != 0))],
            Rederivation = result,
        };
    }

    private static List<Contribution> Explain(ServingModel model, DecisionParts parts, PrivatePayload payload)
    {
        int[] columns = model.Champion.Columns;
        if (model.Shap is null || payload.FeatureCount != parts.Catalog!.Count)
        {
            return [];
        }

        float[] features = new float[payload.FeatureCount];
        payload.CopyFeatures(features);
        float[] inputs = [.. columns.Select(c => features[c])];
        double[] amounts = new double[inputs.Length];
        model.Shap.Explain(inputs, amounts);
        return
        [
            .. amounts.Select((amount, i) => (Amount: amount, Name: parts.Catalog.Features[columns[i]].Name, Value: inputs[i]))
                .OrderByDescending(c => Math.Abs(c.Amount)).ThenBy(c => c.Name, StringComparer.Ordinal)
                .Select(c => new Contribution(c.Name, c.Value, c.Amount, parts.ReasonText(c.Name, "score"))),
        ];
    }
}
