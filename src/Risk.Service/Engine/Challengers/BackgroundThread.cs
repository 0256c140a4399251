using System.Runtime.InteropServices;

namespace Risk.Service.Engine.Challengers;

/// <summary>
/// The processor time of one thread, and its place behind all others: on Linux a thread of nice 10 gets a tenth of what
/// another gets where both want the core. Not less, for what it holds for a moment (the log's gate, a collection's safe point) others wait
/// for. Threads inherit it, so the thread must start none that others use. .NET's own thread priorities do nothing there.
/// Elsewhere time reads as 0 and the priority stays.
/// </summary>
internal sealed partial class BackgroundThread
{
    private const int ThreadsOfProcess = 0, Low = 10; // PRIO_PROCESS; of the calling thread with who = 0, setpriority(2)

    private int _clock;
    private bool _isRunning;
    private long _micros;

    /// <summary>Called once, in the thread.</summary>
    public void Begin()
    {
        if (!OperatingSystem.IsLinux()) { return; }
        try
        {
            _ = setpriority(ThreadsOfProcess, 0, Low);
            Volatile.Write(ref _isRunning, pthread_getcpuclockid(pthread_self(), out _clock) == 0);
        }
        catch (EntryPointNotFoundException)
        {
            // glibc before 2.34 has it in another library: then its time is the champion's.
        }
    }

    /// <summary>Called in the thread before it ends: its clock ends with it.</summary>
    public void End()
    {
        _micros = CpuMicros;
        Volatile.Write(ref _isRunning, false);
    }

    /// <summary>Processor time so far, microseconds. On any thread.</summary>
    public long CpuMicros => Volatile.Read(ref _isRunning) && clock_gettime(_clock, out Time time) == 0 ? time.Seconds * 1_000_000 + time.Nanos / 1000 : _micros;

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Time
    {
        public readonly nint Seconds;
        public readonly nint Nanos;
    }

    [LibraryImport("libc")]
    private static partial nint pthread_self();

    [LibraryImport("libc")]
    private static partial int pthread_getcpuclockid(nint thread, out int clock);

    [LibraryImport("libc")]
    private static partial int clock_gettime(int clock, out Time time);

    [LibraryImport("libc")]
    private static partial int setpriority(int which, int who, int priority);
}
