using System.Text.Json;
using System.Text.Json.Serialization;
using Risk.Core.Decisions;
using Risk.Core.Devices;
using Risk.Service.Engine;

namespace Risk.Service.Serving;

/// <summary>
/// What <c>risk serve</c> is told, as JSON. Everything has a default: an empty file serves HTTP on this machine alone, with
/// its log in files. Secrets stand in it as <c>env:NAME</c> or <c>file:PATH</c> only.
/// </summary>
public sealed record ServeConfiguration
{
    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.Web)
    {
        PropertyNameCaseInsensitive = false,
        NumberHandling = JsonNumberHandling.Strict,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true,
        ReadCommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
    };

    /// <summary>Name below <c>streams/</c>, or a folder.</summary>
    public string Stream { get; init; } = "card-payments";

    /// <summary>Where HTTP is answered. The default is open to this machine only.</summary>
    public string Listen { get; init; } = "http://127.0.0.1:8080";

    /// <summary>How other processes of the same stream reach this one; null: the address it listens on.</summary>
    public string? Advertise { get; init; }

    /// <summary>The folder with the token key, the same for every process of the stream; null: in the store's directory.</summary>
    public string? Keys { get; init; }

    public StoreConfiguration Store { get; init; } = new();

    /// <summary>Null: transactions come by HTTP alone.</summary>
    public KafkaConfiguration? Kafka { get; init; }

    public BatchConfiguration Batch { get; init; } = new();

    /// <summary>What the stream's rows want: <c>latency-critical</c>, <c>bulk</c> or <c>cost-sensitive</c>.</summary>
    public string Grade { get; init; } = "latency-critical";

    /// <summary>From arrival to answer, for transactions that bring no deadline of their own; null for none.</summary>
    public double? DeadlineMillis { get; init; }

    public RoutingConfiguration Routing { get; init; } = new();

    public EntityConfiguration Entities { get; init; } = new();

    /// <summary>What decisions are charged by.</summary>
    public PriceConfiguration Prices { get; init; } = new();

    /// <summary>Devices that may score, beside the processor: which of them does is <see cref="Routing"/>'s; see <see cref="AcceleratorConfiguration"/> and <c>risk accelerators list</c>.</summary>
    [JsonIgnore]
    public IReadOnlyList<AcceleratorConfiguration> Accelerators { get; init; } = [];

    /// <summary><see cref="Accelerators"/> as it stands in the file.</summary>
    [JsonInclude]
    [JsonPropertyName("accelerators")]
    internal JsonElement? AcceleratorsJson { get; init; }

    /// <summary>Models that score beside the champion, and never in its place.</summary>
    public IReadOnlyList<ChallengerConfiguration> Challengers { get; init; } = [];

    /// <summary>After how many seconds without an event a partition's watermark follows the clock.</summary>
    public double IdleAfterSeconds { get; init; } = 60;

    /// <summary>Reads a configuration; null with the sentence of what is wrong.</summary>
    public static ServeConfiguration? Read(ReadOnlySpan<byte> json, out string? fault)
    {
        fault = null;
        try
        {
            ServeConfiguration? configuration = JsonSerializer.Deserialize<ServeConfiguration>(json, s_json);
            fault = configuration is null ? "it must hold one object" : configuration.Fault();
            if (fault is null && configuration!.AcceleratorsJson is { } list) { configuration = WithAccelerators(configuration, list, out fault); }
            fault ??= configuration!.ChallengerFault();
            return fault is null ? configuration : null;
        }
        catch (JsonException e)
        {
            fault = SettingFault.Explain(e);
            return null;
        }
    }

    private static ServeConfiguration? WithAccelerators(ServeConfiguration configuration, JsonElement list, out string? fault)
    {
        List<DefinitionError> errors = [];
        bool isRead = AcceleratorConfiguration.TryRead(list, "", errors, out IReadOnlyList<AcceleratorConfiguration>? accelerators);
        fault = isRead ? null : string.Join("; ", errors.Select(e => $"{e.Path}: {e.Sentence}"));
        return isRead ? configuration with { Accelerators = accelerators!, AcceleratorsJson = null } : null;
    }

    private string? Fault() =>
        !Uri.TryCreate(Listen, UriKind.Absolute, out Uri? listen) || listen.Scheme != Uri.UriSchemeHttp ? "$.listen: it must be an address such as http://127.0.0.1:8080"
        : Advertise is not null && !(Uri.TryCreate(Advertise, UriKind.Absolute, out Uri? advertise) && advertise.Scheme is "http" or "https") ? "$.advertise: it must be an address such as http://10.0.0.7:8080"
        : Batch.SizeMax is < 1 or > 8192 ? "$.batch.sizeMax: it must be 1 to 8192"
        : Batch.DelayMaxMillis is < 0 or > 1000 or double.NaN ? "$.batch.delayMaxMillis: it must be 0 to 1000"
        : Grades.IndexOf(Grade) < 0 ? $"$.grade: it must be {string.Join(", ", Grades)}"
        : DeadlineMillis is { } millis && !(millis is > 0 and <= 3_600_000) ? "$.deadlineMillis: it must be above 0, at most 3600000"
        : Routing.Order is not ("cost" or "configured") ? "$.routing.order: it must be cost or configured"
        : !(Routing.MissMoney is >= 0 and < 1e6) ? "$.routing.missMoney: it must be 0 or more"
        : !(Entities.SkewSeconds is >= 1 and <= YearSeconds) ? $"$.entities.skewSeconds: it must be 1 to {YearSeconds}"
        : Entities.WaitMillis is < 1 or > 10_000 ? "$.entities.waitMillis: it must be 1 to 10000"
        : !(IdleAfterSeconds is > 0 and <= YearSeconds) ? $"$.idleAfterSeconds: it must be above 0, at most {YearSeconds}"
        : Challengers.FirstOrDefault(c => c.Model.Length == 0) is not null ? "$.challengers: model must be a stream, or name@version"
        : Store.Directory.Length == 0 ? "$.store.directory: it must name a folder"
        : Kafka?.Fault();

    /// <summary>An accelerator serves the champion or one challenger.</summary>
    private string? ChallengerFault()
    {
        HashSet<string> taken = [];
        for (int i = 0; i < Challengers.Count; i++)
        {
            foreach (string name in Challengers[i].Accelerators)
            {
                if (!Accelerators.Any(a => a.Name == name)) { return $"$.challengers[{i}].accelerators: accelerators has none that is called {name}"; }
                if (!taken.Add(name)) { return $"$.challengers[{i}].accelerators: {name} is another challenger's already"; }
            }
        }
        return null;
    }

    private const int YearSeconds = 31_536_000;

    /// <summary>As <see cref="StreamGrade"/> numbers them.</summary>
    private static readonly List<string> Grades = ["latency-critical", "bulk", "cost-sensitive"];

    /// <summary>How batches find their device.</summary>
    internal RoutingOptions RoutingOptions(Func<string, DeviceProfile?> profile) => new()
    {
        Grade = (StreamGrade)Grades.IndexOf(Grade),
        DeadlineMicros = DeadlineMillis is { } millis ? (long)(millis * 1000) : long.MaxValue,
        IsInOrder = Routing.Order == "configured",
        Router = new RouterOptions(MissMoney: Routing.MissMoney),
        Profile = profile,
        ProcessorProfile = Routing.ProcessorProfile,
    };
}

