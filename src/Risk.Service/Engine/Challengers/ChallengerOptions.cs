using Risk.Core;
using Risk.Core.Log;
using Risk.Inference;

namespace Risk.Service.Engine.Challengers;

/// <summary>A model that scores beside the champion, and never in its place.</summary>
/// <param name="Name">Its stream, or <c>name@version</c> where only the model is another; unique in the process.</param>
/// <param name="Definition">Which features it reads and which policy says what it would have decided.</param>
/// <param name="Directory">Holds its costs and, of an engine in files, everything it keeps.</param>
/// <param name="OpenLog">Opens the log of a partition for writing; what it says goes there.</param>
/// <param name="Snapshots">Of a partition.</param>
public sealed record ChallengerOptions(string Name, StreamDefinition Definition, ModelBundle Bundle, string Directory, Func<int, IDecisionLog> OpenLog, Func<int, ISnapshotStore> Snapshots)
{
    /// <summary>Accelerators that are the challenger's alone: on a device of the champion it could be in its way.</summary>
    public ServingDevices Devices { get; init; } = ServingDevices.None;

    public RoutingOptions Routing { get; init; } = new() { Grade = Core.Devices.StreamGrade.Bulk };
}
