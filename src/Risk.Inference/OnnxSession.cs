using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Risk.Core.Models;
using Risk.Inference.Devices;

namespace Risk.Inference;

/// <summary>
/// Scores rows with ONNX Runtime, on the processor or on an accelerator: inputs and outputs bound once to buffers that do not
/// move, one binding for each padded batch size, so a call copies the rows in, runs, and copies the scores out, and allocates
/// nothing (<c>risk bench model-run</c>). The padding rows hold what an earlier batch left; no row influences another.
/// <para>
/// On an accelerator every node must run there. A node that ONNX Runtime gives to the CPU instead is
/// <see cref="DeviceCodes.Fallback"/> at opening, with the nodes' names: a device that only seems to compute is worse than none
/// (https://github.com/microsoft/onnxruntime/issues/23612).
/// </para>
/// </summary>
public sealed unsafe class OnnxSession : IScorer
{
    private const int FallbackNodesShown = 8;

    // Some providers compile in the first run of each batch size: minutes, but not for ever.
    private const int FirstRunMillisMax = 600_000;

    // From asking a run to end until it counts as one that does not hear.
    private static readonly TimeSpan s_terminateMax = TimeSpan.FromMilliseconds(250);

    // Somebody who closes a session whose run was left waits so long before that run is asked to end.
    private static readonly TimeSpan s_lookEvery = TimeSpan.FromMilliseconds(100);

    private readonly InferenceSession _session;
    private readonly HostBuffer _input, _output;
    private readonly int _outputWidth;
    private readonly int[] _laneOfCount; // for a count of rows, the first lane that holds as many
    private readonly SessionLane[] _lanes;
    private readonly DeviceGate? _gate; // of the device; none on the processor
    private readonly DeviceThread? _thread; // none where runs are not bounded
    private readonly Lock _life = new(); // between Kill and Dispose: neither touches what the other has freed
    private volatile bool _isKilled;
    private volatile bool _isDisposed;
    private SessionLane? _late; // its run has not come back, and its caller has gone
    private long _startedAt; // of the last run that is bounded

    private OnnxSession(SessionShape shape, int batchSizeMax, AcceleratorDevice? device)
    {
        _session = shape.Session;
        _gate = device is null || (device.IsCpu && device.RunMillisMax == 0) ? null : device.Gate;
        _outputWidth = shape.OutputWidth;
        ExecutionProvider = device?.ExecutionProvider ?? "CPUExecutionProvider";
        Device = device?.Name ?? "cpu";
        FeatureCount = shape.FeatureCount;
        BatchSizeMax = batchSizeMax;
        _input = HostBuffer.Create(batchSizeMax * shape.FeatureCount, device);
        _output = HostBuffer.Create(batchSizeMax * shape.OutputWidth, device);

        Sizes = device is null || device.IsCpu ? BatchSizes(batchSizeMax) : DeviceBatchSizes(batchSizeMax);
        _lanes = SessionLane.Open(shape, Sizes, _input, _output, device, IsCaptured(device));
        _laneOfCount = new int[batchSizeMax + 1];
        for (int i = 0, count = 0; i < Sizes.Count; i++)
        {
            for (; count <= Sizes[i]; count++)
            {
                _laneOfCount[count] = i;
            }
        }

        _thread = device is { RunMillisMax: > 0 } ? new DeviceThread($"{device.Name} {shape.OutputName}") : null;
    }

    /// <inheritdoc/>
    public string ExecutionProvider { get; }

    /// <inheritdoc/>
    public string Device { get; }

    /// <inheritdoc/>
    public int FeatureCount { get; }

    /// <inheritdoc/>
    public int BatchSizeMax { get; }

    /// <summary>The padded batch sizes, rising; the last is <see cref="BatchSizeMax"/>.</summary>
    public IReadOnlyList<int> Sizes { get; }

    /// <summary>
    /// Milliseconds that a batch waits for another session of the same device at most; after that the call is
    /// <see cref="ScoringStatus.DeviceLost"/> and <see cref="WasBusy"/> is true. <see cref="Timeout.Infinite"/> unless set.
    /// </summary>
    internal int WaitMillisMax { get; set; } = Timeout.Infinite;

