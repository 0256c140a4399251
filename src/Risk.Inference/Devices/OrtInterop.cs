using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace Risk.Inference.Devices;

/// <summary>A node of a graph, and the execution provider that ONNX Runtime gave it to.</summary>
internal readonly record struct AssignedNode(string ExecutionProvider, string Name, string OperatorType);

/// <summary>
/// The functions of ONNX Runtime's C interface that the managed binding lacks, or that it calls with an allocation. They are
/// found by their place in <c>OrtApi</c>, which never changes once released; a test compares the places with the binding's.
/// https://github.com/microsoft/onnxruntime/blob/main/include/onnxruntime/core/session/onnxruntime_c_api.h
/// </summary>
internal static unsafe class OrtInterop
{
    /// <summary>The interface's version that has all of the functions below; an older runtime does without.</summary>
    private const uint ApiVersion = 24;

    internal const int GetErrorMessage = 2, ReleaseStatus = 93, BindInputPlace = 136, AppendCann = 220, CreateCann = 221, UpdateCann = 222, ReleaseCann = 224,
        CopyTensorsPlace = 386, GetAssignment = 407, SubgraphProvider = 408, SubgraphNodes = 409, NodeName = 410, NodeOperator = 412;

    private static readonly nint* s_api = Api();

    /// <summary>The runtime can say which provider has which node.</summary>
    public static bool IsAvailable => s_api is not null;

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get_Handle")]
    private static extern nint HandleOf(InferenceSession session);

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get_Handle")]
    private static extern nint HandleOf(OrtValue value);

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get_Handle")]
    private static extern nint HandleOf(OrtEpDevice device);

    [DllImport("onnxruntime", EntryPoint = "OrtGetApiBase")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories | DllImportSearchPath.AssemblyDirectory)]
    private static extern nint* DefaultApiBase();

    /// <summary>The native handle of a value, for <see cref="BindInput"/> and <see cref="Copy"/>; valid as long as the value.</summary>
    public static nint Native(OrtValue value) => HandleOf(value);

    /// <summary>The runtime's own device: the binding makes another object of it each time.</summary>
    public static nint Native(OrtEpDevice device) => HandleOf(device);

    /// <summary>Binds an input again: for a device of its own memory, this is what copies the values there. No allocation on our side.</summary>
    /// <param name="name">Zero-terminated UTF-8.</param>
    /// <returns>False when the device failed.</returns>
    public static bool BindInput(OrtIoBinding binding, byte* name, nint value) =>
        IsFine(((delegate* unmanaged<nint, byte*, nint, nint>)s_api[BindInputPlace])(binding.DangerousGetHandle(), name, value));

    /// <summary>Copies one tensor into another of the same shape, wherever each of them lies.</summary>
    public static bool Copy(nint source, nint target) =>
        IsFine(((delegate* unmanaged<nint, nint*, nint*, nint, nuint, nint>)s_api[CopyTensorsPlace])(OrtEnv.Instance().DangerousGetHandle(), &source, &target, 0, 1));

    /// <summary>Every node that ONNX Runtime recorded, if the session was opened with <c>session.record_ep_graph_assignment_info</c>; providers that are built into the runtime are left out by some versions, the CPU never is.</summary>
    public static List<AssignedNode> Assignment(InferenceSession session)
    {
        var nodes = new List<AssignedNode>();
        nint* subgraphs;
        nuint count;
        Check(((delegate* unmanaged<nint, nint**, nuint*, nint>)s_api[GetAssignment])(HandleOf(session), &subgraphs, &count));
        for (nuint i = 0; i < count; i++)
        {
            string provider = Text(SubgraphProvider, subgraphs[i]);
            nint* members;
            nuint size;
            Check(((delegate* unmanaged<nint, nint**, nuint*, nint>)s_api[SubgraphNodes])(subgraphs[i], &members, &size));
            for (nuint n = 0; n < size; n++) { nodes.Add(new AssignedNode(provider, Text(NodeName, members[n]), Text(NodeOperator, members[n]))); }
        }
        return nodes;
    }

    /// <summary>Appends Huawei's CANN provider, for which the binding has no call.</summary>
    /// <exception cref="InvalidOperationException">The runtime was built without it, or it refuses the options.</exception>
    public static void AppendCannProvider(SessionOptions options, IReadOnlyDictionary<string, string> values)
    {
        nint cann;
        Check(((delegate* unmanaged<nint*, nint>)s_api[CreateCann])(&cann));
        nint[] keys = [.. values.Keys.Select(Marshal.StringToCoTaskMemUTF8)], texts = [.. values.Values.Select(Marshal.StringToCoTaskMemUTF8)];
        try
        {
            fixed (nint* k = keys, v = texts)
            {
                if (keys.Length > 0) { Check(((delegate* unmanaged<nint, nint*, nint*, nuint, nint>)s_api[UpdateCann])(cann, k, v, (nuint)keys.Length)); }
            }
            Check(((delegate* unmanaged<nint, nint, nint>)s_api[AppendCann])(options.DangerousGetHandle(), cann));
        }
        finally
        {
            foreach (nint text in (ReadOnlySpan<nint>)[.. keys, .. texts]) { Marshal.FreeCoTaskMem(text); }
            ((delegate* unmanaged<nint, void>)s_api[ReleaseCann])(cann);
        }
    }

    private static nint* Api()
    {
        OnnxRuntimeLibrary.UseConfigured();
        nint* api = OnnxRuntimeLibrary.Handle is not 0 and var handle
            ? ((delegate* unmanaged<nint*>)NativeLibrary.GetExport(handle, "OrtGetApiBase"))()
            : DefaultApiBase();
        return (nint*)((delegate* unmanaged<uint, nint>)api[0])(ApiVersion);
    }

    private static string Text(int place, nint item)
    {
        nint text;
        Check(((delegate* unmanaged<nint, nint*, nint>)s_api[place])(item, &text));
        return Marshal.PtrToStringUTF8(text) ?? "";
    }

    private static bool IsFine(nint status)
    {
        if (status == 0) { return true; }
        ((delegate* unmanaged<nint, void>)s_api[ReleaseStatus])(status);
        return false;
    }

    private static void Check(nint status)
    {
        if (status == 0) { return; }
        string message = Marshal.PtrToStringUTF8(((delegate* unmanaged<nint, nint>)s_api[GetErrorMessage])(status)) ?? "";
        ((delegate* unmanaged<nint, void>)s_api[ReleaseStatus])(status);
        throw new InvalidOperationException(message);
    }
}
