using Risk.Cli.Verbs;
using Risk.Core;
using Risk.Core.Decisions;
using Risk.Core.Models;
using Risk.Core.Transactions;
using Risk.Inference;
using Risk.Service.Engine;

namespace Risk.Cli.Accelerators;

/// <summary>
/// A stream's recorded transactions as the model's inputs, as the engine itself makes them, with what the processor says of each:
/// the reference that every device is held against.
/// </summary>
/// <param name="Inputs">Row-major [Count, Features].</param>
/// <param name="Scores">Raw scores by ONNX Runtime on the processor.</param>
/// <param name="Outcomes">What the policy then decides.</param>
/// <param name="Ids">The transactions' own ids.</param>
/// <param name="Frauds">By the recorded labels; null where the stream has none.</param>
internal sealed record RecordedRows(int Count, int Features, float[] Inputs, float[] Scores, Outcome[] Outcomes, string[] Ids, bool[]? Frauds, Func<int, float, Outcome> Decide)
{
    private const int BatchSize = 512;

    /// <summary>Reads the first transactions of the stream's recording.</summary>
    /// <param name="bundle">Of the stream's champion.</param>
    /// <param name="skip">So many go before them: their history counts, their rows are not kept.</param>
    public static RecordedRows Read(StreamFiles files, ModelBundle bundle, int transactions, Action<long> progress, CancellationToken cancellation, int skip = 0)
    {
        StreamDefinition definition = files.Definition;
        KeyRing keys = KeyRing.Reproducible(definition.Schema.Name); // nothing keyed leaves this verb
        using StreamInput input = StreamInput.Open(files, null, null, keys);
        TransactionParser parser = input.CreateParser(new TransactionKeys(definition.Schema.Name, keys.Secret), ingestIsEventTime: true);
        if (bundle.Manifest.MapInputs([.. definition.Catalog.Features.Select(f => f.Name)], out int[] columns) is { } mismatch) { throw CommandLine.CommandFailure.BadInput(mismatch.Code, mismatch.Reason); }
        if (!OnnxSession.TryOpen(bundle.Onnx, columns.Length, bundle.Manifest.Output, BatchSize, out OnnxSession? cpu, out ModelRefusal? refusal)) { throw CommandLine.CommandFailure.BadInput(refusal.Code, refusal.Reason); }
        using (cpu)
        {
            var champion = new ChampionModel($"{bundle.Manifest.Name}@{bundle.Manifest.Version}", default, columns, bundle.Manifest.Calibration);
            var labels = input.Labels is null ? null : new FileLabels(input.Labels);
            var path = new ScoringPath(definition, champion, new ModelLadder(cpu), null, labels, keys.Secret, new Core.Log.RecordIdentity("", 0, "", ""));
            ScoringBatch batch = path.CreateBatch(BatchSize);
            var collector = new Collector(definition, champion, input.Labels, transactions, skip);
            long now = Micro.FromDateTimeOffset(TimeProvider.System.GetUtcNow());
            while (collector.Count < transactions && input.Source.TryRead(out Streams.SourceRecord record))
            {
                if (record.Problem == ErrorCode.None) { parser.Parse(record.Bytes, record.LineNumber, now, batch.Transactions, out _); }
                if (!batch.Transactions.IsFull && batch.Transactions.Count < BatchSize) { continue; }
                cancellation.ThrowIfCancellationRequested();
                Take(path, batch, collector);
                progress(collector.Count);
            }
            if (batch.Transactions.Count > 0) { Take(path, batch, collector); }
            return collector.Rows();
        }
    }

    private static void Take(ScoringPath path, ScoringBatch batch, Collector collector)
    {
        path.Decide(batch);
        collector.Add(batch);
        batch.Clear();
    }

    /// <summary>
    /// Keeps what is needed to decide again with another score. Rules see the transaction and not the score, and the policy takes
    /// the graver of the two; so the outcome without a score's say, and the one by the score alone, make any other.
    /// </summary>
    private sealed class Collector(StreamDefinition definition, ChampionModel champion, Streams.LabelFile? labels, int capacity, int skip)
    {
        private readonly int _columns = champion.Columns.Length;
        private readonly float[] _inputs = new float[(long)capacity * champion.Columns.Length];
        private readonly float[] _scores = new float[capacity];
        private readonly Outcome[] _outcomes = new Outcome[capacity], _low = new Outcome[capacity], _middle = new Outcome[capacity], _high = new Outcome[capacity];
        private readonly string[] _ids = new string[capacity];
        private readonly bool[] _frauds = new bool[capacity];

        private int _skipped;

        public int Count { get; private set; }

        public void Add(ScoringBatch batch)
        {
            TransactionBatch transactions = batch.Transactions;
            int numbers = transactions.Schema.NumberFields.Count, features = definition.Catalog.Count;
            int first = Math.Min(skip - _skipped, batch.Count);
            _skipped += first;
            for (int k = first; k < batch.Count && Count < capacity; k++, Count++)
            {
                int row = batch.Admitted[k];
                var inputs = new ConditionInputs(transactions, row, transactions.Numbers.Slice(row * numbers, numbers), batch.Views.AsSpan(k * features, features));
                batch.Inputs.AsSpan(k * _columns, _columns).CopyTo(_inputs.AsSpan(Count * _columns));
                _scores[Count] = batch.RawScores[k];
                _outcomes[Count] = batch.Outcome(k);
                // Between two thresholds the outcome does not change: one score of each of the three stretches says all.
                _low[Count] = definition.Policy.Decide(0, inputs).Outcome;
                _middle[Count] = definition.Policy.Decide(definition.Policy.Review.Value, inputs).Outcome;
                _high[Count] = definition.Policy.Decide(1, inputs).Outcome;
                _frauds[Count] = labels is not null && labels.TryGet(transactions.EventKeys[row], out Label label) && label.IsPositive;
                _ids[Count] = System.Text.Encoding.UTF8.GetString(transactions.EventId(row));
            }
        }

        public RecordedRows Rows() => new(
            Count, _columns, Count * _columns == _inputs.Length ? _inputs : _inputs[..(Count * _columns)], _scores[..Count], _outcomes[..Count], _ids[..Count], labels is null ? null : _frauds[..Count],
            (row, score) =>
            {
                double probability = champion.Calibration.Apply(score);
                return probability >= definition.Policy.Decline.Value ? _high[row] : probability >= definition.Policy.Review.Value ? _middle[row] : _low[row];
            });
    }
}
