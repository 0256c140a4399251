using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Risk.Core.Costs;
using Risk.Core.Models;

namespace Risk.Inference.Devices;

/// <summary>How a lost device is tried again.</summary>
/// <param name="First">Before the first try.</param>
/// <param name="Longest">Each further wait is twice the last one, up to this.</param>
public readonly record struct DeviceRetry(TimeSpan First, TimeSpan Longest)
{
    public static DeviceRetry Default { get; } = new(TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(1));
}

/// <summary>
/// A model on an accelerator that may be lost. A call that fails marks the device down, once and with one event; from then on
/// calls fail at once (<see cref="ScoringStatus.DeviceLost"/>), so the ladder scores the batch elsewhere, and nobody waits for a
/// dead device. Meanwhile a session is opened anew, warmed up and checked on the golden rows, away from the scoring thread,
/// with growing waits; when one conforms, the next batch uses it.
/// <para>
/// A device that neither answers nor fails in <see cref="AcceleratorDevice.RunMillisMax"/> is lost as well, and counted as hung: the
/// run is asked to end, and where the driver does not let it, it is left behind (<see cref="ScoringStatus.DeviceHung"/>). Tries
/// to open a new session begin again when it comes back: two threads in a driver that has hung make nothing better. A batch that
/// waits for another session of the device gives up after two seconds and is scored elsewhere, without a loss being counted.
/// </para>
/// <para>
/// Where runs have that bound they also have a thread of their own, so one that is late can be left (<see cref="IHedgedScorer"/>):
/// it keeps the session and the device until it comes back, somebody waits for it in the background, and the bound holds for it as
/// for any other.
/// </para>
/// </summary>
public sealed class DeviceSession : IHedgedScorer
{
    // A batch that waits longer for another session of its device is late anyway, and is scored elsewhere.
    private const int BusyMillisMax = 2000;

    // Somebody who closes waits so long for a try that is under way; after that, the try cleans up after itself.
    private static readonly TimeSpan s_closeMax = TimeSpan.FromSeconds(10);

    private readonly AcceleratorDevice _device;
    private readonly DeviceModel _model;
    private readonly TimeProvider _clock;
    private readonly DeviceRetry _retry;
    private readonly int[] _sizes;
    private readonly Action<DeviceRefusal> _notify;
    private readonly CancellationTokenSource _closing = new();
    private readonly Lock _gate = new(); // of what follows, and of notices: they come one at a time, a loss before its return
    private OnnxSession? _session;
    private Task _recovery = Task.CompletedTask, _left = Task.CompletedTask;
    private bool _isDisposed;
    private volatile ScoringStatus _lostAs; // why there is no session
    private volatile bool _isLeft; // a run that nobody wants any more is under way
    private bool _isAside; // told of; the thread that scores
    private (OnnxSession Session, int Count, long StartedAt) _late;

    private DeviceSession(AcceleratorDevice device, DeviceModel model, OnnxSession session, DeviceStatistics statistics, TimeProvider clock, DeviceRetry retry, Action<DeviceRefusal> notify)
    {
        (_device, _model, _session, Statistics, _clock, _retry, _notify) = (device, model, session, statistics, clock, retry, notify);
        Bound(session);
        BatchSizeMax = session.BatchSizeMax;
        _sizes = [.. session.Sizes];
    }

    /// <inheritdoc/>
    public string ExecutionProvider => _device.ExecutionProvider;

    /// <inheritdoc/>
    public string Device => _device.Name;

    /// <inheritdoc/>
    public int FeatureCount => _model.FeatureCount;

    /// <inheritdoc/>
    public int BatchSizeMax { get; }

    /// <inheritdoc cref="OnnxSession.Sizes"/>
    public IReadOnlyList<int> Sizes => _sizes;

    /// <summary>The form of the model that runs there.</summary>
    public DeviceModel Model => _model;

    public AcceleratorDevice Accelerator => _device;

    public DeviceStatistics Statistics { get; }

    /// <inheritdoc/>
    public bool IsUp => Statistics.IsUp;

