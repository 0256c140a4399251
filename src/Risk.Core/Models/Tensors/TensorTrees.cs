namespace Risk.Core.Models.Tensors;

/// <summary>
/// The trees of all targets in one list, as many for each target: where a target has fewer, trees of a single leaf 0 are
/// added, so that the leaves reached are a tensor [targets, trees of a target, N].
/// </summary>
internal sealed class TensorTrees
{
    private static readonly ForestNode[] NoTree = [ForestNode.Leaf(0)];

    private readonly IReadOnlyList<Forest> _forests;
    private readonly int _treesOfTarget;

    public TensorTrees(IReadOnlyList<Forest> forests)
    {
        _forests = forests;
        _treesOfTarget = forests.Max(f => f.TreeCount);
        Depth = forests.Max(f => f.Depth);
        Columns = new TensorColumns(forests);
    }

    /// <summary>Trees of all targets.</summary>
    public int Count => _forests.Count * _treesOfTarget;

    public int TargetCount => _forests.Count;

    /// <summary>Decisions on the longest path; 0 when every tree is a single leaf.</summary>
    public int Depth { get; }

    public TensorColumns Columns { get; }

    public ReadOnlySpan<ForestNode> this[int tree]
    {
        get
        {
            var forest = _forests[tree / _treesOfTarget];
            var index = tree % _treesOfTarget;
            return index < forest.TreeCount ? forest.Tree(index) : NoTree;
        }
    }
}
