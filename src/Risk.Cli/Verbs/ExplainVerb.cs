using System.CommandLine;
using System.Text.Json;
using Risk.Cli.CommandLine;
using Risk.Core.Decisions;
using Risk.Core.Log;
using Risk.Core.Replay;

namespace Risk.Cli.Verbs;

/// <summary>
/// <c>risk explain ID</c>: why a decision came out as it did, and whether it comes out the same again. Exit 1 when it does
/// not, or when there is nothing left to explain it from.
/// </summary>
internal static class ExplainVerb
{
    private static readonly Argument<string> Id = ShowVerb.IdArgument();
    private static readonly Option<string> Out = CommonOptions.Out();
    private static readonly Option<string?> Stream = ShowVerb.StreamOption();

    public static Command Create()
    {
        var command = new Command("explain", "Why a decision came out as it did: exact contributions, rules, and whether it is the same when derived again.") { Id, Out, Stream };
        command.SetVerb(Run);
        return command;
    }

    private static ExitCode Run(VerbContext context)
    {
        Output output = context.Output;
        StoredDecision decision = StoredDecision.Find(context, context.Get(Out)!, context.Get(Id));
        using DecisionParts parts = DecisionParts.Find(decision.Record(), context.Get(Stream));
        Explanation explanation = Explanation.Of(decision, parts);
        if (output.Json)
        {
            output.WriteJson(json => Write(json, decision, parts, explanation));
        }
        else
        {
            ExplanationView.Show(output, decision, parts, explanation);
        }

        RederivationResult rederivation = explanation.Rederivation;
        if (rederivation.State == RederivationState.Different)
        {
            output.ErrorLine("REDERIVATION_DIFFERS", $"{rederivation.Field} is recorded as {rederivation.Recorded} and derived as {rederivation.Derived}.");
            return ExitCode.No;
        }

        if (rederivation.State == RederivationState.Impossible)
        {
            output.ErrorLine("EXPLANATION_IMPOSSIBLE", $"{rederivation.Derived}.");
            return ExitCode.No;
        }

        if (parts.Model?.Unexplained is { } refusal)
        {
            output.ErrorLine(refusal.Code, $"{refusal.Reason}.");
            return ExitCode.No;
        }

        return ExitCode.Done;
    }

    private static void Write(Utf8JsonWriter json, StoredDecision decision, DecisionParts parts, Explanation explanation)
    {
        DecisionRecord record = decision.Record();
        json.WriteString("eventId", record.EventId);
        json.WriteNumber("sequence", decision.Sequence);
        json.WriteString("outcome", ((Outcome)record.Outcome).Name());
        json.WriteString("model", parts.Bundle is { } bundle ? $"{bundle.Manifest.Name}@{bundle.Manifest.Version}" : null);
        json.WriteString("modelDigest", Convert.ToHexStringLower(record.ModelDigest));
        Number(json, "rawScore", record.RawScore);
        Number(json, "score", record.CalibratedScore);
        Number(json, "baseMargin", explanation.BaseMargin);
        Number(json, "margin", explanation.Margin);
        Number(json, "marginScore", explanation.MarginScore);
        json.WriteStartArray("contributions");
        foreach (Contribution each in explanation.Contributions)
        {
            json.WriteStartObject();
            json.WriteString("feature", each.Feature);
            Number(json, "value", each.Value);
            Number(json, "contribution", each.Amount);
            json.WriteString("text", each.Text);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        WriteRules(json, explanation);
        Write(json, "rederivation", explanation.Rederivation);
        json.WriteStartArray("notes");
        foreach (string note in parts.Notes)
        {
            json.WriteStringValue(note);
        }

        json.WriteEndArray();
    }

    private static void WriteRules(Utf8JsonWriter json, Explanation explanation)
    {
        json.WriteStartArray("rules");
        foreach ((PolicyRule rule, bool held) in explanation.Rules)
        {
            json.WriteStartObject();
            json.WriteString("id", rule.Id);
            json.WriteBoolean("held", held);
            json.WriteString("when", rule.When.ToString());
            json.WriteString("outcome", rule.Outcome.Name());
            json.WriteString("text", rule.ReasonText);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary><c>{"state": "identical"}</c>, with the field and both values where there is something to say.</summary>
    public static void Write(Utf8JsonWriter json, string name, in RederivationResult result)
    {
        json.WriteStartObject(name);
        json.WriteString("state", Word(result.State));
        if (result.Field is { Length: > 0 })
        {
            json.WriteString("field", result.Field);
            json.WriteString("recorded", result.Recorded);
            json.WriteString("derived", result.Derived);
        }

        json.WriteEndObject();
    }

    public static string Word(RederivationState state) => state switch
    {
        RederivationState.Identical => "identical",
        RederivationState.WithinTolerance => "within-tolerance",
        RederivationState.Different => "different",
        _ => "impossible",
    };

    private static void Number(Utf8JsonWriter json, string name, double value)
    {
        if (double.IsFinite(value))
        {
            json.WriteNumber(name, value);
        }
        else
        {
            json.WriteNull(name);
        }
    }

    private static void Number(Utf8JsonWriter json, string name, float value)
    {
        if (float.IsFinite(value))
        {
            json.WriteNumber(name, value);
        }
        else
        {
            json.WriteNull(name);
        }
    }
}
