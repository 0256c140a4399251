using System.Buffers.Binary;
using System.Text;

namespace Risk.Service.Engine;

/// <summary>
/// How far a source has been read and what became of its records: written with every group into the log, so that a run
/// goes on exactly where its last durable decision left it.
/// </summary>
/// <param name="Source">Identity of the input (of a file its name, size and beginning; of a partition topic and number); another input starts from its first record.</param>
/// <param name="Line">Last line that was taken; of a partition the next offset to take.</param>
/// <param name="Watermark">To which the shard's clock was moved while no event came, microseconds; 0 = never.</param>
/// <param name="LabelLine">The same as <paramref name="Line"/>, of the labels.</param>
public readonly record struct SourcePosition(string Source, long Line, long Transactions, long Decisions, long DeadLetters, long Duplicates, long Watermark = 0, long LabelLine = 0)
{
    private const int Longs = 7;

    public byte[] Encode()
    {
        byte[] bytes = new byte[Longs * sizeof(long) + Encoding.UTF8.GetByteCount(Source)];
        ReadOnlySpan<long> numbers = [Line, Transactions, Decisions, DeadLetters, Duplicates, Watermark, LabelLine];
        for (int i = 0; i < Longs; i++) { BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(i * sizeof(long)), numbers[i]); }
        Encoding.UTF8.GetBytes(Source, bytes.AsSpan(Longs * sizeof(long)));
        return bytes;
    }

    /// <summary>The position of a log; a fresh one for <paramref name="source"/> when the log has none or it is of another source.</summary>
    public static SourcePosition Decode(ReadOnlySpan<byte> bytes, string source)
    {
        if (bytes.Length < Longs * sizeof(long) || Encoding.UTF8.GetString(bytes[(Longs * sizeof(long))..]) != source) { return new SourcePosition(source, 0, 0, 0, 0, 0); }
        Span<long> n = stackalloc long[Longs];
        for (int i = 0; i < Longs; i++) { n[i] = BinaryPrimitives.ReadInt64LittleEndian(bytes[(i * sizeof(long))..]); }
        return new SourcePosition(source, n[0], n[1], n[2], n[3], n[4], n[5], n[6]);
    }
}