    /// <inheritdoc/>
    public bool CanBeLeft => _device.RunMillisMax > 0;

    /// <inheritdoc/>
    public ScoringStatus Standing => _isLeft ? ScoringStatus.DeviceLate : IsUp ? ScoringStatus.Scored : _lostAs;

    /// <summary>Rows that are computed for so many.</summary>
    public int Padded(int count)
    {
        foreach (int size in _sizes)
        {
            if (size >= count) { return size; }
        }
        return count;
    }

    /// <summary>Opens the model on the device: every node must run there, every batch size is run once, and the golden scores must come out.</summary>
    /// <param name="notify">
    /// Told once a loss (<c>DEVICE_LOST</c>), each try that fails (its own code), once a return (<see cref="DeviceCodes.Recovered"/>);
    /// in that order, one at a time, on any thread. It must be quick and not dispose of the session; what it throws is dropped.
    /// </param>
    /// <param name="clock">Measures the waits between tries.</param>
    public static bool TryOpen(
        AcceleratorDevice device, DeviceModel model, int batchSizeMax, TimeProvider clock, DeviceRetry retry, Action<DeviceRefusal> notify,
        [NotNullWhen(true)] out DeviceSession? session, [NotNullWhen(false)] out DeviceRefusal? refusal)
    {
        var statistics = new DeviceStatistics();
        session = TryOpen(device, model, batchSizeMax, out OnnxSession? opened, out refusal, statistics) ? new DeviceSession(device, model, opened, statistics, clock, retry, notify) : null;
        return session is not null;
    }

    /// <summary>One session, opened, warmed up and checked, in <see cref="AcceleratorDevice.OpenMillisMax"/>. What comes later is closed, and until it comes nothing else is opened or run on the device.</summary>
    /// <param name="statistics">Counts what the device does for it.</param>
    internal static bool TryOpen(
        AcceleratorDevice device, DeviceModel model, int batchSizeMax,
        [NotNullWhen(true)] out OnnxSession? session, [NotNullWhen(false)] out DeviceRefusal? refusal, DeviceStatistics? statistics = null)
    {
        bool isInTime = BoundedOpening<(OnnxSession? Session, DeviceRefusal? Refusal)>.TryRun(
            $"{device.Name} opening", device.OpenMillisMax,
            () => TryOpenNow(device, model, batchSizeMax, out OnnxSession? opened, out DeviceRefusal? refused, statistics) ? (opened, null) : (null, refused),
            device.Gate.LoseOpening,
            late =>
            {
                device.Gate.FindOpening();
                late.Session?.Dispose();
            },
            out (OnnxSession? Session, DeviceRefusal? Refusal) found);
        (session, refusal) = isInTime ? found
            : (null, new DeviceRefusal(device.Name, ModelCodes.DeviceHung, $"{device.ExecutionProvider} has not opened {model.Name}@{model.Version} in {device.OpenMillisMax} ms (openMillisMax) and is left behind; nothing is opened or run on {device.Name} before it comes back, and work stays on the CPU. If it stays so, look at the driver's log and restart this process"));
        return session is not null;
    }

    private static bool TryOpenNow(
        AcceleratorDevice device, DeviceModel model, int batchSizeMax,
        [NotNullWhen(true)] out OnnxSession? session, [NotNullWhen(false)] out DeviceRefusal? refusal, DeviceStatistics? statistics)
    {
        refusal = null;
        if (!OnnxSession.TryOpen(model.Onnx, model.FeatureCount, model.OutputName, batchSizeMax, device, out session, out ModelRefusal? fault))
        {
            refusal = new DeviceRefusal(device.Name, fault.Code, fault.Reason);
            return false;
        }
        long startedAt = Stopwatch.GetTimestamp();
        try
        {
            refusal = Check(device, model, session);
            statistics?.Ran(startedAt, 1, 1, RunFate.WarmUp);
            if (refusal is null) { return true; }
        }
        catch
        {
            session.Dispose();
            throw;
        }
        session.Dispose();
        session = null;
        return false;
    }

