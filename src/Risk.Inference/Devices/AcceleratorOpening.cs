using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Risk.Core.Devices;
using Risk.Core.Models;
using Risk.Core.Models.Tensors;

namespace Risk.Inference.Devices;

/// <summary>
/// From a configuration to a device that works, or to the reason why not and what to do: requirements, library, provider, device,
/// and a small model computed on it.
/// </summary>
internal static class AcceleratorOpening
{
    private const int ProbeFeatures = 4;

    private static readonly Lock s_gate = new();
    private static readonly Dictionary<string, IReadOnlyList<OrtEpDevice>> s_registered = new(StringComparer.Ordinal); // by the library's path, the devices that came with it

    /// <summary>Opens what is configured; every device that cannot be used has its refusal, and the others are not touched by it.</summary>
    public static (IReadOnlyList<AcceleratorDevice> Devices, IReadOnlyList<DeviceRefusal> Refusals) OpenAll(IEnumerable<AcceleratorConfiguration> configurations)
    {
        List<AcceleratorDevice> devices = [];
        List<DeviceRefusal> refusals = [];
        // Whoever brings a runtime of its own goes first: after the first use of any, it is too late.
        foreach (AcceleratorConfiguration configuration in configurations.OrderByDescending(BringsRuntime))
        {
            if (TryOpen(configuration, out AcceleratorDevice? device, out DeviceRefusal? refusal)) { devices.Add(device); } else { refusals.Add(refusal); }
        }
        return (devices, refusals);
    }

    /// <summary>Loads the provider, finds the device and has it compute a small model; or says why not, and what to do. Given up after <see cref="AcceleratorDevice.OpenMillisMax"/>.</summary>
    public static bool TryOpen(AcceleratorConfiguration configuration, [NotNullWhen(true)] out AcceleratorDevice? device, [NotNullWhen(false)] out DeviceRefusal? refusal)
    {
        if (ProfileOf(configuration) is { } profile) { return TryOpen(configuration, profile, out device, out refusal); }
        device = null;
        refusal = new DeviceRefusal(configuration.Name, DeviceCodes.UnknownProvider, $"'{configuration.Provider}' is no ready profile ({string.Join(", ", ReadyProfiles.All.Select(p => p.Name))}); a vendor's own needs its library");
        return false;
    }

    public static bool TryOpen(AcceleratorConfiguration configuration, ReadyProfile profile, [NotNullWhen(true)] out AcceleratorDevice? device, [NotNullWhen(false)] out DeviceRefusal? refusal)
    {
        int millisMax = configuration.OpenMillisMax ?? profile.OpenMillisMax;
        // What comes after that is dropped: a device holds nothing but its loaded library, and those are never unloaded.
        bool isInTime = BoundedOpening<(AcceleratorDevice? Device, DeviceRefusal? Refusal)>.TryRun(
            $"{configuration.Name} opening", millisMax,
            () => TryOpenNow(configuration, profile, out AcceleratorDevice? opened, out DeviceRefusal? refused) ? (opened, null) : (null, refused),
            () => { }, _ => { }, out (AcceleratorDevice? Device, DeviceRefusal? Refusal) found);
        (device, refusal) = isInTime ? found
            : (null, new DeviceRefusal(configuration.Name, ModelCodes.DeviceHung, $"{profile.ExecutionProvider} has not opened in {millisMax} ms (openMillisMax) and is left behind; work stays on the CPU. Look at the driver's log and restart this process when it is well{Advice(profile)}"));
        return device is not null;
    }

