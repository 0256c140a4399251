using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Risk.Cli;
using Risk.Core;
using Risk.Core.Transactions;
using Risk.Service.Serving;
using ErrorCode = Risk.Core.Transactions.ErrorCode;

namespace Risk.Cluster;

/// <summary>An HTTP front: a client of the cluster that holds no partition, so that there may be any number of it.</summary>
internal static class ClusterFront
{
    private static readonly TimeSpan s_answerMax = TimeSpan.FromSeconds(30);

    public static async Task<int> Run(ClusterOptions cluster, ServeConfiguration configuration)
    {
        StreamDefinition definition = StreamFiles.Load(configuration.Stream).Definition;
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.WebHost.UseUrls(cluster.Listen);
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = Limits.RecordSizeMax);
        builder.UseOrleansClient(client => Connect(client, cluster));
        await using WebApplication app = builder.Build();
        var decisions = new RiskClusterClient(app.Services.GetRequiredService<IClusterClient>(), definition.Schema, cluster.Partitions);
        app.MapGet("/health/live", () => Results.Text("live"));
        app.MapPost("/v1/decisions", async (HttpContext http) =>
        {
            using var body = new MemoryStream();
            await http.Request.Body.CopyToAsync(body, http.RequestAborted);
            ShardAnswer answer = (await decisions.Decide([body.ToArray()], s_answerMax, http.RequestAborted))[0];
            if (answer.Decision.Length > 0) { return Results.Bytes(answer.Decision, "application/json"); }
            int status = answer.Code == ErrorCode.IdConflict.Text() ? 409 : answer.Code == "NOT_READY" ? 503 : 400;
            return Results.Problem(type: $"urn:risk:error:{answer.Code}", title: answer.Code, statusCode: status, extensions: new Dictionary<string, object?> { ["code"] = answer.Code });
        });
        await app.StartAsync();
        Console.WriteLine($"front of cluster {cluster.ClusterId} at {app.Urls.First()}");
        await app.WaitForShutdownAsync();
        return 0;
    }

    internal static void Connect(IClientBuilder client, ClusterOptions cluster)
    {
        client.Configure<Orleans.Configuration.ClusterOptions>(o => (o.ClusterId, o.ServiceId) = (cluster.ClusterId, cluster.ClusterId));
        if (cluster.Membership == "localhost") { client.UseLocalhostClustering(cluster.GatewayPort, cluster.ClusterId, cluster.ClusterId); }
        else { client.UseAdoNetClustering(o => (o.Invariant, o.ConnectionString) = ("Npgsql", StoreFiles.Secret(cluster.Membership))); }
    }
}
