using Risk.Core.Devices;

namespace Risk.Core;

/// <summary>What waits to become a micro-batch.</summary>
/// <param name="Count">Rows waiting.</param>
/// <param name="IsFull">No further row fits (rows or bytes).</param>
/// <param name="OldestIngestMicros">When the oldest of them arrived.</param>
/// <param name="EarliestDeadlineMicros">When the first of them must be answered; <see cref="long.MaxValue"/> where none has a deadline.</param>
public readonly record struct BatchQueue(int Count, bool IsFull, long OldestIngestMicros, long EarliestDeadlineMicros);

/// <summary>Send the batch now, or look again at a time (or when something arrives).</summary>
public readonly record struct BatchStep(bool Close, long WakeAtMicros);

/// <summary>
/// When a micro-batch leaves: when it is full, when its oldest row has waited long enough, or when the earliest deadline
/// leaves just the time that a batch takes. A pure function of the queue and the time.
/// </summary>
/// <param name="SizeMax">Rows of a batch, 1 to <see cref="Limits.BatchCapacityMax"/>; default 512. Larger amortises the sync of the log, smaller answers sooner.</param>
/// <param name="DelayMaxMicros">Longest wait of a row for company, microseconds; default 1,000, 0 = never wait.</param>
/// <param name="ServiceMicros">Time from a batch's leaving to its answer, microseconds; default 5,000. Kept back from every deadline.</param>
/// <param name="RowDeadlineMicros">From arrival to answer, microseconds, for rows that bring no deadline; default none.</param>
public sealed record BatchPolicy(int SizeMax = 512, long DelayMaxMicros = 1_000, long ServiceMicros = 5_000, long RowDeadlineMicros = long.MaxValue)
{
    /// <summary>
    /// How long rows of a grade wait for company, where nobody says: latency-critical rows a millisecond, bulk rows a second,
    /// cost-sensitive rows as long as their deadline allows, without one a second. As <see cref="RouterOptions"/> has it.
    /// </summary>
    public static long DelayMaxOf(StreamGrade grade, RouterOptions options, long rowDeadlineMicros = long.MaxValue) => grade switch
    {
        StreamGrade.LatencyCritical => options.DelayMaxMicros,
        StreamGrade.CostSensitive when rowDeadlineMicros != long.MaxValue => rowDeadlineMicros,
        _ => options.BulkDelayMaxMicros,
    };

    public BatchStep Next(in BatchQueue queue, long nowMicros)
    {
        if (queue.Count == 0) { return new BatchStep(false, long.MaxValue); }
        if (queue.IsFull || queue.Count >= SizeMax) { return new BatchStep(true, nowMicros); }
        long deadline = RowDeadlineMicros == long.MaxValue ? queue.EarliestDeadlineMicros : Math.Min(queue.EarliestDeadlineMicros, queue.OldestIngestMicros + RowDeadlineMicros);
        long byDeadline = deadline == long.MaxValue ? long.MaxValue : deadline - ServiceMicros;
        long leaveAt = Math.Min(queue.OldestIngestMicros + DelayMaxMicros, byDeadline);
        return new BatchStep(nowMicros >= leaveAt, leaveAt);
    }
}
