using System.Buffers.Binary;
using System.Numerics;
using System.Security.Cryptography;

namespace Risk.Storage.Log;

/// <summary>
/// The (stream, event id) pairs seen, as the first 128 bits of their SHA-256 in an open-addressing table: 16 bytes an id at
/// a load of at most one half. Equal ids always meet; for different ones to meet someone must break SHA-256.
/// </summary>
internal sealed class EventIdSet
{
    private UInt128[] _slots;
    private long _count;

    public EventIdSet(long expected)
    {
        _slots = new UInt128[BitOperations.RoundUpToPowerOf2((ulong)Math.Max(1024, expected * 2))];
    }

    /// <summary>False when the pair was there already.</summary>
    public bool Add(ReadOnlySpan<byte> stream, ReadOnlySpan<byte> eventId)
    {
        if (_count * 2 >= _slots.Length)
        {
            Grow();
        }

        if (!Insert(_slots, KeyOf(stream, eventId)))
        {
            return false;
        }

        _count++;
        return true;
    }

    private static UInt128 KeyOf(ReadOnlySpan<byte> stream, ReadOnlySpan<byte> eventId)
    {
        int length = sizeof(int) + stream.Length + eventId.Length;
        Span<byte> input = length <= 512 ? stackalloc byte[512] : new byte[length];
        BinaryPrimitives.WriteInt32LittleEndian(input, stream.Length);
        stream.CopyTo(input[sizeof(int)..]);
        eventId.CopyTo(input[(sizeof(int) + stream.Length)..]);
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(input[..length], hash);
        UInt128 key = BinaryPrimitives.ReadUInt128LittleEndian(hash);
        return key == 0 ? 1 : key;
    }

    private static bool Insert(UInt128[] slots, UInt128 key)
    {
        ulong mask = (ulong)slots.Length - 1;
        for (ulong at = (ulong)key & mask; ; at = (at + 1) & mask)
        {
            if (slots[at] == 0)
            {
                slots[at] = key;
                return true;
            }

            if (slots[at] == key)
            {
                return false;
            }
        }
    }

    private void Grow()
    {
        var larger = new UInt128[_slots.Length * 2];
        foreach (UInt128 key in _slots)
        {
            if (key != 0)
            {
                Insert(larger, key);
            }
        }

        _slots = larger;
    }
}
