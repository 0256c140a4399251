using System.Globalization;
using Risk.Cli.CommandLine;
using Risk.Cli.Costs;
using Risk.Core.Costs;
using Risk.Core.Decisions;
using Risk.Core.Replay;
using Risk.Core.Transactions;
using Risk.Service.Engine;
using Risk.Service.Engine.Challengers;
using Spectre.Console;

namespace Risk.Cli.Verbs;

/// <summary>What <c>risk demo</c> shows people when it is done.</summary>
internal static class DemoView
{
    public static void Show(Output output, DemoResult result)
    {
        Table table = output.CreateTable("", "").HideHeaders();
        table.AddRow("[bold]Stream[/]", Markup.Escape($"{result.Options.Definition.Schema.Name}, model {result.Engine.Model.Champion.Reference}{ScoredBy(result.Engine.Model)}"));
        table.AddRow("[bold]Decided[/]", Decided(result));
        table.AddRow("[bold]Speed[/]", Speed(result));
        table.AddRow("[bold]Latency[/]", Latency(result.Report.Latencies.Total));
        table.AddRow("[bold]Outcomes[/]", Outcomes(result));
        table.AddRow("[bold]Quality[/]", QualityOf(result.Outcome.Quality));
        if (result.Outcome.Business.FraudCount > 0) { table.AddRow("[bold]Frauds[/]", Frauds(result)); }
        table.AddRow("[bold]Cost[/]", result.Cost.IsPriced
            ? F($"{result.Cost.Money * 1000:0.000000} {result.Cost.Currency} and {result.Cost.Joules * 1000:N0} J per 1,000,000 decisions {On(result.Engine.Costs.Machine.Machine)}{(result.Engine.Model.Devices.Count > 0 ? ", accelerators and their idle time included" : "")}")
            : Markup.Escape(result.Cost.Method));
        table.AddRow("[bold]Log[/]", F($"{result.Engine.LogSize:N0} entries, root {result.RootHash[..16]}…"));
        output.People.Write(table);
        if (result.Challengers.Count > 0) { ShowChallengers(output, result); }
        if (result.Report.Transactions > 0) { ShowStages(output, result.Report.Latencies); }
        ShowNext(output, result);
    }

    private static string On(MachinePrice machine) => Markup.Escape($"on {(machine.Tenure == Tenure.Owned ? "an" : "a")} {Numbers.Word(machine.Tenure)} {machine.Name} (price {Numbers.Basis(machine.Price.Basis)})");

    // By what ran, not by what is configured: the router may have had nothing for a device.
    private static string ScoredBy(ServingModel model)
    {
        (string Device, string ExecutionProvider, long Rows)[] ran = [.. model.Scorers.Select(s => (s.Device, s.ExecutionProvider, s.Statistics.Rows)).Where(s => s.Rows > 0)];
        double rows = ran.Sum(r => (double)r.Rows);
        return ran.Length switch
        {
            0 => "",
            1 => $" on {ran[0].ExecutionProvider}",
            _ => $" on {string.Join(", ", ran.Select(r => F($"{r.Device} ({r.ExecutionProvider}) {r.Rows / rows:P1}")))}",
        };
    }

    private static string Decided(DemoResult result)
    {
        string line = F($"{result.Decisions:N0} of {result.Transactions:N0} transactions");
        if (result.Duplicates > 0) { line += F($", {result.Duplicates:N0} duplicates"); }
        if (result.DeadLetters > 0)
        {
            line += F($", {result.DeadLetters:N0} dead letters ({string.Join(", ", result.Engine.DeadLetterCounts.Select(c => F($"{c.Key.Text()} {c.Value:N0}")))})");
        }
        if (result.Report.Before.Transactions > 0) { line += F($"; {result.Report.Transactions:N0} in this run"); }
        return line;
    }

    private static string Speed(DemoResult result) => result.Report.Transactions == 0
        ? "nothing left to do: this stream is in the log already"
        : F($"[bold]{result.Report.PerSecond:N0}[/] transactions a second, durable, {result.Report.Elapsed.TotalSeconds:N1} s, {result.MemoryPeakBytes / 1e6:N0} MB of memory at most");

    private static string Latency(LatencyHistogram total) => F($"p50 {Millis(total.Percentile(50))}, p99 {Millis(total.Percentile(99))}, p99.9 {Millis(total.Percentile(99.9))}, max {Millis(total.Max)} from arrival to durable decision");

    private static string Outcomes(DemoResult result) => string.Join(", ", new[] { Outcome.Approve, Outcome.Review, Outcome.Decline, Outcome.Refer }
        .Select(o => F($"{o.ToString().ToLowerInvariant()} {result.Outcome.Count(o):N0}")));

    private static string QualityOf(Quality quality) => quality.AucRoc is null
        ? $"not measured: {Markup.Escape(quality.Period)}"
        : F($"AUC ROC [bold]{quality.AucRoc:0.000}[/], average precision [bold]{quality.AveragePrecision:0.000}[/], card precision@{quality.TopK} [bold]{quality.CardPrecision:0.000}[/]\n{Markup.Escape(quality.Period)}, {quality.RowCount:N0} rows");

