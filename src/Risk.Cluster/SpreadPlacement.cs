using System.Globalization;
using Orleans.Placement;
using Orleans.Runtime.Placement;

namespace Risk.Cluster;

/// <summary>Partition p stands on silo p mod n, in the order of their addresses: even, where Orleans' own choices leave some silos without any. A hint goes first.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class SpreadPlacementAttribute() : PlacementAttribute(new SpreadPlacement());

[Serializable, GenerateSerializer, Immutable, Alias("risk.SpreadPlacement")]
internal sealed class SpreadPlacement : PlacementStrategy
{
    /// <summary>Where a partition stands among these silos.</summary>
    public static SiloAddress Home(SiloAddress[] silos, int partition)
    {
        Array.Sort(silos);
        return silos[partition % silos.Length];
    }
}

internal sealed class SpreadPlacementDirector : IPlacementDirector
{
    public Task<SiloAddress> OnAddActivation(PlacementStrategy strategy, PlacementTarget target, IPlacementContext context)
    {
        SiloAddress[] silos = context.GetCompatibleSilos(target);
        if (IPlacementDirector.GetPlacementHint(target.RequestContextData, silos) is { } hint) { return Task.FromResult(hint); }
        string key = target.GrainIdentity.Key.ToString()!;
        _ = int.TryParse(key.AsSpan(key.LastIndexOf('/') + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int partition);
        return Task.FromResult(SpreadPlacement.Home(silos, partition));
    }
}
