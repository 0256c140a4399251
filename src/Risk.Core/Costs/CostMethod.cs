namespace Risk.Core.Costs;

/// <summary>Where the times in a cost come from; recorded with each decision.</summary>
public enum CostMethod : byte
{
    /// <summary>CPU time, reserved time and the time of each run on a device were measured.</summary>
    Measured = 1,
    /// <summary>CPU time is a constant of the price book times the decisions; for runs that must be reproducible to the byte.</summary>
    Modelled = 2,
}
