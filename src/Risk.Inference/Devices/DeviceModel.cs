using System.Globalization;
using System.Security.Cryptography;
using Risk.Core.Devices;
using Risk.Core.Models;
using Risk.Core.Models.Tensors;

namespace Risk.Inference.Devices;

/// <summary>The bytes of a model in the form that a device takes, and the rows by which it is checked there.</summary>
/// <param name="Onnx">Verified, or made here from verified bytes; not to be changed.</param>
/// <param name="Variant"><c>original</c>, <c>gemm</c>, <c>tree-traversal</c>, <c>perfect-tree-traversal</c>, <c>fp16</c>, …</param>
/// <param name="Reason">Why this variant, in one sentence.</param>
public sealed record DeviceModel(string Name, string Version, string Variant, byte[] Onnx, int FeatureCount, string OutputName, GoldenRows Golden, string Reason)
{
    public const string Original = "original";

    /// <summary>What a device may be away from the golden score at most: another order of additions and another exponential, no more.</summary>
    public const double ToleranceMax = 1e-5;

    /// <summary>SHA-256 of <see cref="Onnx"/>, lower-case hexadecimal.</summary>
    public string Digest { get; } = Convert.ToHexStringLower(SHA256.HashData(Onnx));

    /// <summary>
    /// The form of a bundle's model for a device: the file itself for the processor and for models that are no trees; trees, which no
    /// accelerator's provider has an operator for, as a graph of plain tensor operators.
    /// </summary>
    /// <param name="batchSizeMax">Rows of the largest batch: it decides between the ways to write trees as tensors.</param>
    /// <param name="variant">The variant to take; null: the one that suits.</param>
    public static DeviceModel For(ModelBundle bundle, AcceleratorDevice? device, int batchSizeMax, out ModelRefusal? refusal, string? variant = null)
    {
        ModelManifest manifest = bundle.Manifest;
        refusal = null;
        DeviceModel original = new(manifest.Name, manifest.Version, Original, bundle.Onnx, manifest.Inputs.Count, manifest.Output, bundle.Golden, "the model's own file");
        bool wantsTensors = variant is null ? device is { IsCpu: false } : variant != Original;
        if (!wantsTensors || !OnnxForestReader.TryRead(bundle.Onnx, out Forest? forest, out ModelRefusal? notTrees))
        {
            return original;
        }
        TensorChoice choice = variant is null
            ? TensorForest.Choose(forest, device!.Profile.Kind == DeviceKind.Cpu ? TensorTarget.Cpu : TensorTarget.Accelerator, batchSizeMax)
            : new TensorChoice(Enum.GetValues<TensorStrategy>().First(s => TensorForest.Name(s) == variant), "asked for");
        return TensorForest.TryWrite(forest, choice.Strategy, out byte[]? onnx, out refusal)
            ? original with { Variant = TensorForest.Name(choice.Strategy), Onnx = onnx, Reason = choice.Reason }
            : original;
    }

    /// <summary>Runs the golden rows; the sentence of what is wrong, null when the scorer conforms.</summary>
    public ModelRefusal? Check(IScorer scorer)
    {
        ConformanceReport report = Golden.Check(scorer);
        return report.MaxAbsoluteDifference <= ToleranceMax ? null : new ModelRefusal(
            ModelCodes.NotConforming,
            string.Create(CultureInfo.InvariantCulture, $"{scorer.Device} ({Variant}) is {report.MaxAbsoluteDifference:0.0e+0} away from golden row {report.WorstRow}; {ToleranceMax:0e+0} is allowed"));
    }
}
