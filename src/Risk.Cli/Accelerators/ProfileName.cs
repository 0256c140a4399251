using System.Buffers;
using Risk.Core.Costs;
using Risk.Inference.Devices;

namespace Risk.Cli.Accelerators;

/// <summary>
/// The name that a measured profile gets. Prices and data sheets go by the card (<c>nvidia-h200</c>), accelerators by how they
/// are reached (<c>cuda</c>): a profile under the card's name takes the data sheet's place by itself.
/// </summary>
internal static class ProfileName
{
    private static readonly SearchValues<char> s_letters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789");

    /// <summary>Names that prices or profiles are kept under.</summary>
    public static IReadOnlyList<string> Known(PriceBook book)
    {
        string folder = Path.Combine(RiskHome.Find(), "ops", "profiles");
        IEnumerable<string> profiles = Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "*.json").Select(file => Path.GetFileNameWithoutExtension(file)) : [];
        return [.. book.Devices.Select(device => device.Name).Concat(profiles).Distinct(StringComparer.Ordinal)];
    }

    /// <summary>The known name whose every word is in the device's own; the one of most words. Null where none fits, and for a part of a card (MIG), whose figures are not the card's.</summary>
    /// <param name="executionProvider">ONNX Runtime's name; CUDA and TensorRT run on NVIDIA's cards alone, which older ones do not say (<c>Tesla T4</c>).</param>
    /// <param name="description">The device's own name, as its driver says it.</param>
    public static string? Of(string executionProvider, string description, IEnumerable<string> known)
    {
        HashSet<string> words = [.. Words(description)];
        if (words.Contains("mig")) { return null; }
        if (executionProvider is "CUDAExecutionProvider" or "TensorrtExecutionProvider") { words.Add("nvidia"); }
        return known.Where(name => Words(name).Count > 1 && words.IsSupersetOf(Words(name))).MaxBy(name => Words(name).Count);
    }

    /// <inheritdoc cref="Of(string, string, IEnumerable{string})"/>
    public static string? Of(AcceleratorDevice? device, IEnumerable<string> known) => device is { IsCpu: false } ? Of(device.ExecutionProvider, device.Description, known) : null;

    /// <summary>A name that can be a file's: letters, digits, dots, hyphens and underlines.</summary>
    public static bool IsValid(string name) => name.Length is > 0 and <= 64 && char.IsAsciiLetterOrDigit(name[0]) && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_');

    private static List<string> Words(string text)
    {
        List<string> words = [];
        ReadOnlySpan<char> rest = text.ToLowerInvariant();
        while (rest.IndexOfAny(s_letters) is >= 0 and var start)
        {
            rest = rest[start..];
            int end = rest.IndexOfAnyExcept(s_letters) is >= 0 and var found ? found : rest.Length;
            words.Add(rest[..end].ToString());
            rest = rest[end..];
        }
        return words;
    }
}
