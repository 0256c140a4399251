using Risk.Core;
using Risk.Core.Transactions;

namespace Risk.Service.Engine;

/// <summary>
/// A micro-batch of one shard on its way through the <see cref="ScoringPipeline"/>, with what the host knows of it. Made
/// once and reused; whoever holds it may touch it, and nobody else.
/// </summary>
internal sealed class ShardBatch(ScoringBatch scoring)
{
    public ScoringBatch Scoring { get; } = scoring;

    /// <summary>Whose it is; null while it waits in the pool.</summary>
    public Shard? Shard { get; set; }

    /// <summary>Records taken from the source: rows, and those that were rejected.</summary>
    public long Records { get; set; }

    public List<Rejection> Rejections { get; } = [];

    /// <summary>Where the source goes on behind this batch; null when none of it came from the source.</summary>
    public long? NextLine { get; set; }

    /// <summary>Outcomes that became known since the batch before, learned before its rows are decided; and the place behind them in their source.</summary>
    public List<Label> Labels { get; } = [];
    public long? NextLabelLine { get; set; }
    public List<Rejection> LabelRejections { get; } = [];

    /// <summary>To which the shard's clock moves before the rows are decided, because its source is idle; 0 = it stays.</summary>
    public long Watermark { get; set; }

    /// <summary>The owners of shared entities are greeted, so that one that lost its state gets it back.</summary>
    public bool GreetsOwners { get; set; }

    /// <summary>Who asks for the decision on an event, behind all rows; the sequence is found on the deciding thread, −1 for none.</summary>
    public List<(EntityKey EventKey, IRowAnswer Answer)> Queries { get; } = [];
    public List<long> Found { get; } = [];

    /// <summary>Who waits for the answer to a row. Told on the answering thread, whatever becomes of the batch.</summary>
    public List<(int Row, IRowAnswer Answer)> Waiting { get; } = [];

    /// <summary>Arrival of the oldest record, microseconds; when the first answer is due, <see cref="long.MaxValue"/> for never.</summary>
    public long FirstArrival { get; set; }
    public long EarliestDeadline { get; set; } = long.MaxValue;

    public BatchTimes Times;

    /// <summary>The position behind this batch, set when its records are written.</summary>
    public SourcePosition Position { get; set; }

    /// <summary>Its shard failed: nothing of it is durable, and it will be read again.</summary>
    public bool IsDropped { get; set; }

    /// <summary>What waits to become a batch, for <see cref="BatchPolicy.Next"/>.</summary>
    public BatchQueue Queue => new((int)Records + Labels.Count + LabelRejections.Count + Queries.Count, Scoring.Transactions.IsFull, FirstArrival, EarliestDeadline);

    public bool IsEmpty => Records == 0 && Labels.Count == 0 && LabelRejections.Count == 0 && Queries.Count == 0;

    /// <summary>It only asks: nothing of it goes into the log.</summary>
    public bool MovesNothing => Records == 0 && NextLine is null && NextLabelLine is null && Watermark == 0;

    public void Clear()
    {
        Scoring.Clear();
        Shard = null;
        Records = 0;
        NextLine = NextLabelLine = null;
        Watermark = 0;
        GreetsOwners = false;
        Rejections.Clear();
        Labels.Clear();
        LabelRejections.Clear();
        Queries.Clear();
        Found.Clear();
        Waiting.Clear();
        FirstArrival = 0;
        EarliestDeadline = long.MaxValue;
        IsDropped = false;
    }
}

/// <summary>Someone waits for the decision on one row, an HTTP request say.</summary>
internal interface IRowAnswer
{
    /// <summary>The row's fate is durable: its decision or the one that stands. Called on the answering thread; must be quick.</summary>
    /// <param name="record">The record's bytes, valid during the call; empty when there is none.</param>
    /// <param name="code"><see cref="ErrorCode.None"/>, <see cref="ErrorCode.DupSame"/> with the stored record, or <see cref="ErrorCode.IdConflict"/> with none.</param>
    void Decided(ReadOnlySpan<byte> record, ErrorCode code);

    /// <summary>The shard failed before the row was durable; asking again is safe.</summary>
    void Failed(Exception failure);
}
