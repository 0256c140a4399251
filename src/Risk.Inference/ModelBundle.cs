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
    private ModelBundle(string directory, ModelManifest manifest, byte[] onnx, GoldenRows golden) =>
        (Directory, Manifest, Onnx, Golden) = (directory, manifest, onnx, golden);

    public string Directory { get; }

    public ModelManifest Manifest { get; }

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

        var digest = Convert.ToHexStringLower(SHA256.HashData(onnx));
        if (digest != manifest.Sha256)
        {
            refusal = new ModelRefusal(ModelCodes.Untrusted, $"{manifest.ModelFile} has the digest sha256:{digest}; model.json says sha256:{manifest.Sha256}");
            return false;
        }

        if (!TryReadFile(directory, "golden.csv", out var csv, out refusal) || !GoldenRows.TryRead(Encoding.UTF8.GetString(csv), manifest.Inputs, out var golden, out refusal))
        {
            return false;
        }

        bundle = new ModelBundle(directory, manifest, onnx, golden);
        return true;
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
