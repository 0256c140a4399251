using System.Diagnostics.CodeAnalysis;
using Risk.Core.Costs;
using Risk.Core.Decisions;
using Risk.Core.Transactions;

namespace Risk.Core.Devices;

/// <summary>What kind of device runs a model.</summary>
public enum DeviceKind : byte
{
    Cpu = 0,
    Gpu = 1,
    /// <summary>An inference card: one job, done cheaply.</summary>
    Asic = 2,
    Fpga = 3,
    Tpu = 4,
}

/// <summary>Where joules come from.</summary>
public enum EnergyMethod : byte
{
    /// <summary>Watts between idle and full by the time that the device is busy; no counter.</summary>
    Model = 0,
    /// <summary>NVML's total energy counter, nvmlDeviceGetTotalEnergyConsumption.</summary>
    NvmlTotalEnergy = 1,
    /// <summary>The processor's running average power limit counters.</summary>
    Rapl = 2,
}

/// <summary>Power of one device, without its host.</summary>
/// <param name="Idle">Watts, powered and with nothing to do.</param>
/// <param name="Full">Watts while it computes.</param>
public sealed record DevicePower(PriceFigure Idle, PriceFigure Full, EnergyMethod Method);

/// <summary>
/// What a device is known to do: who it is, how fast it scores each model at each batch size, and at which power; from
/// <c>ops/profiles/*.json</c>. Measured by <c>risk accelerators measure</c>, or made from a data sheet, and never one mistaken
/// for the other: see <see cref="Basis"/>. Immutable.
/// </summary>
/// <param name="Name">Of the profile, e.g. <c>nvidia-h200</c>; the price book's device of the same name has its price.</param>
/// <param name="ExecutionProvider">ONNX Runtime's name for it, e.g. <c>CUDAExecutionProvider</c>.</param>
/// <param name="Device">The device's own name, as its driver or its data sheet says it.</param>
/// <param name="Basis">What <paramref name="Models"/> rest on; every report that uses the profile says it.</param>
/// <param name="Machine">Where it was measured: processor, cores, memory. Empty on a data sheet.</param>
/// <param name="Driver">The device's driver and its version; empty where there is none.</param>
/// <param name="RuntimeVersion">Of ONNX Runtime; empty on a data sheet.</param>
/// <param name="ProviderVersion">Of the execution provider's library; empty where it is the runtime's own.</param>
/// <param name="Date">When it was measured, or read from the data sheet.</param>
/// <param name="IsPadded">Batches are padded to one of the measured sizes (captured graphs, compiled shapes). A CPU takes any size.</param>
/// <param name="Power">Null where it was measured and nothing says its watts.</param>
/// <param name="Sheet">What the data sheet says; null on a profile that was measured.</param>
/// <param name="Note">For people.</param>
public sealed record DeviceProfile(
    string Name, DeviceKind Kind, string ExecutionProvider, string Device, FigureBasis Basis,
    string Machine, string Driver, string RuntimeVersion, string ProviderVersion, DateOnly Date,
    bool IsPadded, DevicePower? Power, IReadOnlyList<ModelCurve> Models, DataSheet? Sheet = null, string? Note = null)
{
    /// <summary>Bytes of a profile.</summary>
    public const int FileSizeMax = 1 << 20;
    /// <summary>Curves of one profile.</summary>
    public const int ModelCountMax = 64;
    /// <summary>Points of one curve.</summary>
    public const int PointCountMax = 64;

    /// <summary>
    /// Reads a profile. On false, <paramref name="errors"/> names everything that is wrong by file and JSON path:
    /// <c>PROFILE_MISSING</c> (a figure, or its unit, source, date or basis), <c>PROFILE_INVALID</c> (shape, range, unit, batch
    /// sizes that do not rise, a measured profile that does not say where), <c>TOO_LARGE</c>.
    /// </summary>
    /// <param name="bytes">The file, UTF-8 JSON.</param>
    /// <param name="file">For the errors: its name.</param>
    public static bool TryRead(ReadOnlyMemory<byte> bytes, string file, ICollection<DefinitionError> errors, [NotNullWhen(true)] out DeviceProfile? profile)
    {
        profile = new DeviceProfileReader(file, errors).Read(bytes);
        return profile is not null;
    }

    /// <summary>The profile as a file, UTF-8 JSON, indented; <see cref="TryRead"/> gives it back.</summary>
    public byte[] Write() => DeviceProfileWriter.Write(this);

    /// <summary>The curve of a model, of the variant or of any when that is null; false where the device was not measured with it.</summary>
    public bool TryCurve(string model, string version, string? variant, [NotNullWhen(true)] out ModelCurve? curve)
    {
        curve = Models.FirstOrDefault(candidate => candidate.Model == model && candidate.Version == version && (variant is null || candidate.Variant == variant));
        return curve is not null;
    }

    /// <summary>
    /// Why a profile must not be used on a device as it is now: another driver, runtime or provider than it was measured with
    /// is <c>PROFILE_STALE</c>. Null when it fits. What the profile does not say is not compared; what it says and
    /// nothing here can confirm does not fit.
    /// </summary>
    public DefinitionError? Mismatch(string driver, string runtimeVersion, string providerVersion)
    {
        foreach ((string what, string path, string then, string now) in (ReadOnlySpan<(string, string, string, string)>)
            [("driver", "$.driver", Driver, driver), ("ONNX Runtime", "$.versions.runtime", RuntimeVersion, runtimeVersion), ("execution provider", "$.versions.provider", ProviderVersion, providerVersion)])
        {
            if (then.Length > 0 && then != now)
                return new DefinitionError("PROFILE_STALE", $"{Name}.json", path, $"was measured with {what} {then}, and {(now.Length > 0 ? $"{now} is here" : "the device here tells of none")}");
        }
        return null;
    }
}

