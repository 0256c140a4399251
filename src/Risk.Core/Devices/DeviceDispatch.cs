using Risk.Core.Models;

namespace Risk.Core.Devices;

/// <summary>Rows from the front of what is left of a micro-batch, and who takes them.</summary>
/// <param name="Scorer">Its place on the <see cref="ModelLadder"/>.</param>
/// <param name="IsProcessor">It is the processor: what fails there goes down the ladder.</param>
/// <param name="Cause">UTF-8 of the stable code why it is not the device that would have had them; empty when it is.</param>
/// <param name="Micros">That they are expected to take.</param>
/// <param name="HedgeScorer">Who takes them too when they are late, its place on the ladder; −1 where nobody does.</param>
public readonly record struct DispatchStep(int Scorer, int Rows, bool IsProcessor, ReadOnlyMemory<byte> Cause, long Micros, int HedgeScorer, RouteStep Route, RouteQueue Queue)
{
    public bool IsHedged => HedgeScorer >= 0;
}

/// <summary>
/// <see cref="DeviceRouter"/> at work in one process: keeps the states of its devices, and asks it for each micro-batch that
/// leaves. A batch that leaves is decided at once, by one thread, so no device is ever busy here, and nothing waits: what the
/// router adds is who computes, and where the batch is cut. Waiting for company is <see cref="BatchPolicy"/>'s, by the same grade.
/// <para><b>Power.</b> A card in this machine is on, whether it is used or not, so a batch costs there only what it adds; when
/// the router would switch it off, <see cref="IsWorthRunning"/> says so, and a person decides.</para>
/// <para><b>Loss.</b> A device that failed gets nothing until the router's retry time, or, when its session is being opened
/// anew, until that is back. Rows that would have gone there carry the cause in their records.</para>
/// <para><b>Hedging.</b> A batch that a device must have answered by a time gets another one then (<see cref="RouteStep.HedgeAtMicros"/>,
/// <see cref="IHedgedScorer"/>). The device that was late gets nothing more until it has come back, and then at once: it is slow, not lost.
/// Late with more than <see cref="RouterOptions.LateMax"/> batches in a row, it is set aside, and told so.</para>
/// Allocates nothing. One thread.
/// </summary>
public sealed class DeviceDispatch
{
    // A device whose session is being opened anew is asked again when that is back, however long it takes.
    private const long NotBefore = long.MaxValue / 4;

    private readonly DeviceRouter _router;
    private readonly RouterOptions _options;
    private readonly StreamGrade _grade;
    private readonly long _deadlineMicros;
    private readonly IScorer[] _scorers;
    private readonly int[] _places;
    private readonly DeviceState[] _states, _healthy;
    private readonly ReadOnlyMemory<byte>[] _causes;
    private readonly bool[] _isAway, _isLate, _isWorth, _isAside, _wasLate;
    private readonly long[] _emptyAt; // when the balances reach 0 if nothing more comes
    private readonly Func<long>? _clock;
    private RouterLoad _load;

    /// <param name="devices">The processor first; each with its place on the ladder.</param>
    /// <param name="grade">Of the stream.</param>
    /// <param name="deadlineMicros">From arrival, for rows that bring no deadline; <see cref="long.MaxValue"/> for none.</param>
    /// <param name="clock">The host's, microseconds: what is left until a hedge is counted from when the batch really begins. Null: as expected.</param>
    public DeviceDispatch(IReadOnlyList<(RoutedDevice Device, IScorer Scorer, int Place)> devices, RouterOptions options, StreamGrade grade, long deadlineMicros, long nowMicros, Func<long>? clock = null)
    {
        if (devices.Count == 0 || !devices[0].Device.IsElastic) { throw new ArgumentException("the processor comes first: it is what remains when the others are lost", nameof(devices)); }
        _router = new DeviceRouter([.. devices.Select(d => d.Device)], options);
        _options = options;
        _grade = grade;
        _deadlineMicros = deadlineMicros;
        _scorers = [.. devices.Select(d => d.Scorer)];
        _places = [.. devices.Select(d => d.Place)];
        _states = _router.CreateStates(acceleratorsOn: true, nowMicros);
        _healthy = new DeviceState[_states.Length];
        _causes = new ReadOnlyMemory<byte>[_states.Length];
        _isAway = new bool[_states.Length];
        _isLate = new bool[_states.Length];
        _isAside = new bool[_states.Length];
        _wasLate = new bool[_states.Length];
        _clock = clock;
        _isWorth = new bool[_states.Length];
        Array.Fill(_isWorth, true);
        _emptyAt = [.. _states.Select((state, d) => _router.EmptyAtMicros(d, state))];
        _load = _router.CreateLoad();
    }

