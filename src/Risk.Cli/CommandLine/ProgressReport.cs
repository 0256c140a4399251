namespace Risk.Cli.CommandLine;

/// <summary>
/// How far some work is. The worker writes, whoever draws reads, on another thread; neither waits for the other.
/// </summary>
internal sealed class ProgressReport(string what, string unit)
{
    private long _done;
    private long _total = -1;
    private volatile string _note = "";

    /// <summary>What is going on: <c>Scoring</c>.</summary>
    public string What { get; } = what;

    /// <summary>What is counted, in the plural: <c>transactions</c>.</summary>
    public string Unit { get; } = unit;

    /// <summary>How many are done so far; set it as often as you like.</summary>
    public long Done
    {
        get => Volatile.Read(ref _done);
        set => Volatile.Write(ref _done, value);
    }

    /// <summary>How many there will be; null while nobody knows.</summary>
    public long? Total
    {
        get => Volatile.Read(ref _total) is >= 0 and var total ? total : null;
        set => Volatile.Write(ref _total, value ?? -1);
    }

    /// <summary>A few words beside the counts, such as what is going on right now.</summary>
    public string Note
    {
        get => _note;
        set => _note = value;
    }
}
