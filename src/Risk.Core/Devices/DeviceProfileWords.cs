using System.Buffers;
using Risk.Core.Costs;

namespace Risk.Core.Devices;

/// <summary>The words of a profile's file, for its reader and its writer alike.</summary>
internal static class DeviceProfileWords
{
    public static readonly SearchValues<char> HexDigits = SearchValues.Create("0123456789abcdef");

    public static IReadOnlyList<(string Word, DeviceKind Value)> Kinds { get; } =
        [("cpu", DeviceKind.Cpu), ("gpu", DeviceKind.Gpu), ("asic", DeviceKind.Asic), ("fpga", DeviceKind.Fpga), ("tpu", DeviceKind.Tpu)];

    public static IReadOnlyList<(string Word, FigureBasis Value)> Bases { get; } =
        [("measured", FigureBasis.Measured), ("published", FigureBasis.Published), ("derived", FigureBasis.Derived), ("assumed", FigureBasis.Assumed)];

    public static IReadOnlyList<(string Word, EnergyMethod Value)> Methods { get; } =
        [("model", EnergyMethod.Model), ("nvml-total-energy", EnergyMethod.NvmlTotalEnergy), ("rapl", EnergyMethod.Rapl)];

    public static string Of<T>(IReadOnlyList<(string Word, T Value)> words, T value)
        where T : struct => words.First(pair => pair.Value.Equals(value)).Word;
}
