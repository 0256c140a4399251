using System.CommandLine;
using Risk.Cli.CommandLine;
using Risk.Cli.Produce;
using Risk.Core.Transactions;
using Risk.Service.Engine;
using Risk.Streams.Kafka;

namespace Risk.Cli.Verbs;

/// <summary><c>risk produce</c>: plays a recorded stream into Kafka, in event-time order, keyed, and its labels when they become known.</summary>
internal static class ProduceVerb
{
    private const string ServersVariable = "KAFKA_BOOTSTRAP_SERVERS";
    private const string ServersProperty = "bootstrap.servers";

    private static readonly Option<string> s_stream = CommonOptions.Stream();
    private static readonly Option<string?> s_input = StreamInput.InputOption();
    private static readonly Option<string?> s_labels = new("--labels") { Description = "Labels, each sent to labels.<stream> when event time passes the time from which it is known; without this option none are sent.", HelpName = "FILE" };
    private static readonly Option<string?> s_topic = new("--topic") { Description = "Where the transactions go; default transactions.<stream>.", HelpName = "T" };
    private static readonly Option<double?> s_rate = new("--rate") { Description = "So many transactions a second, whatever the broker does (open loop); without it and --speed as fast as it goes.", HelpName = "N" };
    private static readonly Option<string?> s_speed = new("--speed") { Description = "Event time so many times as fast as it was: x60 plays an hour in a minute.", HelpName = "xN" };
    private static readonly Option<long?> s_transactions = new("--transactions") { Description = "Stop after so many.", HelpName = "N" };
    private static readonly Option<string?> s_bootstrap = new("--bootstrap") { Description = $"Brokers as host:port, several with commas; default {ServersVariable}.", HelpName = "SERVERS" };
    private static readonly Option<string[]> s_property = new("--property") { Description = "A property of librdkafka, such as security.protocol=SASL_SSL; secrets only as env:NAME or file:PATH.", HelpName = "K=V" };
    private static readonly Option<bool> s_create = new("--create") { Description = "Make topics that are missing: 12 partitions, 7 days." };
    private static readonly Option<bool> s_strict = new("--strict") { Description = "Stop at the first record that is no transaction, and exit 1." };

    public static Command Create()
    {
        var command = new Command("produce", "Play a recorded stream into Kafka, in event-time order, keyed, and its labels when they become known.")
        {
            s_stream, s_input, s_labels, s_topic, s_rate, s_speed, s_transactions, s_bootstrap, s_property, s_create, s_strict,
        };
        command.SetVerb(Run);
        return command;
    }

    private static ExitCode Run(VerbContext context)
    {
        ProducePace pace = Pace(context.Get(s_rate), context.Get(s_speed));
        long max = context.Get(s_transactions) ?? long.MaxValue;
        if (max < 1) { throw CommandFailure.BadInput("USAGE", "--transactions must be 1 or more"); }
        StreamFiles files = StreamFiles.Load(context.Get(s_stream)!);
        StreamSchema schema = files.Definition.Schema;
        KeyRing keys = KeyRing.Reproducible(schema.Name); // nothing keyed leaves this verb
        using StreamInput input = StreamInput.Open(files, context.Get(s_input), context.Get(s_labels), keys, recordedLabels: false);
        TransactionParser parser = input.CreateParser(new TransactionKeys(schema.Name, keys.Secret), ingestIsEventTime: true);
        KafkaSettings kafka = Kafka(context);

        KafkaTopics standard = KafkaTopics.Of(schema.Name);
        string topic = context.Get(s_topic) ?? standard.Transactions;
        string? labelsTopic = input.Labels is null ? null : standard.Labels;
        if (topic == labelsTopic) { throw CommandFailure.BadInput("USAGE", $"--topic {topic} is where the labels go; name another one"); }
        string[] topics = labelsTopic is null ? [topic] : [topic, labelsTopic];
        if (KafkaAdmin.EnsureNamed(kafka, topics, null, context.Get(s_create) ? TopicDefaults.Standard : null, out int partitions) is { } error)
        {
            string hint = error.Code == ErrorCode.KafkaTopicMissing && !context.Get(s_create) ? " (--create)" : "";
            throw CommandFailure.WorldFailed(error.Code.Text(), error.Message + hint);
        }

        using var publisher = new KafkaPublisher(kafka);
        var player = new StreamPlayer(schema, publisher, new PlayOptions(topic, labelsTopic, partitions, pace, max, context.Get(s_strict)));
        PlayResult result = context.Output.Run("Producing", "transactions", max == long.MaxValue ? null : max, progress =>
        {
            using var timer = new Timer(_ => Estimate(input, progress, max), null, 500, 500);
            return player.Play(input, parser, progress, context.Cancellation);
        });
        return ProduceView.Show(context.Output, topic, result, context.Get(s_strict));
    }

    private static void Estimate(StreamInput input, ProgressReport progress, long max)
    {
        if (input.Source.BytesRead <= 0 || input.Source.Identity.Size <= 0) { return; }
        progress.Total = Math.Min(max, (long)(progress.Done * (double)input.Source.Identity.Size / input.Source.BytesRead));
    }

    private static ProducePace Pace(double? rate, string? speed)
    {
        if (rate is not null && speed is not null) { throw CommandFailure.BadInput("USAGE", "--rate and --speed exclude each other"); }
        if (rate is { } perSecond)
        {
            return perSecond > 0 && double.IsFinite(perSecond) ? new ProducePace(perSecond, 0) : throw CommandFailure.BadInput("USAGE", "--rate must be above 0 transactions a second");
        }
        if (speed is null) { return ProducePace.Unlimited; }
        return ProducePace.TrySpeed(speed, out double times) ? new ProducePace(0, times) : throw CommandFailure.BadInput("USAGE", $"--speed '{speed}' is no factor; write x60 or 60");
    }

    private static KafkaSettings Kafka(VerbContext context)
    {
        var properties = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string property in context.Get(s_property) ?? [])
        {
            int end = property.IndexOf('=', StringComparison.Ordinal);
            // What stands behind it may be a secret, so it is not repeated.
            if (end <= 0) { throw CommandFailure.BadInput("USAGE", "--property wants NAME=VALUE"); }
            properties[property[..end].Trim()] = property[(end + 1)..].Trim();
        }
        if ((context.Get(s_bootstrap) ?? Environment.GetEnvironmentVariable(ServersVariable)) is { Length: > 0 } servers) { properties.TryAdd(ServersProperty, servers); }
        if (!properties.ContainsKey(ServersProperty)) { throw CommandFailure.BadInput("USAGE", $"no broker is named; give --bootstrap host:port, or set {ServersVariable}"); }
        return KafkaSettings.Read(properties, "risk-produce", out CodedError error) ?? throw CommandFailure.BadInput(error.Code.Text(), error.Message);
    }
}
