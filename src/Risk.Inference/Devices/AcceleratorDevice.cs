using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Risk.Core.Devices;
using Risk.Core.Models;
using Risk.Core.Models.Tensors;

namespace Risk.Inference.Devices;

/// <summary>
/// A device that works: its provider is loaded and has computed a small model on it. Sessions are opened on it by
/// <see cref="OnnxSession"/>. One process has each provider once; devices are never unloaded.
/// </summary>
public sealed class AcceleratorDevice
{
    private const int ProbeFeatures = 4;

    private static readonly Lock s_gate = new();
    private static readonly Dictionary<string, string> s_registered = new(StringComparer.Ordinal); // path to name

    // All WebGPU sessions of a process share one context, which two threads at once bring down (seen with ONNX Runtime 1.30).
    private static readonly DeviceGate s_webGpu = new();

    private readonly OrtEpDevice? _epDevice;
    private readonly Dictionary<string, string> _options;

    private AcceleratorDevice(AcceleratorConfiguration configuration, ReadyProfile profile, OrtEpDevice? epDevice, string? library)
    {
        Configuration = configuration;
        Profile = profile;
        Library = library;
        _epDevice = epDevice;
        _options = new Dictionary<string, string>(profile.Options, StringComparer.Ordinal);
        foreach ((string key, string value) in configuration.Options) { _options[key] = value; }
        ProviderVersion = epDevice?.EpMetadata.Entries.GetValueOrDefault("version") ?? "";
        Description = Describe(profile, epDevice);
        OpenMillisMax = configuration.OpenMillisMax ?? profile.OpenMillisMax;
        Gate = OpensAlone ? s_webGpu : new DeviceGate();
    }

    public AcceleratorConfiguration Configuration { get; }

    public ReadyProfile Profile { get; }

    /// <summary>As records, metrics and profiles call it.</summary>
    public string Name => Configuration.Name;

    /// <summary>ONNX Runtime's name for who computes.</summary>
    public string ExecutionProvider => Profile.ExecutionProvider;

    /// <summary>The vendor's library; null for the runtime's own providers.</summary>
    public string? Library { get; }

    /// <summary>The device as its driver calls it, as far as the provider tells.</summary>
    public string Description { get; }

    /// <summary>Of the provider's library; empty where it is the runtime's own.</summary>
    public string ProviderVersion { get; }

    /// <summary>The device's driver and its version; empty where there is none to be asked.</summary>
    public string Driver => Profile.ExecutionProvider is "CUDAExecutionProvider" or "TensorrtExecutionProvider" ? NvidiaDevice.DriverVersion() : "";

    /// <summary>Of the ONNX Runtime of this process.</summary>
    public static string RuntimeVersion
    {
        get
        {
            OnnxRuntimeLibrary.UseConfigured();
            return OrtEnv.Instance().GetVersionString();
        }
    }

    /// <summary>The plain processor: sessions on it are those of the engine without accelerators.</summary>
    public bool IsCpu => Profile.ExecutionProvider == "CPUExecutionProvider";

    /// <summary>Milliseconds that a batch may take on it, as configured or as its ready profile has it; 0: as long as it likes, on the thread that scores.</summary>
    public int RunMillisMax => Configuration.RunMillisMax ?? Profile.RunMillisMax;

    /// <summary>Milliseconds that opening a session on it may take, as configured or as its ready profile has it; 0: as long as it likes.</summary>
    public int OpenMillisMax { get; internal set; }

    /// <summary>For drills: sessions wait for it while they are opened, as they would in a driver that has hung.</summary>
    internal ManualResetEventSlim? StallOpening { get; set; }

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

    /// <summary>Loads the provider, finds the device and has it compute a small model; or says why not, and what to do. Given up after <see cref="OpenMillisMax"/>.</summary>
    public static bool TryOpen(AcceleratorConfiguration configuration, [NotNullWhen(true)] out AcceleratorDevice? device, [NotNullWhen(false)] out DeviceRefusal? refusal)
    {
        if (ProfileOf(configuration) is { } profile) { return TryOpen(configuration, profile, out device, out refusal); }
        device = null;
        refusal = new DeviceRefusal(configuration.Name, DeviceCodes.UnknownProvider, $"'{configuration.Provider}' is no ready profile ({string.Join(", ", ReadyProfiles.All.Select(p => p.Name))}); a vendor's own needs its library");
        return false;
    }

