using Risk.Core.Costs;
using Risk.Core.Decisions;
using Risk.Core.Features;
using Risk.Core.Log;
using Risk.Core.Models;
using Risk.Core.Transactions;

namespace Risk.Core;

/// <summary>
/// One micro-batch and everything that becomes of it on its way: buffers for every stage, allocated once and reused. One
/// thread at a time holds it. Row k of the results belongs to transaction <c>Admitted[k]</c>.
/// </summary>
public sealed class ScoringBatch
{
    private readonly int[] _admitted;
    private readonly int _featureCount;
    private readonly List<int> _remoteLate = [];

    internal ScoringBatch(StreamSchema schema, int capacity, int featureCount, int inputCount)
    {
        Transactions = new TransactionBatch(schema, capacity);
        _admitted = new int[capacity];
        _featureCount = featureCount;
        Views = new double[capacity * featureCount];
        Late = new bool[capacity];
        Incomplete = new bool[capacity];
        ViewFloats = new float[capacity * featureCount];
        Inputs = new float[capacity * inputCount];
        RawScores = new float[capacity];
        Scores = new double[capacity];
        Results = new PolicyResult[capacity];
    }

    /// <summary>2. What the sources delivered and validation let through.</summary>
    public TransactionBatch Transactions { get; }

    /// <summary>3. Transactions that have no decision yet.</summary>
    public ReadOnlySpan<int> Admitted => _admitted.AsSpan(0, Count);
    public int Count { get; private set; }
    /// <summary>3. Events that came again: (row, sequence of the decision that stands).</summary>
    public List<(int Row, long Sequence)> Duplicates { get; } = [];
    /// <summary>3. Events that came again with another payload: (row, sequence of the decision that stands).</summary>
    public List<(int Row, long Sequence)> Conflicts { get; } = [];

    /// <summary>4. Feature views, [Count × features], row-major, double as computed; <see cref="ViewFloats"/> is the same in the models' precision, as it is recorded.</summary>
    internal double[] Views { get; }
    internal bool[] Late { get; }
    internal bool[] Incomplete { get; }
    internal float[] ViewFloats { get; }

    /// <summary>6. Model inputs [Count × inputs] in the model's order, its raw outputs, and the calibrated probability.</summary>
    internal float[] Inputs { get; }
    internal float[] RawScores { get; }
    internal double[] Scores { get; }
    /// <summary>6. Set by the host before the batch is decided; <see cref="ScoringDemand.None"/> where nobody waits.</summary>
    public ScoringDemand Demand { get; set; } = ScoringDemand.None;
    /// <summary>6. Who scored.</summary>
    public ScoringTrace Trace { get; } = new();

    /// <summary>7. What the policy says of each row.</summary>
    internal PolicyResult[] Results { get; }

    /// <summary>8. The records for the log.</summary>
    public DecisionGroup Group { get; } = new();

    /// <summary>The value of <see cref="DecisionMicros"/> that dates every decision by its own event.</summary>
    public const long DatedByEvents = 0;

    /// <summary>When the batch was decided, microseconds of the host's clock, or <see cref="DatedByEvents"/>.</summary>
    public long DecisionMicros { get; set; }

    /// <summary>What the batch costs; its decisions share it. <see cref="CostMethod"/>: UTF-8 name of how it was found.</summary>
    public Cost Cost { get; set; }
    public byte[] CostMethod { get; set; } = [];

    /// <summary>Decisions whose event came after the grace period.</summary>
    public int LateCount => Late.AsSpan(0, Count).Count(true);

    public double CalibratedScore(int k) => Scores[k];
    public Outcome Outcome(int k) => Results[k].Outcome;

    /// <summary>
    /// An owner's answer for result row <paramref name="k"/>: the values of its entities, and whether it found the transaction late.
    /// A column that no owner answered must be put too, with <see cref="PutRemoteAbsent"/> before the answers.
    /// </summary>
    public void PutRemote(RemoteColumns columns, int k, int owner, int owners, ReadOnlySpan<double> values, bool late)
    {
        columns.Scatter(Transactions, _admitted[k], owner, owners, values, View(k));
        if (late) { _remoteLate.Add(k); }
    }

    /// <summary>Every remote column of result row <paramref name="k"/> as it is without the entity.</summary>
    public void PutRemoteAbsent(RemoteColumns columns, int k) => columns.ScatterAbsent(View(k));

    /// <summary>What the champion's record tells of result row <paramref name="k"/>: its view, and whether the event came late or without all of its history.</summary>
    /// <param name="view">Shape [champion's features].</param>
    public void PutGiven(GivenColumns columns, int k, ReadOnlySpan<float> view, RecordFlags flags)
    {
        columns.Put(view, View(k));
        PutGivenLate(k, flags);
        Incomplete[k] = flags.HasFlag(RecordFlags.Incomplete);
    }

    /// <summary>The same without the view, for rows that are taken into the history again.</summary>
    public void PutGivenLate(int k, RecordFlags flags) => Late[k] = flags.HasFlag(RecordFlags.Late);

    /// <summary>An owner of result row <paramref name="k"/> could not be asked: its columns stay as without the entity, and the record says so.</summary>
    public void MarkIncomplete(int k) => Incomplete[k] = true;

    /// <summary>Decisions that an owner's history was missing from.</summary>
    public int IncompleteCount => Incomplete.AsSpan(0, Count).Count(true);

    private Span<double> View(int k) => Views.AsSpan(k * _featureCount, _featureCount);

    internal void MarkRemoteLate()
    {
        foreach (int k in _remoteLate) { Late[k] = true; }
    }

    public void Clear()
    {
        _remoteLate.Clear();
        Incomplete.AsSpan(0, Count).Clear();
        Transactions.Clear();
        Count = 0;
        Duplicates.Clear();
        Conflicts.Clear();
        Trace.Clear();
        Demand = ScoringDemand.None;
    }

    internal void Admit(int row) => _admitted[Count++] = row;
}
