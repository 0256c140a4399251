using System.Buffers.Binary;
using Risk.Core.Log;
using Risk.Core.Transactions;

namespace Risk.Storage.Postgres;

/// <summary>
/// Entries on their way into the table <c>risk.entry</c>, already in the binary format of COPY
/// (https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"), with their leaf hashes. Written once at
/// append, so that a commit, and its retry, send one buffer as it is. Reused: buffers only grow.
/// </summary>
internal sealed class CopyRows
{
    public const string Statement = "COPY risk.entry (log, sequence, event_key, record, payload) FROM STDIN (FORMAT BINARY)";

    private const int KeyBytes = 16;
    private const int FixedBytes = sizeof(short) + 5 * sizeof(int) + sizeof(int) + sizeof(long) + KeyBytes;

    /// <summary>Where the record's length stands in a row with a key; 16 bytes earlier in one without.</summary>
    private const int RecordAt = FixedBytes - 2 * sizeof(int);

    private readonly Sha256Lanes _lanes = new();
    private byte[] _bytes = new byte[256 * 1024];
    private byte[] _leaves = new byte[LogFormat.TileBytes];
    private int[] _starts = new int[LogFormat.TileWidth];
    private int _length;

    /// <summary>What a COPY begins with: the signature, no flags, no header extension.</summary>
    public static ReadOnlySpan<byte> Header => [(byte)'P', (byte)'G', (byte)'C', (byte)'O', (byte)'P', (byte)'Y', (byte)'\n', 0xFF, (byte)'\r', (byte)'\n', 0, 0, 0, 0, 0, 0, 0, 0, 0];

    /// <summary>What it ends with: a field count of -1.</summary>
    public static ReadOnlySpan<byte> Trailer => [0xFF, 0xFF];

    public int Count { get; private set; }

    public ReadOnlySpan<byte> Bytes => _bytes.AsSpan(0, _length);

    /// <summary>32 bytes an entry.</summary>
    public ReadOnlySpan<byte> Leaves => _leaves.AsSpan(0, Count * LogFormat.HashBytes);

    public void Clear() => (Count, _length) = (0, 0);

    public void Add(int log, DecisionGroup group)
    {
        EnsureRoom(group);
        for (int i = 0; i < group.Count; i++)
        {
            _starts[Count + i] = _length;
            WriteRow(log, group.FirstSequence + i, group.EventKey(i), group.Record(i), group.Payload(i));
            MerkleHash.AddLeaf(_lanes, group.Record(i), _leaves, (Count + i) * LogFormat.HashBytes);
        }

        _lanes.Flush(_leaves);
        Count += group.Count;
    }

    public void Read(int index, LogEntry entry)
    {
        ReadOnlySpan<byte> row = _bytes.AsSpan(_starts[index]);
        int keyAt = sizeof(short) + sizeof(int) + sizeof(int) + sizeof(int) + sizeof(long);
        int at = BinaryPrimitives.ReadInt32BigEndian(row[keyAt..]) < 0 ? RecordAt - KeyBytes : RecordAt;
        ReadOnlySpan<byte> record = row.Slice(at + sizeof(int), BinaryPrimitives.ReadInt32BigEndian(row[at..]));
        at += sizeof(int) + record.Length;
        entry.Set(record, row.Slice(at + sizeof(int), BinaryPrimitives.ReadInt32BigEndian(row[at..])));
    }

    private void WriteRow(int log, long sequence, EntityKey key, ReadOnlySpan<byte> record, ReadOnlySpan<byte> payload)
    {
        var row = new CopyWriter(_bytes.AsSpan(_length));
        row.Int16(5);
        row.Int32Field(log);
        row.Int64Field(sequence);
        if (key == default)
        {
            row.Null();
        }
        else
        {
            row.Length(KeyBytes);
            row.UInt64(key.High);
            row.UInt64(key.Low);
        }

        row.BytesField(record);
        row.BytesField(payload);
        _length += row.Written;
    }

    private void EnsureRoom(DecisionGroup group)
    {
        int bytes = _length + group.Count * FixedBytes + group.EncodedRecords(0, group.Count).Length + group.EncodedPayloads(0, group.Count).Length;
        if (_bytes.Length < bytes)
        {
            Array.Resize(ref _bytes, Math.Max(bytes, _bytes.Length * 2));
        }

        int count = Count + group.Count;
        if (_starts.Length < count)
        {
            Array.Resize(ref _starts, Math.Max(count, _starts.Length * 2));
            Array.Resize(ref _leaves, _starts.Length * LogFormat.HashBytes);
        }
    }
}