    internal static bool TryOpen(AcceleratorConfiguration configuration, ReadyProfile profile, [NotNullWhen(true)] out AcceleratorDevice? device, [NotNullWhen(false)] out DeviceRefusal? refusal)
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
            refusal = device.Probe();
        }
        catch (Exception e) when (e is OnnxRuntimeException or InvalidOperationException or DllNotFoundException or TypeInitializationException or EntryPointNotFoundException)
        {
            refusal = new DeviceRefusal(name, DeviceCodes.Failed, $"{profile.ExecutionProvider} does not open: {Sentence(e)}{Advice(profile)}");
        }
        if (refusal is not null) { device = null; }
        return device is not null;
    }

    /// <summary>Held while a session is run or closed, and while one is opened where <see cref="OpensAlone"/>: a device computes one thing at a time.</summary>
    internal DeviceGate Gate { get; }

    /// <summary>No session may run while another one is opened.</summary>
    internal bool OpensAlone => Profile.ExecutionProvider == "WebGpuExecutionProvider";

    /// <summary>Puts the provider before the CPU's in a session's options.</summary>
    internal void Append(SessionOptions options)
    {
        if (IsCpu) { return; }
        if (_epDevice is not null)
        {
            options.AppendExecutionProvider(OrtEnv.Instance(), [_epDevice], _options);
            return;
        }
        string index = Configuration.Device.ToString(CultureInfo.InvariantCulture);
        switch (ExecutionProvider)
        {
            case "CUDAExecutionProvider":
                using (var cuda = new OrtCUDAProviderOptions())
                {
                    cuda.UpdateOptions(With("device_id", index));
                    options.AppendExecutionProvider_CUDA(cuda);
                }
                break;
            case "TensorrtExecutionProvider":
                using (var tensorRt = new OrtTensorRTProviderOptions())
                {
                    tensorRt.UpdateOptions(With("device_id", index));
                    options.AppendExecutionProvider_Tensorrt(tensorRt);
                }
                break;
            case "MIGraphXExecutionProvider": options.AppendExecutionProvider_MIGraphX(Configuration.Device); break;
            case "DmlExecutionProvider": options.AppendExecutionProvider_DML(Configuration.Device); break;
            case "CANNExecutionProvider": OrtInterop.AppendCannProvider(options, With("device_id", index)); break;
            default: options.AppendExecutionProvider(ShortName(ExecutionProvider), _options); break;
        }
    }

    /// <summary>The device's memory of that kind (its own, or the host's that it reaches quickest); null when the provider offers none.</summary>
    internal OrtMemoryInfo? Memory(OrtDeviceMemoryType type)
    {
        OrtMemoryInfo? memory = _epDevice?.GetMemoryInfo(type);
        return memory is null or { IsInvalid: true } ? null : memory;
    }

    internal OrtEpDevice? EpDevice => _epDevice;

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
                string name = $"risk-{s_registered.Count}-{profile.Name}";
                OrtEnv.Instance().RegisterExecutionProviderLibrary(name, path);
                s_registered.Add(path, name);
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
        OrtEpDevice[] offered = [.. OrtEnv.Instance().GetEpDevices().Where(d => d.EpName == profile.ExecutionProvider)];
        if (configuration.Device < offered.Length)
        {
            device = offered[configuration.Device];
            return true;
        }
        // What is built into the runtime need not announce its devices; opening a session tells.
        if (offered.Length == 0 && OrtEnv.Instance().GetAvailableProviders().Contains(profile.ExecutionProvider)) { return true; }
        refusal = offered.Length > 0 ? new DeviceRefusal(configuration.Name, DeviceCodes.Missing, $"{profile.ExecutionProvider} offers {offered.Length} devices; device {configuration.Device} (counted from 0) is none of them")
            : library is not null ? new DeviceRefusal(configuration.Name, DeviceCodes.Missing, $"{library} is loaded, but {profile.ExecutionProvider} finds no device{Advice(profile)}")
            : new DeviceRefusal(configuration.Name, DeviceCodes.Library, $"ONNX Runtime {RuntimeVersion} here has no {profile.ExecutionProvider}: {profile.HowTo}{Advice(profile)}");
        return false;
    }

    /// <summary>The smallest model, through the whole way: what does not work is found here and not under the first batch.</summary>
    private DeviceRefusal? Probe()
    {
        if (!OnnxSession.TryOpen(ProbeModel.Empty(ProbeFeatures), ProbeFeatures, ProbeModel.OutputName, 1, this, out OnnxSession? session, out ModelRefusal? model))
        {
            return new DeviceRefusal(Name, model.Code == ModelCodes.Unsupported ? DeviceCodes.Failed : model.Code, $"{ExecutionProvider} does not open: {model.Reason}{Advice(Profile)}");
        }
        using (session)
        {
            float[] score = new float[1];
            return session.WarmUp() && session.Score(new float[ProbeFeatures], 1, score) == ScoringStatus.Scored && Math.Abs(score[0] - 0.5f) < 1e-3f
                ? null
                : new DeviceRefusal(Name, DeviceCodes.Failed, $"{ExecutionProvider} computes the logistic function of 0 as {score[0].ToString("R", CultureInfo.InvariantCulture)}, not 0.5, or fails");
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

    private Dictionary<string, string> With(string key, string value)
    {
        var options = new Dictionary<string, string>(_options, StringComparer.Ordinal);
        options.TryAdd(key, value);
        return options;
    }

    /// <summary>The generic call takes names without their ending.</summary>
    private static string ShortName(string executionProvider) => executionProvider switch
    {
        "WebGpuExecutionProvider" => "WebGPU",
        _ => executionProvider.Replace("ExecutionProvider", "", StringComparison.Ordinal),
    };

    private static string Describe(ReadyProfile profile, OrtEpDevice? device)
    {
        if (device is null) { return profile.Title; }
        OrtHardwareDevice hardware = device.HardwareDevice;
        string? name = hardware.Metadata.Entries.GetValueOrDefault("Description") ?? hardware.Metadata.Entries.GetValueOrDefault("name");
        return name ?? string.Create(CultureInfo.InvariantCulture, $"{hardware.Vendor} {hardware.Type} {hardware.DeviceId:x4}");
    }
}
