using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;

namespace Risk.Core.Transactions;

/// <summary>
/// The accepted transactions of one micro-batch, column by column, in source order. Preallocated, reused, never shared
/// between threads at the same time; a row is valid until <see cref="Clear"/>. Every row also has its canonical bytes
/// (see <see cref="TransactionCodec"/>), which are what the private payload keeps and what replay parses again. Texts are
/// slices of those bytes.
/// </summary>
public sealed class TransactionBatch
{
    // Where a text stands in _canonical.
    private readonly record struct Place(int Start, int Size);

    private readonly int _numberCount, _keyCount, _textCount, _eventIdText;
    private readonly long[] _eventTimes, _ingestTimes, _sourceOffsets;
    private readonly EntityKey[] _eventKeys, _keys;
    private readonly ulong[] _fingerprints;
    private readonly double[] _numbers;
    private readonly Place[] _texts, _rows;
    private byte[] _canonical;
    private int _canonicalSize;

    /// <param name="capacity">Rows, 1 to <see cref="Limits.BatchCapacityMax"/>.</param>
    public TransactionBatch(StreamSchema schema, int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(capacity, Limits.BatchCapacityMax);
        Schema = schema;
        Capacity = capacity;
        _numberCount = schema.NumberFields.Count;
        _keyCount = schema.KeyFields.Count;
        _textCount = schema.TextFields.Count;
        _eventIdText = schema.EventIdText;
        _eventTimes = new long[capacity];
        _ingestTimes = new long[capacity];
        _sourceOffsets = new long[capacity];
        _eventKeys = new EntityKey[capacity];
        _fingerprints = new ulong[capacity];
        _numbers = new double[capacity * _numberCount];
        _keys = new EntityKey[capacity * _keyCount];
        _texts = new Place[capacity * _textCount];
        _rows = new Place[capacity];
        _canonical = new byte[capacity * schema.Fields.Count * 16];
    }

    public StreamSchema Schema { get; }

    /// <summary>Rows at most.</summary>
    public int Capacity { get; }

    /// <summary>Rows so far.</summary>
    public int Count { get; private set; }

    /// <summary>No further row may be added: every row is taken, or the canonical bytes have reached <see cref="Limits.BatchBytesMax"/>.</summary>
    public bool IsFull => Count == Capacity || _canonicalSize >= Limits.BatchBytesMax;

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

    /// <summary>Number fields, row-major; absent is NaN. Shape [Count × Schema.NumberFields.Count].</summary>
    public ReadOnlySpan<double> Numbers => _numbers.AsSpan(0, Count * _numberCount);

    /// <summary>Keyed hashes of the key fields (types key and pan), row-major; absent is the default key. Shape [Count × Schema.KeyFields.Count].</summary>
    public ReadOnlySpan<EntityKey> Keys => _keys.AsSpan(0, Count * _keyCount);

    /// <summary>The event id as given, UTF-8.</summary>
    public ReadOnlySpan<byte> EventId(int row) => Text(row, _eventIdText);

    /// <summary>
    /// A text-like field (id, key, category, currency, text) as given, UTF-8; of a card number its token in 32
    /// hexadecimal digits; empty where absent. <paramref name="text"/> indexes <see cref="StreamSchema.TextFields"/>.
    /// </summary>
    public ReadOnlySpan<byte> Text(int row, int text)
    {
        CheckRow(row);
        if ((uint)text >= (uint)_textCount)
        {
            throw new ArgumentOutOfRangeException(nameof(text), text, $"the schema has {_textCount} text fields");
        }

        Place place = _texts[row * _textCount + text];
        return _canonical.AsSpan(place.Start, place.Size);
    }

    /// <summary>The canonical bytes of a row, see <see cref="TransactionCodec"/>.</summary>
    public ReadOnlySpan<byte> Canonical(int row)
    {
        CheckRow(row);
        return _canonical.AsSpan(_rows[row].Start, _rows[row].Size);
    }

    /// <summary>Takes the last row out again (a duplicate, say). Throws when there is none.</summary>
    public void RemoveLast()
    {
        CheckRow(Count - 1);
        Count--;
        _canonicalSize = _rows[Count].Start;
    }

