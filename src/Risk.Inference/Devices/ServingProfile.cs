using System.Diagnostics.CodeAnalysis;
using Risk.Core.Decisions;
using Risk.Core.Devices;
using Risk.Core.Transactions;

namespace Risk.Inference.Devices;

/// <summary>
/// The profile by which a device is used while it serves. Figures of another driver, runtime, device or model are worse than
/// none, because they look right: such a profile is <see cref="Stale"/>, and the device stays out until it was measured again.
/// </summary>
public static class ServingProfile
{
    /// <summary>It was measured with something else than what is here now.</summary>
    public const string Stale = "PROFILE_STALE";

    /// <summary>There is no such file, or no curve of the model in it.</summary>
    public const string Missing = "PROFILE_MISSING";

    /// <summary>It cannot be read.</summary>
    public const string Invalid = "PROFILE_INVALID";

    /// <summary>Reads the profile that the configuration names.</summary>
    public static bool TryRead(AcceleratorConfiguration configuration, [NotNullWhen(true)] out DeviceProfile? profile, [NotNullWhen(false)] out DeviceRefusal? refusal)
    {
        (profile, refusal) = (null, null);
        string path = configuration.Profile ?? throw new ArgumentException("the configuration names no profile", nameof(configuration));
        if (!File.Exists(path))
        {
            refusal = new DeviceRefusal(configuration.Name, Missing, $"there is no profile {path}; 'risk accelerators measure {configuration.Name}' writes one");
            return false;
        }
        List<DefinitionError> errors = [];
        try
        {
            if (DeviceProfile.TryRead(File.ReadAllBytes(path), path, errors, out profile)) { return true; }
            refusal = new DeviceRefusal(configuration.Name, errors[0].Code, string.Join("; ", errors.Select(e => $"{e.File} {e.Path}: {e.Sentence}")));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            refusal = new DeviceRefusal(configuration.Name, Invalid, $"{path} cannot be read: {e.Message}");
        }
        return false;
    }

    /// <summary>Why the profile must not be used for the model on the device as both are now; null when it fits.</summary>
    public static DeviceRefusal? Check(DeviceProfile profile, AcceleratorDevice device, DeviceModel model)
    {
        if (profile.ExecutionProvider != device.ExecutionProvider) { return Other("the execution provider", profile.ExecutionProvider, device.ExecutionProvider); }
        // A data sheet is of no one machine: it says so itself wherever its figures are shown.
        bool isMeasured = profile.Sheet is null;
        if (isMeasured && profile.Device != device.Description) { return Other("the device", profile.Device, device.Description); }
        if (profile.Mismatch(device.Driver, AcceleratorDevice.RuntimeVersion, device.ProviderVersion) is { } stale) { return new DeviceRefusal(device.Name, stale.Code, $"{stale.File} {stale.Path}: {stale.Sentence}"); }
        ModelCurve[] curves = [.. profile.Models.Where(c => c.Model == model.Name && c.Version == model.Version)];
        Sha256Digest digest = Sha256Digest.From(Convert.FromHexString(model.Digest));
        if (curves.Any(c => c.Digest is null || c.Digest == digest)) { return null; }
        return curves.Length == 0
            ? new DeviceRefusal(device.Name, Missing, $"profile {profile.Name} has no curve of {model.Name}@{model.Version}: measure again with 'risk accelerators measure {device.Name}'; until then work stays on the CPU")
            : Other($"{model.Name}@{model.Version}", $"{curves[0].Variant}, {curves[0].Digest}", $"{model.Variant}, {digest}");

        DeviceRefusal Other(string what, string then, string now) =>
            new(device.Name, Stale, $"profile {profile.Name} was measured with {what} {then}, and {now} is here: measure again with 'risk accelerators measure {device.Name}'; until then work stays on the CPU");
    }
}
