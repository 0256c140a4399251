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

        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        Directory.CreateDirectory(folder);
        // Process numbers repeat from container to container.
        string unfinished = $"{path}.{Guid.NewGuid():N}.new";
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (mode is { } restricted && !OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = restricted;
        }

        try
        {
            using (var file = new FileStream(unfinished, options))
            {
                file.Write(bytes);
                file.Flush(flushToDisk: true);
            }

            // A second name refuses where there is a file; renaming would replace it.
            bool isOurs = Posix.TryLink(unfinished, path);
            Posix.SyncDirectory(folder);
            return isOurs;
        }
        finally
        {
            File.Delete(unfinished);
        }
    }
}
