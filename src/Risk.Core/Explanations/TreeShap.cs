using System.Diagnostics.CodeAnalysis;
using System.Runtime.Intrinsics;
using Risk.Core.Models;

namespace Risk.Core.Explanations;

/// <summary>
/// Exact path-dependent TreeSHAP (Lundberg et al., "Consistent individualized feature attribution for tree ensembles",
/// https://arxiv.org/abs/1802.03888; the values of xgboost's <c>pred_contribs</c>), linear in the number of nodes.
/// <para>
/// <b>Method.</b> Take one leaf of value v whose path splits on m different features. For feature j let z_j be the share of
/// training weight that its splits on the path let through, and o_j = 1 if the row passes all of them ("hot"), else 0
/// ("cold"). Shapley's weights are s!(m−1−s)!/m! = ∫₀¹ tˢ(1−t)^(m−1−s) dt, so the leaf gives feature i
/// <code>v · (o_i − z_i) · ∫₀¹ Π_{j≠i} a_j(t) dt,   a_j(t) = z_j (1−t) + o_j t</code>
/// a polynomial of degree m−1, which K ≥ m/2 Gauss–Legendre points integrate exactly (as in Linear TreeSHAP,
/// https://arxiv.org/abs/2209.08192, but at these points). The points are the lanes of a vector; the sum over leaves becomes
/// one pass down and one up the tree. With P(n) the product of the factors a above node n, and U(n) the sum over the leaves
/// below n of v times the factors below n:
/// <code>
/// U(n)   = U(h) − r·q·(U(h) − U(c))          h, c: hot and cold child; r: the cold child's share of n's weight
/// φ_f   += Σ_k w_k · P(n) · g · r·(U(h) − U(c))
/// P(c)   = P(n)·r·q,   P(h) = P(n) − P(c)
/// </code>
/// where q = 1−t, g = 1 if f is new on the path; q = (1−t)·z/a, g = z/a² with a = z(1−t) + t if f was split on before with
/// share z and is hot; q = 1, g = 0 if f is cold already. So a node costs a few vector operations and no branch.
/// </para>
/// <para>
/// All arithmetic is float64 without fused operations, so the bits are the same on every machine with the same quadrature
/// constants. Working memory belongs to the object: one thread at a time, no allocation a row. Pointers and vectors are paid
/// for by <c>risk bench explain</c>. Checked against the definition by enumeration over all coalitions
/// (tests/Risk.Core.Tests/Explanations/TreeShapTests.cs).
/// </para>
/// </summary>
public sealed unsafe class TreeShap
{
    private readonly TreeShapPlan _plan;
    private readonly Step[] _steps;
    private readonly int[] _states; // by inner node: 0 went left, 1 went right, 2 cold already
    private readonly Vector256<double>[] _above; // P by place
    private readonly Vector256<double>[] _below; // U by place
    private readonly Vector256<double>[] _sums; // φ by feature, a lane a quadrature point

    private TreeShap(Forest forest)
    {
        _plan = new TreeShapPlan(forest);
        _steps = new Step[_plan.PlaceCountMax];
        _states = new int[_plan.PlaceCountMax];
        _above = new Vector256<double>[_plan.PlaceCountMax];
        _below = new Vector256<double>[_plan.PlaceCountMax];
        _sums = new Vector256<double>[forest.FeatureCount];
        FeatureCount = forest.FeatureCount;
    }

    public int FeatureCount { get; }

    /// <summary>The mean margin over the training weight: what the contributions start from.</summary>
    public double ExpectedMargin => _plan.ExpectedMargin;