    private static bool TryOpenNow(AcceleratorConfiguration configuration, ReadyProfile profile, [NotNullWhen(true)] out AcceleratorDevice? device, [NotNullWhen(false)] out DeviceRefusal? refusal)
    {
        device = null;
        string name = configuration.Name;
        // A provider that fails once may stay failed for the whole process (WebGPU looks for Vulkan a single time), so one that is
        // known to lack something is not even loaded. A configuration that names its library has looked after that itself.
        if (configuration.Library is null && profile.Requirements().FirstOrDefault(r => !r.IsMet) is { } lacking)
        {
            string code = lacking.What.StartsWith("/dev/", StringComparison.Ordinal) ? DeviceCodes.Missing : DeviceCodes.Library;
            refusal = new DeviceRefusal(name, code, $"{profile.ExecutionProvider} cannot work here{Advice(profile)}; then {profile.HowTo}");
            return false;
        }
        try
        {
            profile.Prepare?.Invoke();
            if (!TryLibrary(configuration, profile, out string? library, out refusal) || !TryFind(configuration, profile, library, out OrtEpDevice? epDevice, out refusal)) { return false; }
            device = new AcceleratorDevice(configuration, profile, epDevice, library);
            refusal = Probe(device);
        }
        catch (Exception e) when (e is OnnxRuntimeException or InvalidOperationException or DllNotFoundException or TypeInitializationException or EntryPointNotFoundException)
        {
            refusal = new DeviceRefusal(name, DeviceCodes.Failed, $"{profile.ExecutionProvider} does not open: {Sentence(e)}{Advice(profile)}");
        }
        if (refusal is not null) { device = null; }
        return device is not null;
    }

    private static bool BringsRuntime(AcceleratorConfiguration configuration) =>
        (configuration.Library ?? ProfileOf(configuration)?.Library) is { } path && File.Exists(path) && OnnxRuntimeLibrary.TryInspect(path, out bool isRuntime, out bool isPlugin, out _) && isRuntime && !isPlugin;

    private static ReadyProfile? ProfileOf(AcceleratorConfiguration configuration) =>
        ReadyProfiles.Find(configuration.Provider)
        ?? (configuration.Library is null ? null
            : new ReadyProfile(configuration.Provider, configuration.Provider, DeviceKind.Asic, configuration.Provider, null, new Dictionary<string, string>(), "ask its vendor"));

    private static bool TryLibrary(AcceleratorConfiguration configuration, ReadyProfile profile, out string? library, [NotNullWhen(false)] out DeviceRefusal? refusal)
    {
        refusal = null;
        library = configuration.Library ?? (profile.Library is not null && File.Exists(profile.Library) ? profile.Library : null);
        if (library is null) { return true; }
        if (!File.Exists(library)) { refusal = new DeviceRefusal(configuration.Name, DeviceCodes.Library, $"{library} does not exist; {profile.HowTo}"); }
        else if (!OnnxRuntimeLibrary.TryInspect(library, out bool isRuntime, out bool isPlugin, out string? whyNot)) { refusal = new DeviceRefusal(configuration.Name, DeviceCodes.Library, $"{library} does not load: {whyNot}{Advice(profile)}"); }
        else if (isPlugin) { return TryRegister(configuration, profile, library, out refusal); }
        else if (isRuntime) { return OnnxRuntimeLibrary.TryUse(library, configuration.Name, out refusal); }
        else { refusal = new DeviceRefusal(configuration.Name, DeviceCodes.Library, $"{library} exports neither CreateEpFactories nor OrtGetApiBase, so it is no execution provider and no ONNX Runtime"); }
        return refusal is null;
    }

    private static bool TryRegister(AcceleratorConfiguration configuration, ReadyProfile profile, string library, [NotNullWhen(false)] out DeviceRefusal? refusal)
    {
        refusal = null;
        OnnxRuntimeLibrary.UseConfigured();
        lock (s_gate)
        {
            string path = Path.GetFullPath(library);
            if (s_registered.ContainsKey(path)) { return true; }
            try
            {
                HashSet<nint> before = [.. OrtEnv.Instance().GetEpDevices().Select(OrtInterop.Native)];
                OrtEnv.Instance().RegisterExecutionProviderLibrary($"risk-{s_registered.Count}-{profile.Name}", path);
                s_registered.Add(path, [.. OrtEnv.Instance().GetEpDevices().Where(d => !before.Contains(OrtInterop.Native(d)))]);
                return true;
            }
            catch (OnnxRuntimeException e)
            {
                refusal = new DeviceRefusal(configuration.Name, DeviceCodes.Library, $"{path} does not register: {Sentence(e)}{Advice(profile)}");
                return false;
            }
        }
    }