    /// <summary>Milliseconds that a batch may take on the device before it is given up; long unless set, for warm-up. Means nothing where runs are not bounded.</summary>
    internal int RunMillisMax { get; set; } = FirstRunMillisMax;

    /// <summary>A run was given up and is still in the driver: what it uses is freed when it comes back, and not before.</summary>
    internal bool IsAbandoned { get; private set; }

    /// <summary>The last batch came to nothing because the device was busy elsewhere; the session itself is sound.</summary>
    internal bool WasBusy { get; private set; }

    /// <summary>Opens a session, or says why the model cannot be served.</summary>
    /// <param name="onnx">The whole file, already verified against its digest; nothing else is read.</param>
    /// <param name="featureCount">Floats of one row; another number in the model is <see cref="ModelCodes.FeatureMismatch"/>.</param>
    /// <param name="outputName">The graph output that is the score: float32 [N], [N, 1], or [N, 2] of which the second column counts.</param>
    /// <param name="batchSizeMax">Rows a call takes at most, 1 or more.</param>
    public static bool TryOpen(
        byte[] onnx,
        int featureCount,
        string outputName,
        int batchSizeMax,
        [NotNullWhen(true)] out OnnxSession? session,
        [NotNullWhen(false)] out ModelRefusal? refusal) => TryOpen(onnx, featureCount, outputName, batchSizeMax, null, out session, out refusal);

    /// <inheritdoc cref="TryOpen(byte[], int, string, int, out OnnxSession?, out ModelRefusal?)"/>
    /// <param name="device">Where every node must run; null for the processor.</param>
    public static bool TryOpen(
        byte[] onnx,
        int featureCount,
        string outputName,
        int batchSizeMax,
        AcceleratorDevice? device,
        [NotNullWhen(true)] out OnnxSession? session,
        [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSizeMax, 1);
        OnnxRuntimeLibrary.UseConfigured();
        session = null;
        refusal = OnnxInspector.Inspect(onnx);
        if (refusal is not null)
        {
            return false;
        }

        if (device is null)
        {
            return TryOpenChecked(onnx, featureCount, outputName, batchSizeMax, null, out session, out refusal);
        }

        if (device.Gate.IsHung)
        {
            refusal = Hung(device);
            return false;
        }

        // Opening takes seconds to minutes with some providers (they compile the model), and every session of the device runs
        // under the gate. A graph must not be captured while another session takes memory, so such devices open alone as well.
        if (!device.OpensAlone && !IsCaptured(device))
        {
            return TryOpenChecked(onnx, featureCount, outputName, batchSizeMax, device, out session, out refusal);
        }

        if (!device.Gate.TryEnter(Timeout.Infinite))
        {
            refusal = Hung(device);
            return false;
        }

        try
        {
            return TryOpenChecked(onnx, featureCount, outputName, batchSizeMax, device, out session, out refusal);
        }
        finally
        {
            device.Gate.Exit();
        }
    }

    private static ModelRefusal Hung(AcceleratorDevice device) => new(
        ModelCodes.DeviceHung,
        $"{device.ExecutionProvider} has not come back from an earlier batch; nothing is opened on {device.Name} before it does. If it stays so, look at the driver's log and restart this process");