    /// <summary>Prepares explanations of a forest; <see cref="ModelCodes.CoverMissing"/> when it carries no training weights.</summary>
    public static bool TryCreate(Forest forest, [NotNullWhen(true)] out TreeShap? explainer, [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        explainer = forest.HasCover ? new TreeShap(forest) : null;
        refusal = forest.HasCover ? null : new ModelRefusal(ModelCodes.CoverMissing, "the model file says for no node how much training weight passed it (nodes_hitrates), without which TreeSHAP is not defined");
        return explainer is not null;
    }

    /// <summary>Each feature's contribution to the margin; their sum and <see cref="ExpectedMargin"/> are the row's margin in float64.</summary>
    /// <param name="row">At least <see cref="FeatureCount"/> floats; NaN is missing and goes where the trees send it.</param>
    /// <param name="contributions">At least <see cref="FeatureCount"/> long; overwritten; log-odds when the link is logistic.</param>
    public void Explain(ReadOnlySpan<float> row, Span<double> contributions)
    {
        if (row.Length < FeatureCount || contributions.Length < FeatureCount)
        {
            throw new ArgumentException($"{FeatureCount} features, but {row.Length} values and room for {contributions.Length} contributions");
        }

        Array.Clear(_sums);
        fixed (float* values = row)
        fixed (ShapNode* nodes = _plan.Nodes)
        fixed (ShapLeaf* leaves = _plan.Leaves)
        fixed (Vector256<double>* q = _plan.Q, g = _plan.G, above = _above, below = _below, sums = _sums)
        fixed (Step* steps = _steps)
        fixed (int* states = _states)
        {
            for (var t = 0; t + 1 < _plan.Trees.Length; t++)
            {
                var (tree, next) = (_plan.Trees[t], _plan.Trees[t + 1]);
                var nodeCount = next.FirstNode - tree.FirstNode;
                Decide(nodes + tree.FirstNode, nodeCount, values, steps, states);
                PlaceLeaves(leaves + tree.FirstLeaf, next.FirstLeaf - tree.FirstLeaf, below);
                for (var block = 0; block < _plan.BlockCount; block++)
                {
                    above[0] = _plan.Weights[block];
                    Descend(steps, nodeCount, q + (block * _plan.FactorsCount), above);
                    Ascend(steps, nodeCount, q + (block * _plan.FactorsCount), g + (block * _plan.FactorsCount), above, below, sums);
                }
            }
        }

        for (var f = 0; f < FeatureCount; f++)
        {
            contributions[f] = Vector256.Sum(_sums[f]);
        }
    }

    /// <summary>Which child is hot, and whether the feature still is; ancestors come first.</summary>
    private static void Decide(ShapNode* nodes, int count, float* row, Step* steps, int* states)
    {
        for (var n = 0; n < count; n++)
        {
            var node = nodes + n;
            var x = row[node->Feature];
            var hot = x >= node->Threshold ? node->Right : node->Left;
            hot = float.IsNaN(x) ? node->Missing : hot;
            var isRight = hot == node->Right ? 1 : 0;
            var cold = node->Left + node->Right - hot;
            var isCold = node->Previous >= 0 && states[node->Previous] != node->UnderRight;
            states[n] = isCold ? 2 : isRight;
            steps[n] = new Step(
                node->Place, hot, cold, node->Feature, isCold ? TreeShapPlan.ColdFeature : node->Factors, isRight != 0 ? node->LeftShare : 1 - node->LeftShare);
        }
    }

    private static void PlaceLeaves(ShapLeaf* leaves, int count, Vector256<double>* below)
    {
        for (var i = 0; i < count; i++)
        {
            below[leaves[i].Place] = Vector256.Create(leaves[i].Value);
        }
    }

    private static void Descend(Step* steps, int count, Vector256<double>* q, Vector256<double>* above)
    {
        for (var n = 0; n < count; n++)
        {
            var step = steps + n;
            var here = above[step->Place];
            var cold = here * (q[step->Factors] * step->ColdShare);
            above[step->Cold] = cold;
            above[step->Hot] = here - cold;
        }
    }

    private static void Ascend(Step* steps, int count, Vector256<double>* q, Vector256<double>* g, Vector256<double>* above, Vector256<double>* below, Vector256<double>* sums)
    {
        for (var n = count - 1; n >= 0; n--)
        {
            var step = steps + n;
            var hot = below[step->Hot];
            var difference = (hot - below[step->Cold]) * step->ColdShare;
            below[step->Place] = hot - (q[step->Factors] * difference);
            sums[step->Feature] += above[step->Place] * g[step->Factors] * difference;
        }
    }

    /// <summary>One inner node as this row meets it. Places are indices into the tree's working memory.</summary>
    private readonly record struct Step(int Place, int Hot, int Cold, int Feature, int Factors, double ColdShare);
}