    private static DeviceRefusal? Check(AcceleratorDevice device, DeviceModel model, OnnxSession session)
    {
        if (!session.WarmUp()) { return new DeviceRefusal(device.Name, DeviceCodes.Failed, $"{model.Name}@{model.Version} ({model.Variant}) fails on zeros at one of the batch sizes {string.Join(", ", session.Sizes)}{session.Fault}; take a smaller largest batch"); }
        return model.Check(session) is { } different ? new DeviceRefusal(device.Name, different.Code, different.Reason) : null;
    }

    /// <inheritdoc/>
    public ScoringStatus Score(ReadOnlySpan<float> rows, int count, Span<float> scores) => Score(rows, count, scores, long.MaxValue);

    /// <inheritdoc/>
    public ScoringStatus Score(ReadOnlySpan<float> rows, int count, Span<float> scores, long waitMicros)
    {
        ScorerArguments.Check(this, rows, count, scores);
        OnnxSession? session = Volatile.Read(ref _session);
        if (session is null || _isLeft)
        {
            Statistics.Refused();
            return session is null ? ScoringStatus.DeviceLost : ScoringStatus.DeviceLate;
        }
        long startedAt = Stopwatch.GetTimestamp();
        ScoringStatus status = session.Score(rows, count, scores, waitMicros == long.MaxValue ? TimeSpan.MaxValue : TimeSpan.FromMicroseconds(Math.Max(0, waitMicros)));
        if (status == ScoringStatus.DeviceLate)
        {
            _late = (session, count, startedAt);
            Statistics.Hedged();
            return status;
        }
        Ended(session, status, count, startedAt, RunFate.Used);
        return status;
    }

    /// <inheritdoc/>
    public ScoringStatus TakeLate(Span<float> scores, bool isWaiting)
    {
        (OnnxSession session, int count, long startedAt) = _late;
        ScoringStatus status = session.Await(isWaiting ? TimeSpan.MaxValue : TimeSpan.Zero);
        if (status == ScoringStatus.DeviceLate) { return status; }
        if (status == ScoringStatus.Scored) { status = session.Read(count, scores); }
        Ended(session, status, count, startedAt, RunFate.Used);
        return status;
    }

