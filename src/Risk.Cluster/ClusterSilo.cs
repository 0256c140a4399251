using System.Globalization;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Configuration;
using Risk.Cli;
using Risk.Cli.Accelerators;
using Risk.Cli.Verbs;
using Risk.Cluster.Membership;
using Risk.Core.Log;
using Risk.Core.Models;
using Risk.Service.Engine;
using Risk.Service.Serving;

namespace Risk.Cluster;

/// <summary>A silo: Orleans decides which partitions it serves, the embedded host serves them. Its HTTP answers for the whole cluster.</summary>
internal static class ClusterSilo
{
    // Longer than a shard may take to drain.
    private static readonly TimeSpan s_stopMax = TimeSpan.FromSeconds(50);

    public static async Task<int> Run(ClusterOptions cluster, ServeConfiguration configuration)
    {
        StreamFiles files = StreamFiles.Load(configuration.Stream);
        string directory = StoreFiles.MakeDirectory(configuration.Store);
        KeyRing keys = KeyRing.OpenOrCreate(configuration.Keys ?? directory);
        EnginePrices prices = PriceBookFile.ForEngine(configuration.Prices.Book, configuration.Prices.Machine);
        using IDecisionStore store = StoreFiles.Open(configuration.Store, files.Definition.Schema.Name, keys, directory, configuration.Keys);
        using ChallengerStores challengers = ChallengerFiles.OfService(configuration, files.Definition, keys, directory);
        var activations = new ShardActivations();
        IGrainFactory? grains = null;
        string name = string.Create(CultureInfo.InvariantCulture, $"{cluster.Host}:{cluster.SiloPort}");
        var options = new ServeOptions(configuration with { Advertise = $"silo://{name}" }, files.Definition, ModelFiles.Load(files.Definition), keys, store, ServeVerb.Kafka(configuration.Kafka), prices.Book, prices.Machine, token => ServeVerb.WarmUp(files, token))
        {
            ManagedPartitions = cluster.Partitions,
            Fenced = activations.Fenced,
            AskOwner = (partition, message, cancellation) => AskOwner(grains, files.Definition.Schema.Name, partition, message, cancellation),
            PriceFaults = prices.Told,
            Profile = name => ProfileFile.Find(name, Console.Error.WriteLine),
            Challengers = challengers.Options,
        };
        (ServeHost? engine, ModelRefusal? refusal) = await ServeHost.Start(options, CancellationToken.None);
        if (engine is null)
        {
            await Console.Error.WriteLineAsync($"{refusal!.Code}: {refusal.Reason}");
            return 2;
        }
        await using (engine)
        {
            using IHost host = Build(cluster, engine, activations);
            HandedOver.Follow(host.Services.GetRequiredService<IHostApplicationLifetime>());
            await host.StartAsync();
            grains = host.Services.GetRequiredService<IGrainFactory>();
            var decisions = new ClusterDecisions(
                new RiskClusterClient(grains, files.Definition.Schema, cluster.Partitions), engine.Counters,
                engine.Health, static () => null, () => ServeMetrics.Render(engine));
            await using HttpApi http = await HttpApi.Start(decisions, cluster.Listen);
            Console.WriteLine($"silo {name} of cluster {cluster.ClusterId} serves {files.Definition.Schema.Name}, {cluster.Partitions} partitions, at {http.Address}");
            // Stopping deactivates every grain, which drains its shard.
            await host.WaitForShutdownAsync();
        }
        return 0;
    }

    private static async Task<byte[]?> AskOwner(IGrainFactory? grains, string stream, int partition, byte[] message, CancellationToken cancellation)
    {
        try
        {
            return grains is null ? null : await RiskClusterClient.Shard(grains, stream, partition).AskOwner(message).WaitAsync(cancellation);
        }
        catch (Exception e) when (e is OrleansException or TimeoutException)
        {
            return null; // asked again, or done without
        }
    }

    private static IHost Build(ClusterOptions cluster, ServeHost engine, ShardActivations activations)
    {
        HostApplicationBuilder builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders().AddProvider(new OrleansLog(TimeProvider.System));
        builder.Services.AddSingleton(engine);
        builder.Services.AddSingleton(activations);
        builder.Services.Configure<HostOptions>(o => o.ShutdownTimeout = s_stopMax);
        builder.UseOrleans(silo =>
        {
            silo.Configure<GrainCollectionOptions>(o => o.CollectionAge = TimeSpan.FromDays(365)); // a partition is served for as long as there is a silo
            silo.Configure<Orleans.Configuration.ClusterOptions>(o => (o.ClusterId, o.ServiceId) = (cluster.ClusterId, cluster.ClusterId));
            silo.Configure<ClusterMembershipOptions>(o => o.ProbeTimeout = TimeSpan.FromSeconds(cluster.ProbeSeconds));
            silo.AddPlacementDirector<SpreadPlacement, SpreadPlacementDirector>();
            if (cluster.LocalhostPort is { } first)
            {
                silo.UseLocalhostClustering(cluster.SiloPort, cluster.GatewayPort, new IPEndPoint(IPAddress.Loopback, first), cluster.ClusterId, cluster.ClusterId);
                return;
            }
            string connection = StoreFiles.Secret(cluster.Membership, "--membership");
            MembershipTables.Ensure(connection);
            silo.UseAdoNetClustering(o => (o.Invariant, o.ConnectionString) = ("Npgsql", connection));
            silo.ConfigureEndpoints(IPAddress.Parse(cluster.Host), cluster.SiloPort, cluster.GatewayPort);
        });
        // Behind Orleans: it begins when the silo is up, and ends before it goes.
        builder.Services.AddHostedService<PartitionPull>();
        return builder.Build();
    }
}
