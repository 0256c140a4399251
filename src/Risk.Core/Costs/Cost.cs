using System.Numerics;

namespace Risk.Core.Costs;

/// <summary>
/// Money and energy in whole numbers, so that shares add up exactly: 10⁻¹² of the currency (a decision costs about a
/// hundred of them on one core, where nano-units would read 0), and nanojoules. Up to 9 million EUR and 2.5 MWh: sums that
/// are larger stay there, so that an engine that runs for years goes on; its meters charge exactly all the same.
/// </summary>
/// <param name="PicoUnits">10⁻¹² of the price book's currency.</param>
/// <param name="NanoJoules">At the site's meter: power usage effectiveness is in it.</param>
public readonly record struct Cost(long PicoUnits, long NanoJoules) :
    IAdditionOperators<Cost, Cost, Cost>, ISubtractionOperators<Cost, Cost, Cost>
{
    public decimal Money => PicoUnits / 1e12m;
    public double Joules => NanoJoules / 1e9;

    public static Cost operator +(Cost left, Cost right) => Of((Int128)left.PicoUnits + right.PicoUnits, (Int128)left.NanoJoules + right.NanoJoules);
    public static Cost operator -(Cost left, Cost right) => new(left.PicoUnits - right.PicoUnits, left.NanoJoules - right.NanoJoules);

    internal static Cost Of(Int128 picoUnits, Int128 nanoJoules) =>
        new((long)Int128.Clamp(picoUnits, long.MinValue, long.MaxValue), (long)Int128.Clamp(nanoJoules, long.MinValue, long.MaxValue));

    /// <summary>
    /// The share of one of <paramref name="count"/> equal parts. The shares of all indices add up to this cost exactly:
    /// what does not divide goes to the first ones, one unit each.
    /// </summary>
    /// <param name="index">0-based, below <paramref name="count"/>.</param>
    public Cost Share(int index, int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)count, nameof(index));
        (long money, long moneyRest) = Math.DivRem(PicoUnits, count);
        (long energy, long energyRest) = Math.DivRem(NanoJoules, count);
        return new Cost(money + (index < moneyRest ? 1 : 0), energy + (index < energyRest ? 1 : 0));
    }
}
