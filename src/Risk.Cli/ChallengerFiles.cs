using Risk.Cli.CommandLine;
using Risk.Core;
using Risk.Core.Log;
using Risk.Inference;
using Risk.Service.Engine;
using Risk.Service.Engine.Challengers;
using Risk.Service.Serving;
using Risk.Storage;
using Risk.Storage.Log;

namespace Risk.Cli;

/// <summary>The challengers that a command or a configuration names, with the place where each keeps what it says.</summary>
internal static class ChallengerFiles
{
    private const string Folder = "challengers";

    /// <summary>Of an engine in files: <c>&lt;directory&gt;/challengers/&lt;name&gt;</c> is a run's directory like the champion's.</summary>
    /// <exception cref="CommandFailure">STREAM_NOT_FOUND, MODEL_NOT_FOUND, USAGE: a name that comes twice.</exception>
    public static IReadOnlyList<ChallengerOptions> OfRun(IReadOnlyList<string> names, StreamDefinition champion, KeyRing keys, string directory) =>
        [.. Distinct(names, "--challenger").Select(name =>
        {
            (StreamDefinition definition, ModelBundle bundle) = Load(name, champion);
            string own = DirectoryOf(directory, name), snapshots = Path.Combine(own, "snapshots");
            // A new log in an old directory must not meet the state of another one.
            if (!Directory.Exists(Path.Combine(own, "log")) && Directory.Exists(snapshots)) { Directory.Delete(snapshots, recursive: true); }
            var options = new DecisionLogOptions { Origin = OriginOf(champion, name), KeySeed = keys.LogSeed };
            return new ChallengerOptions(NameOf(name), definition, bundle, own, _ => FileDecisionLog.Open(own, options), _ => new SnapshotStore(snapshots));
        })];

    /// <summary>Of a serving process: a store of its own beside the champion's, a log a partition.</summary>
    public static ChallengerStores OfService(ServeConfiguration configuration, StreamDefinition champion, KeyRing keys, string directory)
    {
        Distinct([.. configuration.Challengers.Select(c => c.Model)], "challengers");
        var stores = new ChallengerStores();
        try
        {
            foreach (string name in configuration.Challengers.Select(c => c.Model))
            {
                (StreamDefinition definition, ModelBundle bundle) = Load(name, champion);
                string own = Directory.CreateDirectory(DirectoryOf(directory, name)).FullName;
                IDecisionStore store = StoreFiles.Open(configuration.Store, OriginOf(champion, name)["risk/".Length..], keys, own, configuration.Keys ?? directory);
                stores.Add(new ChallengerOptions(NameOf(name), definition, bundle, own, partition => store.Open(partition, ""), store.Snapshots), store);
            }
            return stores;
        }
        catch
        {
            stores.Dispose();
            throw;
        }
    }

    /// <summary>The directories of a run's challengers, by name: in the run's own, or beside it where it is a partition of <c>risk serve</c>.</summary>
    public static IReadOnlyList<(string Name, string Directory)> Of(string directory)
    {
        string root = LogFolder.Find(directory).Root, partition = Path.GetFileName(Path.GetFullPath(root));
        bool isPartition = !Directory.Exists(Path.Combine(root, Folder)) && partition.All(char.IsAsciiDigit);
        string folder = Path.GetRelativePath(Directory.GetCurrentDirectory(), Path.GetFullPath(Path.Combine(isPartition ? Path.Combine(root, "..") : root, Folder)));
        return !Directory.Exists(folder) ? [] : [.. Directory.GetDirectories(folder).Order(StringComparer.Ordinal).Select(own => (Path.GetFileName(own), isPartition ? Path.Combine(own, partition) : own))];
    }

    private static IReadOnlyList<string> Distinct(IReadOnlyList<string> names, string where) =>
        names.FirstOrDefault(n => NameOf(n) is not { Length: > 0 } name || name[0] == '.' || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' or '@')) is { } wrong
            ? throw CommandFailure.BadInput("USAGE", $"{where}: '{wrong}' can name no challenger: its folder's name, or name@version, has letters, digits, dots, underscores, hyphens and no dot in front")
        : names.GroupBy(NameOf).FirstOrDefault(g => g.Count() > 1) is { } twice ? throw CommandFailure.BadInput("USAGE", $"{where}: '{twice.Key}' stands there twice") : names;

    /// <summary>A stream's own name where its folder was given.</summary>
    private static string NameOf(string name) => Path.GetFileName(Path.TrimEndingDirectorySeparator(name));

    private static string OriginOf(StreamDefinition champion, string name) => $"risk/{champion.Schema.Name}/{Folder}/{NameOf(name)}";

    private static string DirectoryOf(string directory, string name) => Path.Combine(directory, Folder, NameOf(name));

    /// <summary><c>name@version</c>: the champion's stream with another model; anything else is a stream that reads the same transactions.</summary>
    private static (StreamDefinition, ModelBundle) Load(string name, StreamDefinition champion)
    {
        if (name.Contains('@')) { return (champion, ModelFiles.Load(name)); }
        StreamDefinition definition = StreamFiles.Load(name).Definition;
        return (definition, ModelFiles.Load(definition));
    }
}

/// <summary>The challengers of a serving process and the stores they keep; for as long as the process serves.</summary>
internal sealed class ChallengerStores : IDisposable
{
    private readonly List<ChallengerOptions> _options = [];
    private readonly List<IDecisionStore> _stores = [];

    public IReadOnlyList<ChallengerOptions> Options => _options;

    public void Add(ChallengerOptions options, IDecisionStore store)
    {
        _options.Add(options);
        _stores.Add(store);
    }

    public void Dispose() => _stores.ForEach(store => store.Dispose());
}
