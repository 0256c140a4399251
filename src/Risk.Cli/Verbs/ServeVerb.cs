using System.CommandLine;
using Risk.Cli.Accelerators;
using Risk.Cli.CommandLine;
using Risk.Core;
using Risk.Core.Log;
using Risk.Core.Models;
using Risk.Core.Transactions;
using Risk.Service.Engine;
using Risk.Service.Serving;
using Risk.Streams;
using Risk.Streams.Kafka;

namespace Risk.Cli.Verbs;

/// <summary><c>risk serve</c>: decides live, from Kafka and by HTTP, until it is stopped.</summary>
internal static class ServeVerb
{
    private static readonly Option<string?> s_config = new("--config") { Description = "The configuration, JSON; without it HTTP on this machine alone, and Kafka where KAFKA_BOOTSTRAP_SERVERS names one.", HelpName = "FILE" };
    private static readonly Option<int?> s_port = new("--port") { Description = "Listen on this port, instead of the configuration's; 0 takes a free one.", HelpName = "P" };

    private static readonly Option<bool> s_cluster = new("--cluster") { Description = "Be a front of a cluster of silos: HTTP in, calls out; owns no partition." };
    private static readonly Option<string?> s_membership = new("--membership") { Description = "With --cluster: env:NAME or file:PATH of the connection string of the cluster's membership; localhost for silos on this machine.", HelpName = "PLACE" };
    private static readonly Option<int> s_partitions = new("--partitions") { Description = "With --cluster: of the stream, the same number everywhere and for ever.", HelpName = "N", DefaultValueFactory = _ => 12 };
    private static readonly Option<bool> s_silo = new("--silo") { Description = "With --cluster: be a silo, which owns partitions, instead of a front." };
    private static readonly Option<string> s_host = new("--host") { Description = "With --silo: the IP address by which the others reach this one.", HelpName = "IP", DefaultValueFactory = _ => "127.0.0.1" };
    private static readonly Option<int> s_siloPort = new("--silo-port") { Description = "With --silo: for other silos.", HelpName = "P", DefaultValueFactory = _ => 11111 };
    private static readonly Option<int> s_gatewayPort = new("--gateway-port") { Description = "With --silo: for fronts and clients.", HelpName = "P", DefaultValueFactory = _ => 30000 };

    private static readonly Option<int> s_probeSeconds = new("--probe-seconds") { Description = "With --silo: how often silos ask each other for a sign of life; one that misses three is declared dead.", HelpName = "S", DefaultValueFactory = _ => 5 };

    public static Command Create()
    {
        var command = new Command("serve", "Decide live: Kafka partitions in, decisions out, HTTP beside; several processes share the partitions. What it costs goes into <store.directory>/costs.jsonl, default .risk/serve, for risk cost report DIR.") { s_config, s_port, s_cluster, s_membership, s_partitions, s_silo, s_host, s_siloPort, s_gatewayPort, s_probeSeconds };
        command.SetVerb(Run);
        return command;
    }

    /// <summary>What is for a cluster's processes alone would otherwise start an embedded engine, which owns partitions.</summary>
    private static void RefuseMisplaced(VerbContext context)
    {
        if (!context.Get(s_cluster) && Array.Find<Option>([s_silo, s_membership, s_partitions, s_host, s_siloPort, s_gatewayPort, s_probeSeconds], context.IsGiven) is { } option)
        {
            throw CommandFailure.BadInput("USAGE", $"{option.Name} is for a cluster: give --cluster too, or leave it out");
        }
        if (!context.Get(s_silo) && Array.Find<Option>([s_host, s_siloPort, s_gatewayPort, s_probeSeconds], context.IsGiven) is { } ofSilo)
        {
            throw CommandFailure.BadInput("USAGE", $"{ofSilo.Name} is for a silo: give --silo too, or leave it out");
        }
        if (context.Get(s_port) is < 0 or > 65535) { throw CommandFailure.BadInput("USAGE", "--port must be 0 to 65535"); }
    }

