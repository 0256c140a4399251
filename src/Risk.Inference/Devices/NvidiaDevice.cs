using System.Runtime.InteropServices;

namespace Risk.Inference.Devices;

/// <summary>
/// NVIDIA's management library, loaded when somebody asks and absent on most machines.
/// https://docs.nvidia.com/deploy/nvml-api/
/// </summary>
internal static unsafe class NvidiaDevice
{
    private const int TextSize = 96;

    private static readonly Lazy<nint> s_library = new(Load);

    public static bool IsAvailable => s_library.Value != 0;

    /// <summary>Empty where there is no such driver.</summary>
    public static string DriverVersion()
    {
        if (!TryFunction("nvmlSystemGetDriverVersion", out nint function)) { return ""; }
        byte* text = stackalloc byte[TextSize];
        return ((delegate* unmanaged<byte*, uint, int>)function)(text, TextSize) == 0 ? Marshal.PtrToStringUTF8((nint)text) ?? "" : "";
    }

    /// <summary>The card's name (<c>NVIDIA H200</c>), with <c>MIG</c> behind it where the card is cut into parts, of which this is one; empty where there is none of that index.</summary>
    public static string Description(int index)
    {
        if (!TryHandle(index, out nint device) || !TryFunction("nvmlDeviceGetName", out nint function)) { return ""; }
        byte* text = stackalloc byte[TextSize];
        if (((delegate* unmanaged<nint, byte*, uint, int>)function)(device, text, TextSize) != 0) { return ""; }
        string name = Marshal.PtrToStringUTF8((nint)text) ?? "";
        return name.Length > 0 && IsCut(device) ? $"{name} MIG" : name;
    }

    // Cards that cannot be cut have no such function, or answer that it is not supported.
    private static bool IsCut(nint device)
    {
        uint current = 0, pending = 0;
        return TryFunction("nvmlDeviceGetMigMode", out nint function) && ((delegate* unmanaged<nint, uint*, uint*, int>)function)(device, &current, &pending) == 0 && current != 0;
    }

    public static bool TryHandle(int index, out nint device)
    {
        nint found = 0;
        bool isFound = TryFunction("nvmlDeviceGetHandleByIndex_v2", out nint function) && ((delegate* unmanaged<uint, nint*, int>)function)((uint)index, &found) == 0;
        device = found;
        return isFound;
    }

    /// <summary>Millijoules since the driver was loaded; false where the card has no such counter (before Volta).</summary>
    public static bool TryEnergy(nint device, out ulong millijoules)
    {
        ulong value = 0;
        bool isRead = TryFunction("nvmlDeviceGetTotalEnergyConsumption", out nint function) && ((delegate* unmanaged<nint, ulong*, int>)function)(device, &value) == 0;
        millijoules = value;
        return isRead;
    }

    /// <summary>The power that the card may take at most, in milliwatts.</summary>
    public static bool TryPowerLimit(nint device, out uint milliwatts)
    {
        uint value = 0;
        bool isRead = TryFunction("nvmlDeviceGetEnforcedPowerLimit", out nint function) && ((delegate* unmanaged<nint, uint*, int>)function)(device, &value) == 0;
        milliwatts = value;
        return isRead;
    }

    /// <summary>Bytes of the card's memory that are taken.</summary>
    public static bool TryMemory(nint device, out ulong used)
    {
        ulong* memory = stackalloc ulong[3]; // total, free, used
        bool isRead = TryFunction("nvmlDeviceGetMemoryInfo", out nint function) && ((delegate* unmanaged<nint, ulong*, int>)function)(device, memory) == 0;
        used = isRead ? memory[2] : 0;
        return isRead;
    }

    private static bool TryFunction(string name, out nint function)
    {
        function = 0;
        return s_library.Value != 0 && NativeLibrary.TryGetExport(s_library.Value, name, out function);
    }

    private static nint Load()
    {
        if (!NativeLibrary.TryLoad("libnvidia-ml.so.1", out nint library)) { return 0; }
        return NativeLibrary.TryGetExport(library, "nvmlInit_v2", out nint init) && ((delegate* unmanaged<int>)init)() == 0 ? library : 0;
    }
}
