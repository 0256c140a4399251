using System.Buffers.Binary;
using System.Text;

namespace Risk.Service.Engine;

/// <summary>
/// How far a source has been read and what became of its records: written with every group into the log, so that a run
/// goes on exactly where its last durable decision left it.
/// </summary>
/// <param name="Source">Identity of the input (name, size, beginning); another input starts from its first record.</param>
/// <param name="Line">Last line that was taken.</param>
public readonly record struct SourcePosition(string Source, long Line, long Transactions, long Decisions, long DeadLetters, long Duplicates)
{
    private const int Longs = 5;

    public byte[] Encode()
    {
        byte[] bytes = new byte[Longs * 8 + Encoding.UTF8.GetByteCount(Source)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, Line);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(8), Transactions);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(16), Decisions);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(24), DeadLetters);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(32), Duplicates);
        Encoding.UTF8.GetBytes(Source, bytes.AsSpan(Longs * 8));
        return bytes;
    }

    /// <summary>The position of a log; a fresh one for <paramref name="source"/> when the log has none or it is of another source.</summary>
    public static SourcePosition Decode(ReadOnlySpan<byte> bytes, string source)
    {
        if (bytes.Length < Longs * 8 || Encoding.UTF8.GetString(bytes[(Longs * 8)..]) != source) { return new SourcePosition(source, 0, 0, 0, 0, 0); }
        return new SourcePosition(
            source,
            BinaryPrimitives.ReadInt64LittleEndian(bytes),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[24..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[32..]));
    }
}
