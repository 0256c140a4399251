using System.CommandLine;
using System.Text;
using System.Text.Json;
using Risk.Cli.CommandLine;
using Risk.Core.Decisions;
using Risk.Core.Log;

namespace Risk.Cli.Verbs;

/// <summary><c>risk show ID</c>: one decision as the log holds it, with its transaction and features while they are there.</summary>
internal static class ShowVerb
{
    private static readonly Argument<string> Id = IdArgument();
    private static readonly Option<string> Out = CommonOptions.Out();
    private static readonly Option<string?> Stream = StreamOption();

    public static Argument<string> IdArgument() => new("ID") { Description = "The event's id, or '#' and the record's sequence (quote it: '#17')." };

    /// <summary>Here the stream comes out of the record; the option is for a definition that lies elsewhere.</summary>
    public static Option<string?> StreamOption() => new("--stream") { Description = "The stream's definition; the record's own stream below streams/ when left out.", HelpName = "NAME|DIR" };

    public static Command Create()
    {
        var command = new Command("show", "One decision: its record, its reasons, and what it was based on.") { Id, Out, Stream };
        command.SetVerb(Run);
        return command;
    }

    private static ExitCode Run(VerbContext context)
    {
        StoredDecision decision = StoredDecision.Find(context, context.Get(Out)!, context.Get(Id));
        using DecisionParts parts = DecisionParts.Find(decision.Record(), context.Get(Stream));
        IReadOnlyList<(string Name, StoredDecision Decision)> challengers = StoredDecision.OfChallengers(context, context.Get(Out)!, Encoding.UTF8.GetString(decision.Record().EventId));
        if (context.Output.Json)
        {
            context.Output.WriteJson(json => Write(json, decision, parts, challengers));
        }
        else
        {
            DecisionCard.Show(context.Output, decision, parts, challengers);
        }

        return ExitCode.Done;
    }

    private static void Write(Utf8JsonWriter json, StoredDecision decision, DecisionParts parts, IReadOnlyList<(string Name, StoredDecision Decision)> challengers)
    {
        decision.WriteRecord(json, parts.ReasonText);
        json.WriteString("model", parts.Bundle is { } bundle ? $"{bundle.Manifest.Name}@{bundle.Manifest.Version}" : null);
        bool isThere = decision.TryPayload(out PrivatePayload payload);
        json.WriteString("payload", isThere ? "present" : "erased");
        if (isThere)
        {
            WriteTransaction(json, parts, payload);
            WriteFeatures(json, parts, payload);
        }

        json.WriteStartArray("challengers");
        foreach ((string name, StoredDecision said) in challengers)
        {
            DecisionRecord record = said.Record();
            json.WriteStartObject();
            json.WriteString("name", name);
            json.WriteString("modelDigest", Convert.ToHexStringLower(record.ModelDigest));
            json.WriteNumber("sequence", said.Sequence);
            if (double.IsNaN(record.CalibratedScore)) { json.WriteNull("score"); } else { json.WriteNumber("score", record.CalibratedScore); }
            json.WriteString("outcome", ((Outcome)record.Outcome).Name());
            json.WriteString("out", said.Directory);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("notes");
        foreach (string note in parts.Notes)
        {
            json.WriteStringValue(note);
        }

        json.WriteEndArray();
    }

    private static void WriteTransaction(Utf8JsonWriter json, DecisionParts parts, PrivatePayload payload)
    {
        if (parts.Stream is not null && RecordedField.ReadAll(parts.Stream.Definition.Schema, payload.Transaction) is { } fields)
        {
            json.WriteStartObject("transaction");
            foreach (RecordedField field in fields)
            {
                field.Write(json);
            }

            json.WriteEndObject();
        }
    }

    private static void WriteFeatures(Utf8JsonWriter json, DecisionParts parts, PrivatePayload payload)
    {
        float[] features = new float[payload.FeatureCount];
        payload.CopyFeatures(features);
        if (parts.Catalog is null || parts.Catalog.Count != features.Length)
        {
            return;
        }

        json.WriteStartObject("features");
        for (int i = 0; i < features.Length; i++)
        {
            if (float.IsFinite(features[i]))
            {
                json.WriteNumber(parts.Catalog.Features[i].Name, features[i]);
            }
            else
            {
                json.WriteNull(parts.Catalog.Features[i].Name);
            }
        }

        json.WriteEndObject();
    }
}
