using Risk.Core.Log;

namespace Risk.Storage.Log;

/// <summary>
/// Where everything of one log lies: <c>log/</c> is what an auditor gets (the C2SP layout), <c>private/</c> the erasable
/// payloads by the same scheme, <c>journal/</c> what is not in tiles yet, <c>keys/</c> the signing key.
/// </summary>
internal sealed record LogFolder
{
    public LogFolder(string root)
        : this(Path.GetFullPath(root), Path.Combine(Path.GetFullPath(root), "log"))
    {
    }

    private LogFolder(string root, string log)
    {
        Root = root;
        Log = log;
    }

    public string Root { get; }

    public string Log { get; }

    public string Private => Path.Combine(Root, "private");

    public string Journal => Path.Combine(Root, "journal");

    public string Lock => Path.Combine(Journal, "lock");

    public string Keys => Path.Combine(Root, "keys");

    public string PrivateKey => Path.Combine(Keys, "log.key");

    public string VerifierKey => Path.Combine(Keys, "log.vkey");

    public string Checkpoint => Path.Combine(Log, TilePath.Checkpoint);

    /// <summary>Takes the directory of a run, or the log itself: the directory with the checkpoint, whatever its name.</summary>
    public static LogFolder Find(string directory)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory));
        bool isLogItself = File.Exists(Path.Combine(full, TilePath.Checkpoint)) || Directory.Exists(Path.Combine(full, "tile"));
        return isLogItself ? new LogFolder(Path.GetDirectoryName(full) ?? full, full) : new LogFolder(full);
    }

    public string Hashes(int level, long index, int width = LogFormat.TileWidth) => Path.Combine(Log, TilePath.Hashes(level, index, width));

    public string Entries(long index, int width = LogFormat.TileWidth) => Path.Combine(Log, TilePath.Entries(index, width));

    public string Payloads(long index, int width = LogFormat.TileWidth) => Path.Combine(Private, TilePath.Payloads(index, width));
}