    public IReadOnlyList<RoutedDevice> Devices => _router.Devices;
    public StreamGrade Grade => _grade;

    /// <summary>The device earns what it costs to be on, of late: a card that nobody uses stops doing so when its balance is spent, with or without batches. The processor always does. Any thread may ask.</summary>
    public bool IsWorthRunning(int device, long nowMicros) => Volatile.Read(ref _isWorth[device]) && nowMicros < Volatile.Read(ref _emptyAt[device]);

    /// <summary>Who takes the next rows of a batch, and how many of them.</summary>
    /// <param name="count">Rows that are left, 1 or more.</param>
    public DispatchStep Next(int count, in ScoringDemand demand, long nowMicros)
    {
        bool isAnyLost = Look(nowMicros);
        long deadline = _deadlineMicros == long.MaxValue ? demand.EarliestDeadlineMicros : Math.Min(demand.EarliestDeadlineMicros, demand.OldestIngestMicros + _deadlineMicros);
        var queue = new RouteQueue(count, true, demand.OldestIngestMicros, deadline, _grade);
        RouteStep step = Choose(queue, _states, nowMicros);
        ReadOnlyMemory<byte> cause = isAnyLost ? WhyNot(queue, step, nowMicros) : default;
        RoutedDevice device = _router.Devices[step.Device];
        return new DispatchStep(_places[step.Device], step.Rows, step.Device == 0, cause, (long)device.Of(step.Rows).MedianMicros, step.HedgeDevice < 0 ? -1 : _places[step.HedgeDevice], step, queue);
    }

    /// <summary>How long the device's answer is waited for, until the hedge begins.</summary>
    public long WaitMicros(in DispatchStep step, long nowMicros) => step.Route.HedgeAtMicros - (_clock?.Invoke() ?? nowMicros);

    /// <summary>The device had not answered when the hedge had to begin. <see cref="Answered"/> or <see cref="Failed"/> follows.</summary>
    /// <param name="waitedMicros">What <see cref="WaitMicros"/> gave it. Less than its own p99 is the host's lateness and not the device's.</param>
    public void Late(in DispatchStep step, long waitedMicros)
    {
        int device = step.Route.Device;
        _wasLate[device] = true;
        if (waitedMicros >= (long)_router.Devices[device].Of(step.Rows).P99Micros) { _states[device].Lates++; }
    }

    /// <summary>The rows have their scores, or nobody had any for them.</summary>
    public void Answered(in DispatchStep step, long nowMicros)
    {
        int device = step.Route.Device;
        bool wasLate = _wasLate[device];
        _wasLate[device] = false;
        if (!wasLate || !TrySetAside(device, nowMicros)) { DeviceRouter.Answered(ref _states[device]); }
        // Of a batch that was not hedged, nobody looked whether it was in time.
        if (!wasLate && step.IsHedged) { InTime(device); }
        Account(step, nowMicros);
    }

    /// <summary>The device came to nothing with the rows, or another was before it.</summary>
    public void Failed(in DispatchStep step, ScoringStatus status, long nowMicros)
    {
        int device = step.Route.Device;
        _wasLate[device] = false;
        if (status == ScoringStatus.DeviceLate)
        {
            // The batch is decided, and the device has earned nothing with it.
            Away(device, status, nowMicros);
            Account(step, nowMicros);
            return;
        }
        _causes[device] = s_causes[(int)status];
        _router.Lost(ref _states[device], nowMicros);
    }

