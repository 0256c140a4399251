using System.Globalization;
using System.Text;
using Risk.Core.Decisions;
using Risk.Service.Costs;
using Risk.Service.Engine.Challengers;

namespace Risk.Service.Serving;

/// <summary>What the challengers of a process do, and how far they are behind the champion.</summary>
internal static class ChallengerMetrics
{
    private static readonly Outcome[] s_outcomes = Enum.GetValues<Outcome>();

    public static void Render(StringBuilder text, IReadOnlyList<Challenger> challengers)
    {
        if (challengers.Count == 0) { return; }
        ServeMetrics.Gauge(text, "risk_challenger_up", "1 while the challenger follows the partition; 0 while something keeps it from it.",
            challengers.SelectMany(c => c.State.Select(s => (Of(c, s.Partition), s.Problem is null ? 1.0 : 0.0))));
        ServeMetrics.Gauge(text, "risk_challenger_behind_decisions", "Durable decisions of the champion that the challenger has not scored.",
            challengers.SelectMany(c => c.State.Select(s => (Of(c, s.Partition), (double)s.Behind))));
        ServeMetrics.Counter(text, "risk_challenger_decisions_total", "What the challenger would have decided, by what the champion decided.",
            challengers.SelectMany(c => s_outcomes.SelectMany(champion => s_outcomes.Select(own => ($"{Of(c)},champion=\"{champion.Name()}\",outcome=\"{own.Name()}\"", (double)c.Count(champion, own))))));
        (Challenger Challenger, MeteredRun Costs)[] costs = [.. challengers.Select(c => (c, c.Costs())).Where(c => c.Item2.IsPriced)];
        if (costs.Length == 0) { return; }
        ServeMetrics.Counter(text, "risk_challenger_cost_money_total", "Cost of the challenger; the champion's does not hold it.", costs.Select(c => (Of(c.Challenger), (double)c.Costs.Total.Money)));
        ServeMetrics.Counter(text, "risk_challenger_energy_joules_total", "Energy of the challenger, the same way.", costs.Select(c => (Of(c.Challenger), c.Costs.Total.Joules)));
    }

    private static string Of(Challenger challenger) => $"challenger=\"{challenger.Name}\",model=\"{challenger.Model.Champion.Reference}\"";

    private static string Of(Challenger challenger, int partition) => string.Create(CultureInfo.InvariantCulture, $"{Of(challenger)},partition=\"{partition}\"");
}
