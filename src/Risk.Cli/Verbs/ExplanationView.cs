using System.Globalization;
using Risk.Cli.CommandLine;
using Risk.Core.Decisions;
using Risk.Core.Log;
using Risk.Core.Replay;
using Spectre.Console;

namespace Risk.Cli.Verbs;

/// <summary>An explanation for people: a chart of what pushed which way, the sum, the rules, the derivation.</summary>
internal static class ExplanationView
{
    private const int BarCells = 24;
    private const int ContributionsShownMax = 15;

    public static void Show(Output output, StoredDecision decision, DecisionParts parts, Explanation explanation)
    {
        DecisionRecord record = decision.Record();
        output.People.MarkupLine(DecisionCard.Title(record));
        if (explanation.Contributions.Count > 0)
        {
            output.People.Write(Chart(output, explanation));
            output.WriteLine(Sum(record, explanation));
        }

        ShowRules(output, explanation);
        output.People.MarkupLine(Derivation(explanation.Rederivation));
        foreach (string note in parts.Notes)
        {
            output.WriteLine($"Note: {note}.");
        }
    }

    private static Table Chart(Output output, Explanation explanation)
    {
        Table table = output.CreateTable("pushes", "log-odds", "feature", "value", "in words");
        table.Columns[2].NoWrap();
        double largest = Math.Max(1e-300, explanation.Contributions.Max(c => Math.Abs(c.Amount)));
        foreach (Contribution each in explanation.Contributions.Take(ContributionsShownMax))
        {
            string bar = new('█', (int)Math.Round(BarCells * Math.Abs(each.Amount) / largest));
            table.AddRow(
                $"[{(each.Amount > 0 ? "red" : "green")}]{bar}[/]", Signed(each.Amount), Markup.Escape(each.Feature),
                float.IsNaN(each.Value) ? "missing" : each.Value.ToString("0.######", CultureInfo.InvariantCulture), Markup.Escape(each.Text));
        }

        List<Contribution> rest = [.. explanation.Contributions.Skip(ContributionsShownMax)];
        if (rest.Count > 0)
        {
            table.AddRow("", Signed(rest.Sum(c => c.Amount)), $"{rest.Count} others together", "", "");
        }

        return table;
    }

    private static string Sum(in DecisionRecord record, Explanation explanation) => string.Create(
        CultureInfo.InvariantCulture,
        $"Base {explanation.BaseMargin:0.0000}, with all contributions {explanation.Margin:0.0000} log-odds: a raw score of {explanation.MarginScore:0.######}; calibrated, a probability of {DecisionCard.Probability(record.CalibratedScore)} (review from {DecisionCard.Probability(record.ReviewThreshold)}, decline from {DecisionCard.Probability(record.DeclineThreshold)}).");

    private static void ShowRules(Output output, Explanation explanation)
    {
        List<PolicyRule> held = [.. explanation.Rules.Where(r => r.Held).Select(r => r.Rule)];
        if (held.Count == 0)
        {
            output.WriteLine(explanation.Rules.Count == 0 ? "Which rules held cannot be said." : $"None of the {explanation.Rules.Count} rules held: {string.Join(", ", explanation.Rules.Select(r => r.Rule.Id))}.");
            return;
        }

        foreach (PolicyRule rule in held)
        {
            output.WriteLine($"Rule {rule.Id} held ({rule.When}), which says {rule.Outcome.Name()}: {rule.ReasonText}.");
        }
    }

    private static string Derivation(in RederivationResult result) => result.State switch
    {
        RederivationState.Identical => "Derived again from its own record: [green]identical[/].",
        RederivationState.WithinTolerance => $"Derived again on another execution provider: [green]the same[/]; the raw score is {result.Derived}, recorded {result.Recorded}.",
        RederivationState.Different => $"Derived again: [red]different[/]. {Markup.Escape(result.Field)} is recorded as {Markup.Escape(result.Recorded)} and derived as {Markup.Escape(result.Derived)}.",
        _ => $"It cannot be derived again here: {Markup.Escape(result.Derived)}.",
    };

    private static string Signed(double amount) => amount.ToString("+0.0000;-0.0000;0", CultureInfo.InvariantCulture);
}