    /// <inheritdoc/>
    public void Leave()
    {
        _isLeft = true;
        Statistics.Left();
        // It may be waited for as long as a run is bounded: no thread of the pool's.
        _left = Task.Factory.StartNew(AwaitLeft, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    /// <inheritdoc/>
    public void SetAside(int lateCount, long waitMicros)
    {
        Statistics.SetAside();
        if (_isAside) { return; }
        _isAside = true;
        Tell(new DeviceRefusal(Device, ModelCodes.DeviceLate, string.Create(CultureInfo.InvariantCulture, $"{ExecutionProvider} was late with {lateCount} batches in a row, and the processor had to run each of them too; it gets one batch in {waitMicros / 1e6:0.###} s, and after twice the time whenever it is late again. It is slower than the profile that it is routed by: measure it with 'risk accelerators measure {Device}'")));
    }

    /// <inheritdoc/>
    public void InTime()
    {
        _isAside = false;
        Tell(new DeviceRefusal(Device, DeviceCodes.Recovered, $"{ExecutionProvider} answers in time again and takes batches"));
    }

    private void AwaitLeft()
    {
        try
        {
            (OnnxSession session, int count, long startedAt) = _late;
            Ended(session, session.Await(TimeSpan.MaxValue), count, startedAt, RunFate.HedgeLost);
        }
        finally
        {
            _isLeft = false; // last: whoever sees it free finds it as the run has left it
        }
    }

    private void Ended(OnnxSession session, ScoringStatus status, int count, long startedAt, RunFate fate)
    {
        Statistics.Ran(startedAt, count, Padded(count), status == ScoringStatus.Scored ? fate : RunFate.Failed);
        if (status == ScoringStatus.DeviceHung || (status == ScoringStatus.DeviceLost && !session.WasBusy)) { Lose(session, status); }
    }

    /// <summary>Ends the device's session as its loss would, for drills; recovery runs as always. On any thread.</summary>
    public void Kill() => Volatile.Read(ref _session)?.Kill();

    /// <summary>Has the device's runs wait for <paramref name="until"/> as if its driver had hung, deaf to being ended. For drills; the session that follows is free of it.</summary>
    public void Stall(ManualResetEventSlim until) => Volatile.Read(ref _session)?.Stall(until);

    /// <inheritdoc/>
    public void Dispose()
    {
        Task recovery;
        lock (_gate)
        {
            if (_isDisposed) { return; }
            _isDisposed = true;
            recovery = _recovery;
        }
        _closing.Cancel();
        Interlocked.Exchange(ref _session, null)?.Dispose();
        _left.Wait(s_closeMax);
        if (recovery.Wait(s_closeMax)) { _closing.Dispose(); }
    }

    private void Lose(OnnxSession session, ScoringStatus status)
    {
        lock (_gate)
        {
            // Dispose ends the session itself.
            if (_isDisposed || !ReferenceEquals(_session, session)) { return; }
            _lostAs = status;
            Volatile.Write(ref _session, null);
            Statistics.Lost(isHung: status == ScoringStatus.DeviceHung);
            _recovery = Task.Run(() => Recover(session));
            string how = status == ScoringStatus.DeviceLost ? $"failed under a batch{session.Fault}"
                : session.IsAbandoned ? $"did not answer in {_device.RunMillisMax} ms and does not end its run, which is left behind"
                : $"did not answer in {_device.RunMillisMax} ms";
            Tell(new DeviceRefusal(Device, status.Code()!, string.Create(CultureInfo.InvariantCulture, $"{ExecutionProvider} {how}; batches are scored elsewhere, and the device is tried again in {_retry.First.TotalSeconds:0.###} s")));
        }
    }

    private void Bound(OnnxSession session) => (session.WaitMillisMax, session.RunMillisMax) = (BusyMillisMax, _device.RunMillisMax);

    /// <summary>Ends only with a session that conforms, or with this object; never with an exception.</summary>
    private async Task Recover(OnnxSession lost)
    {
        try
        {
            lost.Dispose();
        }
        catch (Exception e)
        {
            Tell(Unforeseen(e));
        }
        for (TimeSpan wait = _retry.First; ; wait = wait * 2 < _retry.Longest ? wait * 2 : _retry.Longest)
        {
            try
            {
                await Task.Delay(wait, _clock, _closing.Token);
                if (TryOpen(_device, _model, BatchSizeMax, out OnnxSession? session, out DeviceRefusal? refusal, Statistics))
                {
                    Resume(session);
                    return;
                }
                Tell(refusal);
            }
            catch (OperationCanceledException) when (_closing.IsCancellationRequested)
            {
                return;
            }
            // A provider's library may throw anything; the next try tells.
            catch (Exception e)
            {
                Tell(Unforeseen(e));
            }
        }
    }

    /// <summary>Whoever sees the device up finds its session there and the return told: so the count comes last.</summary>
    private void Resume(OnnxSession session)
    {
        lock (_gate)
        {
            if (_isDisposed)
            {
                session.Dispose();
                return;
            }
            Bound(session);
            Volatile.Write(ref _session, session);
            Tell(new DeviceRefusal(Device, DeviceCodes.Recovered, $"{ExecutionProvider} conforms again and takes batches"));
            Statistics.Recovered();
        }
    }

    private DeviceRefusal Unforeseen(Exception e) => new(Device, DeviceCodes.Failed, $"{ExecutionProvider} fails on opening ({e.GetType().Name}: {e.Message.Trim()}); it is tried again");

    private void Tell(DeviceRefusal refusal)
    {
        lock (_gate)
        {
            try
            {
                _notify(refusal);
            }
            catch (Exception)
            {
                // Who listens must stop neither the scoring thread nor the recovery.
            }
        }
    }
}
