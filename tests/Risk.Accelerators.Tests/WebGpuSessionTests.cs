using Risk.Core.Models;
using Risk.Core.Models.Tensors;
using Risk.Inference;
using Risk.Inference.Devices;

namespace Risk.Accelerators.Tests;

/// <summary>The session on an accelerator, on the one that every machine can have.</summary>
[Collection(SoftwareWebGpu.Collection)]
public sealed class WebGpuSessionTests
{
    private const int BatchSizeMax = 40;

    [WebGpuFact]
    public void EveryBatchSize_ScoresAsTheProcessorDoes_AndTheNextBatchIsItsOwn()
    {
        byte[] onnx = ProbeModel.Layers(TestModels.Features, 16);
        using OnnxSession cpu = TestModels.Open(onnx, BatchSizeMax, null);
        using OnnxSession gpu = TestModels.Open(onnx, BatchSizeMax, SoftwareWebGpu.Device);
        Assert.Equal("WebGpuExecutionProvider", gpu.ExecutionProvider);
        Assert.Equal("webgpu-software", gpu.Device);
        Assert.Equal([1, 2, 4, 8, 16, 32, 40], gpu.Sizes);
        float[] rows = TestModels.Rows(3 * BatchSizeMax);
        float[] expected = new float[BatchSizeMax], found = new float[BatchSizeMax];
        foreach (int count in (ReadOnlySpan<int>)[1, 3, 17, 40, 2])
        {
            // Other rows every time: a binding that copied the input only once would answer with the first ones.
            ReadOnlySpan<float> batch = rows.AsSpan(count * TestModels.Features, count * TestModels.Features);
            Assert.Equal(ScoringStatus.Scored, cpu.Score(batch, count, expected));
            Assert.Equal(ScoringStatus.Scored, gpu.Score(batch, count, found));
            for (int r = 0; r < count; r++) { Assert.Equal(expected[r], found[r], 1e-5f); }
        }
    }

    [WebGpuFact]
    public void Score_AllocatesNothing()
    {
        using OnnxSession gpu = TestModels.Open(ProbeModel.Layers(TestModels.Features, 16), 8, SoftwareWebGpu.Device);
        float[] rows = TestModels.Rows(8), scores = new float[8];
        long least = long.MaxValue;
        for (int attempt = 0; attempt < 8; attempt++) // the runtime itself may allocate when a method is recompiled
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 8; i++) { gpu.Score(rows, i + 1, scores); }
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }
        Assert.Equal(0, least);
    }

    [WebGpuFact]
    public void OperatorThatTheDeviceLacks_IsAnErrorWithTheNodesName_NotASilentFallback()
    {
        byte[] onnx = ProbeModel.Layers(TestModels.Features, 16, isSilentOnCpu: true);
        TestModels.Open(onnx, 4, null).Dispose(); // the processor has it
        Assert.False(OnnxSession.TryOpen(onnx, TestModels.Features, ProbeModel.OutputName, 4, SoftwareWebGpu.Device, out _, out ModelRefusal? refusal));
        Assert.Equal(DeviceCodes.Fallback, refusal.Code);
        Assert.Contains("NonZero", refusal.Reason, StringComparison.Ordinal);
        Assert.Contains("'trees/lacking'", refusal.Reason, StringComparison.Ordinal);
    }

    [WebGpuFact]
    public void KilledSession_LosesTheBatch_AndStaysLost()
    {
        using OnnxSession gpu = TestModels.Open(ProbeModel.Layers(TestModels.Features, 16), 4, SoftwareWebGpu.Device);
        float[] rows = TestModels.Rows(4), scores = new float[4];
        Assert.Equal(ScoringStatus.Scored, gpu.Score(rows, 4, scores));
        gpu.Kill();
        Assert.Equal(ScoringStatus.DeviceLost, gpu.Score(rows, 4, scores));
        Assert.Equal(ScoringStatus.DeviceLost, gpu.Score(rows, 4, scores));
    }
}