/// <summary>Where decisions are kept.</summary>
public sealed record StoreConfiguration
{
    /// <summary>The directory of the log in files, and of what stays local with PostgreSQL (last exported checkpoints).</summary>
    public string Directory { get; init; } = ".risk/serve";

    /// <summary>PostgreSQL instead of files: <c>env:NAME</c> or <c>file:PATH</c> of a connection string, with the runtime role.</summary>
    public string? Postgres { get; init; }
}

/// <summary>Kafka as a source, and as the place of decisions and dead letters.</summary>
public sealed record KafkaConfiguration
{
    /// <summary>librdkafka's properties (https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md); at least <c>bootstrap.servers</c>.</summary>
    public IReadOnlyDictionary<string, string> Properties { get; init; } = new Dictionary<string, string>();

    public string GroupId { get; init; } = "risk";

    /// <summary>Names other than <c>transactions.&lt;stream&gt;</c> and so on; null for those.</summary>
    public string? Transactions { get; init; }
    public string? Labels { get; init; }
    public string? Decisions { get; init; }
    public string? DeadLetters { get; init; }

    /// <summary>Missing topics are created, with so many partitions and replicas; −1 replicas: as many as the brokers' own default says.</summary>
    public bool CreateTopics { get; init; } = true;
    public int Partitions { get; init; } = 12;
    public short Replicas { get; init; } = -1;

