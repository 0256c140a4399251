using Risk.Core.Models;
using Risk.Core.Models.Tensors;
using Risk.Inference;
using Risk.Inference.Devices;

namespace Risk.Accelerators.Tests;

/// <summary>Small models with their golden rows, made here, the scores by the processor.</summary>
internal static class TestModels
{
    public const int Features = 12;

    public static DeviceModel Layers(float shift = 0)
    {
        byte[] onnx = ProbeModel.Layers(Features, 16);
        float[] rows = Rows(64);
        float[] scores = new float[64];
        using OnnxSession cpu = Open(onnx, 64, null);
        Assert.Equal(ScoringStatus.Scored, cpu.Score(rows, 64, scores));
        for (int i = 0; i < scores.Length; i++) { scores[i] += shift; }
        return new DeviceModel("layers", "1", DeviceModel.Original, onnx, Features, ProbeModel.OutputName, new GoldenRows(rows, scores, Features), "for tests");
    }

    public static float[] Rows(int count)
    {
        var random = new Random(7);
        float[] rows = new float[count * Features];
        for (int i = 0; i < rows.Length; i++) { rows[i] = (float)((random.NextDouble() * 4) - 2); }
        return rows;
    }

    public static OnnxSession Open(byte[] onnx, int batchSizeMax, AcceleratorDevice? device)
    {
        Assert.True(OnnxSession.TryOpen(onnx, Features, ProbeModel.OutputName, batchSizeMax, device, out OnnxSession? session, out ModelRefusal? refusal), refusal?.Reason);
        return session;
    }
}
