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
    /// <summary>Matrix products beyond this depth cost more than every walk: 2^(2·depth) multiplications a tree.</summary>
    public const int GemmDepthMax = 10;

    /// <summary>Bytes of one intermediate tensor of a batch, at most: two to four of them are alive at once.</summary>
    public const long IntermediateBytesMax = 512L * 1024 * 1024;

    /// <summary>Elements that the constants of one graph may have: the file stays under 2 GiB, protobuf's end.</summary>
    public const long ConstantElementCountMax = 128L * 1024 * 1024;

    /// <summary>
    /// The strategy for a forest by depth and batch, after the rules of Hummingbird's paper: matrix products for
    /// shallow trees (depth 3 on processors, 10 on accelerators), perfect traversal up to depth 10, traversal beyond. On
    /// accelerators the matrix product also has to fit: its intermediates grow with batch × trees × leaves.
    /// </summary>
    /// <param name="batchSizeMax">Rows of the largest batch.</param>
    public static TensorChoice Choose(Forest forest, TensorTarget target, int batchSizeMax) => Choose([forest], target, batchSizeMax);

    /// <inheritdoc cref="Choose(Forest, TensorTarget, int)"/>
    public static TensorChoice Choose(IReadOnlyList<Forest> targets, TensorTarget target, int batchSizeMax)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSizeMax, 1);
        var trees = new TensorTrees(targets);
        var (leaves, splits) = MatrixTrees.Size(trees);
        var gemmDepthMax = target == TensorTarget.Cpu ? 3 : GemmDepthMax;
        var gemmBytes = sizeof(float) * (long)batchSizeMax * trees.Count * leaves;
        var shape = string.Create(CultureInfo.InvariantCulture, $"{trees.Count} trees of depth {trees.Depth} with up to {leaves} leaves, batches of {batchSizeMax}");
        if (trees.Depth <= gemmDepthMax && gemmBytes <= IntermediateBytesMax && GemmElements(trees, leaves, splits) <= ConstantElementCountMax)
        {
            return new TensorChoice(TensorStrategy.Gemm, $"{shape}: depth is at most {gemmDepthMax}, and the leaves of a batch take {gemmBytes >> 20} MiB");
        }

        var whyNot = trees.Depth > gemmDepthMax ? $"deeper than {gemmDepthMax}" : $"the leaves of a batch would take {gemmBytes >> 20} MiB";
        return trees.Depth <= 10 && PerfectElements(trees) <= ConstantElementCountMax
            ? new TensorChoice(TensorStrategy.PerfectTreeTraversal, $"{shape}: {whyNot} for a matrix product, and full trees have 2^{trees.Depth} leaves")
            : new TensorChoice(TensorStrategy.TreeTraversal, $"{shape}: {whyNot} for a matrix product, and full trees would have 2^{trees.Depth} leaves");
    }

    /// <summary>Writes one forest with one score a row, input and output named as in the forest.</summary>
    public static bool TryWrite(Forest forest, TensorStrategy strategy, [NotNullWhen(true)] out byte[]? onnx, [NotNullWhen(false)] out ModelRefusal? refusal) =>
        TryWrite([forest], forest.Link == ForestLink.Logistic ? TensorLink.Logistic : TensorLink.None, strategy, out onnx, out refusal);

    /// <summary>Writes the forests of several targets (classes) over the same rows as one graph.</summary>
    /// <param name="targets">One forest a target, all with the same count of features; their own links are not applied.</param>
    /// <param name="link">What turns the margins into the output.</param>
    /// <param name="onnx">The file: float32 [N, features] to float32 [N, targets].</param>
    /// <param name="refusal"><see cref="ModelCodes.Unsupported"/>: the strategy would need more than the bounds above for these trees.</param>
    public static bool TryWrite(
        IReadOnlyList<Forest> targets, TensorLink link, TensorStrategy strategy, [NotNullWhen(true)] out byte[]? onnx, [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        ArgumentOutOfRangeException.ThrowIfZero(targets.Count);
        if (targets.Any(f => f.FeatureCount != targets[0].FeatureCount))
        {
            throw new ArgumentException("all targets are computed from the same rows", nameof(targets));
        }

        onnx = null;
        var trees = new TensorTrees(targets);
        refusal = Check(trees, strategy);
        if (refusal is not null)
        {
            return false;
        }

        var graph = new OnnxGraphWriter(targets[0].InputName, targets[0].OutputName);
        var table = trees.Columns.Write(graph);
        var leaves = strategy switch
        {
            TensorStrategy.Gemm => MatrixTrees.Write(graph, trees, table),
            TensorStrategy.TreeTraversal => WalkedTrees.Write(graph, trees, table),
            TensorStrategy.PerfectTreeTraversal => PerfectTrees.Write(graph, trees, table),
            _ => throw new ArgumentOutOfRangeException(nameof(strategy), strategy, "no such strategy"),
        };
        var sums = graph.Sum("sums", leaves, axis: 1);
        var margins = graph.Node("Add", "margins_by_target", sums, graph.Floats("bases", targets.Select(f => f.BaseMargin).ToArray(), targets.Count, 1));
        _ = link switch
        {
            TensorLink.None => graph.Transpose(OnnxGraphWriter.Result, margins),
            TensorLink.Logistic => graph.Node("Sigmoid", OnnxGraphWriter.Result, graph.Transpose("margins", margins)),
            TensorLink.Softmax => graph.Node("Softmax", OnnxGraphWriter.Result, ("axis", -1), graph.Transpose("margins", margins)),
            _ => throw new ArgumentOutOfRangeException(nameof(link), link, "no such link"),
        };
        onnx = graph.ToArray($"forest-{Name(strategy)}", targets[0].FeatureCount, targets.Count);
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

/// <summary>What turns the margins of a row into its outputs.</summary>
public enum TensorLink
{
    /// <summary>The margins are the output.</summary>
    None = 0,

    /// <summary>The logistic function of each margin by itself.</summary>
    Logistic = 1,

    /// <summary>Shares of one over all targets.</summary>
    Softmax = 2,
}
