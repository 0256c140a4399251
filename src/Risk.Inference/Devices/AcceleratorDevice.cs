using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Risk.Core.Devices;

namespace Risk.Inference.Devices;

/// <summary>
/// A device that works: its provider is loaded and has computed a small model on it. Sessions are opened on it by
/// <see cref="OnnxSession"/>. One process has each provider once; devices are never unloaded.
/// </summary>
public sealed class AcceleratorDevice
{
    // All WebGPU sessions of a process share one context, which two threads at once bring down (seen with ONNX Runtime 1.30).
    private static readonly DeviceGate s_webGpu = new();

    private readonly OrtEpDevice? _epDevice;
    private readonly Dictionary<string, string> _options;

    /// <summary>For <see cref="AcceleratorOpening"/>, which has found all of it.</summary>
    internal AcceleratorDevice(AcceleratorConfiguration configuration, ReadyProfile profile, OrtEpDevice? epDevice, string? library)
    {
        Configuration = configuration;
        Profile = profile;
        Library = library;
        _epDevice = epDevice;
        _options = new Dictionary<string, string>(profile.Options, StringComparer.Ordinal);
        foreach ((string key, string value) in configuration.Options) { _options[key] = value; }
        ProviderVersion = epDevice?.EpMetadata.Entries.GetValueOrDefault("version") ?? "";
        ProviderVendor = library is null ? "" : epDevice?.EpVendor ?? "";
        Description = Describe(profile, epDevice, configuration.Device);
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

    /// <summary>Who made the library's provider, as it says itself; empty where it is the runtime's own.</summary>
    public string ProviderVendor { get; }

    /// <summary>The device's driver and its version; empty where there is none to be asked.</summary>
    public string Driver => IsNvidia(Profile) ? NvidiaDevice.DriverVersion() : "";

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

    /// <inheritdoc cref="AcceleratorOpening.OpenAll"/>
    public static (IReadOnlyList<AcceleratorDevice> Devices, IReadOnlyList<DeviceRefusal> Refusals) OpenAll(IEnumerable<AcceleratorConfiguration> configurations) => AcceleratorOpening.OpenAll(configurations);

    /// <inheritdoc cref="AcceleratorOpening.TryOpen(AcceleratorConfiguration, out AcceleratorDevice?, out DeviceRefusal?)"/>
    public static bool TryOpen(AcceleratorConfiguration configuration, [NotNullWhen(true)] out AcceleratorDevice? device, [NotNullWhen(false)] out DeviceRefusal? refusal) =>
        AcceleratorOpening.TryOpen(configuration, out device, out refusal);

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

    private Dictionary<string, string> With(string key, string value)
    {
        var options = new Dictionary<string, string>(_options, StringComparer.Ordinal);
        options.TryAdd(key, value);
        return options;
    }

    private static bool IsNvidia(ReadyProfile profile) => profile.ExecutionProvider is "CUDAExecutionProvider" or "TensorrtExecutionProvider";

    /// <summary>The generic call takes names without their ending.</summary>
    private static string ShortName(string executionProvider) => executionProvider switch
    {
        "WebGpuExecutionProvider" => "WebGPU",
        _ => executionProvider.Replace("ExecutionProvider", "", StringComparison.Ordinal),
    };

    internal static string Describe(ReadyProfile profile, OrtEpDevice? device, int index)
    {
        // On Linux ONNX Runtime knows a card by its number on the bus alone; prices and data sheets go by its name.
        if (IsNvidia(profile) && NvidiaDevice.Description(index) is { Length: > 0 } card) { return card; }
        if (device is null) { return profile.Title; }
        OrtHardwareDevice hardware = device.HardwareDevice;
        string? name = hardware.Metadata.Entries.GetValueOrDefault("Description") ?? hardware.Metadata.Entries.GetValueOrDefault("name");
        return name ?? string.Create(CultureInfo.InvariantCulture, $"{hardware.Vendor} {hardware.Type} {hardware.DeviceId:x4}");
    }
}
