using Risk.Core.Devices;
using Risk.Inference.Devices;

namespace Risk.Service.Engine;

/// <summary>How the micro-batches of a stream find their device.</summary>
public sealed record RoutingOptions
{
    /// <summary>What the stream's rows want.</summary>
    public StreamGrade Grade { get; init; } = StreamGrade.LatencyCritical;

    /// <summary>From arrival to answer, microseconds, for rows that bring no deadline; <see cref="long.MaxValue"/> for none.</summary>
    public long DeadlineMicros { get; init; } = long.MaxValue;

    /// <summary>Devices are tried in the order of the configuration, whatever they cost; for drills, and where there are no prices.</summary>
    public bool IsInOrder { get; init; }

    public RouterOptions Router { get; init; } = new();

    /// <summary>The profile of a name or a file; null where there is none. What is wrong with one is told by whoever reads it.</summary>
    public Func<string, DeviceProfile?> Profile { get; init; } = static _ => null;

    /// <summary>The device's counter: joules so far, null when it cannot be read; null where it has none, and its energy is then that of stated watts.</summary>
    public Func<AcceleratorDevice, Func<double?>?> Joules { get; init; } = static device => EnergyCounter.For(device)?.SinceNow();

    /// <summary>The processor's profile; null: it is measured when the engine starts, which is the better way, for it is this one.</summary>
    public string? ProcessorProfile { get; init; }
}
