using System.Runtime.InteropServices;
using Risk.Core.Devices;

namespace Risk.Inference.Devices;

/// <summary>
/// The ready profiles. Their options follow each provider's page at https://onnxruntime.ai/docs/execution-providers/ ; only
/// those are preset that a scorer of short batches needs.
/// </summary>
public static class ReadyProfiles
{
    /// <summary>The forest kernel: no execution provider, but a device all the same.</summary>
    public const string ForestKernel = "forest-kernel";

    private const string SoftwareVulkan = "/usr/lib/chromium/vk_swiftshader_icd.json";

    // These compile the model when a session is opened: minutes, for a large one.
    private const int CompilesMillisMax = 600_000;

    private static readonly Dictionary<string, string> s_none = [];

    /// <summary>Where <c>ops/feed/accelerator</c> puts what it fetches.</summary>
    public static string Cache { get; } = Path.Combine(
        Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache ? cache : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache"),
        "risk-feed", "accelerators");

    /// <summary>All of them, in the order they are listed.</summary>
    public static IReadOnlyList<ReadyProfile> All { get; } =
    [
        new("cpu", "Processor, by ONNX Runtime", DeviceKind.Cpu, "CPUExecutionProvider", null, s_none, "it is part of ONNX Runtime") { RunMillisMax = 0, OpenMillisMax = 0 },
        new("cuda", "NVIDIA GPU, by CUDA", DeviceKind.Gpu, "CUDAExecutionProvider", Path.Combine(Cache, "cuda", "libonnxruntime_providers_cuda.so"),
            new Dictionary<string, string> { ["cudnn_conv_algo_search"] = "HEURISTIC", ["use_tf32"] = "0" },
            "run ops/feed/accelerator cuda, or take libonnxruntime_providers_cuda.so from the package Microsoft.ML.OnnxRuntime.Gpu of the same version")
        {
            Checks =
            [
                new RequirementCheck.Node("/dev", "nvidia[0-9]*", "the card", "no NVIDIA card is visible to this machine or container"),
                new RequirementCheck.Library("libcuda.so.1", "the driver", "install NVIDIA's driver; in a container, run it with --gpus"),
                new RequirementCheck.Library("libcudart.so.13", "CUDA 13", "install CUDA 13, or name the folder of its libraries in LD_LIBRARY_PATH"),
                new RequirementCheck.Library("libcublas.so.13", "cuBLAS 13", "install CUDA 13, or name the folder of its libraries in LD_LIBRARY_PATH"),
                new RequirementCheck.Library("libcublasLt.so.13", "cuBLAS 13", "install CUDA 13, or name the folder of its libraries in LD_LIBRARY_PATH"),
                new RequirementCheck.Library("libcurand.so.10", "cuRAND 10", "install CUDA 13, or name the folder of its libraries in LD_LIBRARY_PATH"),
                new RequirementCheck.Library("libcudnn.so.9", "cuDNN 9", "install cuDNN 9 for CUDA 13, or name its folder in LD_LIBRARY_PATH"),
            ],
        },
        new("tensorrt", "NVIDIA GPU, by TensorRT", DeviceKind.Gpu, "TensorrtExecutionProvider", null,
            new Dictionary<string, string> { ["trt_fp16_enable"] = "0" },
            "name a libonnxruntime.so that was built with TensorRT as `library` (the one of the package Microsoft.ML.OnnxRuntime.Gpu, with its provider libraries beside it)")
        {
            OpenMillisMax = CompilesMillisMax,
            Checks =
            [
                new RequirementCheck.Node("/dev", "nvidia[0-9]*", "the card", "no NVIDIA card is visible to this machine or container"),
                new RequirementCheck.Library("libcuda.so.1", "the driver", "install NVIDIA's driver; in a container, run it with --gpus"),
                new RequirementCheck.Library("libnvinfer.so.10", "TensorRT 10", "install TensorRT 10, or name its folder in LD_LIBRARY_PATH"),
            ],
        },
        new("webgpu", "Any GPU with Vulkan, by WebGPU", DeviceKind.Gpu, "WebGpuExecutionProvider", Path.Combine(Cache, "webgpu", "libonnxruntime.so.1"), s_none,
            "run ops/feed/accelerator webgpu")
        {
            Checks =
            [
                new RequirementCheck.Node("/dev/dri", "renderD*", "the card", "no graphics card is visible to this machine or container"),
                new RequirementCheck.Library("libvulkan.so.1", "the Vulkan loader", "install the package libvulkan1 and the card's Vulkan driver"),
            ],
        },
        new("webgpu-software", "WebGPU on a Vulkan device in software (SwiftShader): for tests, slow", DeviceKind.Cpu, "WebGpuExecutionProvider", Path.Combine(Cache, "webgpu", "libonnxruntime.so.1"), s_none,
            "run ops/feed/accelerator webgpu")
        {
            Checks = [new RequirementCheck.Node("/usr/lib/chromium", "vk_swiftshader_icd.json", "SwiftShader", "install the Debian package chromium, which brings SwiftShader and a Vulkan loader")],
            Prepare = PrepareSoftwareVulkan,
            RunMillisMax = 60_000,
            OpenMillisMax = CompilesMillisMax,
        },
        new("openvino", "Intel processor, graphics or NPU, by OpenVINO", DeviceKind.Gpu, "OpenVINOExecutionProvider", null,
            new Dictionary<string, string> { ["device_type"] = "AUTO" },
            "name as `library` the plugin libonnxruntime_providers_openvino_plugin.so, or a libonnxruntime.so that was built with OpenVINO")
        {
            OpenMillisMax = CompilesMillisMax,
            Checks = [new RequirementCheck.Library("libopenvino.so", "OpenVINO", "install OpenVINO's runtime, or name its folder in LD_LIBRARY_PATH")],
        },
        new("cann", "Huawei Ascend 310, 910, by CANN", DeviceKind.Asic, "CANNExecutionProvider", null,
            new Dictionary<string, string> { ["device_id"] = "0", ["precision_mode"] = "must_keep_origin_dtype" },
            "name as `library` a libonnxruntime.so that was built with CANN (Huawei ships it as onnxruntime-cann)")
        {
            OpenMillisMax = CompilesMillisMax,
            Checks =
            [
                new RequirementCheck.Node("/dev", "davinci[0-9]*", "the card", "no Ascend card is visible to this machine or container"),
                new RequirementCheck.Library("libascendcl.so", "CANN", "install Huawei's CANN toolkit and run its set_env.sh before"),
            ],
        },
        new("vitisai", "AMD/Xilinx FPGA (VCK5000, Alveo) or NPU, by Vitis AI", DeviceKind.Fpga, "VitisAIExecutionProvider", null, s_none,
            "name as `library` the libonnxruntime.so of AMD's Vitis AI or Ryzen AI package, and its config_file in `options`")
        {
            OpenMillisMax = CompilesMillisMax,
            Checks =
            [
                new RequirementCheck.Library("libxrt_coreutil.so.2", "XRT", "install AMD's XRT for the card"),
                new RequirementCheck.Library("libonnxruntime_vitisai_ep.so", "Vitis AI", "install AMD's Vitis AI runtime, or name its folder in LD_LIBRARY_PATH"),
            ],
        },
        new("qnn", "Qualcomm Hexagon NPU, by QNN", DeviceKind.Asic, "QNNExecutionProvider", null,
            new Dictionary<string, string> { ["backend_path"] = "libQnnHtp.so" },
            "name as `library` the libonnxruntime.so or provider library of the package Microsoft.ML.OnnxRuntime.QNN")
        {
            OpenMillisMax = CompilesMillisMax,
            Checks = [new RequirementCheck.Library("libQnnHtp.so", "the backend of Qualcomm's AI Engine Direct", "install the QNN SDK, or name its folder in LD_LIBRARY_PATH")],
        },
        new("migraphx", "AMD GPU (ROCm), by MIGraphX", DeviceKind.Gpu, "MIGraphXExecutionProvider", null, s_none,
            "name as `library` a libonnxruntime.so that was built with MIGraphX (AMD ships it as onnxruntime-migraphx); ONNX Runtime gave up its ROCm provider for it in 1.23")
        {
            OpenMillisMax = CompilesMillisMax,
            Checks =
            [
                new RequirementCheck.Node("/dev", "kfd", "the card", "no AMD card with ROCm is visible to this machine or container"),
                new RequirementCheck.Library("libmigraphx_c.so.3", "MIGraphX", "install ROCm with MIGraphX, or name its folder in LD_LIBRARY_PATH"),
            ],
        },
        new("directml", "Any DirectX 12 GPU on Windows, by DirectML", DeviceKind.Gpu, "DmlExecutionProvider", null, s_none,
            "reference the package Microsoft.ML.OnnxRuntime.DirectML, or name its onnxruntime.dll as `library`")
        {
            Checks = [new RequirementCheck.System("Windows", "DirectML is a part of Windows")],
        },
    ];

