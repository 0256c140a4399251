using System.Diagnostics;
using Risk.Core.Models;

namespace Risk.Inference.Devices;

/// <summary>
/// The runs of one session: one at a time under its device's gate and, where they are bounded, on a thread of their own, so that
/// one that is late can be left and one that does not end be given up. A run that was given up still uses what the session holds,
/// so that is freed here: by whoever comes last, the one who closes or the run. One thread scores; any may <see cref="Kill"/>.
/// </summary>
internal sealed class SessionRuns : IDisposable
{
    // Some providers compile in the first run of each batch size: minutes, but not for ever.
    private const int FirstRunMillisMax = 600_000;

    // From asking a run to end until it counts as one that does not hear.
    private static readonly TimeSpan s_terminateMax = TimeSpan.FromMilliseconds(250);

    // Somebody who closes a session whose run was left waits so long before that run is asked to end.
    private static readonly TimeSpan s_lookEvery = TimeSpan.FromMilliseconds(100);

    private readonly SessionLane[] _lanes;
    private readonly DeviceGate? _gate; // of the device; none on the processor
    private readonly DeviceThread? _thread; // none where runs are not bounded
    private readonly Action _free;
    private readonly Lock _life = new(); // between Kill and Dispose: neither touches what the other has freed
    private volatile bool _isKilled;
    private volatile bool _isDisposed;
    private SessionLane? _late; // its run has not come back, and its caller has gone
    private long _startedAt; // of the last run that is bounded

    /// <param name="name">Of the thread.</param>
    /// <param name="free">Frees lanes, session and buffers; called once.</param>
    public SessionRuns(SessionLane[] lanes, AcceleratorDevice? device, string name, Action free)
    {
        _lanes = lanes;
        _free = free;
        _gate = device is null || (device.IsCpu && device.RunMillisMax == 0) ? null : device.Gate;
        _thread = device is { RunMillisMax: > 0 } ? new DeviceThread($"{device.Name} {name}") : null;
    }

    /// <inheritdoc cref="OnnxSession.RunMillisMax"/>
    public int RunMillisMax { get; set; } = FirstRunMillisMax;

    /// <inheritdoc cref="OnnxSession.IsAbandoned"/>
    public bool IsAbandoned { get; private set; }

    /// <inheritdoc cref="SessionLane.Fault"/>
    public string? Fault => Array.Find(_lanes, static lane => lane.Fault is not null)?.Fault;

    /// <inheritdoc cref="OnnxSession.WasBusy"/>
    public bool WasBusy { get; private set; }

    /// <summary>Whether rows may be written into the session's buffers and run; not while a late run uses them, nor after a loss.</summary>
    public ScoringStatus Begin()
    {
        if (_late is not null) { return ScoringStatus.DeviceLate; }
        WasBusy = false;
        return _isKilled ? ScoringStatus.DeviceLost : ScoringStatus.Scored;
    }

    /// <param name="busyMillisMax">That the gate is waited for.</param>
    /// <param name="wait">After which the run is <see cref="ScoringStatus.DeviceLate"/> and goes on; counts only where runs are bounded.</param>
    public ScoringStatus Run(SessionLane lane, int busyMillisMax, TimeSpan wait)
    {
        if (_gate is null) { return Status(lane.Run()); }
        if (_thread is not null && wait.TotalMilliseconds < uint.MaxValue)
        {
            busyMillisMax = (int)Math.Min((uint)busyMillisMax, (uint)Math.Max(0, wait.TotalMilliseconds));
        }
        if (!_gate.TryEnter(busyMillisMax))
        {
            WasBusy = !_gate.IsHung;
            return WasBusy ? ScoringStatus.DeviceLost : ScoringStatus.DeviceHung;
        }
        bool isHeld = true;
        try
        {
            if (_thread is null) { return Status(lane.Run()); }
            var bound = TimeSpan.FromMilliseconds(RunMillisMax);
            _startedAt = Stopwatch.GetTimestamp();
            if (_thread.TryRun(lane, Min(wait, bound), out bool isSuccess)) { return Status(isSuccess); }
            if (wait < bound)
            {
                isHeld = false;
                _late = lane;
                return ScoringStatus.DeviceLate;
            }
            isHeld = !GiveUp(lane, _thread, _gate);
            return ScoringStatus.DeviceHung;
        }
        finally
        {
            if (isHeld) { _gate.Exit(); }
        }
    }

    /// <summary>What has become of a run that was late; given up, like any other, when its time is over. One thread at a time.</summary>
    public ScoringStatus Await(TimeSpan wait)
    {
        SessionLane lane = _late!;
        long askedAt = Stopwatch.GetTimestamp();
        while (true)
        {
            TimeSpan left = TimeSpan.FromMilliseconds(RunMillisMax) - Stopwatch.GetElapsedTime(_startedAt);
            TimeSpan step = wait == TimeSpan.MaxValue ? s_lookEvery : wait - Stopwatch.GetElapsedTime(askedAt);
            if (_thread!.TryWait(Min(step, Min(left, s_lookEvery)), out bool isSuccess))
            {
                _late = null;
                _gate!.Exit();
                return Status(isSuccess);
            }
            if (left <= TimeSpan.Zero || _isDisposed)
            {
                _late = null;
                if (!GiveUp(lane, _thread, _gate!)) { _gate!.Exit(); }
                return ScoringStatus.DeviceHung;
            }
            if (step <= TimeSpan.Zero) { return ScoringStatus.DeviceLate; }
        }
    }

    /// <summary>Ends the run that is under way, and has every later one fail.</summary>
    public void Kill()
    {
        lock (_life)
        {
            _isKilled = true;
            if (!_isDisposed) { Array.ForEach(_lanes, static lane => lane.Kill()); }
        }
    }

    /// <summary>Frees what the session holds; where a run that was given up is still at it, that does when it comes back.</summary>
    public void Dispose()
    {
        lock (_life)
        {
            if (_isDisposed) { return; }
            _isKilled = _isDisposed = true;
        }
        // Whoever comes back from the driver frees it. And while another session's run is lost in there, freeing would wait as well: it is left.
        if (IsAbandoned || _gate?.TryEnter(Timeout.Infinite) == false) { return; }
        try
        {
            Free();
        }
        finally
        {
            _gate?.Exit();
        }
    }

    /// <summary>Asks the run to end; a run that does not hear keeps gate, memory and thread until it comes back. True when it does keep them.</summary>
    private bool GiveUp(SessionLane lane, DeviceThread thread, DeviceGate gate)
    {
        _isKilled = true;
        lane.Kill();
        if (thread.TryWait(s_terminateMax, out _)) { return false; }
        gate.Hang();
        IsAbandoned = thread.TryAbandon(() =>
        {
            lock (_life) { _isDisposed = true; }
            Free();
            gate.Return();
        });
        if (!IsAbandoned) { gate.Return(); }
        return true;
    }

    private void Free()
    {
        _free();
        _thread?.Dispose();
    }

    private static ScoringStatus Status(bool isSuccess) => isSuccess ? ScoringStatus.Scored : ScoringStatus.DeviceLost;

    private static TimeSpan Min(TimeSpan one, TimeSpan other) => one < other ? one : other;
}
