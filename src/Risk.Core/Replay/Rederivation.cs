using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Risk.Core.Decisions;
using Risk.Core.Explanations;
using Risk.Core.Log;
using Risk.Core.Models;
using Risk.Core.Transactions;

namespace Risk.Core.Replay;

/// <summary>How a decision that was derived again compares with its record.</summary>
public enum RederivationState
{
    /// <summary>Every derived field is the recorded one, to the bit.</summary>
    Identical,

    /// <summary>Another execution provider scored, or one that does not promise the same bits again (<see cref="IScorer.IsReproducible"/>); the raw score is within <see cref="Rederivation.RawScoreTolerance"/>, and everything that follows from the recorded one is identical.</summary>
    WithinTolerance,

    /// <summary>A field differs.</summary>
    Different,

    /// <summary>It cannot be derived here: the payload was erased, or another model, catalog or policy decided.</summary>
    Impossible,
}

/// <summary>What came out. Field names are those of the record's JSON form.</summary>
/// <param name="Field">The first field that differs, or that could not be derived; empty when identical.</param>
/// <param name="Recorded">Its value in the record, as text.</param>
/// <param name="Derived">The value derived, or why there is none.</param>
/// <param name="Policy">What the policy says, with the rules that held; only when the state is not <see cref="RederivationState.Impossible"/>.</param>
public readonly record struct RederivationResult(RederivationState State, string Field, string Recorded, string Derived, PolicyResult Policy = default, float RawScore = float.NaN);

/// <summary>
/// Derives decisions again from their own records and private payloads: transaction and features out of the payload, score
/// by the model, probability, outcome, reasons; then compares with the record, field by field, in the order of the path.
/// Each step starts from the recorded result of the step before, so the first field that differs is the one to look at. A pure function of
/// its inputs; the buffers are its own, so one thread at a time. How the features came about is not asked here: that is
/// what a replay of the stream answers.
/// </summary>
public sealed class Rederivation
{
    /// <summary>What a raw score may be away where the same bits are not promised, absolute; the bar of the golden runs.</summary>
    public const double RawScoreTolerance = GoldenRows.ToleranceMax;

    private static readonly byte[] s_challenger = Encoding.UTF8.GetBytes(RecordIdentity.Challenger);

    private readonly StreamDefinition _definition;
    private readonly ChampionModel _champion;
    private readonly ModelLadder _ladder;
    private readonly TransactionCodec _codec;
    private readonly DecisionReasons _reasons;
    private readonly ScoringBatch _row;
    private readonly byte[] _modelDigest, _catalogDigest, _policyDigest;
    private readonly bool _checksSubject;

    /// <param name="ladder">Scorers of <paramref name="champion"/>; borrowed.</param>
    /// <param name="shap">Null when the model cannot be explained.</param>
    /// <param name="secret">The engine's token key; null when it is not at hand: then the subject's token is not checked.</param>
    public Rederivation(StreamDefinition definition, ChampionModel champion, ModelLadder ladder, TreeShap? shap, KeyedHash? secret)
    {
        _definition = definition;
        _champion = champion;
        _ladder = ladder;
        _checksSubject = secret is not null;
        _codec = new TransactionCodec(definition.Schema, new TransactionKeys(definition.Schema.Name, secret ?? new KeyedHash(new byte[KeyedHash.KeySize])));
        _reasons = new DecisionReasons(shap, champion.Columns, definition.Catalog, definition.Policy);
        _row = new ScoringBatch(definition.Schema, 1, definition.Catalog.Count, champion.Columns.Length);
        _modelDigest = Bytes(champion.Digest);
        _catalogDigest = definition.Catalog.Digest;
        _policyDigest = Bytes(definition.Policy.Digest);
    }