    /// <summary>The profile of that name, or the first one of that execution provider; null when there is none.</summary>
    public static ReadyProfile? Find(string provider) =>
        All.FirstOrDefault(p => p.Name.Equals(provider, StringComparison.OrdinalIgnoreCase))
        ?? All.FirstOrDefault(p => p.ExecutionProvider.Equals(provider, StringComparison.OrdinalIgnoreCase) || p.ExecutionProvider.Equals($"{provider}ExecutionProvider", StringComparison.OrdinalIgnoreCase));

    /// <summary>
    /// Tells the Vulkan loader of the device in software, and loads the loader that lies beside it where the system has none.
    /// The environment of the process is set through the C library: what .NET keeps never reaches getenv.
    /// </summary>
    private static void PrepareSoftwareVulkan()
    {
        if (!OperatingSystem.IsLinux()) { return; }
        if (SetEnvironment("VK_ICD_FILENAMES", SoftwareVulkan, overwrite: 1) == 0 && !NativeLibrary.TryLoad("libvulkan.so.1", out _)) { NativeLibrary.TryLoad("/usr/lib/chromium/libvulkan.so.1", out _); }
    }

    [DllImport("libc", EntryPoint = "setenv")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SetEnvironment([MarshalAs(UnmanagedType.LPUTF8Str)] string name, [MarshalAs(UnmanagedType.LPUTF8Str)] string value, int overwrite);
}
