namespace Risk.Inference.Devices;

/// <summary>The stable codes by which an accelerator, or a model on it, is refused. They never change once published.</summary>
public static class DeviceCodes
{
    /// <summary>No ready profile and no execution provider of the loaded runtime or library has this name.</summary>
    public const string UnknownProvider = "ACCELERATOR_UNKNOWN_PROVIDER";

    /// <summary>The vendor's library, or one that it needs, is not there or does not load.</summary>
    public const string Library = "ACCELERATOR_LIBRARY";

    /// <summary>This process runs on another ONNX Runtime already; one process has one.</summary>
    public const string RuntimeConflict = "ACCELERATOR_RUNTIME_CONFLICT";

    /// <summary>The provider is there, its device is not (or has not so many).</summary>
    public const string Missing = "DEVICE_MISSING";

    /// <summary>The provider refuses its options, or fails on opening.</summary>
    public const string Failed = "DEVICE_FAILED";

    /// <summary>Nodes of the model would run on the CPU without anybody noticing: operators that the device lacks.</summary>
    public const string Fallback = "DEVICE_FALLBACK";

    /// <summary>A device that was lost serves again.</summary>
    public const string Recovered = "DEVICE_RECOVERED";
}

/// <summary>Why a device cannot be used, as a value: the engine stays up on the CPU.</summary>
/// <param name="Device">Its name in the configuration.</param>
/// <param name="Code">One of <see cref="DeviceCodes"/>, or of the model's own codes.</param>
/// <param name="Reason">One sentence that says what to do.</param>
public sealed record DeviceRefusal(string Device, string Code, string Reason)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Code}: {Device}: {Reason}";
}
