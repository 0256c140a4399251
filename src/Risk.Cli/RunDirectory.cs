using Risk.Cli.CommandLine;
using Risk.Core.Transactions;
using Risk.Service.Engine;
using Risk.Storage.Log;

namespace Risk.Cli;

/// <summary>The directory of a run, as the verbs that read it see it.</summary>
internal static class RunDirectory
{
    /// <summary>The directory as it was given, when a log is in it, or at least the remains of one.</summary>
    /// <exception cref="CommandFailure">LOG_NOT_FOUND.</exception>
    public static string RequireLog(string directory)
    {
        if (!Directory.Exists(directory))
        {
            throw CommandFailure.BadInput("LOG_NOT_FOUND", $"{directory} is no folder; `risk demo` makes a log, --out says where.");
        }

        LogFolder folder = LogFolder.Find(directory);
        return File.Exists(folder.Checkpoint) || Directory.Exists(Path.Combine(folder.Log, "tile"))
            ? directory
            : throw CommandFailure.BadInput("LOG_NOT_FOUND", $"{directory} holds no log: neither checkpoint nor tile/, there or in its folder log/.");
    }

    /// <summary>The directories of all logs below one: itself, or the partitions that <c>risk serve</c> keeps in it.</summary>
    /// <exception cref="CommandFailure">LOG_NOT_FOUND.</exception>
    public static IReadOnlyList<string> RequireLogs(string directory)
    {
        string[] partitions = !Directory.Exists(directory) ? [] : [.. Directory.EnumerateDirectories(directory).Where(folder => Path.GetFileName(folder) is var name && name.All(char.IsAsciiDigit) && File.Exists(LogFolder.Find(folder).Checkpoint)).Order(StringComparer.Ordinal)];
        return partitions.Length > 0 ? partitions : [RequireLog(directory)];
    }

    /// <summary>The run's token key; null for whoever may not read it, as an auditor with a copy of the log.</summary>
    public static KeyedHash? FindSecret(string directory)
    {
        LogFolder folder = LogFolder.Find(directory);
        try
        {
            return File.Exists(Path.Combine(folder.Keys, "token.key")) ? KeyRing.OpenOrCreate(folder.Root).Secret : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
