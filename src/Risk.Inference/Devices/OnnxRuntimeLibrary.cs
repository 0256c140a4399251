using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace Risk.Inference.Devices;

/// <summary>
/// Which native ONNX Runtime this process runs on: the one that comes with the engine, or one with a vendor's execution
/// provider built in, named by <see cref="Variable"/> or by an accelerator's <c>library</c>. The managed binding binds once, at
/// its first use, so the choice stands from then on. A newer native library serves an older binding: its C interface only grows
/// (https://onnxruntime.ai/docs/reference/compatibility.html).
/// </summary>
public static class OnnxRuntimeLibrary
{
    /// <summary>The environment variable with the path of another libonnxruntime for the whole process.</summary>
    public const string Variable = "RISK_ONNXRUNTIME_LIBRARY";

    private const string RuntimeSymbol = "OrtGetApiBase", PluginSymbol = "CreateEpFactories", HostSymbol = "Provider_GetHost";

    private static readonly Lock s_gate = new();
    private static nint s_handle;
    private static bool s_isDecided;

    /// <summary>Where the chosen library lies; null for the one that comes with the engine.</summary>
    public static string? Path { get; private set; }

    internal static nint Handle => s_handle;

    /// <summary>Follows <see cref="Variable"/>. Call it before anything uses ONNX Runtime; again, it does nothing.</summary>
    /// <exception cref="DllNotFoundException">The variable names a library that does not load; the message begins with the code.</exception>
    public static void UseConfigured()
    {
        if (s_isDecided) { return; }
        string? path = Environment.GetEnvironmentVariable(Variable);
        if (!string.IsNullOrEmpty(path) && !TryUse(path, Variable, out DeviceRefusal? refusal)) { throw new DllNotFoundException(refusal.ToString()); }
        s_isDecided = true;
    }

    /// <summary>Makes the process run on this library, if nothing has decided otherwise yet.</summary>
    /// <param name="device">On whose behalf, for the refusal.</param>
    public static bool TryUse(string path, string device, [NotNullWhen(false)] out DeviceRefusal? refusal)
    {
        refusal = null;
        string full = System.IO.Path.GetFullPath(path);
        lock (s_gate)
        {
            if (Path == full) { return true; }
            if (s_handle != 0)
            {
                refusal = new DeviceRefusal(device, DeviceCodes.RuntimeConflict, $"this process runs on {Path} already, and one process has one ONNX Runtime; start another process for {full}");
                return false;
            }
            if (!TryLoad(full, out nint handle, out string? whyNot))
            {
                refusal = new DeviceRefusal(device, DeviceCodes.Library, $"{full} does not load: {whyNot}");
                return false;
            }
            if (!NativeLibrary.TryGetExport(handle, RuntimeSymbol, out _))
            {
                refusal = new DeviceRefusal(device, DeviceCodes.Library, $"{full} is no ONNX Runtime: it does not export OrtGetApiBase");
                return false;
            }
            try
            {
                OrtEnv.DisableDllImportResolver = true;
                NativeLibrary.SetDllImportResolver(typeof(OrtEnv).Assembly, (name, _, _) => name.StartsWith("onnxruntime", StringComparison.Ordinal) && !name.Contains("extensions", StringComparison.Ordinal) ? handle : 0);
            }
            catch (InvalidOperationException)
            {
                refusal = new DeviceRefusal(device, DeviceCodes.RuntimeConflict, $"ONNX Runtime is in use in this process already; name {full} in {Variable} before the start");
                return false;
            }
            (s_handle, Path) = (handle, full);
            return true;
        }
    }

    /// <summary>What a library offers to ONNX Runtime; false, with the loader's words, when it does not load. One that needs ONNX Runtime's host is not loaded for that.</summary>
    internal static bool TryInspect(string path, out bool isRuntime, out bool isPlugin, [NotNullWhen(false)] out string? whyNot)
    {
        (isRuntime, isPlugin) = (false, false);
        // The CUDA library and its like take their host, ONNX Runtime, from the library beside it, which ONNX Runtime loads first.
        // Loaded before that, one does not load at all, or asks in its initialisers for a host that is not there yet, and never again.
        if (ElfSymbols.TryRead(path, out ElfSymbols? symbols) && symbols.Wants(HostSymbol))
        {
            isPlugin = symbols.Offers(PluginSymbol);
            whyNot = null;
            return true;
        }
        if (!TryLoad(path, out nint handle, out whyNot)) { return false; }
        isRuntime = NativeLibrary.TryGetExport(handle, RuntimeSymbol, out _);
        isPlugin = NativeLibrary.TryGetExport(handle, PluginSymbol, out _);
        return true;
    }

    internal static bool TryLoad(string path, out nint handle, [NotNullWhen(false)] out string? whyNot)
    {
        try
        {
            handle = NativeLibrary.Load(path);
            whyNot = null;
            return true;
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            handle = 0;
            whyNot = LoaderWords(e.Message, path);
            return false;
        }
    }

    /// <summary>The loader's own words, which say what is wrong or name the library that is missing; what .NET puts before them is advice on tools.</summary>
    private static string LoaderWords(string message, string path)
    {
        string[] lines = [.. message.Split('\n').Select(line => line.Trim()).Where(line => line.Length > 0)];
        string? said = lines.Skip(1).FirstOrDefault(line => line.Contains(": ", StringComparison.Ordinal)) ?? lines.FirstOrDefault();
        return said is null ? "the loader does not say why" : said.StartsWith($"{path}: ", StringComparison.Ordinal) ? said[(path.Length + 2)..] : said;
    }
}
