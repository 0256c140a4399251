using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using Microsoft.ML.OnnxRuntime;
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
    private const int FaultLengthMax = 400;

    private readonly InferenceSession _session;
    private readonly HostBuffer _input, _output;
    private readonly int _outputWidth;
    private readonly int[] _laneOfCount; // for a count of rows, the first lane that holds as many
    private readonly SessionLane[] _lanes;
    private readonly SessionRuns _runs;

    internal OnnxSession(SessionShape shape, int batchSizeMax, AcceleratorDevice? device)
    {
        _session = shape.Session;
        _outputWidth = shape.OutputWidth;
        ExecutionProvider = device?.ExecutionProvider ?? "CPUExecutionProvider";
        Device = device?.Name ?? "cpu";
        FeatureCount = shape.FeatureCount;
        BatchSizeMax = batchSizeMax;
        _input = HostBuffer.Create(batchSizeMax * shape.FeatureCount, device);
        _output = HostBuffer.Create(batchSizeMax * shape.OutputWidth, device);

        Sizes = device is null || device.IsCpu ? BatchSizes(batchSizeMax) : DeviceBatchSizes(batchSizeMax);
        _lanes = SessionLane.Open(shape, Sizes, _input, _output, device, SessionOpening.IsCaptured(device));
        _laneOfCount = new int[batchSizeMax + 1];
        for (int i = 0, count = 0; i < Sizes.Count; i++)
        {
            for (; count <= Sizes[i]; count++)
            {
                _laneOfCount[count] = i;
            }
        }

        _runs = new SessionRuns(_lanes, device, shape.OutputName, Free);
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
    internal int RunMillisMax
    {
        get => _runs.RunMillisMax;
        set => _runs.RunMillisMax = value;
    }

    /// <summary>A run was given up and is still in the driver: what it uses is freed when it comes back, and not before.</summary>
    internal bool IsAbandoned => _runs.IsAbandoned;

    /// <summary>The last batch came to nothing because the device was busy elsewhere; the session itself is sound.</summary>
    internal bool WasBusy => _runs.WasBusy;

    /// <summary>What was said when a run failed, in brackets for the end of a sentence; empty where nothing was.</summary>
    internal string Fault => _runs.Fault is { Length: > 0 } said ? $" ({(said.Length > FaultLengthMax ? said[..FaultLengthMax] : said).ReplaceLineEndings(" ")})" : "";

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
        [NotNullWhen(false)] out ModelRefusal? refusal) => SessionOpening.TryOpen(onnx, featureCount, outputName, batchSizeMax, device, out session, out refusal);

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

        if (_runs.Begin() is not ScoringStatus.Scored and var unfit)
        {
            return unfit;
        }

        rows[..(count * FeatureCount)].CopyTo(_input.Span);
        if (_runs.Run(_lanes[_laneOfCount[count]], WaitMillisMax, wait) is not ScoringStatus.Scored and var failure)
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

    /// <inheritdoc cref="SessionRuns.Await"/>
    internal ScoringStatus Await(TimeSpan wait) => _runs.Await(wait);

    /// <summary>
    /// Runs every batch size once on zeros, so that shaders are compiled, graphs captured and memory taken before the first batch
    /// that somebody waits for; false when one of them fails.
    /// </summary>
    public bool WarmUp()
    {
        _input.Span.Clear();
        return Array.TrueForAll(_lanes, lane => isRun(lane) && isRun(lane));

        bool isRun(SessionLane lane) => _runs.Run(lane, Timeout.Infinite, TimeSpan.MaxValue) == ScoringStatus.Scored;
    }

    /// <summary>Ends the session as the loss of its device would: this and every later call is <see cref="ScoringStatus.DeviceLost"/>. For drills; on any thread.</summary>
    public void Kill() => _runs.Kill();

    /// <summary>Has the part inside ONNX Runtime's own run taken of every call from now on: see <see cref="InsideMicros"/>.</summary>
    internal void Time() => Array.ForEach(_lanes, lane => lane.IsTimed = true);

    /// <summary>Of the last call with so many rows, the time inside ONNX Runtime; the rest is ours: copies, checks, bindings, and the wake-up of a bounded run's thread.</summary>
    internal double InsideMicros(int count) => Stopwatch.GetElapsedTime(0, _lanes[_laneOfCount[count]].ComputeTicks).TotalMicroseconds;

    /// <summary>Has runs wait for <paramref name="until"/>, deaf to everything, as in a driver that has hung. For drills.</summary>
    internal void Stall(ManualResetEventSlim? until) => Array.ForEach(_lanes, lane => lane.Stall = until);

    /// <inheritdoc/>
    public void Dispose() => _runs.Dispose();

    private void Free()
    {
        Array.ForEach(_lanes, lane => lane.Dispose());
        _session.Dispose();
        _input.Dispose();
        _output.Dispose();
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
    }}
