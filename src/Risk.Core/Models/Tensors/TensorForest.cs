using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Risk.Core.Models.Tensors;

/// <summary>
/// Writes forests as ONNX graphs of plain tensor operators, which execution providers of accelerators have kernels for; none
/// of ONNX Runtime's but the CPU's has one for tree ensembles. Operators used: Transpose, Equal, Where, Greater, Concat,
/// Gather, GatherElements, GreaterOrEqual, Cast, Add, Mul, MatMul, Relu, ReduceSum, Reshape, Sigmoid, Softmax; elements are
/// float32 and int32, never float64, and int64 only in shapes.
/// <para>
/// Every row reaches the same leaves as in the forest: comparisons are the float's own, missing values go their way, and no
/// value that decides or counts is rounded. What may differ is the order in which a row's leaves are added up, and the
/// device's exponential: within 1e-6 of the score, as the parity run of every variant shows.
/// </para>
/// </summary>
public static class TensorForest
{
    /// <summary>Up to this depth the matrix product is taken on every kind of processor, beyond it on accelerators only.</summary>
    public const int ShallowDepthMax = 3;

    /// <summary>Up to this depth trees are filled up; also the end of matrix products, which multiply 2^(2·depth) times a tree.</summary>
    public const int PerfectDepthMax = 10;

    /// <summary>Bytes of a batch's leaves up to which an accelerator takes the matrix product: they stay in its cache, and its
    /// dozen kernel starts count for more than the arithmetic; a walk starts seven kernels a level, but moves a leaf's share only.</summary>
    public const long GemmLeafBytesMax = 16L * 1024 * 1024;

    /// <summary>Elements that the constants of one graph may have: the file stays under 2 GiB, protobuf's end.</summary>
    public const long ConstantElementCountMax = 128L * 1024 * 1024;

    /// <summary>
    /// The strategy for a forest by depth and batch: Hummingbird's rule (matrix product up to depth 3, perfect traversal up to
    /// 10, traversal beyond: https://github.com/microsoft/hummingbird, get_tree_implementation_by_config_or_depth), and on
    /// accelerators the matrix product for deeper trees, too, while the batch is small. The bound of "small" is reasoned,
    /// not measured; --strategy and a measurement on the device overrule it.
    /// </summary>
    /// <param name="batchSizeMax">Rows of the largest batch.</param>
    public static TensorChoice Choose(Forest forest, TensorTarget target, int batchSizeMax) => Choose([forest], target, batchSizeMax);

