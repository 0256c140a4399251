using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Risk.Storage.Log;

/// <summary>The few system calls that .NET does not offer. Linux only, like the engine.</summary>
internal static partial class Posix
{
    private const int OpenDirectory = 0x10000; // O_DIRECTORY, asm-generic/fcntl.h
    private const int OpenCloseOnExec = 0x80000; // O_CLOEXEC
    private const int Interrupted = 4; // EINTR
    private const int Exists = 17; // EEXIST

    /// <summary>
    /// Makes a file's bytes durable, and of its metadata only what is needed to read them: on a preallocated file no
    /// journal commit of the file system (https://man7.org/linux/man-pages/man2/fdatasync.2.html).
    /// </summary>
    /// <exception cref="IOException">The sync failed: what was written may be lost. Never retry it as success.</exception>
    public static void SyncBytes(SafeFileHandle file)
    {
        int result;
        do
        {
            result = fdatasync(file);
        }
        while (result != 0 && Marshal.GetLastPInvokeError() == Interrupted);
        ThrowUnless(result == 0, "fdatasync");
    }

    /// <summary>Makes everything durable that was written to the file system of this directory: one call instead of one a file.</summary>
    public static void SyncFileSystem(string directory)
    {
        int fd = OpenDirectoryHandle(directory);
        int result = syncfs(fd);
        int error = Marshal.GetLastPInvokeError();
        _ = close(fd);
        Marshal.SetLastPInvokeError(error);
        ThrowUnless(result == 0, "syncfs");
    }

    /// <summary>Makes creations, renames and deletions in a directory durable.</summary>
    public static void SyncDirectory(string directory)
    {
        int fd = OpenDirectoryHandle(directory);
        int result = fsync(fd);
        int error = Marshal.GetLastPInvokeError();
        _ = close(fd);
        Marshal.SetLastPInvokeError(error);
        ThrowUnless(result == 0, "fsync");
    }

    /// <summary>Gives a file a second name; false when there is a file of that name (https://man7.org/linux/man-pages/man2/link.2.html).</summary>
    public static bool TryLink(string file, string name)
    {
        bool isLinked = link(file, name) == 0;
        ThrowUnless(isLinked || Marshal.GetLastPInvokeError() == Exists, "link " + name);
        return isLinked;
    }

    private static int OpenDirectoryHandle(string directory)
    {
        int fd = open(directory, OpenDirectory | OpenCloseOnExec);
        ThrowUnless(fd >= 0, "open " + directory);
        return fd;
    }

    private static void ThrowUnless(bool good, string call)
    {
        if (!good)
        {
            int error = Marshal.GetLastPInvokeError();
            throw new IOException($"{call}: {new Win32Exception(error).Message} (errno {error}).");
        }
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int link(string file, string name);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int close(int fd);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fsync(int fd);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int syncfs(int fd);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fdatasync(SafeFileHandle fd);
}
