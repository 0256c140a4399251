using Risk.Core.Decisions;
using Risk.Core.Devices;

namespace Risk.Cli.Accelerators;

/// <summary>A folder of profiles, one file a name: what is measured again replaces its curve, and the other curves of the same device stay.</summary>
internal static class JoinedProfile
{
    /// <summary>Writes the profile, with the curves of the file that is there where they are of the same device, machine and versions.</summary>
    /// <param name="note">Told of a file that is replaced as a whole, and why.</param>
    public static void Write(string folder, DeviceProfile profile, Action<string> note)
    {
        string path = Path.Combine(folder, $"{profile.Name.Replace(':', '-')}.json");
        if (File.Exists(path)) { profile = Join(path, profile, note); }
        File.WriteAllBytes(path, profile.Write());
    }

    private static DeviceProfile Join(string path, DeviceProfile profile, Action<string> note)
    {
        List<DefinitionError> errors = [];
        if (!DeviceProfile.TryRead(File.ReadAllBytes(path), Path.GetFileName(path), errors, out DeviceProfile? before))
        {
            note($"{path} could not be read ({errors[0].Code}: {errors[0].Sentence}) and is replaced.");
            return profile;
        }
        if (before.Sheet is not null || before.Basis != profile.Basis) { return profile; } // what was never measured is what this replaces
        // The processor is one device, whether ONNX Runtime computes on it or the forest kernel.
        bool isSame = before.Kind == profile.Kind && before.Machine == profile.Machine && (profile.Kind == DeviceKind.Cpu || before.Device == profile.Device)
            && Agree(before.Driver, profile.Driver) && Agree(before.RuntimeVersion, profile.RuntimeVersion) && Agree(before.ProviderVersion, profile.ProviderVersion);
        if (!isSame)
        {
            note($"{path} was measured on {before.Device}, {before.Machine}, or with other versions; it is replaced.");
            return profile;
        }
        bool IsNew(ModelCurve curve) => profile.Models.Any(other => (other.Model, other.Version, other.Variant) == (curve.Model, curve.Version, curve.Variant));
        return profile with { Models = [.. before.Models.Where(curve => !IsNew(curve)), .. profile.Models] };
    }

    // The forest kernel has no provider to tell of.
    private static bool Agree(string one, string other) => one.Length == 0 || other.Length == 0 || one == other;
}
