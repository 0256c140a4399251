using System.Globalization;
using System.Text;
using Risk.Cli.CommandLine;
using Risk.Cli.Costs;
using Risk.Core.Decisions;
using Risk.Core.Log;
using Risk.Core.Transactions;
using Spectre.Console;

namespace Risk.Cli.Verbs;

/// <summary>A decision for people: what was decided and why on top, then what it was based on, then who computed.</summary>
internal static class DecisionCard
{
    private const int ReasonCountDefault = 4;

    public static void Show(Output output, StoredDecision decision, DecisionParts parts, IReadOnlyList<(string Name, StoredDecision Decision)> challengers)
    {
        DecisionRecord record = decision.Record();
        output.People.MarkupLine(Title(record));
        output.People.Write(Facts(output, record, decision.Directory, parts, challengers));
        if (record.Reasons.Count > 0)
        {
            output.WriteLine("Reasons");
            output.People.Write(Reasons(output, record, parts));
        }

        if (decision.TryPayload(out PrivatePayload payload))
        {
            ShowBasis(output, parts, payload);
        }
        else
        {
            output.WriteLine("Transaction and features were erased, or are not here; the log still proves what they were.");
        }

        foreach (string note in parts.Notes)
        {
            output.WriteLine($"Note: {note}.");
        }
    }

    /// <summary><c>DECLINE  card-payments 1234  record #1233</c>.</summary>
    public static string Title(in DecisionRecord record)
    {
        var outcome = (Outcome)record.Outcome;
        return $"[bold {Colour(outcome)}]{outcome.Name().ToUpperInvariant()}[/]  {Markup.Escape(Encoding.UTF8.GetString(record.Stream))} [bold]{Markup.Escape(Encoding.UTF8.GetString(record.EventId))}[/]  record #{record.Sequence}";
    }

    public static string Colour(Outcome outcome) => outcome switch
    {
        Outcome.Approve => "green",
        Outcome.Review => "yellow",
        Outcome.Decline => "red",
        _ => "blue",
    };

    public static string Probability(double value) => double.IsNaN(value) ? "none" : value.ToString("0.######", CultureInfo.InvariantCulture);

    private static Table Facts(Output output, in DecisionRecord record, string directory, DecisionParts parts, IReadOnlyList<(string Name, StoredDecision Decision)> challengers)
    {
        Table table = output.CreateTable("", "").HideHeaders();
        void Row(string name, string value) => table.AddRow(Markup.Escape(name), Markup.Escape(value));
        Row("probability", $"{Probability(record.CalibratedScore)} (raw score {Probability(record.RawScore)}); review from {Probability(record.ReviewThreshold)}, decline from {Probability(record.DeclineThreshold)}");
        Row("event, decision", $"{Micro.ToIso8601(record.EventTimeMicros)}, {Micro.ToIso8601(record.DecisionTimeMicros)}{(record.Flags.HasFlag(RecordFlags.Late) ? ", late" : "")}{(record.Flags.HasFlag(RecordFlags.Incomplete) ? ", incomplete" : "")}");
        Row("source", $"{Encoding.UTF8.GetString(record.SourceName)}, partition {record.SourcePartition}, at {record.SourceOffset}");
        Row("subject", $"token {Convert.ToHexStringLower(record.Subject)}");
        Row("model", record.ModelDigest.IsEmpty ? "none: rules only" : $"{(parts.Bundle is { } b ? $"{b.Manifest.Name}@{b.Manifest.Version}, " : "")}{Convert.ToHexStringLower(record.ModelDigest)}");
        Row("catalog, policy", $"{Convert.ToHexStringLower(record.CatalogDigest)[..16]}…, {Convert.ToHexStringLower(record.PolicyDigest)[..16]}…");
        Row("computed by", $"{Encoding.UTF8.GetString(record.ExecutionProvider)} on {Encoding.UTF8.GetString(record.Device)}, row {record.BatchPosition + 1} of a batch of {record.BatchSize}");
        if (record.Rung > 0)
        {
            Row("degraded", $"rung {record.Rung}, because {(record.RungCause.IsEmpty ? "nothing could be said" : Encoding.UTF8.GetString(record.RungCause))}");
        }

        Row("cost", CostWords.Of(record, directory));
        string actor = Encoding.UTF8.GetString(record.Actor);
        Row("decided by", actor == RecordIdentity.Challenger ? "a challenger: what it said was never acted on" : $"{actor}{(record.SolelyAutomated ? ", solely automated" : ", for a person to look at")}");
        foreach ((string name, StoredDecision said) in challengers)
        {
            DecisionRecord other = said.Record();
            Row("challenger", $"{name} says {((Outcome)other.Outcome).Name()}, probability {Probability(other.CalibratedScore)}: ./risk show {Encoding.UTF8.GetString(record.EventId)} --out {said.Directory}");
        }
        return table;
    }

    /// <summary>The reasons a customer would be told: rules, then what pushed toward the outcome most.</summary>
    private static Table Reasons(Output output, in DecisionRecord record, DecisionParts parts)
    {
        Table table = output.CreateTable("", "reason", "code", "from", "log-odds");
        table.Columns[2].NoWrap();
        int max = parts.Policy?.ReasonCountMax ?? ReasonCountDefault, shown = 0, more = 0;
        foreach (RecordedReason reason in record.Reasons)
        {
            bool isScore = reason.Source == ReasonSource.Score;
            if (shown == max || (isScore && reason.Contribution <= 0))
            {
                more++;
                continue;
            }

            string code = Encoding.UTF8.GetString(reason.Code), source = isScore ? "score" : reason.Source == ReasonSource.Rule ? "rule" : "human";
            table.AddRow(
                (++shown).ToString(CultureInfo.InvariantCulture), Markup.Escape(parts.ReasonText(code, source)), Markup.Escape(code), source,
                isScore ? reason.Contribution.ToString("+0.000;-0.000", CultureInfo.InvariantCulture) : "");
        }

        if (more > 0)
        {
            table.AddRow("", $"and {more} smaller or opposite contributions: risk explain", "", "", "");
        }

        return table;
    }

    private static void ShowBasis(Output output, DecisionParts parts, PrivatePayload payload)
    {
        if (parts.Stream is not null && RecordedField.ReadAll(parts.Stream.Definition.Schema, payload.Transaction) is { } fields)
        {
            output.WriteLine("Transaction");
            Table table = output.CreateTable("field", "value");
            foreach (RecordedField field in fields)
            {
                table.AddRow(Markup.Escape(field.Name), Markup.Escape(field.ToString()));
            }

            output.People.Write(table);
        }

        if (parts.Catalog is not null && parts.Catalog.Count == payload.FeatureCount)
        {
            output.WriteLine("Features as of the event");
            float[] features = new float[payload.FeatureCount];
            payload.CopyFeatures(features);
            Table table = output.CreateTable("feature", "value");
            for (int i = 0; i < features.Length; i++)
            {
                table.AddRow(Markup.Escape(parts.Catalog.Features[i].Name), float.IsNaN(features[i]) ? "missing" : features[i].ToString("R", CultureInfo.InvariantCulture));
            }

            output.People.Write(table);
        }
    }
}
