using System.Runtime.CompilerServices;
using Risk.Core.Models;
using Risk.Inference.Forests;

namespace Risk.Inference;

/// <summary>Which instructions a <see cref="ForestKernel"/> uses; each includes those before it.</summary>
internal enum ForestInstructions
{
    /// <summary>Any processor: <see cref="ScalarWalk"/>.</summary>
    Scalar = 0,

    /// <summary>Tiles of 32 rows: <see cref="Avx2Lanes"/>.</summary>
    Avx2 = 1,

    /// <summary>Tiles of 64 rows: <see cref="Avx512Lanes"/>.</summary>
    Avx512 = 2,

    /// <summary>Also single rows: <see cref="PermutedNodeWalk"/>.</summary>
    Avx512Vbmi = 3,
}

/// <summary>
/// Scores rows with a forest on the processor, without ONNX Runtime. Feature values become one-byte ranks
/// (<see cref="RankTable"/>), then trees are walked by comparing bytes: full tiles by <see cref="TileWalk{TLanes, TVector}"/>,
/// a few rows or deep trees by <see cref="PermutedNodeWalk"/>, anything else by <see cref="ScalarWalk"/>.
/// <para>
/// Exact: ranks decide as the floats do, and every walk adds a row's leaves in tree order in float32, as ONNX Runtime does on
/// one thread. So a row has the same bits in any batch, at any place, on any of the walks; only the logistic function at the
/// end may differ from ONNX Runtime's in the last bits (ours is the more accurate one: <see cref="Logistic"/>).
/// </para>
/// </summary>
public sealed unsafe class ForestKernel : IScorer
{
    /// <summary>Fewer rows than this go row by row where that is possible: a tile costs what about 20 single rows cost (<c>risk bench tree-score</c>).</summary>
    private const int TileRowCountMin = 20;

    private const int TileRowCount = 64;

    private readonly Forest _forest;
    private readonly RankTable? _ranker;
    private readonly PermutedNodeWalk? _rowWalk;
    private readonly ITileWalk? _tileWalk;
    private readonly ScalarWalk? _scalarWalk;
    private readonly AlignedBuffer<byte> _ranks;
    private readonly AlignedBuffer<float> _margins = new(TileRowCount);

    /// <param name="batchSizeMax">Rows a call takes at most, 1 or more. The kernel itself works in tiles and has no bound.</param>
    public ForestKernel(Forest forest, int batchSizeMax)
        : this(forest, batchSizeMax, ForestInstructions.Avx512Vbmi)
    {
    }

