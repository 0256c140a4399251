using System.Diagnostics.CodeAnalysis;
using Microsoft.ML.OnnxRuntime;
using Risk.Core.Models;
using Risk.Inference.Devices;

namespace Risk.Inference;

/// <summary>
/// How a session comes to be: the file is looked at before the runtime sees it, its signature is checked, and on an accelerator
/// every node must be there. Sessions of a device that opens alone wait for its gate, others only for its being well.
/// </summary>
internal static class SessionOpening
{
    private const int FallbackNodesShown = 8;

    /// <inheritdoc cref="OnnxSession.TryOpen(byte[], int, string, int, AcceleratorDevice?, out OnnxSession?, out ModelRefusal?)"/>
    public static bool TryOpen(
        byte[] onnx, int featureCount, string outputName, int batchSizeMax, AcceleratorDevice? device,
        [NotNullWhen(true)] out OnnxSession? session, [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSizeMax, 1);
        OnnxRuntimeLibrary.UseConfigured();
        session = null;
        refusal = OnnxInspector.Inspect(onnx);
        if (refusal is not null) { return false; }
        if (device is null) { return TryOpenChecked(onnx, featureCount, outputName, batchSizeMax, null, out session, out refusal); }
        if (device.Gate.IsHung)
        {
            refusal = Hung(device);
            return false;
        }
        // Opening takes seconds to minutes with some providers (they compile the model), and every session of the device runs
        // under the gate. A graph must not be captured while another session takes memory, so such devices open alone as well.
        if (!device.OpensAlone && !IsCaptured(device)) { return TryOpenChecked(onnx, featureCount, outputName, batchSizeMax, device, out session, out refusal); }
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

    /// <summary>One thread, no spinning: the engine's own threads share the processors, and one thread adds trees in one order.</summary>
    public static SessionOptions Options(AcceleratorDevice? device = null)
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

    /// <summary>Runs on the device are captured as CUDA graphs.</summary>
    public static bool IsCaptured(AcceleratorDevice? device) => device?.Configuration.Options.GetValueOrDefault("enable_cuda_graph") is "1" or "true" or "True";

    private static bool TryOpenChecked(
        byte[] onnx, int featureCount, string outputName, int batchSizeMax, AcceleratorDevice? device,
        [NotNullWhen(true)] out OnnxSession? session, [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        (session, refusal) = (null, null);
        InferenceSession? opened = null;
        try
        {
            device?.StallOpening?.Wait();
            using SessionOptions options = Options(device);
            opened = new InferenceSession(onnx, options);
            refusal = SessionSignature.Check(opened, featureCount, outputName, out SessionShape? shape) ?? CheckAssignment(opened, device);
            if (refusal is null)
            {
                session = new OnnxSession(shape!, batchSizeMax, device);
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

    private static ModelRefusal Hung(AcceleratorDevice device) => new(
        ModelCodes.DeviceHung,
        $"{device.ExecutionProvider} has not come back from an earlier batch; nothing is opened on {device.Name} before it does. If it stays so, look at the driver's log and restart this process");

    private static ModelRefusal? CheckAssignment(InferenceSession session, AcceleratorDevice? device)
    {
        if (device is null || device.IsCpu || !OrtInterop.IsAvailable) { return null; }
        List<AssignedNode> elsewhere = OrtInterop.Assignment(session).FindAll(node => node.ExecutionProvider != device.ExecutionProvider);
        return elsewhere.Count == 0
            ? null
            : new ModelRefusal(
                DeviceCodes.Fallback,
                $"{device.ExecutionProvider} lacks operators of the model, and {elsewhere.Count} nodes would run elsewhere without notice: {string.Join(", ", elsewhere.Take(FallbackNodesShown).Select(n => $"'{n.Name}' ({n.OperatorType}, {n.ExecutionProvider})"))}{(elsewhere.Count > FallbackNodesShown ? ", ..." : "")}; give {device.Name} a variant of the model made of operators that it has");
    }
}
