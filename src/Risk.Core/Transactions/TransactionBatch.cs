namespace Risk.Core.Transactions;

/// <summary>
/// The accepted transactions of one micro-batch, column by column, in source order. Preallocated, reused, never shared
/// between threads at the same time; a row is valid until <see cref="Clear"/>. Every row also has its canonical bytes
/// (schema order, see <see cref="StreamSchema"/>), which are what the private payload keeps and what replay parses again.
/// </summary>
public sealed partial class TransactionBatch
{
    public StreamSchema Schema { get; }
    public int Capacity { get; }
    public int Count { get; private set; }

    /// <summary>Event times, microseconds since the Unix epoch. Shape [Count].</summary>
    public ReadOnlySpan<long> EventTimes => _eventTimes.AsSpan(0, Count);
    /// <summary>When each row reached the engine (in open-loop load: its intended send time), microseconds. Shape [Count].</summary>
    public ReadOnlySpan<long> IngestTimes => _ingestTimes.AsSpan(0, Count);
    /// <summary>Position in the source: line number of a file (1-based), offset of a partition. Shape [Count].</summary>
    public ReadOnlySpan<long> SourceOffsets => _sourceOffsets.AsSpan(0, Count);
    /// <summary>Keyed hash of (stream, event id), the key of deduplication. Shape [Count].</summary>
    public ReadOnlySpan<EntityKey> EventKeys => _eventKeys.AsSpan(0, Count);
    /// <summary>64-bit keyed hash of the row's canonical bytes: tells "same id, same payload" from "same id, other payload". Shape [Count].</summary>
    public ReadOnlySpan<ulong> Fingerprints => _fingerprints.AsSpan(0, Count);
    /// <summary>Number fields, row-major. Shape [Count × Schema.NumberFields.Count].</summary>
    public ReadOnlySpan<double> Numbers => _numbers.AsSpan(0, Count * Schema.NumberFields.Count);
    /// <summary>Keyed hashes of the key fields (types key and pan), row-major. Shape [Count × Schema.KeyFields.Count].</summary>
    public ReadOnlySpan<EntityKey> Keys => _keys.AsSpan(0, Count * Schema.KeyFields.Count);

    /// <summary>The event id as given, UTF-8.</summary>
    public ReadOnlySpan<byte> EventId(int row) => Text(row, Schema.EventIdText);
    /// <summary>A text-like field (id, key, pan token, text, category) as given, UTF-8; <paramref name="text"/> indexes <see cref="StreamSchema.TextFields"/>.</summary>
    public partial ReadOnlySpan<byte> Text(int row, int text);
    /// <summary>The canonical bytes of a row.</summary>
    public partial ReadOnlySpan<byte> Canonical(int row);
    public partial void Clear();
}
