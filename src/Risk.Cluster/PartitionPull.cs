using Microsoft.Extensions.Hosting;
using Orleans.Core.Internal;
using Orleans.Runtime.Placement;
using Risk.Service.Serving;

namespace Risk.Cluster;

/// <summary>
/// Moves partitions to this silo whose messages Kafka gives to it: asks for their grains, which are activated here, or migrate
/// here, drained where they were. As often as it takes; asking again changes nothing.
/// </summary>
internal sealed class PartitionPull(IGrainFactory grains, ServeHost host, ILocalSiloDetails silo) : BackgroundService
{
    private static readonly TimeSpan s_every = TimeSpan.FromMilliseconds(100), s_askMax = TimeSpan.FromSeconds(10);
    private readonly Dictionary<int, Task> _asking = [];

    /// <summary>Ends first of all when the silo stops: the others get the messages while it still answers.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await host.StopConsuming();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            foreach (int partition in host.Consumed)
            {
                if (host.Partition(partition) is not null || (_asking.TryGetValue(partition, out Task? asking) && !asking.IsCompleted)) { continue; }
                _asking[partition] = Ask(partition);
            }
            await Task.Delay(s_every, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task Ask(int partition)
    {
        RequestContext.Set(IPlacementDirector.PlacementHintKey, silo.SiloAddress);
        IShardGrain grain = RiskClusterClient.Shard(grains, host.Definition.Schema.Name, partition);
        try
        {
            ShardPlace place = await grain.Place().WaitAsync(s_askMax);
            if (place.Silo != silo.SiloAddress.ToString()) { await grain.Cast<IGrainManagementExtension>().MigrateOnIdle().AsTask().WaitAsync(s_askMax); }
        }
        catch (Exception e) when (e is OrleansException or TimeoutException or OperationCanceledException)
        {
            // Its silo is gone and not known to be, or it is on its way. Asked again.
        }
    }
}