    private static bool TryOpenChecked(
        byte[] onnx,
        int featureCount,
        string outputName,
        int batchSizeMax,
        AcceleratorDevice? device,
        [NotNullWhen(true)] out OnnxSession? session,
        [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        (session, refusal) = (null, null);
        InferenceSession? opened = null;
        try
        {
            device?.StallOpening?.Wait();
            using var options = Options(device);
            opened = new InferenceSession(onnx, options);
            refusal = CheckSignature(opened, featureCount, outputName, out var outputRank, out var outputWidth) ?? CheckAssignment(opened, device);
            if (refusal is null)
            {
                var shape = new SessionShape(opened, opened.InputNames[0], outputName, featureCount, outputRank, outputWidth);
                session = new OnnxSession(shape, batchSizeMax, device);
                opened = null;
                return true;
            }
        }
        catch (Exception e) when (e is OnnxRuntimeException or InvalidOperationException)
        {
            refusal = new ModelRefusal(ModelCodes.Unsupported, $"ONNX Runtime does not load the model{(device is null ? "" : $" on {device.Name}")}: {e.Message.Trim()}");
        }
        finally
        {
            opened?.Dispose();
        }

        return false;
    }

    /// <inheritdoc/>
    public ScoringStatus Score(ReadOnlySpan<float> rows, int count, Span<float> scores) => Score(rows, count, scores, TimeSpan.MaxValue);

    /// <summary>The same, and back after a while: a run that is not over by then is <see cref="ScoringStatus.DeviceLate"/> and goes on, until <see cref="Await"/> has seen its end.</summary>
    /// <param name="wait">Counts only where runs are bounded.</param>
    internal ScoringStatus Score(ReadOnlySpan<float> rows, int count, Span<float> scores, TimeSpan wait)
    {
        ScorerArguments.Check(this, rows, count, scores);
        if (count == 0)
        {
            return ScoringStatus.Scored;
        }

        if (_late is not null)
        {
            return ScoringStatus.DeviceLate;
        }

        WasBusy = false;
        if (_isKilled)
        {
            return ScoringStatus.DeviceLost;
        }

        rows[..(count * FeatureCount)].CopyTo(_input.Span);
        if (Run(_lanes[_laneOfCount[count]], WaitMillisMax, wait) is not ScoringStatus.Scored and var failure)
        {
            return failure;
        }

        Copy(count, scores);
        return Check(count);
    }

    /// <summary>The scores of the run that was last; those that are there already stay when one of them is none.</summary>
    internal ScoringStatus Read(int count, Span<float> scores)
    {
        var status = Check(count);
        if (status == ScoringStatus.Scored)
        {
            Copy(count, scores);
        }

        return status;
    }

    private ScoringStatus Check(int count)
    {
        var isValid = true;
        for (var r = 0; r < count; r++)
        {
            isValid &= _output.Pointer[(r * _outputWidth) + _outputWidth - 1] is >= 0 and <= 1; // false for NaN
        }

        return isValid ? ScoringStatus.Scored : ScoringStatus.OutputInvalid;
    }

    private void Copy(int count, Span<float> scores)
    {
        for (var r = 0; r < count; r++)
        {
            scores[r] = _output.Pointer[(r * _outputWidth) + _outputWidth - 1];
        }
    }

    /// <summary>What has become of a run that was late; given up, like any other, when its time is over. One thread at a time.</summary>
    internal ScoringStatus Await(TimeSpan wait)
    {
        var lane = _late!;
        var askedAt = Stopwatch.GetTimestamp();
        while (true)
        {
            var left = TimeSpan.FromMilliseconds(RunMillisMax) - Stopwatch.GetElapsedTime(_startedAt);
            var step = wait == TimeSpan.MaxValue ? s_lookEvery : wait - Stopwatch.GetElapsedTime(askedAt);
            if (_thread!.TryWait(Min(step, Min(left, s_lookEvery)), out var isSuccess))
            {
                _late = null;
                _gate!.Exit();
                return Status(isSuccess);
            }

            if (left <= TimeSpan.Zero || _isDisposed)
            {
                _late = null;
                if (!GiveUp(lane, _thread, _gate!))
                {
                    _gate!.Exit();
                }

                return ScoringStatus.DeviceHung;
            }

            if (step <= TimeSpan.Zero)
            {
                return ScoringStatus.DeviceLate;
            }
        }
    }

    private static TimeSpan Min(TimeSpan one, TimeSpan other) => one < other ? one : other;

    /// <summary>
    /// Runs every batch size once on zeros, so that shaders are compiled, graphs captured and memory taken before the first batch
    /// that somebody waits for; false when one of them fails.
    /// </summary>
    public bool WarmUp()
    {
        _input.Span.Clear();
        return Array.TrueForAll(_lanes, lane => Run(lane, Timeout.Infinite, TimeSpan.MaxValue) == ScoringStatus.Scored && Run(lane, Timeout.Infinite, TimeSpan.MaxValue) == ScoringStatus.Scored);
    }

    /// <summary>Ends the session as the loss of its device would: this and every later call is <see cref="ScoringStatus.DeviceLost"/>. For drills; on any thread.</summary>
    public void Kill()
    {
        lock (_life)
        {
            _isKilled = true;
            if (!_isDisposed)
            {
                Array.ForEach(_lanes, lane => lane.Kill());
            }
        }
    }

    /// <summary>Has the part inside ONNX Runtime's own run taken of every call from now on: see <see cref="InsideMicros"/>.</summary>
    internal void Time() => Array.ForEach(_lanes, lane => lane.IsTimed = true);

    /// <summary>Of the last call with so many rows, the time inside ONNX Runtime; the rest is ours: copies, checks, bindings, and the wake-up of a bounded run's thread.</summary>
    internal double InsideMicros(int count) => System.Diagnostics.Stopwatch.GetElapsedTime(0, _lanes[_laneOfCount[count]].ComputeTicks).TotalMicroseconds;

    /// <summary>Has runs wait for <paramref name="until"/>, deaf to everything, as in a driver that has hung. For drills.</summary>
    internal void Stall(ManualResetEventSlim? until) => Array.ForEach(_lanes, lane => lane.Stall = until);

    private ScoringStatus Run(SessionLane lane, int busyMillisMax, TimeSpan wait)
    {
        if (_gate is null)
        {
            return Status(lane.Run());
        }

        if (_thread is not null && wait.TotalMilliseconds < uint.MaxValue)
        {
            busyMillisMax = (int)Math.Min((uint)busyMillisMax, (uint)Math.Max(0, wait.TotalMilliseconds));
        }

        if (!_gate.TryEnter(busyMillisMax))
        {
            WasBusy = !_gate.IsHung;
            return WasBusy ? ScoringStatus.DeviceLost : ScoringStatus.DeviceHung;
        }

        var isHeld = true;
        try
        {
            if (_thread is null)
            {
                return Status(lane.Run());
            }

            var bound = TimeSpan.FromMilliseconds(RunMillisMax);
            _startedAt = Stopwatch.GetTimestamp();
            if (_thread.TryRun(lane, Min(wait, bound), out var isSuccess))
            {
                return Status(isSuccess);
            }

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
            if (isHeld)
            {
                _gate.Exit();
            }
        }
    }

    /// <summary>Asks the run to end; a run that does not hear keeps gate, memory and thread until it comes back. True when it does keep them.</summary>
    private bool GiveUp(SessionLane lane, DeviceThread thread, DeviceGate gate)
    {
        _isKilled = true;
        lane.Kill();
        if (thread.TryWait(s_terminateMax, out _))
        {
            return false;
        }

        gate.Hang();
        IsAbandoned = thread.TryAbandon(() =>
        {
            lock (_life)
            {
                _isDisposed = true;
            }

            Free();
            gate.Return();
        });
        if (!IsAbandoned)
        {
            gate.Return();
        }

        return true;
    }

    private static ScoringStatus Status(bool isSuccess) => isSuccess ? ScoringStatus.Scored : ScoringStatus.DeviceLost;

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_life)
        {
            if (_isDisposed)
            {
                return;
            }

            _isKilled = _isDisposed = true;
        }

