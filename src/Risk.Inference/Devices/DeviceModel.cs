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

    /// <summary><see cref="ToleranceMax"/>, or what the manifest states of a model in fewer bits, whose sums are rounded differently by each device.</summary>
    public double Tolerance => Math.Max(ToleranceMax, Golden.Tolerance);

    /// <summary>SHA-256 of <see cref="Onnx"/>, lower-case hexadecimal.</summary>
    public string Digest { get; init; } = Convert.ToHexStringLower(SHA256.HashData(Onnx));

    /// <summary>
    /// The form of a bundle's model for a device: the file itself for the processor; for an accelerator the first of the bundle's
    /// variants (trees as plain tensor operators, since no accelerator's provider has one for trees), made here from the verified
    /// bytes where the bundle brings none; and the file itself again for models that are no trees.
    /// </summary>
    /// <param name="batchSizeMax">Rows of the largest batch: it decides between the ways to write trees as tensors.</param>
    /// <param name="variant">The variant to take; null: the one that suits. <see cref="Original"/> is the file itself.</param>
    public static DeviceModel? For(ModelBundle bundle, AcceleratorDevice? device, int batchSizeMax, out ModelRefusal? refusal, string? variant = null)
    {
        ModelManifest manifest = bundle.Manifest;
        refusal = null;
        var original = new DeviceModel(manifest.Name, manifest.Version, Original, bundle.Onnx, manifest.Inputs.Count, manifest.Output, bundle.Golden, "the model's own file");
        if (variant == Original || (variant is null && device is null or { IsCpu: true })) { return original; }
        // The variant that ships is written for thousands of lanes; a device in software is as slow at it as a processor.
        bool isSoftware = device is { Profile.Kind: DeviceKind.Cpu };
        if ((variant ?? (isSoftware ? null : manifest.Variants.FirstOrDefault(v => v.Name == "tensor")?.Name)) is { } name && manifest.Variants.Any(v => v.Name == name))
        {
            return bundle.TryLoadVariant(name, out ModelBundle? other, out refusal)
                ? original with { Variant = other.Variant!.Form, Onnx = other.Onnx, Digest = other.Sha256, Reason = $"the bundle's variant '{name}'" }
                : null;
        }
        TensorStrategy? named = Enum.GetValues<TensorStrategy>().Cast<TensorStrategy?>().FirstOrDefault(s => TensorForest.Name(s!.Value) == variant);
        if (variant is not null && named is null)
        {
            refusal = new ModelRefusal(ModelCodes.Unsupported, $"{manifest.Name}@{manifest.Version} has no variant '{variant}'; there are {string.Join(", ", [Original, .. manifest.Variants.Select(v => v.Name), .. Enum.GetValues<TensorStrategy>().Select(TensorForest.Name)])}");
            return null;
        }
        if (!OnnxForestReader.TryRead(bundle.Onnx, out Forest? forest, out ModelRefusal? unread))
        {
            if (named is null) { return original; }
            refusal = unread with { Reason = $"{manifest.Name}@{manifest.Version} cannot be written as '{variant}': {unread.Reason}; take {Original}" };
            return null;
        }
        TensorChoice choice = named is { } strategy
            ? new TensorChoice(strategy, "asked for")
            : TensorForest.Choose(forest, isSoftware ? TensorTarget.Cpu : TensorTarget.Accelerator, batchSizeMax);
        return TensorForest.TryWrite(forest, choice.Strategy, out byte[]? onnx, out refusal)
            ? original with { Variant = TensorForest.Name(choice.Strategy), Onnx = onnx, Digest = Convert.ToHexStringLower(SHA256.HashData(onnx)), Reason = choice.Reason }
            : null;
    }

    /// <summary>Runs the golden rows; the sentence of what is wrong, null when the scorer conforms.</summary>
    public ModelRefusal? Check(IScorer scorer)
    {
        ConformanceReport report = Golden.Check(scorer);
        return report.MaxAbsoluteDifference <= Tolerance ? null : new ModelRefusal(
            ModelCodes.NotConforming,
            string.Create(CultureInfo.InvariantCulture, $"{scorer.Device} ({Variant}) is {report.MaxAbsoluteDifference:0.0e+0} away from golden row {report.WorstRow}; {Tolerance:0e+0} is allowed"));
    }
}
