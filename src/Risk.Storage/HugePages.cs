using System.Runtime.InteropServices;

namespace Risk.Storage;

/// <summary>
/// Asks Linux to back large state memory with huge pages (2 MiB): random look-ups in hundreds of megabytes otherwise spend much of
/// their time on address translation. A wish that may be refused, without any other effect; elsewhere nothing happens.
/// https://man7.org/linux/man-pages/man2/madvise.2.html. Bench: feature-update.
/// </summary>
public static class HugePages
{
    private const int AdviseHugePage = 14; // MADV_HUGEPAGE
    private const nint HugePageSize = 2 * 1024 * 1024;

    /// <summary>For memory that was not written yet.</summary>
    public static void Advise(nint address, nint bytes)
    {
        if (!OperatingSystem.IsLinux()) { return; }
        nint first = (address + HugePageSize - 1) & -HugePageSize, end = (address + bytes) & -HugePageSize;
        if (end > first) { _ = madvise(first, end - first, AdviseHugePage); }
    }

    [DllImport("libc", EntryPoint = "madvise")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int madvise(nint address, nint length, int advice);
}