/// <summary>How long a device takes for one model, by batch size.</summary>
/// <param name="Variant">Of the model's bytes: <c>tree-ensemble</c>, <c>forest-kernel</c>, <c>gemm</c>, <c>perfect-tree-traversal</c>, <c>fp16</c>, …</param>
/// <param name="Digest">SHA-256 of the bytes that ran; null on a data sheet.</param>
/// <param name="Points">Ascending by batch, at least one.</param>
public sealed record ModelCurve(string Model, string Version, string Variant, Sha256Digest? Digest, IReadOnlyList<CostPoint> Points)
{
    /// <summary>As if every time were known to be at one end.</summary>
    public ModelCurve At(Scenario end) => this with { Points = [.. Points.Select(point => point.At(end))] };

    /// <summary>With the quartiles of its calls as low and high, where it was measured and says no others.</summary>
    public ModelCurve BetweenQuartiles() => Digest is null ? this : this with { Points = [.. Points.Select(point => point.BetweenQuartiles())] };
}

/// <summary>One measured batch size. Times are of whole calls, from handing the rows over to having the scores.</summary>
/// <param name="Batch">Rows.</param>
/// <param name="MedianMicros">Half of the calls were faster.</param>
/// <param name="P99Micros">All but a hundredth of the calls were faster.</param>
/// <param name="SpreadMicros">Distance of the quartiles of the calls' times.</param>
/// <param name="HostMicros">Of <paramref name="MedianMicros"/>, what the host's processor was busy for: copies, checks, bindings, launches. On a CPU, what is outside ONNX Runtime's own run; 0 of the forest kernel, which reads the rows where they lie.</param>
/// <param name="JoulesPerBatch">By a counter, idle watts included; null where the energy is modelled.</param>
/// <param name="LowMicros">The least that the median might be: with a data sheet, its optimistic end; measured, the median.</param>
/// <param name="HighMicros">The most that the median might be.</param>
public readonly record struct CostPoint(
    int Batch, double MedianMicros, double P99Micros, double SpreadMicros, double HostMicros, double? JoulesPerBatch, double LowMicros, double HighMicros)
{
    /// <summary>A measured point: low and high are the median itself.</summary>
    public CostPoint(int batch, double medianMicros, double p99Micros, double spreadMicros, double hostMicros, double? joulesPerBatch = null)
        : this(batch, medianMicros, p99Micros, spreadMicros, hostMicros, joulesPerBatch, medianMicros, medianMicros)
    {
    }

    /// <summary>What it takes at one end.</summary>
    public double MicrosAt(Scenario end) => end switch { Scenario.Low => LowMicros, Scenario.High => HighMicros, _ => MedianMicros };

    /// <summary>As if that were known; the host's time stays.</summary>
    public CostPoint At(Scenario end) => this with { MedianMicros = MicrosAt(end), LowMicros = MicrosAt(end), HighMicros = MicrosAt(end) };

    /// <summary>Half of the quartiles' distance to either side of the median, where nothing else is said; never below a tenth of it.</summary>
    public CostPoint BetweenQuartiles() => LowMicros != MedianMicros || HighMicros != MedianMicros ? this
        : this with { LowMicros = Math.Max(MedianMicros / 10, MedianMicros - (SpreadMicros / 2)), HighMicros = MedianMicros + (SpreadMicros / 2) };
}
