using System.Buffers.Binary;
using Risk.Core.Log;

namespace Risk.Storage.Log;

/// <summary>
/// Up to 256 entries with their payloads in memory, in the encoding of the files (https://c2sp.org/tlog-tiles#log-entries).
/// Reused: buffers only grow.
/// </summary>
internal sealed class Bundle
{
    private readonly Column _entries = new();
    private readonly Column _payloads = new();

    /// <summary>0-based place of the bundle in the log.</summary>
    public long Index { get; private set; }

    public int Count => _entries.Count;

    public bool IsFull => Count == LogFormat.TileWidth;

    public long FirstSequence => Index * LogFormat.TileWidth;

    public long EndSequence => FirstSequence + Count;

    public void Clear(long index)
    {
        Index = index;
        _entries.Clear();
        _payloads.Clear();
    }

    /// <summary>Takes as many of the encoded items as fit, moves the spans past them, and returns how many.</summary>
    public int Take(ref ReadOnlySpan<byte> entries, ref ReadOnlySpan<byte> payloads, int count)
    {
        int taken = Math.Min(count, LogFormat.TileWidth - Count);
        _entries.Take(ref entries, taken);
        _payloads.Take(ref payloads, taken);
        return taken;
    }

    public ReadOnlySpan<byte> Entry(int index) => _entries.Item(index);

    public ReadOnlySpan<byte> Payload(int index) => _payloads.Item(index);

    /// <summary>The file's bytes of the first <paramref name="count"/> entries.</summary>
    public ReadOnlySpan<byte> EncodedEntries(int count) => _entries.Encoded(count);

    /// <summary>The file's bytes of the first <paramref name="count"/> payloads.</summary>
    public ReadOnlySpan<byte> EncodedPayloads(int count) => _payloads.Encoded(count);

    private sealed class Column
    {
        private readonly int[] _ends = new int[LogFormat.TileWidth + 1];
        private byte[] _bytes = new byte[128 * 1024];

        public int Count { get; private set; }

        public void Clear() => Count = 0;

        public void Take(ref ReadOnlySpan<byte> from, int items)
        {
            int start = _ends[Count];
            int length = 0;
            for (int i = 0; i < items; i++)
            {
                length += LogFormat.LengthPrefixBytes + BinaryPrimitives.ReadUInt16BigEndian(from[length..]);
                _ends[++Count] = start + length;
            }

            if (_bytes.Length < start + length)
            {
                Array.Resize(ref _bytes, Math.Max(start + length, _bytes.Length * 2));
            }

            from[..length].CopyTo(_bytes.AsSpan(start));
            from = from[length..];
        }

        public ReadOnlySpan<byte> Item(int index) => _bytes.AsSpan(_ends[index].._ends[index + 1])[LogFormat.LengthPrefixBytes..];

        public ReadOnlySpan<byte> Encoded(int count) => _bytes.AsSpan(0, _ends[count]);
    }
}