    private void Account(in DispatchStep step, long nowMicros)
    {
        for (int d = 1; d < _states.Length; d++)
        {
            if (!IsWorthRunning(d, nowMicros)) { Volatile.Write(ref _isWorth[d], false); }
        }
        _router.Account(step.Route, step.Queue, _states, ref _load, nowMicros);
        for (int d = 1; d < _states.Length; d++)
        {
            if (_router.PowerAdvice(d, ref _states[d], isQueueEmpty: true, nowMicros) == false) { Volatile.Write(ref _isWorth[d], false); }
            // Once it would not have paid, it must have earned a start before it is said to pay again.
            else if (_states[d].Balance >= _router.SwitchBalance(d)) { Volatile.Write(ref _isWorth[d], true); }
            Volatile.Write(ref _emptyAt[d], _router.EmptyAtMicros(d, _states[d]));
        }
    }

    /// <summary>Takes note of sessions that went away or came back; whether any device is lost.</summary>
    private bool Look(long nowMicros)
    {
        bool isAnyLost = false;
        for (int d = 1; d < _states.Length; d++)
        {
            ref DeviceState state = ref _states[d];
            ScoringStatus standing = _scorers[d].Standing;
            if (standing != ScoringStatus.Scored) { Away(d, standing, nowMicros); }
            else if (_isLate[d] || _isAway[d])
            {
                bool isSetAside = TrySetAside(d, nowMicros);
                if (!isSetAside && _isLate[d]) { DeviceRouter.Answered(ref state); }
                // It has been checked on the golden rows, so it is tried with the next batch, critical or not.
                if (!isSetAside && _isAway[d]) { state.RetryAtMicros = nowMicros - _options.RetryMicros; }
                _isLate[d] = _isAway[d] = false;
            }
            isAnyLost |= state.Losses > 0;
        }
        return isAnyLost;
    }

    private void Away(int device, ScoringStatus standing, long nowMicros)
    {
        ref DeviceState state = ref _states[device];
        if (state.Losses == 0) { _router.Lost(ref state, nowMicros); }
        state.RetryAtMicros = NotBefore;
        _causes[device] = s_causes[(int)standing];
        _isLate[device] = standing == ScoringStatus.DeviceLate;
        _isAway[device] = !_isLate[device];
    }

    private bool TrySetAside(int device, long nowMicros)
    {
        long wait = _router.SetAside(ref _states[device], nowMicros);
        if (wait == 0) { return false; }
        _isAside[device] = true;
        _causes[device] = s_causes[(int)ScoringStatus.DeviceLate];
        (_scorers[device] as IHedgedScorer)?.SetAside(_states[device].Lates, wait);
        return true;
    }

    private void InTime(int device)
    {
        _states[device].Lates = 0;
        if (!_isAside[device]) { return; }
        _isAside[device] = false;
        (_scorers[device] as IHedgedScorer)?.InTime();
    }

    private RouteStep Choose(in RouteQueue queue, ReadOnlySpan<DeviceState> states, long nowMicros)
    {
        RouteStep step = _router.Next(queue, states, _load, nowMicros);
        if (!step.IsWait) { return step; }
        int rows = Math.Min(queue.Count, _router.Devices[0].BatchMax);
        return new RouteStep(0, rows, rows, nowMicros, long.MaxValue, -1);
    }

    /// <summary>Where the rows would have gone if nothing were lost: the cause when that is elsewhere.</summary>
    private ReadOnlyMemory<byte> WhyNot(in RouteQueue queue, in RouteStep step, long nowMicros)
    {
        for (int d = 0; d < _states.Length; d++) { _healthy[d] = _states[d] with { Losses = 0 }; }
        RouteStep planned = Choose(queue, _healthy, nowMicros);
        return planned.Device != step.Device && _states[planned.Device].Losses > 0 ? _causes[planned.Device] : default;
    }

    // UTF-8 of the stable codes, by status.
    private static readonly ReadOnlyMemory<byte>[] s_causes = [.. Enum.GetValues<ScoringStatus>().Select(s => (ReadOnlyMemory<byte>)System.Text.Encoding.UTF8.GetBytes(s.Code() ?? ""))];
}
