using System.Diagnostics.CodeAnalysis;
using Risk.Core.Costs;
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

    /// <summary>It holds published figures; a device that is here can be measured instead.</summary>
    public const string Published = "PROFILE_PUBLISHED";

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

    /// <summary>Why the profile does not say how long the device takes for the model as both are now; null when it does. What the profile leaves empty is not compared.</summary>
    /// <param name="curve">Of the model in the form that runs on the device; null with a misfit.</param>
    public static ProfileMisfit? Judge(DeviceProfile profile, AcceleratorDevice device, DeviceModel model, out ModelCurve? curve)
    {
        curve = null;
        // A data sheet is of no one machine: it says so itself wherever its figures are shown.
        if (profile.Basis != FigureBasis.Measured) { return new ProfileMisfit(Published, $"profile {profile.Name} is made from a data sheet"); }
        if (profile.ExecutionProvider.Length > 0 && profile.ExecutionProvider != device.ExecutionProvider) { return Other("the execution provider", profile.ExecutionProvider, device.ExecutionProvider); }
        if (profile.Device.Length > 0 && profile.Device != device.Description) { return Other("the device", profile.Device, device.Description); }
        if (profile.Mismatch(device.Driver, AcceleratorDevice.RuntimeVersion, device.ProviderVersion) is { } stale) { return new ProfileMisfit(stale.Code, $"{stale.File} {stale.Path}: it {stale.Sentence}"); }
        ModelCurve[] curves = [.. profile.Models.Where(c => c.Model == model.Name && c.Version == model.Version)];
        if (curves.Length == 0) { return new ProfileMisfit(Missing, $"profile {profile.Name} has no curve of {model.Name}@{model.Version}"); }
        Sha256Digest digest = Sha256Digest.From(Convert.FromHexString(model.Digest));
        curve = Array.Find(curves, c => c.Digest == digest) ?? Array.Find(curves, c => c.Digest is null && c.Variant == model.Variant);
        return curve is null ? Other($"{model.Name}@{model.Version}", $"{curves[0].Variant}, {curves[0].Digest}", $"{model.Variant}, {digest}") : null;

        ProfileMisfit Other(string what, string then, string now) => new(Stale, $"profile {profile.Name} was measured with {what} {then}, and {now} is here");
    }
}

/// <summary>What is wrong with a profile for a device and a model. Whoever asks says what comes of it.</summary>
/// <param name="Code">A stable code, <see cref="ServingProfile.Stale"/>, …</param>
/// <param name="Reason">Half a sentence.</param>
public sealed record ProfileMisfit(string Code, string Reason);
