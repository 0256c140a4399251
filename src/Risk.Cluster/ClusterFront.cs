using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Configuration;
using Risk.Cli;
using Risk.Core;
using Risk.Service.Serving;

namespace Risk.Cluster;

/// <summary>An HTTP front: a client of the cluster that holds no partition, so that there may be any number of it.</summary>
internal static class ClusterFront
{
    private static readonly TimeSpan s_gatewaysEvery = TimeSpan.FromSeconds(5);
    private static readonly string[] s_codes = ["CLUSTER_UNAVAILABLE", "CLUSTER_DIFFERS", "PARTITION_NOT_SERVED"];

    public static async Task<int> Run(ClusterOptions cluster, ServeConfiguration configuration)
    {
        StreamDefinition definition = StreamFiles.Load(configuration.Stream).Definition;
        HostApplicationBuilder builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders().AddProvider(new OrleansLog(TimeProvider.System));
        builder.UseOrleansClient(client => Connect(client, cluster));
        using IHost host = builder.Build();
        // The cluster may come up later: until then it is alive and not ready.
        var lifetime = host.Services.GetRequiredService<IHostApplicationLifetime>();
        HandedOver.Follow(lifetime);
        Task connected = Task.Run(() => host.StartAsync(lifetime.ApplicationStopping));
        var grains = host.Services.GetRequiredService<IClusterClient>();
        var watch = new ClusterWatch();
        _ = Task.Run(() => watch.Run(grains, definition.Schema.Name, cluster.Partitions, lifetime.ApplicationStopping));
        var counters = new ServeCounters();
        counters.Declare("risk_calls_total");
        foreach (string code in (ReadOnlySpan<string>)[.. ServeFaults.Codes, .. s_codes]) { counters.Declare("risk_faults_total", $"code=\"{code}\""); }
        var decisions = new ClusterDecisions(new RiskClusterClient(grains, definition.Schema, cluster.Partitions), counters, () => Health(watch), () => watch.Problem, () => ServeMetrics.Render(counters));
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
        // A silo that went silent without closing its connections is left only when it is gone from the list: Orleans' own minute
        // would be added to the time until it is declared dead.
        client.Configure<GatewayOptions>(o => o.GatewayListRefreshPeriod = s_gatewaysEvery);
        client.UseConnectionRetryFilter(async (_, cancellation) =>
        {
            await Task.Delay(TimeSpan.FromSeconds(1), cancellation);
            return true;
        });
        if (cluster.LocalhostPort is not null) { client.UseLocalhostClustering(cluster.GatewayPort, cluster.ClusterId, cluster.ClusterId); }
        else { client.UseAdoNetClustering(o => (o.Invariant, o.ConnectionString) = ("Npgsql", StoreFiles.Secret(cluster.Membership, "--membership"))); }
    }

    private static ServeHealth Health(ClusterWatch watch) => watch.Problem is { } problem ? new ServeHealth(false, [problem], []) : new ServeHealth(true, [], []);
}
