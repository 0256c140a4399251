using Risk.Core.Models;

namespace Risk.Inference.Forests;

/// <summary>
/// One byte of a ranked row: the rank of a feature among up to 254 of the thresholds it is compared with. Because a node only
/// asks "rank above k?", a missing value is just another rank: 255 is above every k and goes right, 0 is above none and goes
/// left. So a feature has one slot for each direction its missing values take, and one more for every 254 thresholds.
/// </summary>
/// <param name="Feature">0-based column of the row.</param>
/// <param name="MissingRight">Where the nodes that use this slot send a missing value.</param>
/// <param name="Thresholds">1 to 254 different values, ascending.</param>
internal sealed record RankSlot(int Feature, bool MissingRight, float[] Thresholds);

/// <summary>
/// The slots of a forest, and for each inner node its slot and the rank k of its threshold. Exact:
/// x ≥ thresholds[k] if and only if more than k thresholds are ≤ x.
/// </summary>
internal sealed class RankPlan
{
    public const int ThresholdCountMax = 254;
    public const byte MissingRightRank = 255;

    private readonly Dictionary<(int Feature, bool MissingRight), (int FirstSlot, float[] Thresholds)> _places = [];
    private readonly List<RankSlot> _slots = [];

    public RankPlan(Forest forest)
    {
        var found = new SortedDictionary<(int Feature, bool MissingRight), HashSet<float>>();
        for (var t = 0; t < forest.TreeCount; t++)
        {
            foreach (var node in forest.Tree(t))
            {
                if (!node.IsLeaf)
                {
                    var key = (node.Feature, node.MissingRight);
                    (found.TryGetValue(key, out var set) ? set : found[key] = []).Add(node.Threshold);
                }
            }
        }

        foreach (var (key, set) in found)
        {
            var thresholds = set.Order().ToArray();
            _places[key] = (_slots.Count, thresholds);
            _slots.AddRange(thresholds.Chunk(ThresholdCountMax).Select(chunk => new RankSlot(key.Feature, key.MissingRight, chunk)));
        }
    }

    public IReadOnlyList<RankSlot> Slots => _slots;

    /// <summary>The slot an inner node looks at, and the k above which the rank must be for the right child; 0 ≤ k ≤ 253.</summary>
    public (int Slot, byte Rank) Place(in ForestNode node)
    {
        var (first, thresholds) = _places[(node.Feature, node.MissingRight)];
        var index = Array.BinarySearch(thresholds, node.Threshold);
        return (first + (index / ThresholdCountMax), (byte)(index % ThresholdCountMax));
    }
}
