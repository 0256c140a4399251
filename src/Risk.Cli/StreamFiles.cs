using Risk.Cli.CommandLine;
using Risk.Core;
using Risk.Core.Decisions;
using Risk.Core.Transactions;

namespace Risk.Cli;

/// <summary>
/// A stream as it lies in a folder: <c>schema.json</c>, <c>features.json</c>, <c>policy.json</c>, and the recorded stream
/// where one ships.
/// </summary>
internal sealed class StreamFiles
{
    private StreamFiles(string folder, StreamDefinition definition)
    {
        Folder = folder;
        Definition = definition;
        RecordedStream? recorded = definition.Schema.Recorded;
        string place = recorded?.Stream is { } other ? Path.Combine(folder, "..", other) : folder;
        RecordedTransactions = recorded is null ? null : Path.GetFullPath(Path.Combine(place, recorded.Transactions));
        RecordedLabels = recorded?.Labels is { } labels ? Path.GetFullPath(Path.Combine(place, labels)) : null;
    }

    public string Folder { get; }

    public StreamDefinition Definition { get; }

    /// <summary>Path of the recorded transactions; null where none ship.</summary>
    public string? RecordedTransactions { get; }

    /// <summary>Path of the recorded labels; null where none ship.</summary>
    public string? RecordedLabels { get; }

    /// <summary>Loads a stream by its name below <c>streams/</c>, or by its folder; one that is wrong in any way ends the verb, with all that is wrong.</summary>
    /// <exception cref="CommandFailure">STREAM_NOT_FOUND, or the codes of the definition's faults.</exception>
    public static StreamFiles Load(string nameOrFolder) =>
        TryLoad(FindFolder(nameOrFolder), out List<DefinitionError> errors) ?? throw new CommandFailure(ExitCode.BadInput, [.. errors.Select(e => (e.Code, $"{e.File} {e.Path}: {e.Sentence}"))]);

    /// <summary>Loads a folder; null when anything is wrong, and <paramref name="errors"/> says what.</summary>
    public static StreamFiles? TryLoad(string folder, out List<DefinitionError> errors)
    {
        errors = [];
        string shown = Path.GetRelativePath(Directory.GetCurrentDirectory(), folder);
        byte[] schema = Read(folder, shown, "schema.json", errors), features = Read(folder, shown, "features.json", errors), policy = Read(folder, shown, "policy.json", errors);
        if (errors.Count > 0)
        {
            return null;
        }

        StreamDefinition? definition = StreamDefinition.Read(schema, features, policy, shown, errors);
        return definition is null ? null : new StreamFiles(folder, definition);
    }

    /// <summary>Every folder below <c>streams/</c>, by name.</summary>
    public static IReadOnlyList<string> Folders() => [.. Directory.GetDirectories(Path.Combine(RiskHome.Find(), "streams")).Order(StringComparer.Ordinal)];

    private static string FindFolder(string nameOrFolder)
    {
        bool isName = nameOrFolder.AsSpan().IndexOfAny(Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar) < 0;
        if (isName && Path.Combine(RiskHome.Find(), "streams", nameOrFolder) is var named && Directory.Exists(named))
        {
            return named;
        }

        return Directory.Exists(nameOrFolder)
            ? Path.GetFullPath(nameOrFolder)
            : throw CommandFailure.BadInput("STREAM_NOT_FOUND", $"'{nameOrFolder}' is neither a folder nor one of the streams here: {string.Join(", ", Folders().Select(Path.GetFileName))}.");
    }

    private static byte[] Read(string folder, string shown, string name, List<DefinitionError> errors)
    {
        try
        {
            return File.ReadAllBytes(Path.Combine(folder, name));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            errors.Add(new DefinitionError("STREAM_FILE_MISSING", $"{shown}/{name}", "$", "the file is not there; a stream has schema.json, features.json and policy.json."));
            return [];
        }
    }
}
