namespace Risk.Inference.Devices;

/// <summary>
/// Held by whoever runs, closes or (where sessions must open alone) opens a session of a device: it computes one thing at a time.
/// Not bound to a thread, because a run that never answers keeps it after its caller has gone; from then on it is given to nobody
/// else, and nobody waits for it: <see cref="IsHung"/>.
/// </summary>
internal sealed class DeviceGate
{
    private readonly object _monitor = new();
    private bool _isHeld;
    private volatile bool _isHung;
    private volatile int _lostOpenings;

    /// <summary>A run, or an opening, was given up and has not come back from the driver.</summary>
    public bool IsHung => _isHung || _lostOpenings > 0;

    /// <summary>False when the time is over, or the device has hung.</summary>
    /// <param name="millisMax"><see cref="Timeout.Infinite"/> waits as long as the device answers.</param>
    public bool TryEnter(int millisMax)
    {
        long startedAt = Environment.TickCount64;
        lock (_monitor)
        {
            while (_isHeld && !IsHung)
            {
                long left = millisMax == Timeout.Infinite ? Timeout.Infinite : Math.Max(0, startedAt + millisMax - Environment.TickCount64);
                if (left == 0) { return false; }
                Monitor.Wait(_monitor, (int)left);
            }
            return !IsHung && (_isHeld = true);
        }
    }

    public void Exit()
    {
        lock (_monitor)
        {
            _isHeld = false;
            Monitor.Pulse(_monitor);
        }
    }

    /// <summary>The holder has given its run up; the driver keeps the device.</summary>
    public void Hang()
    {
        lock (_monitor)
        {
            _isHung = true;
            Monitor.PulseAll(_monitor);
        }
    }

    /// <summary>The run that was given up came back after all.</summary>
    public void Return()
    {
        lock (_monitor)
        {
            _isHung = _isHeld = false;
            Monitor.Pulse(_monitor);
        }
    }

    /// <summary>Somebody who opens a session, with or without the gate, was left behind; whoever holds it goes on.</summary>
    public void LoseOpening()
    {
        lock (_monitor)
        {
            _lostOpenings++;
            Monitor.PulseAll(_monitor);
        }
    }

    /// <summary>And is back.</summary>
    public void FindOpening()
    {
        lock (_monitor)
        {
            _lostOpenings--;
            Monitor.PulseAll(_monitor);
        }
    }
}
