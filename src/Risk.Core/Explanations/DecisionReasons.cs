using System.Text;
using Risk.Core.Decisions;
using Risk.Core.Features;
using Risk.Core.Log;

namespace Risk.Core.Explanations;

/// <summary>
/// The reasons that a decision's record holds. An approval has none (they can be computed on demand from its payload).
/// Otherwise: first the rules that led to the outcome, then, when the score led to it, <b>every</b> contribution that is
/// not zero, strongest push toward the outcome first; how many of them are shown is the policy's choice.
/// </summary>
internal sealed class DecisionReasons
{
    private readonly TreeShap? _shap;
    private readonly int[] _columns;
    private readonly Policy _policy;
    private readonly byte[][] _featureCodes;
    private readonly byte[][] _ruleCodes;
    private readonly double[] _contributions;
    private readonly double[] _sortKeys;
    private readonly int[] _order;
    private readonly byte[] _encoded;

    /// <param name="shap">Null when the model cannot be explained (no forest, no cover): then score reasons are left out.</param>
    /// <param name="columns">For each model input, its index in the catalog.</param>
    public DecisionReasons(TreeShap? shap, int[] columns, FeatureCatalog catalog, Policy policy)
    {
        _shap = shap;
        _columns = columns;
        _policy = policy;
        _featureCodes = [.. columns.Select(c => Encoding.UTF8.GetBytes(catalog.Features[c].Name))];
        _ruleCodes = [.. policy.Rules.ToArray().Select(r => Encoding.UTF8.GetBytes(r.ReasonCode.Value))];
        _contributions = new double[columns.Length];
        _sortKeys = new double[columns.Length];
        _order = new int[columns.Length];
        _encoded = new byte[_featureCodes.Concat(_ruleCodes).Sum(c => ReasonBuilder.BytesMax(c.Length))];
    }

    /// <summary>The reasons of row k; the view is valid until the next call.</summary>
    public ReasonSequence Of(ScoringBatch batch, int k)
    {
        PolicyResult result = batch.Results[k];
        if (result.Outcome is not (Outcome.Review or Outcome.Decline)) { return default; }
        var builder = new ReasonBuilder(_encoded);
        if ((result.Source & OutcomeSource.Rule) != 0)
        {
            for (ulong fired = result.RulesFired; fired != 0; fired &= fired - 1)
            {
                int rule = System.Numerics.BitOperations.TrailingZeroCount(fired);
                if (_policy.Rules[rule].Outcome == result.Outcome) { builder.Add(_ruleCodes[rule], ReasonSource.Rule, 0); }
            }
        }
        if ((result.Source & OutcomeSource.Score) != 0 && _shap is not null) { AddContributions(batch, k, ref builder); }
        return builder.Build();
    }

    private void AddContributions(ScoringBatch batch, int k, ref ReasonBuilder builder)
    {
        int inputs = _columns.Length;
        _shap!.Explain(batch.Inputs.AsSpan(k * inputs, inputs), _contributions);
        for (int i = 0; i < inputs; i++)
        {
            _sortKeys[i] = -_contributions[i];
            _order[i] = i;
        }
        Array.Sort(_sortKeys, _order); // ties are between equal contributions: broken below by the lower index
        for (int i = 1; i < inputs; i++)
        {
            for (int j = i; j > 0 && _sortKeys[j] == _sortKeys[j - 1] && _order[j] < _order[j - 1]; j--) { (_order[j], _order[j - 1]) = (_order[j - 1], _order[j]); }
        }
        foreach (int feature in _order)
        {
            if (_contributions[feature] != 0) { builder.Add(_featureCodes[feature], ReasonSource.Score, (float)_contributions[feature]); }
        }
    }
}