    /// <param name="instructionsMax">What may be used at most, if the processor has it: the tests force each.</param>
    internal ForestKernel(Forest forest, int batchSizeMax, ForestInstructions instructionsMax)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSizeMax, 1);
        _forest = forest;
        BatchSizeMax = batchSizeMax;

        Instructions = (ForestInstructions)Math.Min((int)instructionsMax, (int)Available);
        var pieces = Instructions > ForestInstructions.Scalar ? ForestPieces.TryCut(forest) : null;
        if (pieces is not null)
        {
            var plan = new RankPlan(forest);
            if (pieces.IsSingleStep)
            {
                _tileWalk = Instructions >= ForestInstructions.Avx512
                    ? new TileWalk<Avx512Lanes, System.Runtime.Intrinsics.Vector512<byte>>(pieces, plan)
                    : new TileWalk<Avx2Lanes, System.Runtime.Intrinsics.Vector256<byte>>(pieces, plan);
            }

            if (Instructions >= ForestInstructions.Avx512Vbmi && plan.Slots.Count <= PermutedNodeWalk.SlotCountMax)
            {
                _rowWalk = new PermutedNodeWalk(pieces, plan);
            }

            if (_tileWalk is not null || _rowWalk is not null)
            {
                _ranker = new RankTable(plan);
            }
        }

        if (_ranker is null)
        {
            Instructions = ForestInstructions.Scalar;
            _scalarWalk = new ScalarWalk(forest);
        }
        else if (_rowWalk is null)
        {
            Instructions = (ForestInstructions)Math.Min((int)Instructions, (int)ForestInstructions.Avx512);
        }

        _ranks = new AlignedBuffer<byte>(TileRowCount * Math.Max(_ranker?.SlotCount ?? 0, 2 * ForestPieces.Width));
    }

    /// <inheritdoc/>
    public bool IsReproducible => true;

    /// <inheritdoc/>
    public string ExecutionProvider => Instructions switch
    {
        ForestInstructions.Avx512Vbmi => "forest-kernel/avx512-vbmi",
        ForestInstructions.Avx512 => "forest-kernel/avx512",
        ForestInstructions.Avx2 => "forest-kernel/avx2",
        _ => "forest-kernel/scalar",
    };

    /// <inheritdoc/>
    public string Device => "cpu";

    /// <inheritdoc/>
    public int FeatureCount => _forest.FeatureCount;

    /// <inheritdoc/>
    public int BatchSizeMax { get; }

    internal ForestInstructions Instructions { get; }

    internal static ForestInstructions Available =>
        PermutedNodeWalk.IsSupported && Avx512Lanes.IsSupported ? ForestInstructions.Avx512Vbmi :
        Avx512Lanes.IsSupported ? ForestInstructions.Avx512 :
        Avx2Lanes.IsSupported ? ForestInstructions.Avx2 :
        ForestInstructions.Scalar;

    /// <inheritdoc/>
    public ScoringStatus Score(ReadOnlySpan<float> rows, int count, Span<float> scores)
    {
        ScorerArguments.Check(this, rows, count, scores);
        fixed (float* values = rows)
        {
            var done = 0;
            while (done < count)
            {
                var size = Math.Min(count - done, _tileWalk?.RowCount ?? TileRowCount);
                var isTile = _tileWalk is not null && (size >= TileRowCountMin || _rowWalk is null);
                Margins(values + ((nint)done * FeatureCount), size, isTile);
                if (!Outputs(scores.Slice(done, size)))
                {
                    return ScoringStatus.OutputInvalid;
                }

                done += size;
            }
        }

        return ScoringStatus.Scored;
    }

    /// <summary>Nothing to free: the memory is the garbage collector's.</summary>
    public void Dispose()
    {
    }

    private void Margins(float* rows, int count, bool isTile)
    {
        _margins.Span.Clear();
        if (_scalarWalk is not null)
        {
            for (var r = 0; r < count; r++)
            {
                _margins.Pointer[r] = _scalarWalk.Sum(new ReadOnlySpan<float>(rows + ((nint)r * FeatureCount), FeatureCount));
            }
        }
        else if (isTile)
        {
            Rank(rows, count, rowStride: 1, slotStride: _tileWalk!.RowCount);
            _tileWalk.Add(_ranks.Pointer, _margins.Pointer);
        }
        else
        {
            Rank(rows, count, rowStride: _rowWalk!.RowSize, slotStride: 1);
            _rowWalk.Add(_ranks.Pointer, count, _margins.Pointer);
        }
    }

    private void Rank(float* rows, int count, int rowStride, int slotStride)
    {
        if (Instructions >= ForestInstructions.Avx512)
        {
            _ranker!.RankAvx512(rows, count, FeatureCount, _ranks.Pointer, rowStride, slotStride);
        }
        else
        {
            _ranker!.RankAvx2(rows, count, FeatureCount, _ranks.Pointer, rowStride, slotStride);
        }
    }

    /// <summary>Base and link; false when an output is no score.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool Outputs(Span<float> scores)
    {
        var isValid = true;
        for (var r = 0; r < scores.Length; r++)
        {
            var score = _forest.Output(_margins.Pointer[r] + _forest.BaseMargin);
            isValid &= score is >= 0 and <= 1; // false for NaN
            scores[r] = score;
        }

        return isValid;
    }
}
