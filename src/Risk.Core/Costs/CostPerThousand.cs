namespace Risk.Core.Costs;

/// <summary>What a thousand decisions cost.</summary>
/// <param name="Money">In <paramref name="Currency"/>.</param>
/// <param name="JoulesLow">With the price book's low watts.</param>
/// <param name="JoulesHigh">With its high watts.</param>
/// <param name="Method">One sentence: measured or modelled, on what, at which prices.</param>
public sealed record CostPerThousand(decimal Money, double Joules, double JoulesLow, double JoulesHigh, string Currency, string Method)
{
    /// <summary>There were prices to charge by; without them the figures stand for nothing, and <see cref="Method"/> says why.</summary>
    public bool IsPriced => Currency.Length > 0;
}
