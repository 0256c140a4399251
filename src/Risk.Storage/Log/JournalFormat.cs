using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Risk.Storage.Log;

/// <summary>
/// The bytes of a journal segment. Little-endian; every part carries a CRC-32C, against torn writes, not against people
/// (the Merkle tree is there for those).
/// <code>
/// segment  header at 0, then commits, each at a multiple of 4096, so that acknowledged bytes are never written again
/// header   magic u32, version u32, id u64, first sequence u64, oldest live id u64, crc u32
/// commit   magic u32, bytes u32, segment id u64, number u64, crc u32 of these; then frames, each at a multiple of 8
/// frame    magic u32, count u32, first sequence u64, position, entries and payloads bytes u32 each, crc u32 of all;
///          then position, entries, payloads (both uint16 big-endian length, bytes, as in a bundle)
/// </code>
/// A segment's ids and a commit's number tell a torn tail (nothing whole comes after it) from damage within (something
/// does), and old content of a recycled file from new. The first commit of a segment, its anchor, holds one frame: the
/// position at that time, and after a restart the entries that are in no full tile; a segment without a whole anchor
/// doesn't exist.
/// </summary>
internal static class JournalFormat
{
    public const int BlockBytes = 4096;
    public const int HeaderBytes = 36;
    public const int CommitHeaderBytes = 32;
    public const int FrameHeaderBytes = 32;

    private const uint HeaderMagic = 0x474A5352; // RSJG
    private const uint CommitMagic = 0x4D4A5352; // RSJM
    private const uint FrameMagic = 0x464A5352; // RSJF
    private const uint Version = 1;

    public static long AlignBlock(long offset) => (offset + BlockBytes - 1) & ~(long)(BlockBytes - 1);

    public static int AlignFrame(int length) => (length + 7) & ~7;

