using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Risk.Cli;
using Risk.Core;
using Risk.Service.Serving;

namespace Risk.Cluster;

/// <summary>An HTTP front: a client of the cluster that holds no partition, so that there may be any number of it.</summary>
internal static class ClusterFront
{
    private static readonly TimeSpan s_askMax = TimeSpan.FromSeconds(2);

    public static async Task<int> Run(ClusterOptions cluster, ServeConfiguration configuration)
    {
        StreamDefinition definition = StreamFiles.Load(configuration.Stream).Definition;
        HostApplicationBuilder builder = Host.CreateApplicationBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.UseOrleansClient(client => Connect(client, cluster));
        using IHost host = builder.Build();
        // The cluster may come up later: until then it is alive and not ready.
        var lifetime = host.Services.GetRequiredService<IHostApplicationLifetime>();
        Task connected = Task.Run(() => host.StartAsync(lifetime.ApplicationStopping));
        var grains = host.Services.GetRequiredService<IClusterClient>();
        var counters = new ServeCounters();
        var decisions = new ClusterDecisions(new RiskClusterClient(grains, definition.Schema, cluster.Partitions), counters, () => Health(connected, grains), () => ServeMetrics.Render(counters));
        await using HttpApi http = await HttpApi.Start(decisions, cluster.Listen);
        Console.WriteLine($"front of cluster {cluster.ClusterId} at {http.Address}");
        try
        {
            await connected.WaitAsync(lifetime.ApplicationStopping);
            await host.WaitForShutdownAsync();
        }
        catch (OperationCanceledException) when (lifetime.ApplicationStopping.IsCancellationRequested)
        {
            // Stopped while it still looked for silos.
        }
        return 0;
    }

    private static void Connect(IClientBuilder client, ClusterOptions cluster)
    {
        client.Configure<Orleans.Configuration.ClusterOptions>(o => (o.ClusterId, o.ServiceId) = (cluster.ClusterId, cluster.ClusterId));
        client.UseConnectionRetryFilter(async (_, cancellation) =>
        {
            await Task.Delay(TimeSpan.FromSeconds(1), cancellation);
            return true;
        });
        if (cluster.LocalhostPort is not null) { client.UseLocalhostClustering(cluster.GatewayPort, cluster.ClusterId, cluster.ClusterId); }
        else { client.UseAdoNetClustering(o => (o.Invariant, o.ConnectionString) = ("Npgsql", StoreFiles.Secret(cluster.Membership))); }
    }

    private static async Task<ServeHealth> Health(Task connected, IGrainFactory grains)
    {
        try
        {
            if (connected.IsCompletedSuccessfully && (await grains.GetGrain<IManagementGrain>(0).GetHosts(onlyActive: true).WaitAsync(s_askMax)).Count > 0) { return new ServeHealth(true, [], []); }
        }
        catch (Exception e) when (e is OrleansException or TimeoutException or OperationCanceledException)
        {
            // No silo answers.
        }
        return new ServeHealth(false, [("CLUSTER_UNAVAILABLE", "no silo answers; it goes on by itself when one does")], []);
    }
}
