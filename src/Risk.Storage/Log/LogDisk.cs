using Microsoft.Win32.SafeHandles;

namespace Risk.Storage.Log;

/// <summary>
/// What the log asks of a disk, handed in so that tests can drop what was never synced. Reading goes to the files.
/// All members throw <see cref="IOException"/>.
/// </summary>
internal interface ILogDisk
{
    /// <summary>Opens a journal segment; creates it, filled with zeros and durable, when it is not there.</summary>
    IJournalFile OpenJournal(string path, long bytes);

    /// <summary>Writes a whole file and the folders above it; visible at once, durable after <see cref="SyncAll"/>.</summary>
    void WriteFile(string path, ReadOnlySpan<byte> bytes);

    /// <summary>Replaces a small file atomically; durable on return.</summary>
    void ReplaceFile(string path, ReadOnlySpan<byte> bytes);

    /// <summary>Deletes a folder and all in it; it need not be there.</summary>
    void DeleteFolder(string path);

    /// <summary>Everything written below this folder is durable on return.</summary>
    void SyncAll(string folder);
}

/// <summary>A preallocated file that is only overwritten, never grown.</summary>
internal interface IJournalFile : IDisposable
{
    long Bytes { get; }

    void Write(long offset, ReadOnlySpan<byte> bytes);

    /// <summary>Fills the buffer from that offset.</summary>
    void Read(long offset, Span<byte> buffer);

    void Sync();
}

/// <summary>The real disk.</summary>
internal sealed class LogDisk : ILogDisk
{
    private const int ZeroBytes = 1 << 20;

    public IJournalFile OpenJournal(string path, long bytes)
    {
        if (!File.Exists(path))
        {
            string unfinished = path + ".new";
            using (SafeFileHandle file = File.OpenHandle(unfinished, FileMode.Create, FileAccess.Write))
            {
                // Written zeros, not fallocate: extents that were never written cost a metadata commit at the first sync.
                byte[] zeros = new byte[(int)Math.Min(ZeroBytes, bytes)];
                for (long at = 0; at < bytes; at += zeros.Length)
                {
                    RandomAccess.Write(file, zeros.AsSpan(0, (int)Math.Min(zeros.Length, bytes - at)), at);
                }

                RandomAccess.FlushToDisk(file);
            }

            File.Move(unfinished, path);
            Posix.SyncDirectory(Path.GetDirectoryName(path)!);
        }

        return new JournalFile(path);
    }

    public void WriteFile(string path, ReadOnlySpan<byte> bytes)
    {
        try
        {
            Write(path, bytes);
        }
        catch (DirectoryNotFoundException)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            Write(path, bytes);
        }
    }

    public void ReplaceFile(string path, ReadOnlySpan<byte> bytes)
    {
        string folder = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(folder);
        string unfinished = path + ".new";
        using (SafeFileHandle file = File.OpenHandle(unfinished, FileMode.Create, FileAccess.Write))
        {
            RandomAccess.Write(file, bytes, 0);
            RandomAccess.FlushToDisk(file);
        }

        File.Move(unfinished, path, overwrite: true);
        Posix.SyncDirectory(folder);
    }

    public void DeleteFolder(string path)
    {
        if (Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true);
        }
    }

    public void SyncAll(string folder) => Posix.SyncFileSystem(folder);

    private static void Write(string path, ReadOnlySpan<byte> bytes)
    {
        using SafeFileHandle file = File.OpenHandle(path, FileMode.Create, FileAccess.Write);
        RandomAccess.Write(file, bytes, 0);
    }

    private sealed class JournalFile(string path) : IJournalFile
    {
        private readonly SafeFileHandle _file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.Read);

        public long Bytes => RandomAccess.GetLength(_file);

        public void Write(long offset, ReadOnlySpan<byte> bytes) => RandomAccess.Write(_file, bytes, offset);

        public void Read(long offset, Span<byte> buffer)
        {
            while (!buffer.IsEmpty)
            {
                int read = RandomAccess.Read(_file, buffer, offset);
                if (read == 0)
                {
                    throw new EndOfStreamException($"{path} ends at {Bytes}, wanted {offset}.");
                }

                buffer = buffer[read..];
                offset += read;
            }
        }

        public void Sync() => Posix.SyncBytes(_file);

        public void Dispose() => _file.Dispose();
    }
}