    public static void WriteHeader(Span<byte> to, in SegmentHeader header)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(to, HeaderMagic);
        BinaryPrimitives.WriteUInt32LittleEndian(to[4..], Version);
        BinaryPrimitives.WriteInt64LittleEndian(to[8..], header.Id);
        BinaryPrimitives.WriteInt64LittleEndian(to[16..], header.FirstSequence);
        BinaryPrimitives.WriteInt64LittleEndian(to[24..], header.OldestLiveId);
        BinaryPrimitives.WriteUInt32LittleEndian(to[32..], Crc(to[..32]));
    }

    public static bool TryReadHeader(ReadOnlySpan<byte> from, out SegmentHeader header)
    {
        header = default;
        if (from.Length < HeaderBytes || BinaryPrimitives.ReadUInt32LittleEndian(from) != HeaderMagic ||
            BinaryPrimitives.ReadUInt32LittleEndian(from[4..]) != Version ||
            BinaryPrimitives.ReadUInt32LittleEndian(from[32..]) != Crc(from[..32]))
        {
            return false;
        }

        header = new SegmentHeader(
            BinaryPrimitives.ReadInt64LittleEndian(from[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(from[16..]),
            BinaryPrimitives.ReadInt64LittleEndian(from[24..]));
        return true;
    }

    /// <param name="to">The commit's start.</param>
    /// <param name="bytes">Bytes of the commit, this header included, without the padding to the block.</param>
    public static void WriteCommit(Span<byte> to, int bytes, long segmentId, long number)
    {
        to[..CommitHeaderBytes].Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(to, CommitMagic);
        BinaryPrimitives.WriteInt32LittleEndian(to[4..], bytes);
        BinaryPrimitives.WriteInt64LittleEndian(to[8..], segmentId);
        BinaryPrimitives.WriteInt64LittleEndian(to[16..], number);
        BinaryPrimitives.WriteUInt32LittleEndian(to[24..], Crc(to[..24]));
    }

    /// <summary>Reads a commit's header; the commit's bytes may reach past the end of what is there.</summary>
    public static bool TryReadCommit(ReadOnlySpan<byte> from, long segmentId, out int bytes, out long number)
    {
        (bytes, number) = (0, 0);
        if (from.Length < CommitHeaderBytes || BinaryPrimitives.ReadUInt32LittleEndian(from) != CommitMagic ||
            BinaryPrimitives.ReadInt64LittleEndian(from[8..]) != segmentId ||
            BinaryPrimitives.ReadUInt32LittleEndian(from[24..]) != Crc(from[..24]))
        {
            return false;
        }

        bytes = BinaryPrimitives.ReadInt32LittleEndian(from[4..]);
        number = BinaryPrimitives.ReadInt64LittleEndian(from[16..]);
        return bytes >= CommitHeaderBytes;
    }

    public static int FrameBytes(int position, int entries, int payloads) => AlignFrame(FrameHeaderBytes + position + entries + payloads);

    /// <summary>Writes a frame and returns its length, padding included.</summary>
    public static int WriteFrame(
        Span<byte> to, long firstSequence, int count, ReadOnlySpan<byte> position, ReadOnlySpan<byte> entries, ReadOnlySpan<byte> payloads)
    {
        int used = FrameHeaderBytes + position.Length + entries.Length + payloads.Length;
        int padded = AlignFrame(used);
        BinaryPrimitives.WriteUInt32LittleEndian(to, FrameMagic);
        BinaryPrimitives.WriteInt32LittleEndian(to[4..], count);
        BinaryPrimitives.WriteInt64LittleEndian(to[8..], firstSequence);
        BinaryPrimitives.WriteInt32LittleEndian(to[16..], position.Length);
        BinaryPrimitives.WriteInt32LittleEndian(to[20..], entries.Length);
        BinaryPrimitives.WriteInt32LittleEndian(to[24..], payloads.Length);
        Span<byte> body = to[FrameHeaderBytes..padded];
        position.CopyTo(body);
        entries.CopyTo(body[position.Length..]);
        payloads.CopyTo(body[(position.Length + entries.Length)..]);
        to[used..padded].Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(to[28..], Crc(body, Crc(to[..28])));
        return padded;
    }

    /// <summary>Reads a frame; false when it is torn, damaged or none.</summary>
    public static bool TryReadFrame(ReadOnlySpan<byte> from, out JournalFrame frame)
    {
        frame = default;
        if (from.Length < FrameHeaderBytes || BinaryPrimitives.ReadUInt32LittleEndian(from) != FrameMagic)
        {
            return false;
        }

        int count = BinaryPrimitives.ReadInt32LittleEndian(from[4..]);
        long position = BinaryPrimitives.ReadUInt32LittleEndian(from[16..]);
        long entries = BinaryPrimitives.ReadUInt32LittleEndian(from[20..]);
        long payloads = BinaryPrimitives.ReadUInt32LittleEndian(from[24..]);
        long used = FrameHeaderBytes + position + entries + payloads;
        if (count < 0 || used > from.Length || AlignFrame((int)used) > from.Length)
        {
            return false;
        }

        int padded = AlignFrame((int)used);
        if (BinaryPrimitives.ReadUInt32LittleEndian(from[28..]) != Crc(from[FrameHeaderBytes..padded], Crc(from[..28])))
        {
            return false;
        }

        ReadOnlySpan<byte> body = from[FrameHeaderBytes..];
        frame = new JournalFrame
        {
            FirstSequence = BinaryPrimitives.ReadInt64LittleEndian(from[8..]),
            Count = count,
            Bytes = padded,
            Position = body[..(int)position],
            Entries = body.Slice((int)position, (int)entries),
            Payloads = body.Slice((int)(position + entries), (int)payloads),
        };
        return true;
    }

    /// <summary>First sequence that a frame's header tells, unchecked; a hint of where to read.</summary>
    public static long FirstSequenceOf(ReadOnlySpan<byte> frameHeader) => BinaryPrimitives.ReadInt64LittleEndian(frameHeader[8..]);

    /// <summary>CRC-32C, the processor's own instruction where there is one.</summary>
    public static uint Crc(ReadOnlySpan<byte> bytes, uint before = ~0u)
    {
        uint crc = before;
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(bytes);
        foreach (ulong word in words)
        {
            crc = BitOperations.Crc32C(crc, word);
        }

        foreach (byte rest in bytes[(words.Length * sizeof(ulong))..])
        {
            crc = BitOperations.Crc32C(crc, rest);
        }

        return crc;
    }
}

/// <summary>What a segment says of itself.</summary>
/// <param name="Id">Grows by one with each use of a segment file.</param>
/// <param name="FirstSequence">Sequence of the first entry in it.</param>
/// <param name="OldestLiveId">Segments with smaller ids were not needed any more when this one was begun.</param>
internal readonly record struct SegmentHeader(long Id, long FirstSequence, long OldestLiveId);

/// <summary>A view of one frame.</summary>
internal ref struct JournalFrame
{
    public long FirstSequence;
    public int Count;
    public int Bytes;
    public ReadOnlySpan<byte> Position;
    public ReadOnlySpan<byte> Entries;
    public ReadOnlySpan<byte> Payloads;
}
