using Risk.Core.Devices;
using Risk.Inference.Devices;

namespace Risk.Accelerators.Tests;

/// <summary>WebGPU on the Vulkan device in software: a true second execution provider on any machine with Debian's chromium.</summary>
internal static class SoftwareWebGpu
{
    /// <summary>Classes that may use it run one after the other: WebGPU sessions share one gate, and a batch gives up waiting at it.</summary>
    public const string Collection = "WebGPU in software";

    private static readonly Lazy<(AcceleratorDevice? Device, string? Missing)> s_opened = new(() =>
        AcceleratorDevice.TryOpen(AcceleratorConfiguration.Named("webgpu-software"), out AcceleratorDevice? device, out DeviceRefusal? refusal) ? (device, null) : (null, Explain(refusal)));

    /// <summary>Why it cannot be used here; null when it can.</summary>
    public static string? Missing => s_opened.Value.Missing;

    public static AcceleratorDevice Device => s_opened.Value.Device ?? throw new InvalidOperationException(Missing);

    private static string Explain(DeviceRefusal refusal) =>
        $"{refusal} (apt-get install chromium npm; then ops/feed/accelerator webgpu)";
}

/// <summary>Skipped, with the reason, where WebGPU in software is not installed.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class WebGpuFactAttribute : FactAttribute
{
    public WebGpuFactAttribute() => Skip = SoftwareWebGpu.Missing;
}
