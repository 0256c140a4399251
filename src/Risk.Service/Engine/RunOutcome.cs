using System.Text;
using Risk.Core;
using Risk.Core.Decisions;
using Risk.Core.Log;
using Risk.Core.Replay;
using Risk.Core.Transactions;
using Risk.Streams;

namespace Risk.Service.Engine;

/// <summary>What the decisions of a log were worth, read from the log alone and the labels known at its end.</summary>
/// <param name="Example">The id of a decision worth a look: the last decline, else the last review, else the last of all.</param>
public sealed record RunOutcome(IReadOnlyDictionary<Outcome, long> Outcomes, Quality Quality, BusinessFigures Business, string? Example)
{
    private const int ProgressEvery = 1 << 14;

    public long Count(Outcome outcome) => Outcomes.GetValueOrDefault(outcome);

    internal static RunOutcome Read(IDecisionLogReader reader, StreamDefinition definition, TransactionKeys keys, LabelFile? labels, Action<long, long>? progress)
    {
        StreamSchema schema = definition.Schema;
        var codec = new TransactionCodec(schema, keys);
        var row = new TransactionBatch(schema, 1);
        var scored = new ScoredTransactions();
        var outcomes = new Dictionary<Outcome, long>();
        byte[] example = [];
        var exampleOutcome = Outcome.Refer;
        long last = 0;
        int cardKey = schema.Evaluation?.CardKey ?? schema.SubjectKey;
        while (reader.Read())
        {
            if (DecisionRecordCodec.Read(reader.Record, out DecisionRecord record) != RecordFault.None || record.Kind != RecordKind.Decision) { continue; }
            var outcome = (Outcome)record.Outcome;
            outcomes[outcome] = outcomes.GetValueOrDefault(outcome) + 1;
            if (outcome >= exampleOutcome)
            {
                exampleOutcome = outcome;
                if (example.Length != record.EventId.Length) { example = new byte[record.EventId.Length]; }
                record.EventId.CopyTo(example);
            }
            last = Math.Max(last, record.EventTimeMicros);
            row.Clear();
            if (PrivatePayloadCodec.Read(reader.Payload, out PrivatePayload payload) != RecordFault.None || !codec.Append(payload.Transaction, record.SourceOffset, record.EventTimeMicros, row)) { continue; }
            bool fraud = labels is not null && labels.TryGet(row.EventKeys[0], out Label label) && label.IsPositive;
            double amount = schema.Amount is { } money ? row.Numbers[money.Number] : 0;
            scored.Add(new ScoredTransaction(new EventTime(record.EventTimeMicros), row.Keys[cardKey], record.CalibratedScore, double.IsNaN(amount) ? 0 : amount, outcome, fraud));
            if (reader.Sequence % ProgressEvery == 0) { progress?.Invoke(reader.Sequence, reader.End); }
        }
        Quality quality = Quality.Measure(scored, schema.Evaluation, labels is null ? null : new EventTime(last));
        return new RunOutcome(outcomes, quality, BusinessFigures.Of(scored, new EventTime(0), new EventTime(last + 1)), example.Length == 0 ? null : Encoding.UTF8.GetString(example));
    }
}
