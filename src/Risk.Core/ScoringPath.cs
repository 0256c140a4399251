using Risk.Core.Decisions;
using Risk.Core.Explanations;
using Risk.Core.Features;
using Risk.Core.Log;
using Risk.Core.Models;
using Risk.Core.Transactions;

namespace Risk.Core;

/// <summary>
/// The path of a transaction, stage by stage. Sources parse and validate into <see cref="ScoringBatch.Transactions"/>
/// (1, 2) and <see cref="BatchPolicy"/> says when a batch leaves (5); then:
/// <code>
/// Decide   3 dedupe → 4 features → 6 score → 7 decide       one thread, owner of the shard's history
/// Record   7 reasons → 8 records                            any one thread, batches in order
/// Commit   8 durable in the log: the commit point           nothing is answered before it returns (9)
/// </code>
/// The same ordered batches give the same bytes. Nothing is allocated once buffers have grown. The two threads share
/// nothing but the batch that is handed over.
/// </summary>
public sealed class ScoringPath
{
    private readonly StreamDefinition _definition;
    private readonly ChampionModel _champion;
    private readonly ModelLadder _ladder;
    private readonly FeatureEngine _features;
    private readonly Deduplicator _known;
    private readonly DecisionRecorder _recorder;

    /// <param name="ladder">The champion's scorers; inputs in the order of <paramref name="champion"/>'s columns.</param>
    /// <param name="shap">Explains the champion; null when its form cannot be explained.</param>
    /// <param name="labels">Outcomes that become known while the stream runs; null for none.</param>
    /// <param name="secret">The engine's token key.</param>
    /// <param name="scope">The entities whose history is kept here; null for all. See <see cref="Admit"/>.</param>
    public ScoringPath(StreamDefinition definition, ChampionModel champion, ModelLadder ladder, TreeShap? shap, ILabelSource? labels, KeyedHash secret, RecordIdentity identity, FeatureScope? scope = null)
    {
        _definition = definition;
        _champion = champion;
        _ladder = ladder;
        _features = new FeatureEngine(definition.Catalog, labels, scope: scope);
        _known = new Deduplicator();
        var reasons = new DecisionReasons(shap, champion.Columns, definition.Catalog, definition.Policy);
        _recorder = new DecisionRecorder(definition, champion, ladder, reasons, secret, identity);
    }

    public StreamDefinition Definition => _definition;
    public FeatureEngine Features => _features;
    public Deduplicator Known => _known;

    /// <summary>The sequence that the next new transaction gets.</summary>
    public long NextSequence => _known.Count;

    public ScoringBatch CreateBatch(int capacity) => CreateBatch(_definition, _champion, capacity);

    /// <summary>A batch for every path of this stream and model.</summary>
    public static ScoringBatch CreateBatch(StreamDefinition definition, ChampionModel champion, int capacity) => new(definition.Schema, capacity, definition.Catalog.Count, champion.Columns.Length);

    /// <summary>Stages 3 to 7 for the batch's transactions, in their order.</summary>
    public void Decide(ScoringBatch batch)
    {
        Dedupe(batch);
        DecideAdmitted(batch);
    }

    /// <summary>
    /// Stage 3 alone, for a path whose scope leaves entities to other owners: between this and <see cref="DecideAdmitted"/> the
    /// host asks them for the admitted rows and puts their answers in (<see cref="ScoringBatch.PutRemote"/>).
    /// </summary>
    public void Admit(ScoringBatch batch) => Dedupe(batch);

    /// <summary>Stages 4 to 7 for what <see cref="Admit"/> let in.</summary>
    public void DecideAdmitted(ScoringBatch batch)
    {
        BuildFeatures(batch);
        Score(batch);
        ApplyPolicy(batch);
    }

    /// <summary>Stage 8 up to the log's door: reasons, records and payloads into <see cref="ScoringBatch.Group"/>.</summary>
    public void Record(ScoringBatch batch) => _recorder.Write(batch);

    /// <summary>Takes committed transactions into history and index again, without deciding: the tail of the log after a restart.</summary>
    public void Reapply(ScoringBatch batch)
    {
        Dedupe(batch);
        BuildFeatures(batch);
    }

    /// <summary>A transaction that was decided turned out positive; <paramref name="row"/> is made again from its canonical bytes. See <see cref="FeatureEngine.Learn"/>.</summary>
    public bool Learn(TransactionBatch batch, int row, long? knownAt) => _features.Learn(batch, row, knownAt);

    private void Dedupe(ScoringBatch batch)
    {
        TransactionBatch transactions = batch.Transactions;
        batch.Group.Clear(_known.Count);
        for (int row = 0; row < transactions.Count; row++)
        {
            switch (_known.Admit(transactions.EventKeys[row], transactions.Fingerprints[row], out long sequence))
            {
                case Admission.New: batch.Admit(row); break;
                case Admission.Duplicate: batch.Duplicates.Add((row, sequence)); break;
                default: batch.Conflicts.Add((row, sequence)); break;
            }
        }
    }

    private void BuildFeatures(ScoringBatch batch)
    {
        int count = batch.Count * _features.FeatureCount;
        _features.Build(batch.Transactions, batch.Admitted, batch.Views.AsSpan(0, count), batch.Late.AsSpan(0, batch.Count));
        batch.MarkRemoteLate();
        // Models, rules and the record see one and the same numbers, in the models' precision; so a decision can be derived
        // again from what is recorded, to the bit.
        for (int i = 0; i < count; i++)
        {
            batch.ViewFloats[i] = (float)batch.Views[i];
            batch.Views[i] = batch.ViewFloats[i];
        }
    }

    private void Score(ScoringBatch batch)
    {
        int[] columns = _champion.Columns;
        int features = _features.FeatureCount;
        for (int k = 0; k < batch.Count; k++)
        {
            ReadOnlySpan<float> view = batch.ViewFloats.AsSpan(k * features, features);
            Span<float> inputs = batch.Inputs.AsSpan(k * columns.Length, columns.Length);
            for (int i = 0; i < columns.Length; i++) { inputs[i] = view[columns[i]]; }
        }
        _ladder.Score(batch.Inputs.AsSpan(0, batch.Count * columns.Length), batch.Count, batch.RawScores, batch.Demand, batch.Trace);
        for (int k = 0; k < batch.Count; k++)
        {
            batch.Scores[k] = float.IsNaN(batch.RawScores[k]) ? double.NaN : _champion.Calibration.Apply(batch.RawScores[k]);
        }
    }

    private void ApplyPolicy(ScoringBatch batch)
    {
        TransactionBatch transactions = batch.Transactions;
        int numbers = transactions.Schema.NumberFields.Count, features = _features.FeatureCount;
        for (int k = 0; k < batch.Count; k++)
        {
            int row = batch.Admitted[k];
            var inputs = new ConditionInputs(transactions, row, transactions.Numbers.Slice(row * numbers, numbers), batch.Views.AsSpan(k * features, features));
            batch.Results[k] = _definition.Policy.Decide(batch.Scores[k], inputs);
        }
    }
}
