namespace Risk.Storage.Log;

/// <summary>
/// A file that is made once and then only read. Of several makers at the same time, in one process or in many, one wins, and
/// all go on with what it wrote: nobody sees half a file, and nothing is ever replaced.
/// </summary>
internal static class OnceFile
{
    private const UnixFileMode Secret = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Makes the file, mode 0600 where it is secret; durable on return.</summary>
    /// <returns>False when it was there already: read it.</returns>
    public static bool TryCreate(string path, ReadOnlySpan<byte> bytes, bool isSecret)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!, unfinished = Path.Combine(folder, $".{Path.GetFileName(path)}.{Guid.NewGuid():N}.new");
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (isSecret && !OperatingSystem.IsWindows()) { options.UnixCreateMode = Secret; }
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
