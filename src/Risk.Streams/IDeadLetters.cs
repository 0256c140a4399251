using Risk.Core.Transactions;

namespace Risk.Streams;

/// <summary>Where the records go that were not accepted. Not thread-safe. What cannot be written throws <see cref="IOException"/>, and then no position may pass it.</summary>
public interface IDeadLetters : IDisposable
{
    /// <summary>Adds one dead letter; <see cref="Flush"/> sees to it that it is kept.</summary>
    void Append(in Rejection rejection, DeadLetterSource source);

    /// <summary>Writes what was added; <paramref name="durable"/>: and returns when it is safe (on disk, acknowledged by all replicas).</summary>
    void Flush(bool durable);
}
