using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Risk.Inference.Forests;

/// <summary>The instructions of <see cref="TileWalk{TLanes, TVector}"/>. An answer is the top bit of a row's byte; the other bits mean nothing.</summary>
internal unsafe interface ITileLanes<TVector>
    where TVector : struct
{
    static abstract int RowCount { get; }

    /// <summary>
    /// Is each row's rank above k? With the addend 254 − k, the rounded average (rank + addend + 1) / 2 is 128 or more
    /// exactly when rank > k: an unsigned byte compare in one instruction, its answer in the top bit.
    /// </summary>
    static abstract TVector Compare(byte* ranks, byte* addend);

    /// <summary>The answer of <paramref name="ifRight"/> where <paramref name="goesRight"/> is set, else of <paramref name="ifLeft"/>.</summary>
    static abstract TVector Select(TVector goesRight, TVector ifRight, TVector ifLeft);

    /// <summary>Adds <c>exits[a·32 + b·16 + c·8 + d·4 + e·2 + f]</c> to each row's margin.</summary>
    static abstract void AddExits(TVector a, TVector b, TVector c, TVector d, TVector e, TVector f, float* exits, float* margins);
}

/// <summary>64 rows in a 512-bit register.</summary>
internal readonly unsafe struct Avx512Lanes : ITileLanes<Vector512<byte>>
{
    public static bool IsSupported => Avx512BW.IsSupported;

    public static int RowCount => 64;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Compare(byte* ranks, byte* addend) => Avx512BW.Average(Vector512.LoadAligned(ranks), Vector512.Create(*addend));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<byte> Select(Vector512<byte> goesRight, Vector512<byte> ifRight, Vector512<byte> ifLeft) =>
        Vector512.ConditionalSelect(goesRight, ifRight, ifLeft);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AddExits(
        Vector512<byte> a, Vector512<byte> b, Vector512<byte> c, Vector512<byte> d, Vector512<byte> e, Vector512<byte> f, float* exits, float* margins)
    {
        var top = Vector512.Create((byte)0x80);
        var places = (Shift(a & top, 2) | Shift(b & top, 3) | Shift(c & top, 4)) | (Shift(d & top, 5) | Shift(e & top, 6) | Shift(f & top, 7));
        var (t0, t1) = (Vector512.LoadAligned(exits), Vector512.LoadAligned(exits + 16));
        var (t2, t3) = (Vector512.LoadAligned(exits + 32), Vector512.LoadAligned(exits + 48));
        AddExits(Avx512F.ConvertToVector512Int32(places.GetLower().GetLower()), t0, t1, t2, t3, margins);
        AddExits(Avx512F.ConvertToVector512Int32(places.GetLower().GetUpper()), t0, t1, t2, t3, margins + 16);
        AddExits(Avx512F.ConvertToVector512Int32(places.GetUpper().GetLower()), t0, t1, t2, t3, margins + 32);
        AddExits(Avx512F.ConvertToVector512Int32(places.GetUpper().GetUpper()), t0, t1, t2, t3, margins + 48);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<byte> Shift(Vector512<byte> bits, byte count) => Vector512.ShiftRightLogical(bits.AsUInt16(), count).AsByte();

    /// <summary>A table of 64 floats by two permutes over 32 each; the place's bit 5 says which counts.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddExits(Vector512<int> places, Vector512<float> t0, Vector512<float> t1, Vector512<float> t2, Vector512<float> t3, float* margins)
    {
        var low = Avx512F.PermuteVar16x32x2(t0, places, t1);
        var high = Avx512F.PermuteVar16x32x2(t2, places, t3);
        var isHigh = Vector512.GreaterThan(places, Vector512.Create(31)).AsSingle();
        (Vector512.LoadAligned(margins) + Vector512.ConditionalSelect(isHigh, high, low)).StoreAligned(margins);
    }
}

/// <summary>32 rows in a 256-bit register, for machines without AVX-512.</summary>
internal readonly unsafe struct Avx2Lanes : ITileLanes<Vector256<byte>>
{
    public static bool IsSupported => Avx2.IsSupported;

    public static int RowCount => 32;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Compare(byte* ranks, byte* addend) => Avx2.Average(Vector256.LoadAligned(ranks), Vector256.Create(*addend));

    /// <remarks>
    /// The blend is the faster one, but where AVX-512 is there, too, the compiler of .NET 10.0.12 folds the compare's load into a
    /// masked instruction and loses the base of its address ("mov NA, rsi" in its listing), and the load faults.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<byte> Select(Vector256<byte> goesRight, Vector256<byte> ifRight, Vector256<byte> ifLeft) =>
        Avx512BW.VL.IsSupported ? Vector256.ConditionalSelect(goesRight, ifRight, ifLeft) : Avx2.BlendVariable(ifLeft, ifRight, goesRight);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AddExits(
        Vector256<byte> a, Vector256<byte> b, Vector256<byte> c, Vector256<byte> d, Vector256<byte> e, Vector256<byte> f, float* exits, float* margins)
    {
        var top = Vector256.Create((byte)0x80);
        var places = (Shift(a & top, 2) | Shift(b & top, 3) | Shift(c & top, 4)) | (Shift(d & top, 5) | Shift(e & top, 6) | Shift(f & top, 7));
        AddExits(places.GetLower(), exits, margins);
        AddExits(Sse2.ShiftRightLogical128BitLane(places.GetLower(), 8), exits, margins + 8);
        AddExits(places.GetUpper(), exits, margins + 16);
        AddExits(Sse2.ShiftRightLogical128BitLane(places.GetUpper(), 8), exits, margins + 24);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Shift(Vector256<byte> bits, byte count) => Vector256.ShiftRightLogical(bits.AsUInt16(), count).AsByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddExits(Vector128<byte> places, float* exits, float* margins) =>
        (Vector256.LoadAligned(margins) + Avx2.GatherVector256(exits, Avx2.ConvertToVector256Int32(places), sizeof(float))).StoreAligned(margins);
}