    /// <summary>Derives one decision again.</summary>
    /// <param name="payload">The private payload's bytes; empty when it was erased.</param>
    public RederivationResult Check(in DecisionRecord record, ReadOnlySpan<byte> payload)
    {
        if (record.Kind != RecordKind.Decision) { return Impossible("kind", record.Kind.ToString(), "only decisions are derived"); }
        if (payload.IsEmpty) { return Impossible("commitment", Hex(record.Commitment), "the private payload was erased, or is not here"); }
        if (!HasConfiguration(record, out RederivationResult result)) { return result; }
        if (!TakeTransaction(record, payload, out result) || !Score(record, out result)) { return result; }
        float rawScore = _row.RawScores[0];
        bool isExact = Same(rawScore, record.RawScore);

        if (!Decide(record, out result) || !CompareReasons(record, out result)) { return result with { Policy = _row.Results[0], RawScore = rawScore }; }
        return new RederivationResult(
            isExact ? RederivationState.Identical : RederivationState.WithinTolerance, isExact ? "" : "rawScore", Text(record.RawScore), Text(rawScore), _row.Results[0], rawScore);
    }

    private bool HasConfiguration(in DecisionRecord record, out RederivationResult result)
    {
        result =
            !record.CatalogDigest.SequenceEqual(_catalogDigest) ? Impossible("catalogDigest", Hex(record.CatalogDigest), $"the catalog here is {Hex(_catalogDigest)}") :
            !record.PolicyDigest.SequenceEqual(_policyDigest) ? Impossible("policyDigest", Hex(record.PolicyDigest), $"the policy here is {Hex(_policyDigest)}") :
            !record.ModelDigest.IsEmpty && !record.ModelDigest.SequenceEqual(_modelDigest) ? Impossible("modelDigest", Hex(record.ModelDigest), $"the model here is {_champion.Reference}, {Hex(_modelDigest)}") :
            default;
        return result.Field is null;
    }

    /// <summary>Commitment, transaction, features.</summary>
    private bool TakeTransaction(in DecisionRecord record, ReadOnlySpan<byte> payload, out RederivationResult result)
    {
        Span<byte> commitment = stackalloc byte[LogFormat.HashBytes];
        PrivatePayloadCodec.Commit(payload, commitment);
        if (!commitment.SequenceEqual(record.Commitment)) { return Differs("commitment", Hex(record.Commitment), Hex(commitment), out result); }
        RecordFault fault = PrivatePayloadCodec.Read(payload, out PrivatePayload view);
        if (fault != RecordFault.None) { return Differs("commitment", "a private payload", $"bytes that are none ({fault})", out result); }

        _row.Clear();
        TransactionBatch transactions = _row.Transactions;
        if (!_codec.Append(view.Transaction, record.SourceOffset, record.EventTimeMicros, transactions)) { return Differs("transaction", "a transaction of this stream", "bytes that are none", out result); }
        _row.Admit(0);
        if (!transactions.EventId(0).SequenceEqual(record.EventId)) { return Differs("eventId", Encoding.UTF8.GetString(record.EventId), Encoding.UTF8.GetString(transactions.EventId(0)), out result); }
        if (transactions.EventTimes[0] != record.EventTimeMicros) { return Differs("eventTime", Micro.ToIso8601(record.EventTimeMicros), Micro.ToIso8601(transactions.EventTimes[0]), out result); }
        if (_checksSubject && !SubjectIs(record.Subject)) { return Differs("subject", Hex(record.Subject), "the token of another subject", out result); }
        if (view.FeatureCount != _definition.Catalog.Count) { return Differs("features", Text(_definition.Catalog.Count), Text(view.FeatureCount), out result); }

        view.CopyFeatures(_row.ViewFloats);
        for (int i = 0; i < view.FeatureCount; i++) { _row.Views[i] = _row.ViewFloats[i]; }
        for (int i = 0; i < _champion.Columns.Length; i++) { _row.Inputs[i] = _row.ViewFloats[_champion.Columns[i]]; }
        result = default;
        return true;
    }

    /// <summary>Raw score and probability. Nobody scored on the rung of rules only, and then nothing is scored here.</summary>
    private bool Score(in DecisionRecord record, out RederivationResult result)
    {
        result = default;
        _row.RawScores[0] = float.NaN;
        _row.Scores[0] = double.NaN;
        if (!record.ModelDigest.IsEmpty)
        {
            LadderStep step = _ladder.Score(_row.Inputs, 1, _row.RawScores);
            float derived = _row.RawScores[0];
            if (step.Rung >= LadderStep.RulesOnly)
            {
                result = Impossible("rawScore", Text(record.RawScore), "the model gave no score here");
                return false;
            }
            bool mustBeSame = _ladder.IsReproducible(step) && _ladder.Provider(step).SequenceEqual(record.ExecutionProvider);
            if (!Same(derived, record.RawScore) && (mustBeSame || !(Math.Abs((double)derived - record.RawScore) <= RawScoreTolerance)))
            {
                return Differs("rawScore", Text(record.RawScore), Text(derived), out result);
            }
            _row.Scores[0] = _champion.Calibration.Apply(record.RawScore);
        }
        else if (!float.IsNaN(record.RawScore)) { return Differs("rawScore", Text(record.RawScore), "none, for no model scored", out result); }
        return Same(_row.Scores[0], record.CalibratedScore) || Differs("score", Text(record.CalibratedScore), Text(_row.Scores[0]), out result);
    }

