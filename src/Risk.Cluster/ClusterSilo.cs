using Microsoft.Extensions.DependencyInjection;
using System.Net;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Configuration;
using Risk.Cli;
using Risk.Cli.Verbs;
using Risk.Cluster.Membership;
using Risk.Core.Costs;
using Risk.Core.Log;
using Risk.Core.Models;
using Risk.Service.Engine;
using Risk.Service.Serving;

namespace Risk.Cluster;

/// <summary>A silo: Orleans decides which partitions it serves, the embedded host serves them, with its HTTP for health and metrics.</summary>
internal static class ClusterSilo
{
    public static async Task<int> Run(ClusterOptions cluster, ServeConfiguration configuration)
    {
        StreamFiles files = StreamFiles.Load(configuration.Stream);
        string directory = Path.GetFullPath(configuration.Store.Directory);
        Directory.CreateDirectory(directory);
        KeyRing keys = KeyRing.OpenOrCreate(configuration.Keys ?? directory);
        (PriceBook prices, MachinePrice machine) = PriceBookFile.LoadDefault();
        using IDecisionStore store = StoreFiles.Open(configuration.Store, files.Definition.Schema.Name, keys, directory, configuration.Keys);
        var activations = new ShardActivations();
        var options = new ServeOptions(configuration with { Listen = cluster.Listen }, files.Definition, ModelFiles.Load(files.Definition), keys, store, null, prices, machine, null)
        {
            ManagedPartitions = cluster.Partitions,
            Fenced = activations.Fenced,
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
            await host.StartAsync();
            Console.WriteLine($"silo {cluster.Host}:{cluster.SiloPort} of cluster {cluster.ClusterId} serves {files.Definition.Schema.Name}, {cluster.Partitions} partitions; health and metrics at {engine.Address}");
            // Stopping deactivates every grain, which drains its shard and saves its state.
            await host.WaitForShutdownAsync();
        }
        return 0;
    }

    private static IHost Build(ClusterOptions cluster, ServeHost engine, ShardActivations activations)
    {
        HostApplicationBuilder builder = Host.CreateApplicationBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.Services.AddSingleton(engine);
        builder.Services.AddSingleton(activations);
        builder.UseOrleans(silo =>
        {
            silo.Configure<GrainCollectionOptions>(o => o.CollectionAge = TimeSpan.FromDays(365)); // a partition is served for as long as there is a silo
            silo.Configure<Orleans.Configuration.ClusterOptions>(o => (o.ClusterId, o.ServiceId) = (cluster.ClusterId, cluster.ClusterId));
            if (cluster.Membership == "localhost")
            {
                silo.UseLocalhostClustering(cluster.SiloPort, cluster.GatewayPort, new IPEndPoint(IPAddress.Loopback, 11111), cluster.ClusterId, cluster.ClusterId);
                return;
            }
            string connection = StoreFiles.Secret(cluster.Membership);
            MembershipTables.Ensure(connection);
            silo.UseAdoNetClustering(o => (o.Invariant, o.ConnectionString) = ("Npgsql", connection));
            silo.ConfigureEndpoints(IPAddress.Parse(cluster.Host), cluster.SiloPort, cluster.GatewayPort);
        });
        return builder.Build();
    }
}
