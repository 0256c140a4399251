using Risk.Core;
using Risk.Core.Log;
using Risk.Core.Transactions;

namespace Risk.Service.Engine;

/// <summary>Takes committed transactions from the log back into history and index, after a restart.</summary>
internal static class LogTail
{
    /// <summary>Adds one entry's transaction to the batch. An erased payload leaves only its id: it stays decided, its history is gone by right.</summary>
    public static void Append(ReadOnlySpan<byte> record, ReadOnlySpan<byte> payload, TransactionCodec codec, TransactionKeys keys, ScoringBatch batch, ScoringPath path)
    {
        if (DecisionRecordCodec.Read(record, out DecisionRecord view) != RecordFault.None) { throw new DecisionLogException(LogCodes.Corrupt, "an entry of the log cannot be read"); }
        if (view.Kind != RecordKind.Decision) { return; }
        if (payload.IsEmpty)
        {
            Reapply(path, batch); // what came before it, so that sequences stay in order
            path.Known.Admit(keys.Event(view.EventId), fingerprint: 0, out _);
        }
        else if (PrivatePayloadCodec.Read(payload, out PrivatePayload parts) != RecordFault.None || !codec.Append(parts.Transaction, view.SourceOffset, view.EventTimeMicros, batch.Transactions))
        {
            throw new DecisionLogException(LogCodes.Other, $"entry {view.Sequence} of the log does not fit the stream's schema; was schema.json changed? Name a new directory for it");
        }
        else { batch.PutGivenLate(batch.Transactions.Count - 1, view.Flags); }
    }

    public static void Reapply(ScoringPath path, ScoringBatch batch)
    {
        if (batch.Transactions.Count > 0) { path.Reapply(batch); }
        batch.Clear();
    }
}
