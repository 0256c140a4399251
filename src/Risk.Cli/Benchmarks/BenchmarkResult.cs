using System.Globalization;

namespace Risk.Cli.Benchmarks;

/// <summary>What a benchmark found.</summary>
internal sealed class BenchmarkResult
{
    private readonly List<BenchmarkRow> _rows = [];
    private readonly List<string> _notes = [];
    private readonly List<string> _skipped = [];

    public IReadOnlyList<BenchmarkRow> Rows => _rows;

    /// <summary>What a reader must know to read the figures: versions, sizes, what was left out.</summary>
    public IReadOnlyList<string> Notes => _notes;

    /// <summary>Comparisons that were not made, each with its reason.</summary>
    public IReadOnlyList<string> Skipped => _skipped;

    /// <summary>Ours beside a peer.</summary>
    /// <param name="case">Which variant: <c>batch 128</c>.</param>
    /// <param name="ratioMin">The bar: how many times as good as the peer we are to be; null where none is set.</param>
    public void Compare(string @case, string unit, Better better, string peer, PairedRuns runs, double? ratioMin = null)
    {
        double[] ratios = runs.Ratios(better);
        double ratio = PairedRuns.Median(ratios);
        _rows.Add(new BenchmarkRow(@case, unit, PairedRuns.Median(runs.Ours))
        {
            Peer = peer,
            PeerFigure = PairedRuns.Median(runs.Peer),
            Ratio = ratio,
            RatioLow = ratios[0],
            RatioHigh = ratios[^1],
            Bar = ratioMin is { } min ? string.Create(CultureInfo.InvariantCulture, $"≥ {min:0.###}×") : null,
            Reached = ratio >= ratioMin,
        });
    }

    /// <summary>A figure of ours alone, such as a rate that is to be reached or bytes allocated a call.</summary>
    /// <param name="bar">At least this where higher is better, at most this where lower is; null where none is set.</param>
    public void Figure(string @case, string unit, Better better, double ours, double? bar = null) =>
        _rows.Add(new BenchmarkRow(@case, unit, ours)
        {
            Bar = bar is { } b ? string.Create(CultureInfo.InvariantCulture, $"{(better == Better.Higher ? '≥' : '≤')} {b:#,0.###}") : null,
            Reached = better == Better.Higher ? ours >= bar : ours <= bar,
        });

    /// <summary>A peer that could not be measured, and why: <c>PostgreSQL: not installed (apt-get install postgresql)</c>.</summary>
    public void Skip(string what) => _skipped.Add(what);

    public void Note(string line) => _notes.Add(line);
}

/// <summary>One line of the table.</summary>
/// <param name="Ours">Median of our runs, in <paramref name="Unit"/>.</param>
internal sealed record BenchmarkRow(string Case, string Unit, double Ours)
{
    private readonly bool _reached;

    /// <summary>Name and version of what we are compared with; null for a figure of ours alone.</summary>
    public string? Peer { get; init; }

    /// <summary>Median of the peer's runs.</summary>
    public double? PeerFigure { get; init; }

    /// <summary>How many times as good as the peer: median over the pairs, with the lowest and highest pair.</summary>
    public double? Ratio { get; init; }
    public double? RatioLow { get; init; }
    public double? RatioHigh { get; init; }

    /// <summary>What is to be reached, in words; null where no bar is set.</summary>
    public string? Bar { get; init; }

    /// <summary>Null where no bar is set.</summary>
    public bool? Reached
    {
        get => Bar is null ? null : _reached;
        init => _reached = value == true;
    }
}
