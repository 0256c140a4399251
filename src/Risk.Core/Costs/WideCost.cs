namespace Risk.Core.Costs;

/// <summary>A meter's total, which outgrows <see cref="Cost"/>: a card of 1 kW passes 9.2 GJ in 107 days.</summary>
internal readonly record struct WideCost(Int128 PicoUnits, Int128 NanoJoules)
{
    public static WideCost operator -(WideCost left, WideCost right) => new(left.PicoUnits - right.PicoUnits, left.NanoJoules - right.NanoJoules);

    /// <summary>As a cost, at most what that can hold.</summary>
    public Cost Narrow() => Cost.Of(PicoUnits, NanoJoules);
}