    private static bool TryFind(AcceleratorConfiguration configuration, ReadyProfile profile, string? library, out OrtEpDevice? device, [NotNullWhen(false)] out DeviceRefusal? refusal)
    {
        device = null;
        refusal = null;
        OnnxRuntimeLibrary.UseConfigured();
        // Two libraries, or a library and the runtime, may have a provider of the same name: who names a library gets that one's.
        IReadOnlyList<OrtEpDevice> all = Registered(library) ?? OrtEnv.Instance().GetEpDevices();
        OrtEpDevice[] offered = [.. all.Where(d => d.EpName == profile.ExecutionProvider)];
        if (configuration.Device < offered.Length)
        {
            device = offered[configuration.Device];
            return true;
        }
        // What is built into the runtime need not announce its devices; opening a session tells.
        if (offered.Length == 0 && OrtEnv.Instance().GetAvailableProviders().Contains(profile.ExecutionProvider)) { return true; }
        refusal = offered.Length > 0 ? new DeviceRefusal(configuration.Name, DeviceCodes.Missing, $"{profile.ExecutionProvider} has no device {configuration.Device}; it offers {string.Join(", ", offered.Select((d, i) => $"{i} ({AcceleratorDevice.Describe(profile, d, i)})"))}")
            : library is not null ? new DeviceRefusal(configuration.Name, DeviceCodes.Missing, $"{library} is loaded, but {profile.ExecutionProvider} finds no device{Others(library)}{Advice(profile)}")
            : new DeviceRefusal(configuration.Name, DeviceCodes.Library, $"ONNX Runtime {AcceleratorDevice.RuntimeVersion} here has no {profile.ExecutionProvider}: {profile.HowTo}{Advice(profile)}");
        return false;
    }

    /// <summary>The devices that came with a library that plugs in; null for any other.</summary>
    private static IReadOnlyList<OrtEpDevice>? Registered(string? library)
    {
        lock (s_gate) { return library is null ? null : s_registered.GetValueOrDefault(Path.GetFullPath(library)); }
    }

    /// <summary>Who has the library for its vendor's may not know how its provider is called.</summary>
    private static string Others(string library) =>
        Registered(library) is { Count: > 0 } devices ? $"; the library has devices of {string.Join(", ", devices.Select(d => d.EpName).Distinct(StringComparer.Ordinal))}: name one of them as `provider`" : "";

    /// <summary>The smallest model, through the whole way: what does not work is found here and not under the first batch.</summary>
    private static DeviceRefusal? Probe(AcceleratorDevice device)
    {
        if (!OnnxSession.TryOpen(ProbeModel.Empty(ProbeFeatures), ProbeFeatures, ProbeModel.OutputName, 1, device, out OnnxSession? session, out ModelRefusal? model))
        {
            return new DeviceRefusal(device.Name, model.Code == ModelCodes.Unsupported ? DeviceCodes.Failed : model.Code, $"{device.ExecutionProvider} does not open: {model.Reason}{Advice(device.Profile)}");
        }
        using (session)
        {
            float[] score = new float[1];
            return session.WarmUp() && session.Score(new float[ProbeFeatures], 1, score) == ScoringStatus.Scored && Math.Abs(score[0] - 0.5f) < 1e-3f
                ? null
                : new DeviceRefusal(device.Name, DeviceCodes.Failed, $"{device.ExecutionProvider} computes the logistic function of 0 as {score[0].ToString("R", CultureInfo.InvariantCulture)}, not 0.5, or fails");
        }
    }

    /// <summary>What is missing on this machine, for the end of a sentence.</summary>
    private static string Advice(ReadyProfile profile)
    {
        Requirement[] missing = [.. profile.Requirements().Where(r => !r.IsMet)];
        return missing.Length == 0 ? "" : $"; missing here: {string.Join("; ", missing.Select(r => $"{r.What}: {r.Remedy}"))}";
    }

    private static string Sentence(Exception e)
    {
        string message = (e.InnerException ?? e).Message.Trim();
        int end = message.IndexOf('\n', StringComparison.Ordinal);
        return (end > 0 ? message[..end] : message).TrimEnd('.');
    }
}
