using System.Globalization;
using Risk.Core.Devices;

namespace Risk.Inference.Devices;

/// <summary>A counter of joules that only rises: the card's own (NVML), or the processor's (RAPL).</summary>
public sealed class EnergyCounter
{
    private const string PowerCap = "/sys/class/powercap";

    private readonly Func<double?> _read;
    private readonly double _wrap;

    private EnergyCounter(EnergyMethod method, string what, double wrap, Func<double?> read) => (Method, What, _wrap, _read) = (method, what, wrap, read);

    public EnergyMethod Method { get; }

    /// <summary>For reports: what is counted.</summary>
    public string What { get; }

    /// <summary>The counter that covers the device; null where this machine has none that may be read.</summary>
    public static EnergyCounter? For(AcceleratorDevice? device)
    {
        if (device is { ExecutionProvider: "CUDAExecutionProvider" or "TensorrtExecutionProvider" })
        {
            return NvidiaDevice.TryHandle(device.Configuration.Device, out nint card) && NvidiaDevice.TryEnergy(card, out _)
                ? new EnergyCounter(EnergyMethod.NvmlTotalEnergy, "the card, by nvmlDeviceGetTotalEnergyConsumption", 0, () => NvidiaDevice.TryEnergy(card, out ulong millijoules) ? millijoules / 1e3 : null)
                : null;
        }
        return device is null || device.Profile.Kind == DeviceKind.Cpu ? Rapl() : null;
    }

    /// <summary>Joules so far; null when the counter cannot be read any more.</summary>
    public double? Read() => _read();

    /// <summary>Joules between two reads; a counter that began again at 0 in between is taken into account.</summary>
    public double? Between(double? before, double? after) => before is { } from && after is { } to ? to >= from ? to - from : to - from + _wrap : null;

    /// <summary>Joules from now on, at each call; a counter that begins again at 0 goes on here. Null while it cannot be read. One thread.</summary>
    public Func<double?> SinceNow()
    {
        double sum = 0;
        double? last = _read();
        return () =>
        {
            double? now = _read();
            sum += Between(last, now) ?? 0;
            last = now ?? last;
            return now is null ? null : sum;
        };
    }

    /// <summary>All processor packages together. https://www.kernel.org/doc/html/latest/power/powercap/powercap.html</summary>
    private static EnergyCounter? Rapl()
    {
        if (!Directory.Exists(PowerCap)) { return null; }
        // intel-rapl:0 is a package (AMD's are there under the same name); intel-rapl:0:0 is a part of it.
        string[] packages = [.. Directory.EnumerateDirectories(PowerCap, "intel-rapl:*").Where(path => Path.GetFileName(path).Count(c => c == ':') == 1)];
        if (packages.Length == 0 || packages.Any(path => Micros(path, "energy_uj") is null)) { return null; }
        return new EnergyCounter(EnergyMethod.Rapl, $"{packages.Length} processor packages, by RAPL", packages.Sum(path => Micros(path, "max_energy_range_uj") ?? 0) / 1e6, () => packages.Sum(path => Micros(path, "energy_uj")) / 1e6);
    }

    private static double? Micros(string folder, string name)
    {
        try
        {
            return double.TryParse(File.ReadAllText(Path.Combine(folder, name)), NumberStyles.Integer | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out double value) ? value : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null; // since 2020 only root may read it (CVE-2020-8694)
        }
    }
}