    /// <summary>Adds a copy of another batch's row; the schemas must be the same. Throws when full.</summary>
    public void AppendCopy(TransactionBatch source, int row)
    {
        source.CheckRow(row);
        if (!ReferenceEquals(source.Schema, Schema))
        {
            throw new ArgumentException("the batch is of another schema", nameof(source));
        }

        Begin();
        ReadOnlySpan<byte> canonical = source.Canonical(row);
        Bytes(canonical.Length);
        int start = _canonicalSize - canonical.Length;
        canonical.CopyTo(_canonical.AsSpan(start));
        int shift = start - source._rows[row].Start;
        for (int text = 0; text < _textCount; text++)
        {
            Place place = source._texts[row * _textCount + text];
            _texts[Count * _textCount + text] = place with { Start = place.Start + shift };
        }

        source._numbers.AsSpan(row * _numberCount, _numberCount).CopyTo(_numbers.AsSpan(Count * _numberCount));
        source._keys.AsSpan(row * _keyCount, _keyCount).CopyTo(_keys.AsSpan(Count * _keyCount));
        _eventKeys[Count] = source._eventKeys[row];
        _eventTimes[Count] = source._eventTimes[row];
        Commit(source._sourceOffsets[row], source._ingestTimes[row], source._fingerprints[row]);
    }

    /// <summary>Forgets every row; buffers stay.</summary>
    public void Clear()
    {
        Count = 0;
        _canonicalSize = 0;
    }

    // --- one row being built: Begin, then Put… for every field in schema order, then Commit or Abandon ---------------

    internal void Begin()
    {
        if (IsFull)
        {
            throw new InvalidOperationException($"the batch is full: {Count} of {Capacity} rows, {_canonicalSize} canonical bytes");
        }

        _canonicalSize = Count == 0 ? 0 : _rows[Count - 1].Start + _rows[Count - 1].Size;
        _rows[Count] = new Place(_canonicalSize, 0);
    }

    /// <summary>The canonical bytes of the row so far.</summary>
    internal ReadOnlySpan<byte> Pending => _canonical.AsSpan(_rows[Count].Start, _canonicalSize - _rows[Count].Start);

    internal void PutEventTime(long micros)
    {
        _eventTimes[Count] = micros;
        BinaryPrimitives.WriteInt64LittleEndian(Bytes(8), micros);
    }

    internal void PutNumber(int number, double value)
    {
        _numbers[Count * _numberCount + number] = value;
        BinaryPrimitives.WriteDoubleLittleEndian(Bytes(8), value);
    }

    internal void PutText(int text, ReadOnlySpan<byte> value)
    {
        Span<byte> bytes = Bytes(2 + value.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)value.Length);
        value.CopyTo(bytes[2..]);
        _texts[Count * _textCount + text] = new Place(_canonicalSize - value.Length, value.Length);
    }

    internal void PutAbsentText(int text)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(Bytes(2), TransactionCodec.AbsentText);
        _texts[Count * _textCount + text] = default;
    }

    internal void PutKey(int key, EntityKey value) => _keys[Count * _keyCount + key] = value;

    internal void PutEventKey(EntityKey value) => _eventKeys[Count] = value;

    internal long PendingEventTime => _eventTimes[Count];

    /// <summary>The row begun was not good.</summary>
    internal void Abandon() => _canonicalSize = _rows[Count].Start;

    internal void Commit(long sourceOffset, long ingestMicros, ulong fingerprint)
    {
        _rows[Count] = new Place(_rows[Count].Start, _canonicalSize - _rows[Count].Start);
        _sourceOffsets[Count] = sourceOffset;
        _ingestTimes[Count] = ingestMicros;
        _fingerprints[Count] = fingerprint;
        Count++;
    }

    private Span<byte> Bytes(int size)
    {
        int start = _canonicalSize;
        if (start + size > _canonical.Length)
        {
            Array.Resize(ref _canonical, Math.Max(_canonical.Length * 2, start + size));
        }

        _canonicalSize = start + size;
        return _canonical.AsSpan(start, size);
    }

    private void CheckRow(int row)
    {
        if ((uint)row >= (uint)Count)
        {
            ThrowNoSuchRow(row);
        }
    }

    [DoesNotReturn]
    private void ThrowNoSuchRow(int row) => throw new ArgumentOutOfRangeException(nameof(row), row, $"the batch has {Count} rows");
}
