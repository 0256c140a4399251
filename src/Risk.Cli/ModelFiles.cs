using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Risk.Cli.CommandLine;
using Risk.Core;
using Risk.Core.Models;
using Risk.Core.Transactions;
using Risk.Inference;

namespace Risk.Cli;

/// <summary>The bundles <c>models/&lt;name&gt;/&lt;version&gt;/</c> as they lie on disk.</summary>
internal static class ModelFiles
{
    /// <summary>Every folder with a <c>model.json</c>, by name and version.</summary>
    public static IReadOnlyList<string> Folders()
    {
        string models = Path.Combine(RiskHome.Find(), "models");
        return [.. Directory.GetDirectories(models).SelectMany(Directory.GetDirectories).Where(folder => File.Exists(Path.Combine(folder, "model.json"))).Order(StringComparer.Ordinal)];
    }

    /// <summary><c>name@version</c> of a bundle's folder.</summary>
    public static string Reference(string folder) => $"{Path.GetFileName(Path.GetDirectoryName(folder))}@{Path.GetFileName(folder)}";

    /// <summary>The bundle that a stream's schema names.</summary>
    /// <exception cref="CommandFailure">MODEL_NOT_FOUND, MODEL_UNTRUSTED.</exception>
    public static ModelBundle Load(StreamDefinition definition) => Load(definition.Schema.Model
        ?? throw CommandFailure.BadInput("MODEL_NOT_FOUND", $"Stream {definition.Schema.Name} names no model; add \"model\": \"name@version\" to its schema.json."));

    /// <summary>Loads and verifies the bundle named <c>name@version</c>.</summary>
    /// <exception cref="CommandFailure">MODEL_NOT_FOUND, MODEL_UNTRUSTED.</exception>
    public static ModelBundle Load(string reference)
    {
        string folder = Folders().FirstOrDefault(f => Reference(f) == reference)
            ?? throw CommandFailure.BadInput("MODEL_NOT_FOUND", $"There is no model '{reference}'; there are {string.Join(", ", Folders().Select(Reference))}.");
        return ModelBundle.TryLoad(folder, out ModelBundle? bundle, out ModelRefusal? refusal) ? bundle : throw CommandFailure.BadInput(refusal.Code, refusal.Reason);
    }

    /// <summary>The verified bundle whose ONNX file has this digest; false when none here has it.</summary>
    public static bool TryFind(Sha256Digest digest, [NotNullWhen(true)] out ModelBundle? bundle)
    {
        foreach (string folder in Folders())
        {
            if (ModelBundle.TryLoad(folder, out bundle, out _) && bundle.Manifest.Sha256 == digest.ToString())
            {
                return true;
            }
        }

        bundle = null;
        return false;
    }

    /// <summary>The whole of <c>model.json</c>, for people and scripts that want more than the engine reads.</summary>
    public static JsonDocument ReadManifest(string folder) => JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "model.json")));
}
