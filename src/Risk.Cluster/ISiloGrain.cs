using Orleans.Concurrency;
using Risk.Service.Serving;

namespace Risk.Cluster;

/// <summary>What a silo says of its cluster; any key, whichever silo is nearest answers.</summary>
public interface ISiloGrain : IGrainWithIntegerKey
{
    [AnyGateway]
    Task<SiloTold> Tell();
}

/// <summary>What a cluster serves.</summary>
/// <param name="Stream">Its name.</param>
/// <param name="Partitions">Of the stream.</param>
[GenerateSerializer, Immutable, Alias("risk.SiloTold")]
public readonly record struct SiloTold([property: Id(0)] string Stream, [property: Id(1)] int Partitions);

[StatelessWorker(1)]
internal sealed class SiloGrain(ServeHost host) : Grain, ISiloGrain
{
    public Task<SiloTold> Tell() => Task.FromResult(new SiloTold(host.Definition.Schema.Name, host.PartitionCount));
}
