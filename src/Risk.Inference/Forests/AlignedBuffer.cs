using System.Runtime.CompilerServices;

namespace Risk.Inference.Forests;

/// <summary>
/// A zeroed, pinned array whose first element lies on a 64-byte line: a 512-bit load then never touches two lines
/// (<c>risk bench tree-score</c>). The garbage collector frees it with its owner; nothing is to be disposed of.
/// </summary>
internal sealed unsafe class AlignedBuffer<T>
    where T : unmanaged
{
    private const int LineSize = 64;
    private readonly T[] _array;

    public AlignedBuffer(int length)
    {
        var spare = LineSize / Unsafe.SizeOf<T>();
        _array = GC.AllocateArray<T>(Math.Max(length, 1) + spare, pinned: true);
        var start = (nint)Unsafe.AsPointer(ref _array[0]);
        Pointer = (T*)((start + LineSize - 1) & ~(nint)(LineSize - 1));
        Length = length;
    }

    public int Length { get; }

    /// <summary>Valid for as long as this object is referenced: every reader keeps it in a field.</summary>
    public T* Pointer { get; }

    public Span<T> Span => new(Pointer, Length);
}
