using Risk.Core.Devices;
using Risk.Inference.Devices;

namespace Risk.Cli.Accelerators;

/// <summary>A device that a verb works on. Without <see cref="Device"/> and <see cref="Refusal"/> it is the forest kernel.</summary>
internal sealed record ChosenDevice(string Name, string ExecutionProvider, AcceleratorDevice? Device, DeviceRefusal? Refusal);

/// <summary>The devices that a verb was told of, or all that are here.</summary>
internal sealed record ChosenDevices(IReadOnlyList<ChosenDevice> Devices)
{
    public int Count => Devices.Count;

    /// <param name="names">Asked for: each comes out, present or refused. None: the processor, the forest kernel, what is configured, and every ready profile that is present.</param>
    public static ChosenDevices Open(string[] names, IReadOnlyList<AcceleratorConfiguration> configured)
    {
        AcceleratorConfiguration Named(string name) => configured.FirstOrDefault(c => c.Name == name) ?? AcceleratorConfiguration.Named(name);
        AcceleratorConfiguration[] wanted = names.Length > 0
            ? [.. names.Where(n => n != ReadyProfiles.ForestKernel).Select(Named)]
            : [.. configured, .. ReadyProfiles.All.Where(p => !configured.Any(c => c.Name == p.Name)).Select(p => AcceleratorConfiguration.Named(p.Name))];
        (IReadOnlyList<AcceleratorDevice> devices, IReadOnlyList<DeviceRefusal> refusals) = AcceleratorDevice.OpenAll(wanted);
        List<ChosenDevice> chosen = [];
        foreach (AcceleratorConfiguration one in wanted)
        {
            AcceleratorDevice? device = devices.FirstOrDefault(d => d.Name == one.Name);
            if (device is null && names.Length == 0 && !configured.Contains(one)) { continue; }
            chosen.Add(new ChosenDevice(one.Name, device?.ExecutionProvider ?? ReadyProfiles.Find(one.Provider)?.ExecutionProvider ?? one.Provider, device, refusals.FirstOrDefault(r => r.Device == one.Name)));
        }
        if (names.Length == 0 || names.Contains(ReadyProfiles.ForestKernel)) { chosen.Insert(Math.Min(1, chosen.Count), new ChosenDevice(ReadyProfiles.ForestKernel, "", null, null)); }
        return new ChosenDevices(chosen);
    }
}
