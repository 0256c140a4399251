using Risk.Core.Transactions;

namespace Risk.Core.Decisions;

/// <summary>What a condition may look at: one row of a batch and its features. Borrowed views, nothing is copied.</summary>
/// <param name="batch">The batch of the row; only its texts are read here.</param>
/// <param name="row">0-based, below <c>batch.Count</c>.</param>
/// <param name="numbers">The row's number fields, shape [NumberFields.Count]; NaN is missing.</param>
/// <param name="features">The row's features, shape [features of the catalog]; NaN is missing; empty where the scope has no features.</param>
public readonly ref struct ConditionInputs(TransactionBatch batch, int row, ReadOnlySpan<double> numbers, ReadOnlySpan<double> features)
{
    private readonly TransactionBatch _batch = batch;
    private readonly int _row = row;

    public ReadOnlySpan<double> Numbers { get; } = numbers;
    public ReadOnlySpan<double> Features { get; } = features;

    /// <summary>A text-like field, UTF-8; empty is missing.</summary>
    public ReadOnlySpan<byte> Text(int text) => _batch.Text(_row, text);
}