    private static async Task<ExitCode> Run(VerbContext context)
    {
        RefuseMisplaced(context);
        ServeConfiguration configuration = Configuration(context.Get(s_config), context.Get(s_port));
        if (context.Get(s_cluster))
        {
            string[] config = context.Get(s_config) is { } file ? ["--config", file] : [];
            string[] role = context.Get(s_silo) ? ["silo", "--host", context.Get(s_host)!, "--silo-port", $"{context.Get(s_siloPort)}", "--gateway-port", $"{context.Get(s_gatewayPort)}", "--probe-seconds", $"{context.Get(s_probeSeconds)}"] : ["front"];
            return await ClusterHandOver.Run(context.Output, [.. role, .. config, "--membership", context.Get(s_membership) ?? "localhost", "--partitions", $"{context.Get(s_partitions)}", "--listen", configuration.Listen], context.Cancellation);
        }
        StreamFiles files = StreamFiles.Load(configuration.Stream);
        StreamDefinition definition = files.Definition;
        string directory = StoreFiles.MakeDirectory(configuration.Store);
        KeyRing keys = KeyRing.OpenOrCreate(configuration.Keys ?? directory);
        KafkaSettings? kafka = Kafka(configuration.Kafka);
        EnginePrices prices = PriceBookFile.ForEngine(configuration.Prices.Book, configuration.Prices.Machine);
        using IDecisionStore store = StoreFiles.Open(configuration.Store, definition.Schema.Name, keys, directory, configuration.Keys);
        using ChallengerStores challengers = ChallengerFiles.OfService(configuration, definition, keys, directory);
        var options = new ServeOptions(configuration, definition, ModelFiles.Load(definition), keys, store, kafka, prices.Book, prices.Machine, token => WarmUp(files, token))
        {
            PriceFaults = prices.Told,
            Profile = name => ProfileFile.Find(name, context.Output.Note),
            Challengers = challengers.Options,
        };

        (ServeHost? host, ModelRefusal? refusal) = await ServeHost.Start(options, context.Cancellation);
        if (host is null) { throw CommandFailure.BadInput(refusal!.Code, refusal.Reason); }
        await using (host)
        {
            Announce(context.Output, host, configuration);
            try
            {
                await host.Ended.WaitAsync(context.Cancellation);
            }
            catch (OperationCanceledException)
            {
                context.Output.Note("stopping: what was taken is being decided and committed");
            }
        }
        return ExitCode.Done;
    }

    private static ServeConfiguration Configuration(string? path, int? port)
    {
        ServeConfiguration configuration = path is null ? Default() : Read(path);
        return port is null ? configuration : configuration with { Listen = new UriBuilder(configuration.Listen) { Port = port.Value }.Uri.ToString() };
    }

    private static ServeConfiguration Default() => new()
    {
        Kafka = Environment.GetEnvironmentVariable("KAFKA_BOOTSTRAP_SERVERS") is { Length: > 0 } servers
            ? new KafkaConfiguration { Properties = new Dictionary<string, string> { ["bootstrap.servers"] = servers } }
            : null,
    };

    private static ServeConfiguration Read(string path)
    {
        try
        {
            ServeConfiguration configuration = ServeConfiguration.Read(File.ReadAllBytes(path), out string? fault) ?? throw CommandFailure.BadInput("CONFIG_INVALID", $"{path}: {fault}");
            StoreFiles.RefuseInline(configuration.Store);
            return configuration;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CommandFailure.BadInput("CONFIG_UNREADABLE", $"{path}: {e.Message}");
        }
    }

    internal static KafkaSettings? Kafka(KafkaConfiguration? configuration)
    {
        if (configuration is null) { return null; }
        return KafkaSettings.Read(configuration.Properties, configuration.GroupId, out CodedError error) ?? throw CommandFailure.BadInput(error.Code.Text(), error.Message);
    }

    internal static (ITransactionSource, TransactionParser)? WarmUp(StreamFiles files, TransactionKeys keys)
    {
        if (files.RecordedTransactions is not { } path || FileTransactionSource.Open(path, files.Definition.Schema, out _) is not { } source) { return null; }
        if (source.CreateParser(keys, false, out _) is { } parser) { return (source, parser); }
        source.Dispose();
        return null;
    }

    private static void Announce(Output output, ServeHost host, ServeConfiguration configuration)
    {
        string store = configuration.Store.Postgres is null ? $"files in {Path.GetFullPath(configuration.Store.Directory)}" : "PostgreSQL";
        if (output.Json)
        {
            output.WriteJson(json =>
            {
                json.WriteString("address", host.Address);
                json.WriteString("stream", host.Definition.Schema.Name);
                json.WriteNumber("partitions", host.PartitionCount);
                json.WriteString("executionProvider", host.ExecutionProvider);
            });
            return;
        }
        output.WriteLine($"Serving {host.Definition.Schema.Name} at {host.Address}, log in {store}, {(configuration.Kafka is null ? "transactions by HTTP" : $"{host.PartitionCount} partitions from Kafka and HTTP")}.");
        output.WriteLine($"  curl {host.Address}/health/ready");
        output.WriteLine($"  curl {host.Address}/metrics");
        output.WriteLine($"  curl -X POST {host.Address}/v1/decisions -d '{{...}}'   one transaction, with the fields of schema.json");
    }
}