        // Whoever comes back from the driver frees it. And while another session's run is lost in there, freeing would wait as well: it is left.
        if (IsAbandoned || _gate?.TryEnter(Timeout.Infinite) == false)
        {
            return;
        }

        try
        {
            Free();
        }
        finally
        {
            _gate?.Exit();
        }
    }

    private void Free()
    {
        Array.ForEach(_lanes, lane => lane.Dispose());
        _session.Dispose();
        _input.Dispose();
        _output.Dispose();
        _thread?.Dispose();
    }

    /// <summary>1, 2, 4, … and the largest: what an accelerator compiles or captures for each size is kept, so there are few.</summary>
    internal static List<int> DeviceBatchSizes(int batchSizeMax)
    {
        var sizes = new List<int>();
        for (var size = 1; size < batchSizeMax; size *= 2)
        {
            sizes.Add(size);
        }

        sizes.Add(batchSizeMax);
        return sizes;
    }

    /// <summary>One thread, no spinning: the engine's own threads share the processors, and one thread adds trees in one order.</summary>
    internal static SessionOptions Options(AcceleratorDevice? device = null)
    {
        var options = new SessionOptions
        {
            IntraOpNumThreads = 1,
            InterOpNumThreads = 1,
            ExecutionMode = ExecutionMode.ORT_SEQUENTIAL,
            GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0");
        if (device is not null && !device.IsCpu)
        {
            // Which node goes where can be asked for since ONNX Runtime 1.24; before, opening just fails, without the names.
            options.AddSessionConfigEntry(OrtInterop.IsAvailable ? "session.record_ep_graph_assignment_info" : "session.disable_cpu_ep_fallback", "1");
            device.Append(options);
        }

        return options;
    }

    private static bool IsCaptured(AcceleratorDevice? device) => device?.Configuration.Options.GetValueOrDefault("enable_cuda_graph") is "1" or "true" or "True";

    private static ModelRefusal? CheckAssignment(InferenceSession session, AcceleratorDevice? device)
    {
        if (device is null || device.IsCpu || !OrtInterop.IsAvailable)
        {
            return null;
        }

        var elsewhere = OrtInterop.Assignment(session).FindAll(node => node.ExecutionProvider != device.ExecutionProvider);
        return elsewhere.Count == 0
            ? null
            : new ModelRefusal(
                DeviceCodes.Fallback,
                $"{device.ExecutionProvider} lacks operators of the model, and {elsewhere.Count} nodes would run elsewhere without notice: {string.Join(", ", elsewhere.Take(FallbackNodesShown).Select(n => $"'{n.Name}' ({n.OperatorType}, {n.ExecutionProvider})"))}{(elsewhere.Count > FallbackNodesShown ? ", ..." : "")}; give {device.Name} a variant of the model made of operators that it has");
    }

    /// <summary>Every size up to 128, then steps of an eighth or less: at most 12 % of the work is padding.</summary>
    internal static List<int> BatchSizes(int batchSizeMax)
    {
        var sizes = new List<int>();
        for (var size = 1; size < batchSizeMax; size += size < 128 ? 1 : size / 16)
        {
            sizes.Add(size);
        }

        sizes.Add(batchSizeMax);
        return sizes;
    }

    private static ModelRefusal? CheckSignature(InferenceSession session, int featureCount, string outputName, out int outputRank, out int outputWidth)
    {
        (outputRank, outputWidth) = (0, 0);
        var inputs = session.InputMetadata;
        if (inputs.Count != 1)
        {
            return new ModelRefusal(ModelCodes.FeatureMismatch, $"the model has {inputs.Count} inputs; one of the shape [N, {featureCount}] is fed");
        }

        var (name, input) = inputs.First();
        if (!input.IsTensor || input.ElementDataType != TensorElementType.Float || input.Dimensions is not [_, _] || input.Dimensions[1] != featureCount || input.Dimensions[0] > 0)
        {
            return new ModelRefusal(
                ModelCodes.FeatureMismatch,
                $"the model's input '{name}' is {Shape(input)}; float32 [N, {featureCount}] is fed");
        }

        if (!session.OutputMetadata.TryGetValue(outputName, out var output))
        {
            return new ModelRefusal(ModelCodes.Unsupported, $"the model has no output '{outputName}'; it has {string.Join(", ", session.OutputNames.Take(8))}");
        }

        if (!output.IsTensor || output.ElementDataType != TensorElementType.Float || output.Dimensions is not ([_] or [_, 1 or 2]))
        {
            return new ModelRefusal(ModelCodes.Unsupported, $"the model's output '{outputName}' is {Shape(output)}; float32 [N], [N, 1] or [N, 2] can be a score");
        }

        (outputRank, outputWidth) = (output.Dimensions.Length, output.Dimensions.Length == 1 ? 1 : output.Dimensions[1]);
        return null;
    }

    private static string Shape(NodeMetadata metadata) =>
        metadata.IsTensor ? $"{metadata.ElementDataType} [{string.Join(", ", metadata.Dimensions.Select(d => d < 0 ? "N" : d.ToString(System.Globalization.CultureInfo.InvariantCulture)))}]" : metadata.OnnxValueType.ToString();
}
