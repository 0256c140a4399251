using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using Risk.Core.Transactions;

namespace Risk.Core.Log;

/// <summary>
/// The records and private payloads of one micro-batch on their way into the log, with the source position after it.
/// Reusable: <see cref="Clear"/> keeps the buffers, so nothing is allocated once they have grown. Records and payloads
/// lie in the encoding of the bundles (uint16 big-endian length, bytes), so the log copies them in one piece.
/// The n-th payload belongs to the n-th record; both must have been committed before the group is appended.
/// </summary>
public sealed class DecisionGroup
{
    private Column _records = new(initialBytes: 64 * 1024);
    private Column _payloads = new(initialBytes: 64 * 1024);
    private readonly Sha256Lanes _lanes = new();
    private EntityKey[] _eventKeys = new EntityKey[LogFormat.TileWidth];
    private byte[] _position = [];
    private int _positionLength;

    /// <summary>Sequence of the first record: the log's size when the group is appended.</summary>
    public long FirstSequence { get; private set; }

    /// <summary>Records committed so far.</summary>
    public int Count => _records.Count;

    /// <summary>Payloads committed so far.</summary>
    public int PayloadCount => _payloads.Count;

    /// <summary>Opaque to the log: where the source goes on after this group. At most <see cref="LogFormat.PositionBytesMax"/> bytes.</summary>
    public ReadOnlySpan<byte> Position => _position.AsSpan(0, _positionLength);

    /// <summary>Empties the group for the micro-batch that starts at this sequence.</summary>
    public void Clear(long firstSequence)
    {
        FirstSequence = firstSequence;
        _records.Clear();
        _payloads.Clear();
        _positionLength = 0;
    }

    /// <summary>A buffer of at least <paramref name="bytesMax"/> bytes for the next record; valid until the next call.</summary>
    public Span<byte> ReserveRecord(int bytesMax) => _records.Reserve(bytesMax);

    /// <summary>Takes the reserved buffer's first <paramref name="length"/> bytes as the next record.</summary>
    public void CommitRecord(int length) => CommitRecord(length, default);

    /// <summary>The same, with the key by which a store with an index finds the entry (<see cref="IDecisionStore.TryFind"/>).</summary>
    /// <param name="eventKey">The event's key; the default value is none.</param>
    public void CommitRecord(int length, EntityKey eventKey)
    {
        _records.Commit(length);
        if (Count > _eventKeys.Length)
        {
            Array.Resize(ref _eventKeys, _eventKeys.Length * 2);
        }

        _eventKeys[Count - 1] = eventKey;
    }

    /// <summary>A buffer of at least <paramref name="bytesMax"/> bytes for the next payload; valid until the next call.</summary>
    public Span<byte> ReservePayload(int bytesMax) => _payloads.Reserve(bytesMax);

    /// <summary>Takes the reserved buffer's first <paramref name="length"/> bytes as the next payload; 0 means none.</summary>
    public void CommitPayload(int length) => _payloads.Commit(length);

    /// <summary>
    /// Computes the commitments of all payloads so far at once, a third of the cost of one after the other:
    /// write a micro-batch's payloads first, then its records.
    /// </summary>
    /// <param name="commitments">32 bytes a payload.</param>
    public void CommitToPayloads(Span<byte> commitments)
    {
        for (int i = 0; i < PayloadCount; i++)
        {
            _lanes.Add(-1, Payload(i), commitments, i * LogFormat.HashBytes);
        }

        _lanes.Flush(commitments);
    }

    public void SetPosition(ReadOnlySpan<byte> position)
    {
        if (position.Length > LogFormat.PositionBytesMax)
        {
            ThrowPosition(position.Length);
        }

        if (_position.Length < position.Length)
        {
            _position = new byte[Math.Max(256, position.Length)];
        }

        position.CopyTo(_position);
        _positionLength = position.Length;
    }

    public ReadOnlySpan<byte> Record(int index) => _records.Item(index);

    public ReadOnlySpan<byte> Payload(int index) => _payloads.Item(index);

    /// <summary>The event's key of the record; the default value when it has none.</summary>
    public EntityKey EventKey(int index) => _eventKeys[index];

    /// <summary>Records [from, to) with their length prefixes, as a bundle holds them.</summary>
    public ReadOnlySpan<byte> EncodedRecords(int from, int to) => _records.Encoded(from, to);

    /// <summary>Payloads [from, to) with their length prefixes, as a bundle holds them.</summary>
    public ReadOnlySpan<byte> EncodedPayloads(int from, int to) => _payloads.Encoded(from, to);

    [DoesNotReturn]
    private static void ThrowPosition(int length) =>
        throw new ArgumentException($"The source position has {length} bytes; it has at most {LogFormat.PositionBytesMax}.");

    /// <summary>Length-prefixed items in one growing buffer; <c>_ends[i]</c> is where item i ends.</summary>
    private struct Column(int initialBytes)
    {
        private byte[] _bytes = new byte[initialBytes];
        private int[] _ends = new int[LogFormat.TileWidth];

        public int Count { get; private set; }

        private readonly int Length => Count == 0 ? 0 : _ends[Count - 1];

        public void Clear() => Count = 0;

        public Span<byte> Reserve(int bytesMax)
        {
            int start = Length + LogFormat.LengthPrefixBytes;
            if (_bytes.Length - start < bytesMax)
            {
                Grow(start + bytesMax);
            }

            return _bytes.AsSpan(start);
        }

        public void Commit(int length)
        {
            if ((uint)length > LogFormat.EntryBytesMax)
            {
                ThrowLength(length);
            }

            int start = Length;
            BinaryPrimitives.WriteUInt16BigEndian(_bytes.AsSpan(start), (ushort)length);
            if (Count == _ends.Length)
            {
                Array.Resize(ref _ends, _ends.Length * 2);
            }

            _ends[Count++] = start + LogFormat.LengthPrefixBytes + length;
        }

        public readonly ReadOnlySpan<byte> Item(int index) => Encoded(index, index + 1)[LogFormat.LengthPrefixBytes..];

        public readonly ReadOnlySpan<byte> Encoded(int from, int to)
        {
            int start = from == 0 ? 0 : _ends[from - 1];
            int end = to == 0 ? 0 : _ends[to - 1];
            return _bytes.AsSpan(start, end - start);
        }

        private void Grow(int bytes) => Array.Resize(ref _bytes, Math.Max(bytes, _bytes.Length * 2));

        [DoesNotReturn]
        private static void ThrowLength(int length) =>
            throw new ArgumentOutOfRangeException(nameof(length), length, $"An item has {length} bytes; it has 0 to {LogFormat.EntryBytesMax}.");
    }
}
