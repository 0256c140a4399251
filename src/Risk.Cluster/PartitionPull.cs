using Microsoft.Extensions.Hosting;
using Orleans.Core.Internal;
using Orleans.Runtime.Placement;
using Risk.Service.Serving;

namespace Risk.Cluster;

/// <summary>
/// Moves partitions to this silo: those whose messages Kafka gives to it; without Kafka its even share, so that a silo that
/// joins gets some, and those of one that went come up before anybody calls. Asks for their grains, which are activated here, or
/// migrate here, drained where they were. As often as it takes; asking again changes nothing.
/// </summary>
internal sealed class PartitionPull(IGrainFactory grains, ServeHost host, ILocalSiloDetails silo, ISiloStatusOracle members) : BackgroundService
{
    // Silos hear of a change one after the other: two that share by different lists would pull at the same partition.
    private static readonly TimeSpan s_every = TimeSpan.FromMilliseconds(100), s_askMax = TimeSpan.FromSeconds(10), s_settled = TimeSpan.FromSeconds(1);
    private SiloAddress[] _silos = [];
    private long _silosSince;
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
            foreach (int partition in host.Kafka is null ? Share() : host.Consumed)
            {
                if (host.Partition(partition) is not null || (_asking.TryGetValue(partition, out Task? asking) && !asking.IsCompleted)) { continue; }
                _asking[partition] = Ask(partition);
            }
            await Task.Delay(s_every, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private IEnumerable<int> Share()
    {
        SiloAddress[] silos = [.. members.GetApproximateSiloStatuses(onlyActive: true).Keys.Order()];
        if (!silos.SequenceEqual(_silos))
        {
            _silos = silos;
            _silosSince = Environment.TickCount64;
        }
        if (silos.Length == 0 || Environment.TickCount64 - _silosSince < s_settled.TotalMilliseconds) { return []; }
        return Enumerable.Range(0, host.PartitionCount).Where(p => SpreadPlacement.Home(silos, p).Equals(silo.SiloAddress));
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
