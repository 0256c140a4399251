using Risk.Core.Devices;
using Risk.Core.Models;
using Risk.Inference;
using Risk.Inference.Devices;

namespace Risk.Service.Engine;

/// <summary>
/// The accelerators that a serving process is told of, and the champion on each of them. What cannot be opened is told, with
/// its code, and nothing else comes of it: the engine stays up on the processor.
/// </summary>
public sealed class ServingDevices
{
    private readonly Action<DeviceRefusal> _notify;
    private readonly DeviceRetry _retry;
    private readonly Dictionary<string, DeviceProfile> _profiles;

    /// <param name="notify">Told of what could not be opened, of every loss and every return; on any thread.</param>
    public ServingDevices(IReadOnlyList<AcceleratorConfiguration> accelerators, Action<DeviceRefusal> notify, DeviceRetry? retry = null)
    {
        _notify = notify;
        _profiles = new Dictionary<string, DeviceProfile>(StringComparer.Ordinal);
        _retry = retry ?? DeviceRetry.Default;
        (Devices, IReadOnlyList<DeviceRefusal> refusals) = accelerators.Count == 0 ? ([], []) : AcceleratorDevice.OpenAll(accelerators);
        // In the order of the configuration, which is the order of the ladder.
        Devices = [.. Devices.OrderBy(d => accelerators.ToList().IndexOf(d.Configuration))];
        foreach (DeviceRefusal refusal in refusals) { notify(refusal); }
    }

    private ServingDevices(ServingDevices of, IReadOnlyList<AcceleratorDevice> devices)
    {
        (_notify, _retry, _profiles, Devices) = (of._notify, of._retry, of._profiles, devices);
    }

    /// <summary>Those of the accelerators, opened once for the process, that have one of the names.</summary>
    public ServingDevices Only(IReadOnlyCollection<string> names) => new(this, [.. Devices.Where(d => names.Contains(d.Name))]);

    /// <summary>Those that have none of them.</summary>
    public ServingDevices Without(IReadOnlyCollection<string> names) => new(this, [.. Devices.Where(d => !names.Contains(d.Name))]);

    /// <summary>No accelerators.</summary>
    public static ServingDevices None { get; } = new([], _ => { });

    public IReadOnlyList<AcceleratorDevice> Devices { get; }

    /// <summary>The profiles that were named, read and, for every session that was opened, fit; by the device's name.</summary>
    public IReadOnlyDictionary<string, DeviceProfile> Profiles => _profiles;

    /// <summary>The bundle's model on every device that takes it.</summary>
    public List<DeviceSession> Open(ModelBundle bundle, int batchSizeMax)
    {
        List<DeviceSession> sessions = [];
        foreach (AcceleratorDevice device in Devices)
        {
            if (DeviceModel.For(bundle, device, batchSizeMax, out ModelRefusal? unfit) is not { } model) { _notify(new DeviceRefusal(device.Name, unfit!.Code, unfit.Reason)); }
            else if (CheckProfile(device, model) is { } unprofiled) { _notify(unprofiled); }
            else if (DeviceSession.TryOpen(device, model, batchSizeMax, TimeProvider.System, _retry, _notify, out DeviceSession? session, out DeviceRefusal? refusal)) { sessions.Add(session); }
            else { _notify(refusal); }
        }
        return sessions;
    }

    /// <summary>Why the device stays out: the profile that was named for it cannot be read or does not fit. Null when it fits, when it is a data sheet, or when none is named.</summary>
    private DeviceRefusal? CheckProfile(AcceleratorDevice device, DeviceModel model)
    {
        if (device.Configuration.Profile is null) { return null; }
        if (!ServingProfile.TryRead(device.Configuration, out DeviceProfile? profile, out DeviceRefusal? refusal)) { return refusal; }
        if (ServingProfile.Judge(profile, device, model, out _) is { } misfit && misfit.Code != ServingProfile.Published)
        {
            return new DeviceRefusal(device.Name, misfit.Code, $"{misfit.Reason}: measure again with 'risk accelerators measure {device.Name}'; until then work stays on the CPU");
        }
        _profiles[device.Name] = profile;
        return null;
    }
}
