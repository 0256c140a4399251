using System.Diagnostics.CodeAnalysis;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Risk.Core.Models;
using Risk.Inference.Forests;

namespace Risk.Inference;

/// <summary>
/// Scores rows with ONNX Runtime on the processor: one thread, inputs and outputs bound once to pinned buffers, one binding
/// for each padded batch size, so a call copies the rows in, runs, and copies the scores out, and allocates nothing
/// (<c>risk bench model-run</c>). The padding rows hold what an earlier batch left; no row influences another.
/// </summary>
public sealed unsafe class OnnxSession : IScorer
{
    private readonly InferenceSession _session;
    private readonly RunOptions _runOptions = new();
    private readonly AlignedBuffer<float> _input;
    private readonly AlignedBuffer<float> _output;
    private readonly int _outputWidth;
    private readonly int[] _bindingOfCount; // for a count of rows, the first binding that holds as many
    private readonly Binding[] _bindings;

    private OnnxSession(InferenceSession session, string inputName, string outputName, int featureCount, int outputRank, int outputWidth, int batchSizeMax)
    {
        _session = session;
        _outputWidth = outputWidth;
        FeatureCount = featureCount;
        BatchSizeMax = batchSizeMax;
        _input = new AlignedBuffer<float>(batchSizeMax * featureCount);
        _output = new AlignedBuffer<float>(batchSizeMax * outputWidth);

        var sizes = BatchSizes(batchSizeMax);
        _bindings = new Binding[sizes.Count];
        _bindingOfCount = new int[batchSizeMax + 1];
        for (int i = 0, count = 0; i < sizes.Count; i++)
        {
            long[] outputShape = outputRank == 1 ? [sizes[i]] : [sizes[i], outputWidth];
            _bindings[i] = new Binding(session, inputName, outputName, _input, _output, [sizes[i], featureCount], outputShape);
            for (; count <= sizes[i]; count++)
            {
                _bindingOfCount[count] = i;
            }
        }
    }

    /// <inheritdoc/>
    public string ExecutionProvider => "CPUExecutionProvider";

    /// <inheritdoc/>
    public string Device => "cpu";

    /// <inheritdoc/>
    public int FeatureCount { get; }

    /// <inheritdoc/>
    public int BatchSizeMax { get; }

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
        [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSizeMax, 1);
        session = null;
        refusal = OnnxInspector.Inspect(onnx);
        if (refusal is not null)
        {
            return false;
        }

        InferenceSession? opened = null;
        try
        {
            using var options = Options();
            opened = new InferenceSession(onnx, options);
            refusal = CheckSignature(opened, featureCount, outputName, out var outputRank, out var outputWidth);
            if (refusal is null)
            {
                session = new OnnxSession(opened, opened.InputNames[0], outputName, featureCount, outputRank, outputWidth, batchSizeMax);
                opened = null;
                return true;
            }
        }
        catch (OnnxRuntimeException e)
        {
            refusal = new ModelRefusal(ModelCodes.Unsupported, $"ONNX Runtime does not load the model: {e.Message}");
        }
        finally
        {
            opened?.Dispose();
        }

        return false;
    }

    /// <inheritdoc/>
    public ScoringStatus Score(ReadOnlySpan<float> rows, int count, Span<float> scores)
    {
        ScorerArguments.Check(this, rows, count, scores);
        if (count == 0)
        {
            return ScoringStatus.Scored;
        }

        rows[..(count * FeatureCount)].CopyTo(_input.Span);
        try
        {
            _session.RunWithBinding(_runOptions, _bindings[_bindingOfCount[count]].Io);
        }
        catch (OnnxRuntimeException)
        {
            return ScoringStatus.DeviceLost;
        }

        var isValid = true;
        for (var r = 0; r < count; r++)
        {
            var score = _output.Pointer[(r * _outputWidth) + _outputWidth - 1];
            isValid &= score is >= 0 and <= 1; // false for NaN
            scores[r] = score;
        }

        return isValid ? ScoringStatus.Scored : ScoringStatus.OutputInvalid;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var binding in _bindings)
        {
            binding.Dispose();
        }

        _runOptions.Dispose();
        _session.Dispose();
    }

    /// <summary>One thread, no spinning: the engine's own threads share the processors, and one thread adds trees in one order.</summary>
    internal static SessionOptions Options()
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
        return options;
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

    /// <summary>One batch size: both buffers as tensors of its shape, bound to the graph's input and output.</summary>
    private sealed class Binding : IDisposable
    {
        private readonly OrtValue _input;
        private readonly OrtValue _output;

        public Binding(
            InferenceSession session, string inputName, string outputName, AlignedBuffer<float> input, AlignedBuffer<float> output, long[] inputShape, long[] outputShape)
        {
            _input = Tensor(input, inputShape);
            _output = Tensor(output, outputShape);
            Io = session.CreateIoBinding();
            Io.BindInput(inputName, _input);
            Io.BindOutput(outputName, _output);
        }

        public OrtIoBinding Io { get; }

        public void Dispose()
        {
            Io.Dispose();
            _input.Dispose();
            _output.Dispose();
        }

        private static OrtValue Tensor(AlignedBuffer<float> buffer, long[] shape) => OrtValue.CreateTensorValueWithData(
            OrtMemoryInfo.DefaultInstance,
            TensorElementType.Float,
            shape,
            (nint)buffer.Pointer,
            shape.Aggregate((long)sizeof(float), (product, size) => product * size));
    }
}