    /// <summary>Thresholds and outcome.</summary>
    private bool Decide(in DecisionRecord record, out RederivationResult result)
    {
        Policy policy = _definition.Policy;
        var inputs = new ConditionInputs(_row.Transactions, 0, _row.Transactions.Numbers, _row.Views);
        PolicyResult decided = _row.Results[0] = policy.Decide(record.CalibratedScore, inputs);
        result = default;
        if (!Same(policy.Review.Value, record.ReviewThreshold)) { return Differs("thresholds.review", Text(record.ReviewThreshold), Text(policy.Review.Value), out result); }
        if (!Same(policy.Decline.Value, record.DeclineThreshold)) { return Differs("thresholds.decline", Text(record.DeclineThreshold), Text(policy.Decline.Value), out result); }
        if ((int)decided.Outcome != record.Outcome) { return Differs("outcome", ((Outcome)record.Outcome).Name(), decided.Outcome.Name(), out result); }
        bool isAutomated = decided.Outcome is Outcome.Approve or Outcome.Decline && !record.Actor.SequenceEqual(s_challenger);
        return isAutomated == record.SolelyAutomated || Differs("solelyAutomated", record.SolelyAutomated.ToString(), isAutomated.ToString(), out result);
    }

    private bool CompareReasons(in DecisionRecord record, out RederivationResult result)
    {
        result = default;
        ReasonSequence derived = _reasons.Of(_row, 0);
        if (derived.Count == record.Reasons.Count && derived.Encoded.SequenceEqual(record.Reasons.Encoded)) { return true; }
        ReasonSequence.Enumerator ours = derived.GetEnumerator(), theirs = record.Reasons.GetEnumerator();
        for (int i = 0; ; i++)
        {
            string derivedText = ours.MoveNext() ? Text(ours.Current) : "none", recordedText = theirs.MoveNext() ? Text(theirs.Current) : "none";
            if (derivedText != recordedText || derivedText == "none") { return Differs($"reasons[{i}]", recordedText, derivedText, out result); }
        }
    }

    private bool SubjectIs(ReadOnlySpan<byte> subject)
    {
        EntityKey key = _row.Transactions.Keys[_definition.Schema.SubjectKey];
        return subject.Length == LogFormat.SubjectTokenBytes && BinaryPrimitives.ReadUInt64BigEndian(subject) == key.High && BinaryPrimitives.ReadUInt64BigEndian(subject[8..]) == key.Low;
    }

    private static bool Differs(string field, string recorded, string derived, out RederivationResult result)
    {
        result = new RederivationResult(RederivationState.Different, field, recorded, derived);
        return false;
    }

    private static RederivationResult Impossible(string field, string recorded, string why) => new(RederivationState.Impossible, field, recorded, why);

    // To the bit, except that there is one "none": no payload or record tells one NaN from another.
    private static bool Same(double a, double b) => BitConverter.DoubleToInt64Bits(a) == BitConverter.DoubleToInt64Bits(b) || (double.IsNaN(a) && double.IsNaN(b));

    private static string Text(RecordedReason reason) => $"{Encoding.UTF8.GetString(reason.Code)} ({reason.Source}, {Text(reason.Contribution)})";
    private static string Text(float value) => value.ToString("R", CultureInfo.InvariantCulture);
    private static string Text(double value) => value.ToString("R", CultureInfo.InvariantCulture);
    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
    private static string Hex(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(bytes);

    private static byte[] Bytes(Sha256Digest digest)
    {
        byte[] bytes = new byte[Sha256Digest.Size];
        digest.CopyTo(bytes);
        return bytes;
    }
}
