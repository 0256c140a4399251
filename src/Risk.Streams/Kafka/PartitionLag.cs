namespace Risk.Streams.Kafka;

/// <summary>How far the reading of one owned partition is.</summary>
/// <param name="Position">Offset of the message that comes next; −1 before the first.</param>
/// <param name="HighWatermark">The offset that the next written message will have, as of the last fetch; −1 where unknown.</param>
/// <param name="IsStarted">False while its state is being rebuilt, or after <c>OFFSET_GAP</c>.</param>
/// <param name="IsPaused">The host holds it back.</param>
public readonly record struct PartitionLag(int Partition, long Position, long HighWatermark, bool IsStarted, bool IsPaused)
{
    /// <summary>Messages that were written and not handed over; −1 where unknown. Of a paused partition it does not grow until it is resumed.</summary>
    public long Lag => Position < 0 || HighWatermark < 0 ? -1 : Math.Max(0, HighWatermark - Position);
}
