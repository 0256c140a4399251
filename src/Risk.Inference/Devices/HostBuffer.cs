using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Risk.Inference.Forests;

namespace Risk.Inference.Devices;

/// <summary>
/// Floats in the host's memory that do not move: ordinary memory for the CPU, page-locked memory where a device offers some,
/// which it then copies from without a detour.
/// </summary>
internal sealed unsafe class HostBuffer : IDisposable
{
    private readonly AlignedBuffer<float>? _ordinary;
    private readonly OrtMemoryAllocation? _locked;

    private HostBuffer(int count, AlignedBuffer<float>? ordinary, OrtMemoryAllocation? locked)
    {
        Count = count;
        _ordinary = ordinary; // kept alive: the pointer points into it
        _locked = locked;
        Pointer = locked is null ? ordinary!.Pointer : (float*)locked.DangerousGetHandle();
    }

    public int Count { get; }

    public float* Pointer { get; }

    public Span<float> Span => new(Pointer, Count);

    public bool IsPageLocked => _locked is not null;

    public static HostBuffer Create(int count, AcceleratorDevice? device)
    {
        if (device?.Memory(OrtDeviceMemoryType.HOST_ACCESSIBLE) is { } memory)
        {
            try
            {
                if (OrtEnv.Instance().GetSharedAllocator(memory) is { IsInvalid: false } allocator)
                {
                    return new HostBuffer(count, null, allocator.Allocate((uint)count * sizeof(float)));
                }
            }
            catch (OnnxRuntimeException)
            {
                // No such memory left, or no allocator for it: ordinary memory is slower and always right.
            }
        }
        return new HostBuffer(count, new AlignedBuffer<float>(count), null);
    }

    /// <summary>The beginning of the buffer as a tensor of that shape. The buffer must outlive it.</summary>
    public OrtValue Tensor(long[] shape) => OrtValue.CreateTensorValueWithData(
        OrtMemoryInfo.DefaultInstance, TensorElementType.Float, shape, (nint)Pointer, shape.Aggregate((long)sizeof(float), (product, size) => product * size));

    public void Dispose() => _locked?.Dispose();
}
