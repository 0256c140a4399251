namespace Risk.Core.Devices;

/// <summary>
/// A model's curve with the gaps filled: the time of any batch up to the largest that was measured. Between two measured
/// sizes, the straight line between them; below the smallest, the smallest (a device that is asked for fewer rows does not
/// get faster than it was ever seen). A padded device runs the next measured size whatever is in it. Past the largest there
/// is no figure and none is made up: such a batch is cut.
/// </summary>
public sealed class CostCurve
{
    private readonly CostPoint[] _points;

    public CostCurve(ModelCurve curve, bool isPadded)
    {
        if (curve.Points.Count == 0)
            throw new ArgumentException("a curve has at least one point", nameof(curve));
        _points = [.. curve.Points];
        IsPadded = isPadded;
    }

    public bool IsPadded { get; }

    public int BatchMax => _points[^1].Batch;

    /// <summary>Rows that the device computes when it is given <paramref name="rows"/>; the rest is padding.</summary>
    public int Padded(int rows) => IsPadded ? _points[IndexOf(rows)].Batch : rows;

    /// <summary>What a batch takes.</summary>
    /// <param name="rows">1 to <see cref="BatchMax"/>.</param>
    public CostPoint At(int rows)
    {
        int index = IndexOf(rows);
        CostPoint above = _points[index];
        if (IsPadded || index == 0 || above.Batch == rows)
            return above;
        CostPoint below = _points[index - 1];
        double share = (double)(rows - below.Batch) / (above.Batch - below.Batch);
        return new CostPoint(
            rows, Between(below.MedianMicros, above.MedianMicros, share), Between(below.P99Micros, above.P99Micros, share),
            Between(below.SpreadMicros, above.SpreadMicros, share), Between(below.HostMicros, above.HostMicros, share),
            below.JoulesPerBatch is { } low && above.JoulesPerBatch is { } high ? Between(low, high, share) : null,
            Between(below.LowMicros, above.LowMicros, share), Between(below.HighMicros, above.HighMicros, share));
    }

    /// <summary>The first point that holds so many rows.</summary>
    private int IndexOf(int rows)
    {
        if (rows < 1 || rows > BatchMax)
            throw new ArgumentOutOfRangeException(nameof(rows), rows, $"the curve goes from 1 to {BatchMax} rows; cut the batch");
        int from = 0, to = _points.Length - 1;
        while (from < to)
        {
            int middle = (from + to) / 2;
            if (_points[middle].Batch < rows)
                from = middle + 1;
            else
                to = middle;
        }
        return from;
    }

    private static double Between(double below, double above, double share) => below + ((above - below) * share);
}
