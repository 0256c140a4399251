using Risk.Cli;
using Risk.Cli.Verbs;
using Risk.Core.Log;
using Risk.Core.Replay;
using Risk.Core.Transactions;
using Risk.Storage.Log;

namespace Risk.EndToEnd.Tests.CommandLine;

/// <summary>A record that was changed in one field, as whoever holds the key could: derivation names that field.</summary>
public sealed class RederivationTests(SharedRun run) : IClassFixture<SharedRun>, IDisposable
{
    private readonly DecisionParts _parts = Parts(run);

    public void Dispose() => _parts.Dispose();

    public delegate void Change(ref DecisionRecord record);

    public static TheoryData<string, Change> Changes => new()
    {
        { "commitment", (ref DecisionRecord r) => r.Commitment = new byte[LogFormat.HashBytes] },
        { "eventId", (ref DecisionRecord r) => r.EventId = "another"u8 },
        { "eventTime", (ref DecisionRecord r) => r.EventTimeMicros++ },
        { "subject", (ref DecisionRecord r) => r.Subject = new byte[LogFormat.SubjectTokenBytes] },
        { "rawScore", (ref DecisionRecord r) => r.RawScore = MathF.BitIncrement(r.RawScore) },
        { "score", (ref DecisionRecord r) => r.CalibratedScore = Math.BitIncrement(r.CalibratedScore) },
        { "thresholds.review", (ref DecisionRecord r) => r.ReviewThreshold += 0.01 },
        { "thresholds.decline", (ref DecisionRecord r) => r.DeclineThreshold -= 0.01 },
        { "outcome", (ref DecisionRecord r) => r.Outcome = (r.Outcome + 1) % 4 },
        { "solelyAutomated", (ref DecisionRecord r) => r.SolelyAutomated = !r.SolelyAutomated },
    };

    [Theory]
    [MemberData(nameof(Changes))]
    public void ChangedField_IsNamed(string field, Change change)
    {
        (byte[] entry, byte[] payload) = Entry(run, 4321);
        Rederivation rederivation = _parts.CreateRederivation(RunDirectory.FindSecret(run.Directory))!;
        Assert.Equal(RecordFault.None, DecisionRecordCodec.Read(entry, out DecisionRecord record));
        Assert.Equal(RederivationState.Identical, rederivation.Check(record, payload).State);

        change(ref record);
        RederivationResult result = rederivation.Check(record, payload);

        Assert.Equal(RederivationState.Different, result.State);
        Assert.Equal(field, result.Field);
        Assert.NotEqual(result.Recorded, result.Derived);
    }

    [Fact]
    public void AnotherExecutionProvider_MayBeWithinTolerance_AndNoMore()
    {
        (byte[] entry, byte[] payload) = Entry(run, 4321);
        Rederivation rederivation = _parts.CreateRederivation(null)!;
        Assert.Equal(RecordFault.None, DecisionRecordCodec.Read(entry, out DecisionRecord record));
        record.ExecutionProvider = "another"u8;
        float exact = record.RawScore;

        record.RawScore = MathF.BitIncrement(exact);
        record.CalibratedScore = _parts.Model!.Champion.Calibration.Apply(record.RawScore);
        Assert.Equal(RederivationState.WithinTolerance, rederivation.Check(record, payload).State);

        record.RawScore = exact + (float)(2 * Rederivation.RawScoreTolerance);
        Assert.Equal(("rawScore", RederivationState.Different), (rederivation.Check(record, payload).Field, rederivation.Check(record, payload).State));
    }

    [Fact]
    public void AnotherModelOrPolicy_IsImpossibleHere_NotDifferent()
    {
        (byte[] entry, byte[] payload) = Entry(run, 4321);
        Rederivation rederivation = _parts.CreateRederivation(null)!;
        Assert.Equal(RecordFault.None, DecisionRecordCodec.Read(entry, out DecisionRecord record));

        record.ModelDigest = new byte[Sha256Digest.Size];

        Assert.Equal((RederivationState.Impossible, "modelDigest"), (rederivation.Check(record, payload).State, rederivation.Check(record, payload).Field));
    }

    private static DecisionParts Parts(SharedRun run)
    {
        (byte[] entry, _) = Entry(run, 0);
        DecisionRecordCodec.Read(entry, out DecisionRecord record);
        return DecisionParts.Find(record, null);
    }

    private static (byte[] Entry, byte[] Payload) Entry(SharedRun run, long sequence)
    {
        using DecisionLogReader reader = DecisionLogReader.Open(run.Directory);
        Assert.True(reader.Seek(sequence));
        return (reader.Record.ToArray(), reader.Payload.ToArray());
    }
}
