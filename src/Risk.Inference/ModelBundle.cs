using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using Risk.Core.Models;

namespace Risk.Inference;

/// <summary>
/// A model as it lies in <c>models/&lt;name&gt;/&lt;version&gt;/</c>: its manifest, its bytes, its golden rows. The bytes are
/// read once, their digest is compared with the manifest's, and every scorer is made from these bytes, never from the file.
/// </summary>
public sealed class ModelBundle
{
    private ModelBundle(string directory, ModelManifest manifest, ModelVariant? variant, byte[] onnx, GoldenRows golden) =>
        (Directory, Manifest, Variant, Onnx, Golden) = (directory, manifest, variant, onnx, golden);

    public string Directory { get; }

    public ModelManifest Manifest { get; }

    /// <summary>The form of the model that <see cref="Onnx"/> is; null for the model itself.</summary>
    public ModelVariant? Variant { get; }

    /// <summary>SHA-256 of <see cref="Onnx"/>: 64 lower-case hexadecimal digits.</summary>
    public string Sha256 => Variant?.Sha256 ?? Manifest.Sha256;

    /// <summary>The verified ONNX file; not to be changed.</summary>
    public byte[] Onnx { get; }

    public GoldenRows Golden { get; }

    /// <summary>Reads and verifies a bundle. A file that is missing, unreadable or changed is <see cref="ModelCodes.Untrusted"/>.</summary>
    public static bool TryLoad(string directory, [NotNullWhen(true)] out ModelBundle? bundle, [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        bundle = null;
        if (!TryReadFile(directory, "model.json", out var json, out refusal) || !ModelManifest.TryRead(json, out var manifest, out refusal)
            || !TryReadFile(directory, manifest.ModelFile, out var onnx, out refusal))
        {
            return false;
        }

        refusal = CheckDigest(manifest.ModelFile, onnx, manifest.Sha256);
        if (refusal is not null)
        {
            return false;
        }

        if (!TryReadFile(directory, "golden.csv", out var csv, out refusal) || !GoldenRows.TryRead(Encoding.UTF8.GetString(csv), manifest.Inputs, out var golden, out refusal))
        {
            return false;
        }

        bundle = new ModelBundle(directory, manifest, null, onnx, manifest.Precision is { } reduced ? golden with { Tolerance = reduced.DifferenceMax } : golden);
        return true;
    }

    /// <summary>
    /// This bundle with the bytes of one of its variants: the same manifest and golden rows, so whatever takes a bundle takes
    /// it, too. The golden run is still to be made, on every device.
    /// </summary>
    /// <param name="refusal"><see cref="ModelCodes.Unsupported"/> when there is no such variant, <see cref="ModelCodes.Untrusted"/> when its file is missing or changed.</param>
    public bool TryLoadVariant(string name, [NotNullWhen(true)] out ModelBundle? bundle, [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        bundle = null;
        var variant = Manifest.Variants.FirstOrDefault(v => v.Name == name);
        if (variant is null)
        {
            var names = Manifest.Variants.Count == 0 ? "none" : string.Join(", ", Manifest.Variants.Select(v => v.Name));
            refusal = new ModelRefusal(ModelCodes.Unsupported, $"{Manifest.Name}@{Manifest.Version} has no variant '{name}'; it has {names}");
            return false;
        }

        if (!TryReadFile(Directory, variant.ModelFile, out var onnx, out refusal))
        {
            return false;
        }

        refusal = CheckDigest(variant.ModelFile, onnx, variant.Sha256);
        if (refusal is not null)
        {
            return false;
        }

        bundle = new ModelBundle(Directory, Manifest, variant, onnx, Golden);
        return true;
    }

    private static ModelRefusal? CheckDigest(string file, byte[] onnx, string expected)
    {
        var digest = Convert.ToHexStringLower(SHA256.HashData(onnx));
        return digest == expected ? null : new ModelRefusal(ModelCodes.Untrusted, $"{file} has the digest sha256:{digest}; model.json says sha256:{expected}");
    }

    private static bool TryReadFile(string directory, string name, [NotNullWhen(true)] out byte[]? bytes, [NotNullWhen(false)] out ModelRefusal? refusal)
    {
        (bytes, refusal) = (null, null);
        var path = Path.Combine(directory, name);
        try
        {
            if (new FileInfo(path).Length <= ModelLimits.FileSizeMax)
            {
                bytes = File.ReadAllBytes(path);
                return true;
            }

            refusal = new ModelRefusal(ModelCodes.Untrusted, $"{path} has more than {ModelLimits.FileSizeMax} bytes");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            refusal = new ModelRefusal(ModelCodes.Untrusted, $"{path} cannot be read: {e.Message}");
        }

        return false;
    }
}
