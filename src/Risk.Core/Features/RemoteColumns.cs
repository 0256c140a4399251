using Risk.Core.Transactions;

namespace Risk.Core.Features;

/// <summary>
/// The features of entities that are not the subject's, and so may have their owner elsewhere: which they are, whom to ask
/// for a row, and how the answers come into its view. Immutable.
/// </summary>
public sealed class RemoteColumns
{
    private readonly (int[] KeyFields, int[] Places)[] _entities;
    private readonly int[] _features;
    private readonly double[] _absent;

    public RemoteColumns(FeatureCatalog catalog)
    {
        _features = [.. Enumerable.Range(0, catalog.Count).Where(i => catalog.Features[i].Source == FeatureSource.Aggregate && !catalog.IsOfSubject(catalog.Features[i].Entity))];
        _absent = [.. _features.Select(i => catalog.Features[i].Aggregate is AggregateKind.Count or AggregateKind.LabelCount ? 0 : catalog.Features[i].Default)];
        _entities = [.. Enumerable.Range(0, _features.Length).GroupBy(place => catalog.Features[_features[place]].Entity)
            .Select(g => (catalog.Entities[g.Key].KeyFields.ToArray(), g.ToArray()))];
    }

    /// <summary>Values a row.</summary>
    public int Count => _features.Length;

    /// <summary>Their indices in the catalog, ascending.</summary>
    public ReadOnlySpan<int> Features => _features;

    /// <summary>
    /// The owners that a row concerns, as bits 0 to <paramref name="owners"/> − 1 (64 at most): each must be sent the row, and
    /// each counts only its own entities.
    /// </summary>
    public ulong OwnersOf(TransactionBatch batch, int row, int owners)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(owners, 64);
        ulong mask = 0;
        foreach ((int[] fields, _) in _entities)
        {
            EntityKey key = EntityDefinition.KeyOf(fields, KeysOf(batch, row));
            if (key != default) { mask |= 1UL << FeatureScope.OwnerOf(key, owners); }
        }
        return mask;
    }

    /// <summary>Puts an owner's answer for a row into its view: the columns of the entities it owns.</summary>
    /// <param name="values">Shape [Count]. <paramref name="view"/>: shape [catalog.Count].</param>
    public void Scatter(TransactionBatch batch, int row, int owner, int owners, ReadOnlySpan<double> values, Span<double> view)
    {
        foreach ((int[] fields, int[] places) in _entities)
        {
            EntityKey key = EntityDefinition.KeyOf(fields, KeysOf(batch, row));
            if (key == default || FeatureScope.OwnerOf(key, owners) != owner) { continue; }
            foreach (int place in places) { view[_features[place]] = values[place]; }
        }
    }

    /// <summary>The view of a row that has none of the entities, or whose owners could not be asked.</summary>
    public void ScatterAbsent(Span<double> view)
    {
        for (int i = 0; i < _features.Length; i++) { view[_features[i]] = _absent[i]; }
    }

    /// <summary>The columns of one view. <paramref name="values"/>: shape [Count].</summary>
    internal void Gather(ReadOnlySpan<double> view, Span<double> values)
    {
        for (int i = 0; i < _features.Length; i++) { values[i] = view[_features[i]]; }
    }

    private static ReadOnlySpan<EntityKey> KeysOf(TransactionBatch batch, int row)
    {
        int keys = batch.Schema.KeyFields.Count;
        return batch.Keys.Slice(row * keys, keys);
    }
}
