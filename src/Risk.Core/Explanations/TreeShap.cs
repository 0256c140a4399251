using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
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
    private readonly int[] _states; // by place + 1: 0 went left, 1 went right, 2 and 3 cold already; [0] stays 0
    private readonly Vector256<double>[] _above; // P by place
    private readonly Vector256<double>[] _below; // U by place
    private readonly Vector256<double>[] _sums; // φ by feature, a lane a quadrature point

    private TreeShap(Forest forest)
    {
        _plan = new TreeShapPlan(forest);
        _steps = new Step[_plan.PlaceCountMax];
        _states = new int[_plan.PlaceCountMax + 1];
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
        fixed (ShapSplit* splits = _plan.Splits, twigs = _plan.Twigs)
        fixed (ShapLeaf* leaves = _plan.Leaves)
        fixed (Vector256<double>* q = _plan.Q, g = _plan.G, above = _above, below = _below, sums = _sums)
        fixed (Step* steps = _steps)
        fixed (int* states = _states)
        {
            for (var t = 0; t + 1 < _plan.Trees.Length; t++)
            {
                var (tree, next) = (_plan.Trees[t], _plan.Trees[t + 1]);
                var splitCount = next.Splits - tree.Splits;
                for (var leaf = tree.Leaves; leaf < next.Leaves; leaf++)
                {
                    At(below, leaves[leaf].Place) = Vector256.Create(leaves[leaf].Value);
                }

                for (var block = 0; block < _plan.BlockCount; block++)
                {
                    above[0] = _plan.Weights[block];
                    var memory = new Memory(values, states, q + (block * _plan.FactorsCount), g + (block * _plan.FactorsCount), above, below, sums);
                    Descend(memory, splits + tree.Splits, splitCount, steps);
                    Turn(memory, twigs + tree.Twigs, next.Twigs - tree.Twigs);
                    Ascend(memory, splits + tree.Splits, splitCount, steps);
                }
            }
        }

        for (var f = 0; f < FeatureCount; f++)
        {
            contributions[f] = Vector256.Sum(_sums[f]);
        }
    }

    /// <summary>P of the children. No branch on which of them is hot, for none could be foreseen.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // never at tier 0 (risk bench explain)
    private static void Descend(in Memory memory, ShapSplit* splits, int count, Step* steps)
    {
        float* row = memory.Row;
        int* states = memory.States;
        Vector256<double>* q = memory.Q, above = memory.Above;
        for (var end = splits + count; splits < end; splits++, steps++)
        {
            var isRight = Decide(splits, row, states, out var isCold);
            *(int*)((byte*)states + splits->State) = isRight | (isCold << 1);
            var factors = (splits->Factors & (uint)(isCold - 1)) | (TreeShapPlan.ColdFeature & (uint)-isCold);
            var hot = splits->Left ^ ((splits->Left ^ splits->Right) & (uint)-isRight);
            var cold = splits->Left ^ splits->Right ^ hot;
            var coldShare = (&splits->RightShare)[isRight]; // RightShare, LeftShare
            *steps = new Step(hot, cold, factors, coldShare);

            var here = At(above, splits->Place);
            var coldPart = here * (At(q, factors) * coldShare);
            At(above, cold) = coldPart;
            At(above, hot) = here - coldPart;
        }
    }

    /// <summary>The twigs: their leaves are scalars, so one look does the way down and up.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // never at tier 0 (risk bench explain)
    private static void Turn(in Memory memory, ShapSplit* twigs, int count)
    {
        float* row = memory.Row;
        int* states = memory.States;
        Vector256<double>* q = memory.Q, g = memory.G, above = memory.Above, below = memory.Below, sums = memory.Sums;
        for (var end = twigs + count; twigs < end; twigs++)
        {
            var isRight = Decide(twigs, row, states, out var isCold);
            var factors = (twigs->Factors & (uint)(isCold - 1)) | (TreeShapPlan.ColdFeature & (uint)-isCold);
            var hot = (&twigs->LeftValue)[isRight]; // LeftValue, RightValue
            var difference = (hot - (&twigs->LeftValue)[1 - isRight]) * (&twigs->RightShare)[isRight];
            At(below, twigs->Place) = Vector256.Create(hot) - (At(q, factors) * difference);
            At(sums, twigs->Feature) += At(above, twigs->Place) * At(g, factors) * difference;
        }
    }

    /// <summary>U of the parents and the contributions, children first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // never at tier 0 (risk bench explain)
    private static void Ascend(in Memory memory, ShapSplit* splits, int count, Step* steps)
    {
        Vector256<double>* q = memory.Q, g = memory.G, above = memory.Above, below = memory.Below, sums = memory.Sums;
        for (var n = count - 1; n >= 0; n--)
        {
            var split = splits + n;
            var step = steps + n;
            var hot = At(below, step->Hot);
            var difference = (hot - At(below, step->Cold)) * step->ColdShare;
            At(below, split->Place) = hot - (At(q, step->Factors) * difference);
            At(sums, split->Feature) += At(above, split->Place) * At(g, step->Factors) * difference;
        }
    }

    /// <summary>Whether the row goes right (1) at a node, and whether the node's feature is cold already (1).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Decide(ShapSplit* split, float* row, int* states, out int isCold)
    {
        var x = *(float*)((byte*)row + (split->Feature / 8));
        isCold = *(int*)((byte*)states + split->Previous) != split->Side ? 1 : 0;
        return (x >= split->Threshold ? 1 : 0) | (float.IsNaN(x) ? split->MissingRight : 0);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ref Vector256<double> At(Vector256<double>* vectors, uint offset) => ref *(Vector256<double>*)((byte*)vectors + offset);

    /// <summary>An inner node as this row meets it, kept from the way down for the way up; offsets as in <see cref="ShapSplit"/>.</summary>
    private readonly record struct Step(uint Hot, uint Cold, uint Factors, double ColdShare);

    /// <summary>What the passes over a tree read and write.</summary>
    private readonly struct Memory(
        float* row, int* states, Vector256<double>* q, Vector256<double>* g, Vector256<double>* above, Vector256<double>* below, Vector256<double>* sums)
    {
        public readonly float* Row = row;
        public readonly int* States = states;
        public readonly Vector256<double>* Q = q, G = g, Above = above, Below = below, Sums = sums;
    }
}
