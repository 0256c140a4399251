using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Risk.Inference.Devices;

/// <summary>
/// One batch size of a session: inputs and outputs bound once. A call runs what is in the input buffer and leaves the result
/// in the output buffer; nothing is allocated.
/// </summary>
internal abstract unsafe class SessionLane : IDisposable
{
    private readonly InferenceSession _session;
    private readonly OrtIoBinding _binding;
    private readonly RunOptions _run = new();
    private readonly OrtValue _input, _output;

    private SessionLane(SessionShape shape, int size, HostBuffer input, HostBuffer output)
    {
        _session = shape.Session;
        _binding = shape.Session.CreateIoBinding();
        _input = input.Tensor(shape.Input(size));
        _output = output.Tensor(shape.Output(size));
    }

    /// <summary>Opens the lanes of all sizes in the quickest way that the device takes.</summary>
    public static SessionLane[] Open(SessionShape shape, IReadOnlyList<int> sizes, HostBuffer input, HostBuffer output, AcceleratorDevice? device, bool isCaptured)
    {
        if (device is null || device.IsCpu) { return Each(sizes, size => new OnHost(shape, size, input, output)); }
        if (OrtInterop.IsAvailable && device.Memory(OrtDeviceMemoryType.DEFAULT) is { } memory)
        {
            try
            {
                return Each(sizes, size => new Resident(shape, size, input, output, memory, isCaptured));
            }
            catch (Exception e) when (e is OnnxRuntimeException or InvalidOperationException && !isCaptured)
            {
                // A provider that announces memory and cannot be given tensors in it.
            }
        }
        return Each(sizes, size => new Staged(shape, size, input, output));
    }

    /// <summary>For drills: runs wait for it first, as they would in a driver that has hung.</summary>
    public ManualResetEventSlim? Stall { get; set; }

    /// <summary>Has <see cref="ComputeTicks"/> taken.</summary>
    public bool IsTimed { get; set; }

    /// <summary>Of the last run, the part inside ONNX Runtime, in ticks of <see cref="Stopwatch"/>.</summary>
    public long ComputeTicks { get; private set; }

    /// <summary>What the runtime or the vendor's library said when a run failed; null while none has.</summary>
    public string? Fault { get; private set; }

    /// <summary>False when the device or the runtime failed.</summary>
    public bool Run()
    {
        try
        {
            Stall?.Wait();
            return Send() && Compute() && Receive();
        }
        catch (OnnxRuntimeException e)
        {
            Fault = e.Message;
            return false;
        }
    }

    /// <summary>Makes every later run fail, and one that is under way as soon as the runtime looks.</summary>
    public void Kill() => _run.Terminate = true;

    public virtual void Dispose()
    {
        _binding.Dispose();
        _input.Dispose();
        _output.Dispose();
        _run.Dispose();
    }

    protected virtual bool Send() => true;

    protected virtual bool Receive() => true;

    private bool Compute()
    {
        long startedAt = IsTimed ? Stopwatch.GetTimestamp() : 0;
        _session.RunWithBinding(_run, _binding);
        if (IsTimed) { ComputeTicks = Stopwatch.GetTimestamp() - startedAt; }
        return true;
    }

    private static SessionLane[] Each(IReadOnlyList<int> sizes, Func<int, SessionLane> open)
    {
        var lanes = new List<SessionLane>(sizes.Count);
        try
        {
            foreach (int size in sizes) { lanes.Add(open(size)); }
            return [.. lanes];
        }
        catch
        {
            lanes.ForEach(lane => lane.Dispose());
            throw;
        }
    }

    /// <summary>The CPU reads and writes the buffers themselves.</summary>
    private sealed class OnHost : SessionLane
    {
        public OnHost(SessionShape shape, int size, HostBuffer input, HostBuffer output)
            : base(shape, size, input, output)
        {
            _binding.BindInput(shape.InputName, _input);
            _binding.BindOutput(shape.OutputName, _output);
        }
    }

    /// <summary>
    /// The runtime copies the input when it is bound, and the output at the end of a run; so the input is bound again every
    /// time. Every provider can do that.
    /// </summary>
    private sealed class Staged : SessionLane
    {
        private readonly string _inputName;
        private readonly byte* _name;
        private readonly nint _handle;

        public Staged(SessionShape shape, int size, HostBuffer input, HostBuffer output)
            : base(shape, size, input, output)
        {
            _inputName = shape.InputName;
            _name = (byte*)Marshal.StringToCoTaskMemUTF8(shape.InputName);
            _handle = OrtInterop.Native(_input);
            _binding.BindOutput(shape.OutputName, _output);
        }

        public override void Dispose()
        {
            base.Dispose();
            Marshal.FreeCoTaskMem((nint)_name);
        }

        protected override bool Send()
        {
            if (OrtInterop.IsAvailable) { return OrtInterop.BindInput(_binding, _name, _handle); }
            _binding.BindInput(_inputName, _input); // a runtime before 1.24: the binding's call, which allocates
            return true;
        }
    }

    /// <summary>
    /// Tensors of the device's own memory, bound once, at addresses that never change; a graph of the run can be captured over
    /// them, one a lane (https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html#using-cuda-graphs-preview).
    /// </summary>
    private sealed class Resident : SessionLane
    {
        private readonly OrtAllocator _allocator;
        private readonly OrtValue _deviceInput, _deviceOutput;
        private readonly nint _from, _in, _out, _to;

        public Resident(SessionShape shape, int size, HostBuffer input, HostBuffer output, OrtMemoryInfo memory, bool isCaptured)
            : base(shape, size, input, output)
        {
            _allocator = new OrtAllocator(shape.Session, memory);
            _deviceInput = OrtValue.CreateAllocatedTensorValue(_allocator, TensorElementType.Float, shape.Input(size));
            _deviceOutput = OrtValue.CreateAllocatedTensorValue(_allocator, TensorElementType.Float, shape.Output(size));
            _binding.BindInput(shape.InputName, _deviceInput);
            _binding.BindOutput(shape.OutputName, _deviceOutput);
            (_from, _in, _out, _to) = (OrtInterop.Native(_input), OrtInterop.Native(_deviceInput), OrtInterop.Native(_deviceOutput), OrtInterop.Native(_output));
            if (isCaptured) { _run.AddRunConfigEntry("gpu_graph_id", size.ToString(CultureInfo.InvariantCulture)); }
            if (!Send()) { throw new InvalidOperationException("the provider cannot copy to its own memory"); }
        }

        public override void Dispose()
        {
            base.Dispose();
            _deviceInput.Dispose();
            _deviceOutput.Dispose();
            _allocator.Dispose();
        }

        protected override bool Send() => OrtInterop.Copy(_from, _in);

        protected override bool Receive() => OrtInterop.Copy(_out, _to);
    }
}
