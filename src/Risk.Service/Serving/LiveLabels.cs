using System.Collections.Concurrent;
using Risk.Core.Features;
using Risk.Core.Transactions;

namespace Risk.Service.Serving;

/// <summary>The outcomes of a live stream as far as they are known: those of the store, and those that come in. Added to by one thread, read by another.</summary>
internal sealed class LiveLabels : ILabelSource
{
    private readonly ConcurrentDictionary<EntityKey, long?> _positive = new();

    public LiveLabels(IEnumerable<Label> kept)
    {
        foreach (Label label in kept) { Add(label); }
    }

    /// <summary>Positives that are known.</summary>
    public int Count => _positive.Count;

    /// <summary>True when the label says something new: a negative is what everybody assumes, and the first word on a positive counts.</summary>
    public bool Add(in Label label) => label.IsPositive && _positive.TryAdd(label.EventKey, label.KnownAt);

    public bool IsPositive(in EntityKey eventKey, out long? knownAt) => _positive.TryGetValue(eventKey, out knownAt);
}
