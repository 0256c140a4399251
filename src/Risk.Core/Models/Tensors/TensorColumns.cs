namespace Risk.Core.Models.Tensors;

/// <summary>
/// The rows as a table [columns, N] in which every split of a forest is one and the same question: <b>right if value ≥
/// threshold</b>, where a comparison with NaN says no. Blocks of columns, each there only when some split needs it:
/// <list type="number">
/// <item>the features as they come: NaN goes left;</item>
/// <item>the features with +∞ for NaN: NaN goes right. NaN is found by value = value, which every execution provider has, and
/// nothing is multiplied by zero;</item>
/// <item>1 where the columns before are above zero, else 0. A device that flushes subnormals to zero would answer
/// x ≥ 1.4e-45 (what "x ≤ 0 goes left" becomes) wrongly, and x &gt; 0 rightly.</item>
/// </list>
/// </summary>
internal sealed class TensorColumns
{
    private readonly int _featureCount;
    private readonly bool _hasMissingRight;
    private readonly bool _hasAboveZero;

    public TensorColumns(IReadOnlyList<Forest> forests)
    {
        _featureCount = forests[0].FeatureCount;
        foreach (var forest in forests)
        {
            for (var t = 0; t < forest.TreeCount; t++)
            {
                foreach (var node in forest.Tree(t))
                {
                    _hasMissingRight |= node is { IsLeaf: false, MissingRight: true };
                    _hasAboveZero |= IsAboveZero(node);
                }
            }
        }
    }

    /// <summary>The question of a split: which column, and from which value on it goes right.</summary>
    public (int Column, float Threshold) Question(ForestNode split)
    {
        var column = split.Feature + (split.MissingRight ? _featureCount : 0);
        return IsAboveZero(split) ? (column + (_featureCount * (_hasMissingRight ? 2 : 1)), 0.5f) : (column, split.Threshold);
    }

    /// <summary>Adds the nodes that make the table out of the graph's input [N, features].</summary>
    /// <returns>The table's name; shape [columns, N].</returns>
    public string Write(OnnxGraphWriter graph)
    {
        var table = graph.Transpose("values", graph.Input);
        if (_hasMissingRight)
        {
            var isNumber = graph.Node("Equal", "is_number", table, table);
            var missingHigh = graph.Node("Where", "missing_high", isNumber, table, graph.Floats("infinity", [float.PositiveInfinity], 1));
            table = graph.Node("Concat", "columns", ("axis", 0), table, missingHigh);
        }

        if (_hasAboveZero)
        {
            var isAbove = graph.Node("Greater", "is_above_zero", table, graph.Floats("zero", [0], 1));
            table = graph.Node("Concat", "columns_and_signs", ("axis", 0), table, graph.ToFloat("above_zero", isAbove));
        }

        return table;
    }

    private static bool IsAboveZero(ForestNode node) => !node.IsLeaf && node.Threshold == float.Epsilon;
}
