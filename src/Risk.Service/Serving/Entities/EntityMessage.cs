using System.Buffers;
using System.Buffers.Binary;
using Risk.Core.Features;
using Risk.Core.Transactions;

namespace Risk.Service.Serving.Entities;

/// <summary>
/// What shards and owners of entities say to each other, little endian. A request: kind (1), partition (4), asker's epoch, from,
/// up to (8 each), rows (4), and for each row the time since which its label is known (8, of a label only) and its canonical
/// bytes (4 + n). A reply: epoch, covered (8 each), accepted (1), rows (4), values [rows × width] (8 each), late marks (1 each).
/// </summary>
internal static class EntityMessage
{
    public enum Kind : byte { Ask = 1, Learn = 2 }

    private const int HeadBytes = 1 + 4 + 8 * 3 + 4, ReplyHeadBytes = 8 + 8 + 1 + 4;
    private const long NoTime = long.MinValue;

    public static void Begin(ArrayBufferWriter<byte> output, Kind kind, in OwnerRequest request)
    {
        output.ResetWrittenCount();
        Span<byte> head = output.GetSpan(HeadBytes);
        head[0] = (byte)kind;
        BinaryPrimitives.WriteInt32LittleEndian(head[1..], request.Partition);
        BinaryPrimitives.WriteInt64LittleEndian(head[5..], request.AskerEpoch);
        BinaryPrimitives.WriteInt64LittleEndian(head[13..], request.From);
        BinaryPrimitives.WriteInt64LittleEndian(head[21..], request.UpTo);
        output.Advance(HeadBytes);
    }

    public static void Add(ArrayBufferWriter<byte> output, ReadOnlySpan<byte> canonical)
    {
        BinaryPrimitives.WriteInt32LittleEndian(output.GetSpan(4), canonical.Length);
        output.Advance(4);
        output.Write(canonical);
    }

    public static void AddLabelled(ArrayBufferWriter<byte> output, ReadOnlySpan<byte> canonical, long? knownAt)
    {
        BinaryPrimitives.WriteInt64LittleEndian(output.GetSpan(8), knownAt ?? NoTime);
        output.Advance(8);
        Add(output, canonical);
    }

    /// <summary>The finished request.</summary>
    public static byte[] End(ArrayBufferWriter<byte> output, int rows)
    {
        byte[] message = output.WrittenSpan.ToArray();
        BinaryPrimitives.WriteInt32LittleEndian(message.AsSpan(HeadBytes - 4), rows);
        return message;
    }

    /// <summary>Reads a request into a batch, and the labels' times where it is about those. False when it is none.</summary>
    public static bool TryRead(ReadOnlySpan<byte> message, TransactionCodec codec, TransactionBatch batch, List<long?> knownAt, out Kind kind, out OwnerRequest request)
    {
        kind = default;
        request = default;
        batch.Clear();
        knownAt.Clear();
        if (message.Length < HeadBytes) { return false; }
        kind = (Kind)message[0];
        request = new OwnerRequest(BinaryPrimitives.ReadInt32LittleEndian(message[1..]), BinaryPrimitives.ReadInt64LittleEndian(message[5..]), BinaryPrimitives.ReadInt64LittleEndian(message[13..]), BinaryPrimitives.ReadInt64LittleEndian(message[21..]));
        int rows = BinaryPrimitives.ReadInt32LittleEndian(message[29..]);
        message = message[HeadBytes..];
        for (; rows > 0; rows--)
        {
            if (kind == Kind.Learn)
            {
                if (message.Length < 8) { return false; }
                long time = BinaryPrimitives.ReadInt64LittleEndian(message);
                knownAt.Add(time == NoTime ? null : time);
                message = message[8..];
            }
            if (message.Length < 4) { return false; }
            int size = BinaryPrimitives.ReadInt32LittleEndian(message);
            if (size < 0 || size > message.Length - 4 || batch.IsFull || !codec.Append(message.Slice(4, size), 0, 0, batch)) { return false; }
            message = message[(4 + size)..];
        }
        return message.IsEmpty;
    }

    public static byte[] Reply(in OwnerReply reply, ReadOnlySpan<double> values, ReadOnlySpan<bool> late)
    {
        byte[] message = new byte[ReplyHeadBytes + values.Length * 8 + late.Length];
        BinaryPrimitives.WriteInt64LittleEndian(message, reply.Epoch);
        BinaryPrimitives.WriteInt64LittleEndian(message.AsSpan(8), reply.Covered);
        message[16] = reply.IsAccepted ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteInt32LittleEndian(message.AsSpan(17), late.Length);
        for (int i = 0; i < values.Length; i++) { BinaryPrimitives.WriteDoubleLittleEndian(message.AsSpan(ReplyHeadBytes + i * 8), values[i]); }
        for (int i = 0; i < late.Length; i++) { message[ReplyHeadBytes + values.Length * 8 + i] = late[i] ? (byte)1 : (byte)0; }
        return message;
    }

    /// <summary>Reads a reply's head; false when it is none for so many rows.</summary>
    public static bool TryReadReply(ReadOnlySpan<byte> message, int rows, int width, out OwnerReply reply)
    {
        reply = default;
        if (message.Length < ReplyHeadBytes) { return false; }
        reply = new OwnerReply(BinaryPrimitives.ReadInt64LittleEndian(message), BinaryPrimitives.ReadInt64LittleEndian(message[8..]), message[16] == 1);
        int given = BinaryPrimitives.ReadInt32LittleEndian(message[17..]);
        return reply.IsAccepted ? given == rows && message.Length == ReplyHeadBytes + rows * (width * 8 + 1) : given == 0;
    }

    /// <summary>The values of one row; whether it was late.</summary>
    public static bool ReadRow(ReadOnlySpan<byte> reply, int row, int rows, Span<double> values)
    {
        ReadOnlySpan<byte> from = reply[(ReplyHeadBytes + row * values.Length * 8)..];
        for (int i = 0; i < values.Length; i++) { values[i] = BinaryPrimitives.ReadDoubleLittleEndian(from[(i * 8)..]); }
        return reply[ReplyHeadBytes + rows * values.Length * 8 + row] == 1;
    }
}
