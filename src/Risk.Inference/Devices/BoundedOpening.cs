using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;

namespace Risk.Inference.Devices;

/// <summary>
/// Calls that open something in a driver, each on a thread of its own that is left behind when its time is over: a driver that
/// hangs must not keep the engine from starting. What comes back after that is given to whoever cleans up.
/// </summary>
internal sealed class BoundedOpening<T>
{
    private readonly object _monitor = new();
    private readonly Func<T> _open;
    private readonly Action<T?> _cameLate;
    private T? _opened;
    private ExceptionDispatchInfo? _failure;
    private bool _isDone, _isLeft;

    private BoundedOpening(Func<T> open, Action<T?> cameLate) => (_open, _cameLate) = (open, cameLate);

    /// <summary>False when the time is over. What the call throws is thrown here.</summary>
    /// <param name="millisMax">0: as long as it takes, on this thread.</param>
    /// <param name="left">Done when the call is left behind; always before <paramref name="cameLate"/>.</param>
    /// <param name="cameLate">Done with what a call that was left came to, default when it threw; on its thread.</param>
    public static bool TryRun(string name, int millisMax, Func<T> open, Action left, Action<T?> cameLate, [MaybeNullWhen(false)] out T opened)
    {
        if (millisMax == 0)
        {
            opened = open();
            return true;
        }
        var call = new BoundedOpening<T>(open, cameLate);
        new Thread(call.Work) { IsBackground = true, Name = name }.Start();
        return call.TryWait(millisMax, left, out opened);
    }

    private bool TryWait(int millisMax, Action left, [MaybeNullWhen(false)] out T opened)
    {
        long deadline = Environment.TickCount64 + millisMax;
        lock (_monitor)
        {
            while (!_isDone)
            {
                long rest = deadline - Environment.TickCount64;
                if (rest <= 0)
                {
                    _isLeft = true;
                    left();
                    opened = default;
                    return false;
                }
                Monitor.Wait(_monitor, (int)rest);
            }
        }
        _failure?.Throw();
        opened = _opened!;
        return true;
    }

    private void Work()
    {
        try
        {
            _opened = _open();
        }
        catch (Exception e)
        {
            // On this thread it would end the process; it belongs to whoever asked.
            _failure = ExceptionDispatchInfo.Capture(e);
        }
        lock (_monitor)
        {
            _isDone = true;
            Monitor.Pulse(_monitor);
            if (!_isLeft) { return; }
        }
        _cameLate(_opened);
    }
}
