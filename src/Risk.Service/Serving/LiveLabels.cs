using Risk.Core.Features;
using Risk.Core.Transactions;

namespace Risk.Service.Serving;

/// <summary>
/// The positive outcomes of one partition as far as they are known, in the order in which the store keeps them. Belongs to the
/// shard: one thread.
/// </summary>
internal sealed class LiveLabels : ILabelSource
{
    private readonly Dictionary<EntityKey, long?> _knownAt = [];
    private readonly List<Label> _inOrder = [];

    public LiveLabels(IEnumerable<Label> kept)
    {
        foreach (Label label in kept) { Add(label); }
    }

    public int Count => _inOrder.Count;

    public Label this[int index] => _inOrder[index];

    /// <summary>False for a negative, which everybody assumes, and for a positive that is known.</summary>
    public bool Add(in Label label)
    {
        if (!label.IsPositive || !_knownAt.TryAdd(label.EventKey, label.KnownAt)) { return false; }
        _inOrder.Add(label);
        return true;
    }

    public bool IsPositive(in EntityKey eventKey, out long? knownAt) => _knownAt.TryGetValue(eventKey, out knownAt);
}
