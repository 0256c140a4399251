using System.Buffers.Binary;
using System.Text;
using Risk.Core.Costs;
using Risk.Core.Decisions;
using Risk.Core.Explanations;
using Risk.Core.Features;
using Risk.Core.Models;
using Risk.Core.Transactions;

namespace Risk.Core.Log;

/// <summary>Who and what stands in every record of a run, UTF-8 once.</summary>
/// <param name="Source">Topic or file name.</param>
public sealed record RecordIdentity(string Source, int Partition, string Actor, string Tenant)
{
    /// <summary>The actor of a challenger's records: what it says was never acted on.</summary>
    public const string Challenger = "challenger";

    /// <summary>The offset of a transaction that came by a call, not from the source: its record names <c>http</c> and offset 0.</summary>
    public const long NoOffset = -1;
}

/// <summary>
/// Writes the records and private payloads of a batch into its <see cref="DecisionGroup"/>: the last step before the
/// commit point. Allocates nothing once the group has grown.
/// </summary>
internal sealed class DecisionRecorder
{
    private readonly StreamDefinition _definition;
    private readonly ModelLadder _ladder;
    private readonly DecisionReasons _reasons;
    private readonly KeyedHash _salts;
    private readonly byte[] _stream, _source, _actor, _tenant;
    private readonly byte[] _modelDigest, _catalogDigest, _policyDigest;
    private readonly int _partition;
    private readonly bool _isActing;

    public DecisionRecorder(StreamDefinition definition, ChampionModel champion, ModelLadder ladder, DecisionReasons reasons, KeyedHash secret, RecordIdentity identity)
    {
        _definition = definition;
        _ladder = ladder;
        _reasons = reasons;
        _salts = secret.Derive("salt");
        _stream = Encoding.UTF8.GetBytes(definition.Schema.Name);
        _source = Encoding.UTF8.GetBytes(identity.Source);
        _partition = identity.Partition;
        _actor = Encoding.UTF8.GetBytes(identity.Actor);
        _tenant = Encoding.UTF8.GetBytes(identity.Tenant);
        _isActing = identity.Actor != RecordIdentity.Challenger;
        _modelDigest = Bytes(champion.Digest);
        _catalogDigest = [.. definition.Catalog.Digest];
        _policyDigest = Bytes(definition.Policy.Digest);
    }

    public void Write(ScoringBatch batch)
    {
        TransactionBatch transactions = batch.Transactions;
        FeatureCatalog catalog = _definition.Catalog;
        Span<byte> salt = stackalloc byte[LogFormat.SaltBytes];
        Span<byte> subject = stackalloc byte[LogFormat.SubjectTokenBytes];
        Span<byte> commitment = stackalloc byte[LogFormat.HashBytes];
        long sequence = batch.Group.FirstSequence;
        int part = 0;

        for (int k = 0; k < batch.Count; k++)
        {
            int row = batch.Admitted[k];
            ReadOnlySpan<byte> eventId = transactions.EventId(row);
            ReadOnlySpan<byte> canonical = transactions.Canonical(row);
            Write(_salts.Hash128(eventId), salt);
            Span<byte> payload = batch.Group.ReservePayload(PrivatePayloadCodec.BytesMax(canonical.Length, catalog.Count));
            int payloadLength = PrivatePayloadCodec.Write(salt, canonical, batch.ViewFloats.AsSpan(k * catalog.Count, catalog.Count), payload);
            PrivatePayloadCodec.Commit(payload[..payloadLength], commitment);
            batch.Group.CommitPayload(payloadLength);

            Write(transactions.Keys[row * transactions.Schema.KeyFields.Count + transactions.Schema.SubjectKey], subject);
            PolicyResult result = batch.Results[k];
            LadderStep rung = batch.Trace.StepOf(k, ref part);
            bool referred = result.Outcome == Outcome.Refer;
            Cost share = batch.Cost.Share(k, batch.Count);
            var record = new DecisionRecord
            {
                Kind = RecordKind.Decision,
                Sequence = sequence + k,
                Stream = _stream,
                EventId = eventId,
                SourceName = transactions.SourceOffsets[row] == RecordIdentity.NoOffset ? "http"u8 : _source,
                SourcePartition = _partition,
                SourceOffset = Math.Max(0, transactions.SourceOffsets[row]),
                EventTimeMicros = transactions.EventTimes[row],
                DecisionTimeMicros = batch.DecisionMicros == ScoringBatch.DatedByEvents ? transactions.EventTimes[row] : batch.DecisionMicros,
                Subject = subject,
                Commitment = commitment,
                ModelDigest = rung.Rung >= LadderStep.RulesOnly ? [] : _modelDigest,
                CatalogDigest = _catalogDigest,
                PolicyDigest = _policyDigest,
                ExecutionProvider = _ladder.Provider(rung),
                Device = _ladder.Device(rung),
                BatchSize = batch.Count,
                BatchPosition = k,
                RawScore = batch.RawScores[k],
                CalibratedScore = batch.Scores[k],
                ReviewThreshold = _definition.Policy.Review.Value,
                DeclineThreshold = _definition.Policy.Decline.Value,
                Outcome = (int)result.Outcome,
                Reasons = _reasons.Of(batch, k),
                Rung = referred ? LadderStep.ReferToHuman : rung.Rung,
                RungCause = rung.Cause.Span,
                CostMoney = share.PicoUnits * 1e-12,
                CostJoules = share.Joules,
                CostMethod = batch.CostMethod,
                Actor = _actor,
                Tenant = _tenant,
                SolelyAutomated = _isActing && result.Outcome is (Outcome.Approve or Outcome.Decline), // a review ends with a person
                Flags = (batch.Late[k] ? RecordFlags.Late : RecordFlags.None) | (batch.Incomplete[k] ? RecordFlags.Incomplete : RecordFlags.None),
            };
            Span<byte> entry = batch.Group.ReserveRecord(DecisionRecordCodec.BytesMax(record));
            batch.Group.CommitRecord(DecisionRecordCodec.Write(record, entry), transactions.EventKeys[row]);
        }
    }

    private static void Write(EntityKey key, Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, key.High);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], key.Low);
    }

    private static byte[] Bytes(Sha256Digest digest)
    {
        byte[] bytes = new byte[Sha256Digest.Size];
        digest.CopyTo(bytes);
        return bytes;
    }
}
