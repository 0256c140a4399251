using Risk.Core.Decisions;
using Risk.Core.Transactions;

namespace Risk.Core.Replay;

/// <summary>What quality is measured from, one a decision.</summary>
/// <param name="Card">The entity that cards are counted by (the split's card key).</param>
/// <param name="Score">Calibrated probability; NaN when there was none.</param>
/// <param name="Amount">In the stream's currency; 0 where it has none.</param>
/// <param name="Fraud">By the labels known at the end of the run, which no feature may have seen.</param>
public readonly record struct ScoredTransaction(EventTime Time, EntityKey Card, double Score, double Amount, Outcome Outcome, bool Fraud);

/// <summary>
/// The decisions of a run, in order of arrival, kept to be measured: 48 bytes each, in pieces that never move (84 MB for
/// the card stream). Adding allocates one piece every 16,384 rows. Owned by one thread.
/// </summary>
public sealed class ScoredTransactions
{
    private const int PieceBits = 14;
    private const int PieceSize = 1 << PieceBits;
    private readonly List<ScoredTransaction[]> _pieces = [];

    public int Count { get; private set; }

    public ref readonly ScoredTransaction this[int row]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)Count, nameof(row));
            return ref _pieces[row >> PieceBits][row & (PieceSize - 1)];
        }
    }

    /// <returns>The row, 0-based, for <see cref="MarkFraud"/>.</returns>
    public int Add(in ScoredTransaction transaction)
    {
        if (Count >> PieceBits == _pieces.Count)
            _pieces.Add(new ScoredTransaction[PieceSize]);
        _pieces[Count >> PieceBits][Count & (PieceSize - 1)] = transaction;
        return Count++;
    }

    /// <summary>A label that came after the decision.</summary>
    public void MarkFraud(int row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)Count, nameof(row));
        ref ScoredTransaction transaction = ref _pieces[row >> PieceBits][row & (PieceSize - 1)];
        transaction = transaction with { Fraud = true };
    }
}
