namespace Risk.Storage.Log;

/// <summary>Small files that are written once, by whoever comes first, and then only read: keys and what tells them.</summary>
internal static class OnceFile
{
    /// <summary>Only its owner reads and writes it.</summary>
    public const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>
    /// Writes the file, durable and never to be seen half written; false when it is there already, for instance because
    /// another thread or process was first: then read that one.
    /// </summary>
    public static bool TryCreate(string path, ReadOnlySpan<byte> bytes, UnixFileMode? mode = null)
    {
        if (File.Exists(path))
        {
            return false;
        }

        string folder = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(folder);
        string unfinished = $"{path}.{Environment.ProcessId}.{Environment.CurrentManagedThreadId}.new";
        File.Delete(unfinished);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (mode is { } restricted && !OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = restricted;
        }

        using (var file = new FileStream(unfinished, options))
        {
            file.Write(bytes);
            file.Flush(flushToDisk: true);
        }

        try
        {
            File.Move(unfinished, path);
        }
        catch (IOException) when (File.Exists(path))
        {
            File.Delete(unfinished);
            return false;
        }

        Posix.SyncDirectory(folder);
        return true;
    }
}