    /// <summary>The sentence of what is wrong; null for nothing. <see cref="Properties"/> are looked at by <see cref="Risk.Streams.Kafka.KafkaSettings"/>.</summary>
    internal string? Fault() =>
        GroupId.Length == 0 ? "$.kafka.groupId: it must not be empty"
        : Partitions is < 1 or > PartitionsMax ? $"$.kafka.partitions: it must be 1 to {PartitionsMax}"
        : Replicas is not (-1 or > 0) ? "$.kafka.replicas: it must be 1 or more, or -1 for the brokers' own default"
        : Array.Find(TopicNames(), t => t.Name is { } name && !IsTopicName(name)) is { Setting: { } setting } ? $"$.kafka.{setting}: it must be a topic's name, 1 to 249 letters, digits, dots, underscores and hyphens"
        : TopicNames().Where(t => t.Name is not null).GroupBy(t => t.Name).FirstOrDefault(g => g.Count() > 1)?.Last() is { Setting: { } same } ? $"$.kafka.{same}: another topic of the stream has this name already"
        : null;

    private (string Setting, string? Name)[] TopicNames() => [("transactions", Transactions), ("labels", Labels), ("decisions", Decisions), ("deadLetters", DeadLetters)];

    // As brokers check it, https://github.com/apache/kafka/blob/trunk/clients/src/main/java/org/apache/kafka/common/internals/Topic.java
    private static bool IsTopicName(string name) => name.Length is > 0 and <= 249 && name is not ("." or "..") && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-');

    // More than a broker is meant to hold of one topic; a number above it is a slip.
    private const int PartitionsMax = 10_000;
}

/// <summary>When a micro-batch leaves, see <see cref="Core.BatchPolicy"/>.</summary>
public sealed record BatchConfiguration
{
    public int SizeMax { get; init; } = 512;
    /// <summary>Null: by the stream's grade, 1 for latency-critical rows, 1000 for the others (cost-sensitive rows wait as long as <see cref="ServeConfiguration.DeadlineMillis"/> allows, where it is set).</summary>
    public double? DelayMaxMillis { get; init; }
}

/// <summary>Which device scores a micro-batch, where there are accelerators.</summary>
public sealed record RoutingConfiguration
{
    /// <summary><c>cost</c>: the cheapest that meets the deadline. <c>configured</c>: in the order of <c>accelerators</c>, the processor last.</summary>
    public string Order { get; init; } = "cost";

    /// <summary>What a missed deadline costs, in the price book's currency.</summary>
    public double MissMoney { get; init; } = 0.01;

    /// <summary>The processor's device profile, a name or a file; null: it is measured when the process starts.</summary>
    public string? ProcessorProfile { get; init; }
}

/// <summary>What decisions are charged by. Without prices that can be used they are made all the same, and carry no cost.</summary>
public sealed record PriceConfiguration
{
    /// <summary>The price book, a file; null: the one that ships, <c>ops/prices/default.json</c>.</summary>
    public string? Book { get; init; }

    /// <summary>The book's name for the machine that this process runs on; null: its first.</summary>
    public string? Machine { get; init; }
}

/// <summary>A model that scores what the champion has decided, on a thread of low priority.</summary>
public sealed record ChallengerConfiguration
{
    /// <summary>A stream that reads the same transactions (its features, its model, its policy), or <c>name@version</c>: the champion's stream with another model.</summary>
    public string Model { get; init; } = "";

    /// <summary>Names of <see cref="ServeConfiguration.Accelerators"/> that are this challenger's alone; the champion does not get them.</summary>
    public IReadOnlyList<string> Accelerators { get; init; } = [];
}

/// <summary>Entities that meet transactions of every partition (the terminal of a card's transaction).</summary>
public sealed record EntityConfiguration
{
    /// <summary>How far the partitions may be apart in event time; what comes later than that is decided, marked LATE, and not counted for such entities. A row that an owner missed and hears of too late is counted as ENTITY_ROW_LATE.</summary>
    public double SkewSeconds { get; init; } = 3600;

    /// <summary>How long a batch waits for their history, before it is decided without it and marked INCOMPLETE.</summary>
    public int WaitMillis { get; init; } = 250;
}