    /// <inheritdoc cref="Choose(Forest, TensorTarget, int)"/>
    public static TensorChoice Choose(IReadOnlyList<Forest> forests, TensorTarget target, int batchSizeMax)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSizeMax, 1);
        var trees = new TensorTrees(forests);
        var (leaves, splits) = MatrixTrees.Size(trees);
        var leafBytes = sizeof(float) * (long)batchSizeMax * trees.Count * leaves;
        var isSmall = target == TensorTarget.Accelerator && trees.Depth <= PerfectDepthMax && leafBytes <= GemmLeafBytesMax;
        var shape = string.Create(CultureInfo.InvariantCulture, $"{trees.Count} trees of depth {trees.Depth} with up to {leaves} leaves, batches of {batchSizeMax}");
        if ((trees.Depth <= ShallowDepthMax || isSmall) && GemmElements(trees, leaves, splits) <= ConstantElementCountMax)
        {
            var why = trees.Depth <= ShallowDepthMax ? $"shallow (depth {ShallowDepthMax} at most)" : $"a batch's leaves take {leafBytes >> 10} KiB, and few kernels are to be started";
            return new TensorChoice(TensorStrategy.Gemm, $"{shape}: {why}");
        }

        return trees.Depth <= PerfectDepthMax && PerfectElements(trees) <= ConstantElementCountMax
            ? new TensorChoice(TensorStrategy.PerfectTreeTraversal, $"{shape}: deeper than {ShallowDepthMax}, a batch's leaves would take {leafBytes >> 10} KiB, and full trees have 2^{trees.Depth} of them")
            : new TensorChoice(TensorStrategy.TreeTraversal, $"{shape}: full trees would have 2^{trees.Depth} leaves");
    }

    /// <summary>Writes one forest with one score a row, input and output named as in the forest.</summary>
    public static bool TryWrite(Forest forest, TensorStrategy strategy, [NotNullWhen(true)] out byte[]? onnx, [NotNullWhen(false)] out ModelRefusal? refusal) =>
        TryWrite(new ForestTargets([forest], forest.Link == ForestLink.Logistic ? TargetLink.Logistic : TargetLink.None), strategy, out onnx, out refusal);

    /// <summary>Writes the forests of several targets (classes) over the same rows as one graph.</summary>
    /// <param name="targets">The forests' own links are not applied; the input and output are named as in the first.</param>
    /// <param name="onnx">The file: float32 [N, features] to float32 [N, targets].</param>
    /// <param name="refusal"><see cref="ModelCodes.Unsupported"/>: the strategy would need more than the bounds above for these trees.</param>
    public static bool TryWrite(ForestTargets targets, TensorStrategy strategy, [NotNullWhen(true)] out byte[]? onnx, [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        var forests = targets.Forests;
        ArgumentOutOfRangeException.ThrowIfZero(forests.Count);
        if (forests.Any(f => f.FeatureCount != forests[0].FeatureCount))
        {
            throw new ArgumentException("all targets are computed from the same rows", nameof(targets));
        }

        onnx = null;
        var trees = new TensorTrees(forests);
        refusal = Check(trees, strategy);
        if (refusal is not null)
        {
            return false;
        }

        var graph = new OnnxGraphWriter(forests[0].InputName, forests[0].OutputName);
        var table = trees.Columns.Write(graph);
        var leaves = strategy switch
        {
            TensorStrategy.Gemm => MatrixTrees.Write(graph, trees, table),
            TensorStrategy.TreeTraversal => WalkedTrees.Write(graph, trees, table),
            TensorStrategy.PerfectTreeTraversal => PerfectTrees.Write(graph, trees, table),
            _ => throw new ArgumentOutOfRangeException(nameof(strategy), strategy, "no such strategy"),
        };
        var sums = graph.Sum("sums", leaves, axis: 1);
        var margins = graph.Node("Add", "margins_by_target", sums, graph.Floats("bases", forests.Select(f => f.BaseMargin).ToArray(), forests.Count, 1));
        _ = targets.Link switch
        {
            TargetLink.None => graph.Transpose(OnnxGraphWriter.Result, margins),
            TargetLink.Logistic => graph.Node("Sigmoid", OnnxGraphWriter.Result, graph.Transpose("margins", margins)),
            TargetLink.Softmax => graph.Node("Softmax", OnnxGraphWriter.Result, ("axis", -1), graph.Transpose("margins", margins)),
            _ => throw new ArgumentOutOfRangeException(nameof(targets), targets.Link, "no such link"),
        };
        onnx = graph.ToArray($"forest-{Name(strategy)}", forests[0].FeatureCount, forests.Count);
        return true;
    }

    /// <summary>The strategy's name in files and on the command line.</summary>
    public static string Name(TensorStrategy strategy) => strategy switch
    {
        TensorStrategy.Gemm => "gemm",
        TensorStrategy.TreeTraversal => "tree-traversal",
        TensorStrategy.PerfectTreeTraversal => "perfect-tree-traversal",
        _ => throw new ArgumentOutOfRangeException(nameof(strategy), strategy, "no such strategy"),
    };

    private static ModelRefusal? Check(TensorTrees trees, TensorStrategy strategy)
    {
        var (leaves, splits) = MatrixTrees.Size(trees);
        return strategy switch
        {
            TensorStrategy.Gemm when GemmElements(trees, leaves, splits) > ConstantElementCountMax =>
                Unsupported($"{trees.Count} trees with up to {leaves} leaves are too large for a matrix product; take {Name(TensorStrategy.TreeTraversal)}"),
            TensorStrategy.PerfectTreeTraversal when trees.Depth > PerfectTrees.DepthMax || PerfectElements(trees) > ConstantElementCountMax =>
                Unsupported($"{trees.Count} trees of depth {trees.Depth} are too deep to be filled up (depth {PerfectTrees.DepthMax} at most); take {Name(TensorStrategy.TreeTraversal)}"),
            _ => null,
        };
    }

    private static long GemmElements(TensorTrees trees, long leaves, long splits) => trees.Count * leaves * splits;

    private static long PerfectElements(TensorTrees trees) => trees.Depth > PerfectTrees.DepthMax ? long.MaxValue : 3L * trees.Count << trees.Depth;

    private static ModelRefusal Unsupported(string reason) => new(ModelCodes.Unsupported, reason);
}
