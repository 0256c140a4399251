using Risk.Core.Costs;

namespace Risk.Core.Log;

/// <summary>What a log entry tells. Only <see cref="Decision"/> is about one transaction.</summary>
public enum RecordKind
{
    Decision = 0,
    Start = 1,
    Stop = 2,
    ModelChange = 3,
    Override = 4,
    Degradation = 5,
}

/// <summary>Marks on a record; stored as one unsigned integer.</summary>
[Flags]
public enum RecordFlags : uint
{
    None = 0,

    /// <summary>The event came after the grace period: decided, but closed windows were left alone.</summary>
    Late = 1,

    /// <summary>History of an entity that is kept elsewhere could not be had in time: decided with what there was.</summary>
    Incomplete = 2,
}

/// <summary>
/// One decision as the log holds it: the list of <c>audit.md</c>, no more. A view: texts are UTF-8 in buffers the caller
/// owns, so neither writing nor reading allocates; a record that was read lives as long as the entry's bytes.
/// An empty span means "not there", and so does NaN for scores and thresholds.
/// </summary>
public ref struct DecisionRecord
{
    /// <summary>A record whose scores and thresholds are absent and whose spans are empty.</summary>
    public DecisionRecord()
    {
    }

    /// <summary>The schema of this record, see <see cref="LogFormat.SchemaVersion"/>.</summary>
    public int SchemaVersion { get; set; } = LogFormat.SchemaVersion;

    public RecordKind Kind { get; set; }

    /// <summary>0-based place in the log; equals the leaf's index in the Merkle tree.</summary>
    public long Sequence { get; set; }

    /// <summary>Name of the stream, UTF-8.</summary>
    public ReadOnlySpan<byte> Stream { get; set; }

    /// <summary>The event's id in its stream, UTF-8, byte for byte as it came.</summary>
    public ReadOnlySpan<byte> EventId { get; set; }

    /// <summary>Topic or file name, UTF-8.</summary>
    public ReadOnlySpan<byte> SourceName { get; set; }

    /// <summary>Partition of the topic; 0 for a file.</summary>
    public int SourcePartition { get; set; }

    /// <summary>Offset in the partition; the 1-based line number of a file.</summary>
    public long SourceOffset { get; set; }

    /// <summary>Microseconds since the Unix epoch.</summary>
    public long EventTimeMicros { get; set; }

    /// <summary>Microseconds since the Unix epoch.</summary>
    public long DecisionTimeMicros { get; set; }

    /// <summary>Keyed hash that stands for the card or account, 16 bytes.</summary>
    public ReadOnlySpan<byte> Subject { get; set; }

    /// <summary>SHA-256 of the private payload's bytes (<see cref="PrivatePayloadCodec"/>).</summary>
    public ReadOnlySpan<byte> Commitment { get; set; }

    /// <summary>SHA-256 of the model bundle that scored; empty when no model did.</summary>
    public ReadOnlySpan<byte> ModelDigest { get; set; }

    /// <summary>SHA-256 of the feature catalog.</summary>
    public ReadOnlySpan<byte> CatalogDigest { get; set; }

    /// <summary>SHA-256 of the policy.</summary>
    public ReadOnlySpan<byte> PolicyDigest { get; set; }

    /// <summary>The execution provider that really ran, UTF-8.</summary>
    public ReadOnlySpan<byte> ExecutionProvider { get; set; }

    /// <summary>The device that really ran, UTF-8.</summary>
    public ReadOnlySpan<byte> Device { get; set; }

    /// <summary>Rows of the micro-batch.</summary>
    public int BatchSize { get; set; }

    /// <summary>0-based row in the micro-batch.</summary>
    public int BatchPosition { get; set; }

    /// <summary>The model's output as it came; NaN when there is none.</summary>
    public float RawScore { get; set; } = float.NaN;

    /// <summary>The calibrated probability in [0,1]; NaN when there is none.</summary>
    public double CalibratedScore { get; set; } = double.NaN;

    /// <summary>Calibrated score from which a transaction is reviewed; NaN together with the other when there are none.</summary>
    public double ReviewThreshold { get; set; } = double.NaN;

    /// <summary>Calibrated score from which a transaction is declined; NaN together with the other when there are none.</summary>
    public double DeclineThreshold { get; set; } = double.NaN;

    /// <summary>The number of <see cref="Decisions.Outcome"/>: 0 refer to a human, 1 approve, 2 review, 3 decline.</summary>
    public int Outcome { get; set; }

    /// <summary>All reasons in order of weight.</summary>
    public ReasonSequence Reasons { get; set; }

    /// <summary>Step of the degradation ladder: 0 accelerator or CPU as planned, 1 CPU instead, 2 fallback model, 3 rules only, 4 refer.</summary>
    public int Rung { get; set; }

    /// <summary>Why a rung above 0 was taken, a stable code, UTF-8; empty on rung 0.</summary>
    public ReadOnlySpan<byte> RungCause { get; set; }

    /// <summary>This decision's share of the cost, in the price book's currency.</summary>
    public double CostMoney { get; set; }

    /// <summary>This decision's share of the energy, in joules.</summary>
    public double CostJoules { get; set; }

    /// <summary>How the cost was found (counter, model), UTF-8.</summary>
    public ReadOnlySpan<byte> CostMethod { get; set; }

    /// <summary>There were no prices: money and joules stand for nothing.</summary>
    public bool IsUnpriced => CostMethod.SequenceEqual(CostLedger.Unpriced);

    /// <summary>Who acted: the engine or a person's id, UTF-8.</summary>
    public ReadOnlySpan<byte> Actor { get; set; }

    /// <summary>UTF-8; empty for the only tenant.</summary>
    public ReadOnlySpan<byte> Tenant { get; set; }

    /// <summary>True when no human took part (GDPR Art. 22).</summary>
    public bool SolelyAutomated { get; set; }

    public RecordFlags Flags { get; set; }
}
