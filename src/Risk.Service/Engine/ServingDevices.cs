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

    /// <param name="notify">Told of what could not be opened, of every loss and every return; on any thread.</param>
    public ServingDevices(IReadOnlyList<AcceleratorConfiguration> accelerators, Action<DeviceRefusal> notify, DeviceRetry? retry = null)
    {
        _notify = notify;
        _retry = retry ?? DeviceRetry.Default;
        (Devices, IReadOnlyList<DeviceRefusal> refusals) = accelerators.Count == 0 ? ([], []) : AcceleratorDevice.OpenAll(accelerators);
        // In the order of the configuration, which is the order of the ladder.
        Devices = [.. Devices.OrderBy(d => accelerators.ToList().IndexOf(d.Configuration))];
        foreach (DeviceRefusal refusal in refusals) { notify(refusal); }
    }

    /// <summary>No accelerators.</summary>
    public static ServingDevices None { get; } = new([], _ => { });

    public IReadOnlyList<AcceleratorDevice> Devices { get; }

    /// <summary>The bundle's model on every device that takes it.</summary>
    public List<DeviceSession> Open(ModelBundle bundle, int batchSizeMax)
    {
        List<DeviceSession> sessions = [];
        foreach (AcceleratorDevice device in Devices)
        {
            if (DeviceModel.For(bundle, device, batchSizeMax, out ModelRefusal? unfit) is not { } model) { _notify(new DeviceRefusal(device.Name, unfit!.Code, unfit.Reason)); }
            else if (DeviceSession.TryOpen(device, model, batchSizeMax, TimeProvider.System, _retry, _notify, out DeviceSession? session, out DeviceRefusal? refusal)) { sessions.Add(session); }
            else { _notify(refusal); }
        }
        return sessions;
    }
}
