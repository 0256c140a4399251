using System.Buffers;
using System.Runtime.InteropServices;

namespace Risk.Core.Transactions;

/// <summary>Whether an event has been decided before.</summary>
public enum Admission : byte
{
    /// <summary>Never seen: it is scored.</summary>
    New,
    /// <summary>Same id, same payload: the stored decision is the answer (DUP_SAME).</summary>
    Duplicate,
    /// <summary>Same id, other payload: a dead letter, the first decision stands (ID_CONFLICT).</summary>
    Conflict,
}

/// <summary>
/// The ids of all decisions of a log, by sequence, with the fingerprint of each payload. Exact: keys are 128-bit keyed hashes.
/// 24 bytes a decision, and 8 to 16 of index; the index is cut into parts that grow one by one, so that growing is
/// never a long pause. At most 2³² − 1 decisions.
/// </summary>
public sealed class Deduplicator
{
    private const int PartCount = 256, PartSlotsMin = 64;
    private const int ChunkShift = 16, ChunkEntries = 1 << ChunkShift;

    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct Entry(EntityKey Key, ulong Fingerprint);

    private struct Part
    {
        // Upper half: bits of the key that tell most strangers apart without reading the entry; lower half: sequence + 1, 0 = empty.
        public ulong[] Slots;
        public int Count;
    }

    private readonly List<Entry[]> _chunks = [];
    private readonly Part[] _parts = new Part[PartCount];

    public Deduplicator()
    {
        for (int i = 0; i < PartCount; i++) { _parts[i].Slots = new ulong[PartSlotsMin]; }
    }

    /// <summary>Decisions known; the sequence of the next one.</summary>
    public long Count { get; private set; }

    public long StateBytes => _chunks.Count * (long)ChunkEntries * 24 + _parts.Sum(p => p.Slots.LongLength * sizeof(ulong));

    /// <summary>Looks an event up and, when it is new, gives it the next sequence. <paramref name="sequence"/>: of this decision, or of the one that stands.</summary>
    public Admission Admit(in EntityKey key, ulong fingerprint, out long sequence)
    {
        ref Part part = ref _parts[key.High >> 56];
        int mask = part.Slots.Length - 1;
        ulong tag = key.High << 32;
        int i = (int)key.Low & mask;
        for (; part.Slots[i] != 0; i = (i + 1) & mask)
        {
            if ((part.Slots[i] & 0xFFFF_FFFF_0000_0000) != tag) { continue; }
            sequence = (uint)part.Slots[i] - 1L;
            ref readonly Entry entry = ref _chunks[(int)(sequence >> ChunkShift)][sequence & (ChunkEntries - 1)];
            if (entry.Key == key) { return entry.Fingerprint == fingerprint ? Admission.Duplicate : Admission.Conflict; }
        }
        sequence = Count;
        Append(new Entry(key, fingerprint));
        part.Slots[i] = tag | (uint)Count;
        if (++part.Count * 4 > part.Slots.Length * 3) { Grow(ref part); }
        return Admission.New;
    }

    /// <summary>The sequence of a known event.</summary>
    public bool TryFind(in EntityKey key, out long sequence)
    {
        ulong[] slots = _parts[key.High >> 56].Slots;
        for (int i = (int)key.Low & (slots.Length - 1); slots[i] != 0; i = (i + 1) & (slots.Length - 1))
        {
            sequence = (uint)slots[i] - 1L;
            if (_chunks[(int)(sequence >> ChunkShift)][sequence & (ChunkEntries - 1)].Key == key) { return true; }
        }
        sequence = -1;
        return false;
    }

    private void Append(Entry entry)
    {
        if (Count == uint.MaxValue) { throw new InvalidOperationException($"{Count} decisions are the most that one log's index holds; begin a new log"); }
        if ((Count & (ChunkEntries - 1)) == 0) { _chunks.Add(new Entry[ChunkEntries]); }
        _chunks[(int)(Count >> ChunkShift)][Count & (ChunkEntries - 1)] = entry;
        Count++;
    }

    private void Grow(ref Part part)
    {
        ulong[] old = part.Slots;
        ulong[] slots = new ulong[old.Length * 2];
        foreach (ulong slot in old)
        {
            if (slot == 0) { continue; }
            long sequence = (uint)slot - 1L;
            int i = (int)_chunks[(int)(sequence >> ChunkShift)][sequence & (ChunkEntries - 1)].Key.Low & (slots.Length - 1);
            while (slots[i] != 0) { i = (i + 1) & (slots.Length - 1); }
            slots[i] = slot;
        }
        part.Slots = slots;
    }

    /// <summary>Writes all entries in order of sequence, 24 bytes each.</summary>
    public void Save(IBufferWriter<byte> output)
    {
        for (long first = 0; first < Count; first += ChunkEntries)
        {
            Entry[] chunk = _chunks[(int)(first >> ChunkShift)];
            output.Write(MemoryMarshal.AsBytes(chunk.AsSpan(0, (int)Math.Min(ChunkEntries, Count - first))));
        }
    }

    /// <summary>Reads what <see cref="Save"/> wrote into an empty index.</summary>
    public void Restore(ReadOnlySpan<byte> snapshot)
    {
        foreach (ref readonly Entry entry in MemoryMarshal.Cast<byte, Entry>(snapshot)) { Admit(entry.Key, entry.Fingerprint, out _); }
    }
}
