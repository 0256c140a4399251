using Risk.Core.Devices;

namespace Risk.Inference.Devices;

/// <summary>
/// What is known of an execution provider beforehand: how ONNX Runtime calls it, where its library usually lies, what it needs
/// and which options suit short batches of one model. Anything in a configuration goes before it.
/// </summary>
/// <param name="Name">What a configuration writes as <c>provider</c>: <c>cuda</c>.</param>
/// <param name="Title">For people.</param>
/// <param name="ExecutionProvider">As ONNX Runtime reports it and records carry it: <c>CUDAExecutionProvider</c>.</param>
/// <param name="Library">The usual library, null where it comes with the runtime or from the vendor alone.</param>
/// <param name="HowTo">One sentence: how the provider's library is come by.</param>
public sealed record ReadyProfile(
    string Name, string Title, DeviceKind Kind, string ExecutionProvider, string? Library, IReadOnlyDictionary<string, string> Options, string HowTo)
{
    internal IReadOnlyList<RequirementCheck> Checks { get; init; } = [];

    /// <summary>
    /// Milliseconds after which a batch is given up and its device counts as hung. Far above any batch that somebody waits for,
    /// and far below the minutes for which a driver may be silent. 0: not bounded.
    /// </summary>
    public int RunMillisMax { get; init; } = 2000;

    /// <summary>Milliseconds that opening the device, or a session on it, may take before the device is given up; longer where the provider compiles the model then. 0: not bounded.</summary>
    public int OpenMillisMax { get; init; } = 120_000;

    /// <summary>Run before the library is loaded; for loaders that are told by the environment.</summary>
    internal Action? Prepare { get; init; }

    /// <summary>What it needs on this machine, and whether that is there.</summary>
    public IReadOnlyList<Requirement> Requirements() => [.. Checks.Select(check => check.Look())];
}
