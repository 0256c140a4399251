namespace Risk.Core.Costs;

/// <summary>
/// Nanojoules of one device by a counter of its own. The counter is not asked with every charge: cards refresh theirs a few times
/// a second, and asking takes longer than a small batch. In between, the watt model goes on at the rate by which the counter
/// differed from it last, and the next answer puts that right; what was charged is never taken back, so after each answer the sum
/// is the counter's, or above it by what the time since the answer before was estimated too high, until the counter is there.
/// Where the counter does not answer, the model counts alone.
/// </summary>
/// <param name="joules">So far, at the device; only rises. Null when it cannot be read. A lower one than before began anew.</param>
/// <param name="powerUsageEffectiveness">Of the site.</param>
internal sealed class CountedEnergy(Func<double?> joules, double powerUsageEffectiveness)
{
    private const long ReadEveryMicros = 100_000;

    private double? _before;
    private long _sinceRead = ReadEveryMicros;
    private Int128 _known, _modelledThen, _charged; // at the last answer; and so far
    private double _ratio = 1;

    /// <summary>The counter has answered when it was asked last.</summary>
    public bool IsCounting => _before is not null;

    /// <param name="modelled">Nanojoules so far by the watts.</param>
    /// <param name="micros">Time that has passed.</param>
    /// <returns>Nanojoules so far; never less than before.</returns>
    public Int128 Advance(Int128 modelled, long micros)
    {
        _sinceRead += micros;
        if (_sinceRead >= ReadEveryMicros)
        {
            Read(modelled);
        }
        return _charged = Int128.Max(_charged, Estimate(modelled));
    }

    private Int128 Estimate(Int128 modelled) => _known + (Int128)(_ratio * (double)(modelled - _modelledThen));

    private void Read(Int128 modelled)
    {
        _sinceRead = 0;
        double? now = joules();
        if (now is { } to && _before is { } from && to >= from)
        {
            double counted = (to - from) * powerUsageEffectiveness * 1e9, expected = (double)(modelled - _modelledThen);
            _known += (Int128)counted;
            _ratio = expected > 0 ? Math.Min(counted / expected, 10) : 1;
        }
        else
        {
            // Nothing to take a difference to: up to here by the watts.
            _ratio = 1;
            _known = Estimate(modelled);
        }
        (_before, _modelledThen) = (now, modelled);
    }
}
