using System.Numerics;

namespace Risk.Core.Features;

/// <summary>
/// Memory for entity histories: blocks of 8-byte words in power-of-two sizes, cut from pinned chunks and reused through
/// free lists; every block begins a cache line. Nothing moves and nothing is given back to the runtime, so a block is addressed by its pointer, and once
/// the histories have reached their size no byte is allocated. Bench: feature-update.
/// </summary>
internal sealed unsafe class BlockArena(Action<nint, nint>? newMemory = null)
{
    // Chunks grow with the state, so that a small shard stays small: 64 KiB to 8 MiB.
    private const int ChunkWordsMin = 1 << 13, ChunkWordsMax = 1 << 20;
    private const int SizeClassMin = 3, SizeClassCount = 48;
    private const int LineBytes = 64;

    private readonly List<long[]> _chunks = [];
    private readonly long*[] _free = new long*[SizeClassCount];
    private int _chunkWords = ChunkWordsMin;
    private long* _next;
    private long* _end;

    /// <summary>Bytes taken from the runtime so far.</summary>
    public long AllocatedBytes { get; private set; }

    /// <summary>A block of at least <paramref name="words"/> words, content undefined; <paramref name="words"/> becomes the size it has.</summary>
    public long* Rent(ref int words)
    {
        int sizeClass = SizeClass(words);
        words = 1 << sizeClass;
        long* block = _free[sizeClass];
        if (block != null)
        {
            _free[sizeClass] = (long*)*block;
            return block;
        }
        return Cut(words);
    }

    /// <summary>Gives a block back; <paramref name="words"/> is the size <see cref="Rent"/> answered.</summary>
    public void Return(long* block, int words)
    {
        int sizeClass = SizeClass(words);
        *block = (long)_free[sizeClass];
        _free[sizeClass] = block;
    }

    /// <summary>Words outside the free lists, zeroed, rounded up to whole cache lines: the state records of an entity table.</summary>
    public long* CutZeroed(int words)
    {
        words = (words + 7) & ~7;
        long* block = Cut(words);
        new Span<long>(block, words).Clear();
        return block;
    }

    private static int SizeClass(int words) => Math.Max(SizeClassMin, BitOperations.Log2((uint)words - 1) + 1);

    /// <summary>Memory that will be read here and there, of any user of this arena. Bench: feature-update, a third of which was address translation.</summary>
    public void Announce(nint address, nint bytes) => newMemory?.Invoke(address, bytes);

    private long* Cut(int words)
    {
        if (_end - _next < words) { AddChunk(words); }
        long* block = _next;
        _next += words;
        return block;
    }

    private void AddChunk(int words)
    {
        // The rest of the old chunk is handed to the free lists, so that growing wastes nothing.
        for (int sizeClass = BitOperations.Log2(ChunkWordsMax); sizeClass >= SizeClassMin; sizeClass--)
        {
            while (_end - _next >= 1L << sizeClass)
            {
                long* block = _next;
                _next += 1L << sizeClass;
                Return(block, 1 << sizeClass);
            }
        }
        long[] chunk = GC.AllocateUninitializedArray<long>(Math.Max(_chunkWords, words) + LineBytes / sizeof(long), pinned: true);
        _chunkWords = Math.Min(_chunkWords * 2, ChunkWordsMax);
        _chunks.Add(chunk);
        AllocatedBytes += chunk.LongLength * sizeof(long);
        long* first = (long*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref chunk[0]);
        _next = (long*)(((nint)first + LineBytes - 1) & -LineBytes);
        _end = first + chunk.Length;
        Announce((nint)_next, (nint)_end - (nint)_next);
    }
}
