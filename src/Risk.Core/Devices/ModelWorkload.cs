using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Risk.Core.Costs;
using Risk.Core.Decisions;

namespace Risk.Core.Devices;

/// <summary>What one row of a model asks of a device; with a data sheet it gives an estimate of time (<see cref="DataSheetModel"/>).</summary>
/// <param name="Variant">The form an accelerator runs; of a forest, its tensor form.</param>
/// <param name="Operations">Arithmetic of a row, unit op (a multiply-add is two).</param>
/// <param name="Traffic">Bytes that a row moves through the device's memory, unit B.</param>
/// <param name="Weights">Bytes of the weights, read once a batch, unit B.</param>
/// <param name="Transfer">Bytes of a row over the link, in and out, unit B.</param>
/// <param name="Kernels">Kernels of the graph, unit 1.</param>
public sealed record ModelWorkload(
    string Model, string Version, string Variant, PriceFigure Operations, PriceFigure Traffic, PriceFigure Weights, PriceFigure Transfer, PriceFigure Kernels)
{
    public const int FileSizeMax = 1 << 20;

    /// <summary>As if every figure were known to be at one end.</summary>
    public ModelWorkload At(Scenario end) => this with
    {
        Operations = Operations.At(end), Traffic = Traffic.At(end), Weights = Weights.At(end), Transfer = Transfer.At(end), Kernels = Kernels.At(end),
    };

    /// <summary>
    /// Reads <c>{ "workloads": [ { "model", "version", "variant", "operations", "traffic", "weights", "transfer", "kernels", "note" } ] }</c>,
    /// where the last five but the note are figures. Errors as in <see cref="DeviceProfile.TryRead"/>.
    /// </summary>
    public static bool TryReadAll(ReadOnlyMemory<byte> bytes, string file, ICollection<DefinitionError> errors, [NotNullWhen(true)] out IReadOnlyList<ModelWorkload>? workloads)
    {
        workloads = null;
        int before = errors.Count;
        DefinitionReader reader = new("PROFILE_INVALID", file, errors);
        FigureReader figures = new(reader, "PROFILE_MISSING", "PROFILE_INVALID");
        using JsonDocument? document = reader.Open(bytes, FileSizeMax);
        if (document is null || !reader.IsObject(document.RootElement, "$", "workloads", "note") || !reader.TryMember(document.RootElement, "$", "workloads", out JsonElement list))
            return false;
        if (list.ValueKind != JsonValueKind.Array)
        {
            reader.Add("PROFILE_INVALID", "$.workloads", "needs a list");
            return false;
        }
        List<ModelWorkload> read = [];
        int index = 0;
        foreach (JsonElement element in list.EnumerateArray())
        {
            string path = $"$.workloads[{index++}]";
            if (!reader.IsObject(element, path, "model", "version", "variant", "operations", "traffic", "weights", "transfer", "kernels", "note"))
                continue;
            read.Add(new ModelWorkload(
                reader.Text(element, path, "model") ?? "", reader.Text(element, path, "version") ?? "", reader.Text(element, path, "variant") ?? "",
                figures.Read(element, path, "operations", "op", 1, 1e15), figures.Read(element, path, "traffic", "B", 0, 1e12), figures.Read(element, path, "weights", "B", 0, 1e12),
                figures.Read(element, path, "transfer", "B", 0, 1e9), figures.Read(element, path, "kernels", "1", 1, 1e6)));
        }
        if (errors.Count > before)
            return false;
        workloads = read;
        return true;
    }
}