    private static string Frauds(DemoResult result)
    {
        BusinessFigures figures = result.Outcome.Business;
        string currency = result.Options.Definition.Schema.Amount?.Currency ?? "";
        return F($"{figures.FraudCaughtCount:N0} of {figures.FraudCount:N0} caught, {figures.FraudMoneyCaught:N0} of {figures.FraudMoney:N0} {currency} ({figures.FraudMoneyCaughtShare:P0}), with {figures.ReviewedCount:N0} reviews ({figures.ReviewPrecision:P0} of them frauds)");
    }

    /// <summary>Champion and challengers side by side: what would have come of their decisions, and what they cost.</summary>
    private static void ShowChallengers(Output output, DemoResult result)
    {
        Table table = output.CreateTable(["", Markup.Escape($"champion {result.Engine.Model.Champion.Reference}"), .. result.Challengers.Select(c => Markup.Escape($"{c.Challenger.Name}: {c.Challenger.Model.Champion.Reference}"))]);
        void Row(string name, string champion, Func<Challenger, RunOutcome, string> of) => table.AddRow([name, champion, .. result.Challengers.Select(c => c.Outcome is { } said ? of(c.Challenger, said) : "no log")]);
        RunOutcome own = result.Outcome;
        Row("decided", F($"{own.Outcomes.Values.Sum():N0}"), (c, said) => F($"{said.Outcomes.Values.Sum():N0}") + (c.State.Sum(s => s.Behind) is > 0 and var behind ? F($", {behind:N0} behind") : ""));
        Row("AUC ROC", Score(own.Quality.AucRoc), (_, said) => Score(said.Quality.AucRoc));
        Row("average precision", Score(own.Quality.AveragePrecision), (_, said) => Score(said.Quality.AveragePrecision));
        Row(F($"card precision@{own.Quality.TopK}"), Score(own.Quality.CardPrecision), (_, said) => Score(said.Quality.CardPrecision));
        Row("reviews", F($"{own.Business.ReviewedCount:N0}"), (_, said) => F($"{said.Business.ReviewedCount:N0}"));
        string currency = result.Options.Definition.Schema.Amount?.Currency ?? "";
        Row("frauds caught", Caught(own.Business, currency), (_, said) => Caught(said.Business, currency));
        Row("other outcome than the champion's", "", (c, _) => F($"{c.OtherOutcomes:N0} of {c.Decisions:N0} in this run"));
        Row("cost per 1,000,000", result.Cost.IsPriced ? F($"{result.Cost.Money * 1000:0.000000} {result.Cost.Currency}") : "unpriced", (c, _) => c.PerThousand() is { IsPriced: true } cost ? F($"{cost.Money * 1000:0.000000} {cost.Currency}, the machine's idle time left to the champion") : "");
        output.People.Write(table);
        foreach ((Challenger challenger, _) in result.Challengers) { output.WriteLine($"What {challenger.Name} said is a log like any other, in {challenger.Options.Directory}: ./risk show, explain and verify read it."); }

        static string Score(double? value) => value is { } number ? F($"{number:0.000}") : "not measured";
        static string Caught(BusinessFigures figures, string currency) => F($"{figures.FraudCaughtCount:N0} of {figures.FraudCount:N0}, {figures.FraudMoneyCaught:N0} {currency}");
    }

    private static void ShowStages(Output output, StageLatencies latencies)
    {
        Table stages = output.CreateTable("stage", "p50", "p99", "p99.9", "max");
        foreach (string stage in StageLatencies.Names)
        {
            LatencyHistogram h = latencies[stage];
            stages.AddRow(stage, Millis(h.Percentile(50)), Millis(h.Percentile(99)), Millis(h.Percentile(99.9)), Millis(h.Max));
        }
        output.People.Write(stages);
    }

    private static void ShowNext(Output output, DemoResult result)
    {
        string where = result.Options.Directory == Path.GetFullPath(CommonOptions.OutDefault) ? "" : $" --out {Shown(result)}";
        var next = new List<(string Command, string Shows)>();
        if (result.Outcome.Example is { } id)
        {
            next.Add(($"./risk show {id}{where}", "one decision: record, reasons, what it was based on"));
            next.Add(($"./risk explain {id}{where}", "how each feature pushed its score"));
        }
        next.Add(($"./risk verify {Shown(result)}", "check every record, hash and signature of the log"));
        output.WriteLine("Look at next:");
        foreach ((string command, string shows) in next) { output.WriteLine($"  {command.PadRight(next.Max(n => n.Command.Length))}   {shows}"); }
    }

    private static string Shown(DemoResult result) => Path.GetRelativePath(Directory.GetCurrentDirectory(), result.Options.Directory) is var near && !near.StartsWith("..", StringComparison.Ordinal) ? near : result.Options.Directory;

    private static string Millis(long micros) => micros < 100_000 ? F($"{micros / 1000.0:0.0} ms") : F($"{micros / 1000.0:N0} ms");

    private static string F(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
