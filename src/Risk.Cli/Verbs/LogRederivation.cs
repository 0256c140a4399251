using System.Globalization;
using System.Text.Json;
using Risk.Cli.CommandLine;
using Risk.Core.Log;
using Risk.Core.Replay;
using Risk.Core.Transactions;
using Risk.Storage.Log;

namespace Risk.Cli.Verbs;

/// <summary>Every decision of a log derived again: how many are identical, and the first that is not.</summary>
internal sealed class LogRederivation
{
    private const int ProgressEvery = 1 << 12;

    private readonly Dictionary<RederivationState, long> _counts = [];

    /// <summary>Sequence and result of the first decision that differs.</summary>
    public (long Sequence, RederivationResult Result)? FirstDifference { get; private set; }

    /// <summary>Sequence and result of the first that could not be derived.</summary>
    public (long Sequence, RederivationResult Result)? FirstImpossible { get; private set; }

    public long Count(RederivationState state) => _counts.GetValueOrDefault(state);

    public string Sentence => string.Create(CultureInfo.InvariantCulture, $"{Count(RederivationState.Identical):N0} identical, {Count(RederivationState.WithinTolerance):N0} within tolerance, {Count(RederivationState.Different):N0} different")
        + (FirstImpossible is var (sequence, result) ? string.Create(CultureInfo.InvariantCulture, $"; {Count(RederivationState.Impossible):N0} could not be, as record {sequence}: {result.Derived}") : "");

    public static LogRederivation Run(VerbContext context, string directory, string? stream)
    {
        var found = new LogRederivation();
        using DecisionLogReader reader = DecisionLogReader.Open(directory);
        KeyedHash? secret = RunDirectory.FindSecret(directory);
        context.Output.Run("Deriving again", "decisions", reader.End, report => found.Derive(reader, stream, secret, report, context.Cancellation));
        return found;
    }

    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject("rederivation");
        json.WriteNumber("identical", Count(RederivationState.Identical));
        json.WriteNumber("withinTolerance", Count(RederivationState.WithinTolerance));
        json.WriteNumber("different", Count(RederivationState.Different));
        json.WriteNumber("impossible", Count(RederivationState.Impossible));
        if ((FirstDifference ?? FirstImpossible) is { } first)
        {
            json.WriteNumber("sequence", first.Sequence);
            ExplainVerb.Write(json, "first", first.Result);
        }

        json.WriteEndObject();
    }

    private void Derive(DecisionLogReader reader, string? stream, KeyedHash? secret, ProgressReport report, CancellationToken cancellation)
    {
        // A log may name several configurations over time; each is opened once.
        var open = new Dictionary<string, (DecisionParts Parts, Rederivation? Rederivation)>(StringComparer.Ordinal);
        try
        {
            (DecisionParts Parts, Rederivation? Rederivation) current = default;
            byte[] pinned = [];
            while (reader.Read())
            {
                if (DecisionRecordCodec.Read(reader.Record, out DecisionRecord record) != RecordFault.None || record.Kind != RecordKind.Decision)
                {
                    continue;
                }

                if (!IsPinned(record, pinned))
                {
                    pinned = [.. record.ModelDigest, .. record.CatalogDigest, .. record.PolicyDigest];
                    current = Open(open, record, stream, secret);
                }

                Take(reader.Sequence, current.Rederivation?.Check(record, reader.Payload)
                    ?? new RederivationResult(RederivationState.Impossible, "modelDigest", Convert.ToHexStringLower(record.ModelDigest), current.Parts is { Notes: [var note, ..] } ? note : "the model that decided is not here"));
                if (reader.Sequence % ProgressEvery == 0)
                {
                    cancellation.ThrowIfCancellationRequested();
                    report.Done = reader.Sequence;
                }
            }
        }
        finally
        {
            foreach ((DecisionParts parts, _) in open.Values)
            {
                parts.Dispose();
            }
        }
    }

    private static bool IsPinned(in DecisionRecord record, ReadOnlySpan<byte> pinned)
    {
        int model = record.ModelDigest.Length, catalog = record.CatalogDigest.Length, policy = record.PolicyDigest.Length;
        return pinned.Length > 0 && pinned.Length == model + catalog + policy
            && record.ModelDigest.SequenceEqual(pinned[..model])
            && record.CatalogDigest.SequenceEqual(pinned.Slice(model, catalog))
            && record.PolicyDigest.SequenceEqual(pinned[(model + catalog)..]);
    }

    private static (DecisionParts, Rederivation?) Open(Dictionary<string, (DecisionParts, Rederivation?)> open, in DecisionRecord record, string? stream, KeyedHash? secret)
    {
        string name = $"{Convert.ToHexString(record.ModelDigest)}/{Convert.ToHexString(record.CatalogDigest)}/{Convert.ToHexString(record.PolicyDigest)}";
        if (open.TryGetValue(name, out (DecisionParts, Rederivation?) known))
        {
            return known;
        }

        DecisionParts parts = DecisionParts.Find(record, stream);
        return open[name] = (parts, parts.CreateRederivation(secret));
    }

    private void Take(long sequence, RederivationResult result)
    {
        _counts[result.State] = Count(result.State) + 1;
        if (result.State == RederivationState.Different)
        {
            FirstDifference ??= (sequence, result);
        }
        else if (result.State == RederivationState.Impossible)
        {
            FirstImpossible ??= (sequence, result);
        }
    }
}
