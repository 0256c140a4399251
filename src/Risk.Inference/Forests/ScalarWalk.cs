using Risk.Core.Models;

namespace Risk.Inference.Forests;

/// <summary>
/// The walk for every machine and every forest: plain floats, four trees at a time so that their memory latencies overlap
/// (<c>risk bench tree-score</c>). A leaf leads to itself, so four trees of different depth can step together.
/// </summary>
internal sealed class ScalarWalk
{
    private readonly Node[] _nodes;
    private readonly int[] _roots;
    private readonly int[] _depths; // of each group of four trees

    public ScalarWalk(Forest forest)
    {
        _nodes = new Node[forest.NodeCount];
        _roots = new int[forest.TreeCount];
        _depths = new int[(forest.TreeCount + 3) / 4];
        var start = 0;
        for (var t = 0; t < forest.TreeCount; t++)
        {
            var tree = forest.Tree(t);
            _roots[t] = start;
            var depths = new int[tree.Length];
            for (var i = 0; i < tree.Length; i++)
            {
                var node = tree[i];
                _nodes[start + i] = node.IsLeaf
                    ? new Node(node.Value, 0, start + i, start + i, start + i)
                    : new Node(node.Threshold, node.Feature, start + node.Left, start + node.Right, start + (node.MissingRight ? node.Right : node.Left));
                if (!node.IsLeaf)
                {
                    depths[node.Left] = depths[node.Right] = depths[i] + 1;
                }
            }

            _depths[t / 4] = Math.Max(_depths[t / 4], depths.Max());
            start += tree.Length;
        }
    }

    /// <summary>The sum of the row's leaves in tree order.</summary>
    public float Sum(ReadOnlySpan<float> row)
    {
        float sum = 0;
        var nodes = _nodes;
        var t = 0;
        for (; t + 4 <= _roots.Length; t += 4)
        {
            var (a, b, c, d) = (_roots[t], _roots[t + 1], _roots[t + 2], _roots[t + 3]);
            for (var step = _depths[t / 4]; step > 0; step--)
            {
                a = nodes[a].Next(row);
                b = nodes[b].Next(row);
                c = nodes[c].Next(row);
                d = nodes[d].Next(row);
            }

            sum += nodes[a].Threshold;
            sum += nodes[b].Threshold;
            sum += nodes[c].Threshold;
            sum += nodes[d].Threshold;
        }

        for (; t < _roots.Length; t++)
        {
            var a = _roots[t];
            for (var step = _depths[t / 4]; step > 0; step--)
            {
                a = nodes[a].Next(row);
            }

            sum += nodes[a].Threshold;
        }

        return sum;
    }

    /// <param name="Threshold">Of a leaf: its value.</param>
    private readonly record struct Node(float Threshold, int Feature, int Left, int Right, int Missing)
    {
        public int Next(ReadOnlySpan<float> row)
        {
            var x = row[Feature];
            return float.IsNaN(x) ? Missing : x >= Threshold ? Right : Left;
        }
    }
}
