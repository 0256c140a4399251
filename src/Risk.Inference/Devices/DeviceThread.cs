using System.Diagnostics;

namespace Risk.Inference.Devices;

/// <summary>
/// The thread on which one session's runs go into the driver. Nothing can call back a thread that a driver does not let go, so
/// whoever scores must be another one: it waits so long and then leaves the run behind. It is always the same thread, too: ONNX
/// Runtime keeps a CUDA stream, and the graphs captured on it, by thread, so warm-up must happen where the batches will
/// (https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html#using-cuda-graphs-preview).
/// </summary>
internal sealed class DeviceThread : IDisposable
{
    // Waking a thread and being woken takes 25 to 35 µs together (`risk accelerators overhead` with and without runMillisMax, 2
    // cores). Where cores are to be had, both sides look again and again before they sleep: who waits for about as long as
    // small batches take, as a driver does in the same place, and the thread shortly, for the next batch of a busy hour.
    private static readonly bool s_hasCores = Environment.ProcessorCount > 4;
    private static readonly long s_waitTicks = s_hasCores ? Stopwatch.Frequency / 5_000 : 0, s_idleTicks = s_hasCores ? Stopwatch.Frequency / 20_000 : 0;

    private readonly object _monitor = new();
    private SessionLane? _lane;
    private bool _isGiven, _isDone, _isSuccess, _isClosing;
    private Action? _afterwards;

    public DeviceThread(string name)
    {
        // In the background: a driver that has hung must not keep the process from ending.
        var thread = new Thread(Work) { IsBackground = true, Name = name };
        thread.Start();
    }

    /// <summary>Runs the lane; false when it has not come back in time: then only <see cref="TryWait"/> and <see cref="TryAbandon"/> may follow.</summary>
    /// <param name="isSuccess">What <see cref="SessionLane.Run"/> said.</param>
    public bool TryRun(SessionLane lane, TimeSpan max, out bool isSuccess)
    {
        lock (_monitor)
        {
            ObjectDisposedException.ThrowIf(_isClosing, this);
            _lane = lane;
            _isDone = false;
            _isGiven = true;
            Monitor.Pulse(_monitor);
        }
        return TryWait(max, out isSuccess);
    }

    /// <summary>Waits on for a run that was given; with no time left, it only looks.</summary>
    public bool TryWait(TimeSpan max, out bool isSuccess)
    {
        long startedAt = Stopwatch.GetTimestamp();
        Spin(ref _isDone, Math.Min(s_waitTicks, (long)(max.TotalSeconds * Stopwatch.Frequency)));
        lock (_monitor)
        {
            while (!_isDone)
            {
                TimeSpan left = max - Stopwatch.GetElapsedTime(startedAt);
                if (left <= TimeSpan.Zero) { break; }
                // It counts in whole milliseconds.
                Monitor.Wait(_monitor, Math.Max(1, (int)Math.Min(left.TotalMilliseconds, int.MaxValue)));
            }
            isSuccess = _isDone && _isSuccess;
            return _isDone;
        }
    }

    /// <summary>Gives a run up. The thread does <paramref name="afterwards"/> once the driver has let it go, and ends. False when the run has just come back.</summary>
    public bool TryAbandon(Action afterwards)
    {
        lock (_monitor)
        {
            if (_isDone) { return false; }
            _afterwards = afterwards;
            return _isClosing = true;
        }
    }

    /// <summary>Ends the thread, once it has nothing to do; does not wait for that.</summary>
    public void Dispose()
    {
        lock (_monitor)
        {
            _isClosing = true;
            Monitor.Pulse(_monitor);
        }
    }

    private void Work()
    {
        while (true)
        {
            SessionLane lane;
            Spin(ref _isGiven, s_idleTicks);
            lock (_monitor)
            {
                while (!_isGiven)
                {
                    if (_isClosing) { return; }
                    Monitor.Wait(_monitor);
                }
                lane = _lane!;
            }
            bool isSuccess = false;
            try
            {
                isSuccess = lane.Run();
            }
            catch (Exception)
            {
                // A provider's library may throw anything; on this thread it would end the process, and it is the device that failed.
            }
            Action? afterwards;
            lock (_monitor)
            {
                _lane = null;
                _isGiven = false;
                _isSuccess = isSuccess;
                _isDone = true;
                afterwards = _afterwards;
                Monitor.Pulse(_monitor);
            }
            if (afterwards is null) { continue; }
            afterwards();
            return;
        }
    }

    private static void Spin(ref bool flag, long ticks)
    {
        if (ticks == 0) { return; }
        long startedAt = Stopwatch.GetTimestamp();
        while (!Volatile.Read(ref flag) && Stopwatch.GetTimestamp() - startedAt < ticks) { Thread.SpinWait(16); }
    }
}
