using System.CommandLine;
using Risk.Cli.Accelerators;
using Risk.Cli.CommandLine;
using Risk.Core;
using Risk.Core.Models;
using Risk.Core.Transactions;
using Risk.Service.Costs;
using Risk.Service.Engine;
using Risk.Service.Engine.Challengers;
using Risk.Streams;

namespace Risk.Cli.Verbs;

/// <summary><c>risk demo</c>: the main job, a recorded stream through the whole path into a durable log, then what it was worth.</summary>
internal static class DemoVerb
{
    private static readonly Option<string> s_stream = CommonOptions.Stream();
    private static readonly Option<string> s_out = CommonOptions.Out("Where the log, the keys and the dead letters go; the same directory again goes on where it stopped.");
    private static readonly Option<string?> s_input = StreamInput.InputOption();
    private static readonly Option<string?> s_labels = StreamInput.LabelsOption();
    private static readonly Option<long?> s_transactions = new("--transactions") { Description = "Take the first N records of the stream only; default all.", HelpName = "N" };
    private static readonly Option<double> s_rate = new("--rate") { Description = "Records a second, due at fixed times whatever the engine does; 0 = as fast as it goes.", HelpName = "N" };
    private static readonly Option<string> s_clock = new("--clock") { Description = "wall, or event: decisions are dated by their events and two runs are equal to the byte (with keys that are no secret).", HelpName = "CLOCK", DefaultValueFactory = _ => "wall" };
    private static readonly Option<bool> s_strict = new("--strict") { Description = "Stop at the first record that is not accepted (exit 2)." };

    private static readonly Option<string[]> s_challengers = new("--challenger") { Description = "Let another model score beside the champion, in a log of its own (<out>/challengers/): a stream that reads the same transactions, such as card-payments-sequence, or a model NAME@VERSION; may be given several times.", HelpName = "STREAM|MODEL" };
    private static readonly Option<string?> s_accelerators = AcceleratorFile.Option();
    private static readonly Option<string?> s_machine = PriceBookFile.Machine("The price book's machine that this runs on; its first when left out.");

    public static Command Create()
    {
        s_clock.AcceptOnlyFromAmong("wall", "event");
        var command = new Command("demo", "Score a recorded stream through the whole path: features, model, policy, reasons, durable log. What it cost is in <out>/costs.jsonl, for risk cost report.")
        {
            s_stream, s_input, s_labels, s_transactions, s_rate, s_clock, s_strict, s_accelerators, s_challengers, PriceBookFile.Prices, s_machine, s_out,
        };
        command.SetVerb(Run);
        return command;
    }

    private static ExitCode Run(VerbContext context)
    {
        Output output = context.Output;
        bool reproducible = context.Get(s_clock) == "event";
        var run = new RunOptions(context.Get(s_rate), context.Get(s_transactions) ?? long.MaxValue, reproducible, context.Get(s_strict));
        if (run.RatePerSecond < 0 || double.IsNaN(run.RatePerSecond) || run.RecordsMax < 0) { throw CommandFailure.BadInput("USAGE", "--rate and --transactions must not be negative"); }

        StreamFiles files = StreamFiles.Load(context.Get(s_stream)!);
        string directory = Path.GetFullPath(context.Get(s_out)!);
        KeyRing keys = reproducible ? KeyRing.Reproducible(files.Definition.Schema.Name, directory) : KeyRing.OpenOrCreate(directory);
        using StreamInput input = StreamInput.Open(files, context.Get(s_input), context.Get(s_labels), keys);
        EnginePrices prices = PriceBookFile.ForEngine(context.Get(PriceBookFile.Prices), context.Get(s_machine));
        foreach ((string code, string sentence) in prices.Told) { output.Note($"{code}: {sentence}"); }
        var options = new EngineOptions(directory, files.Definition, ModelFiles.Load(files.Definition), keys, input.Source.Identity.Name, input.Labels, new BatchPolicy(), prices.Book, prices.Machine, reproducible)
        {
            Devices = new ServingDevices(AcceleratorFile.Read(context.Get(s_accelerators)), told => output.Note(told.ToString())),
            Challengers = ChallengerFiles.OfRun(context.Get(s_challengers) ?? [], files.Definition, keys, directory),
            Tell = (code, sentence) => output.Note($"{code}: {sentence}"),
            Routing = new RoutingOptions { Profile = name => ProfileFile.Find(name, output.Note) },
        };

        using EmbeddedEngine engine = OpenEngine(output, options);
        TransactionParser parser = input.CreateParser(engine.Keys, reproducible);
        foreach (string line in engine.Routes.Refusals.Select(refused => refused.ToString()).Concat(engine.Routes.Notes)) { output.Note(line); }
        input.TryAgain(again => engine.WarmUp(again, input.CreateParser(engine.Keys, reproducible)));
        long logBefore = engine.LogSize;
        RunReport report = output.Run("Scoring", "transactions", null, progress => Score(engine, input.Source, parser, run, progress, context.Cancellation));
        CostsFile.Add(directory, engine.Costs, logBefore, engine.LogSize, engine.Model.ProcessorBatches);
        if (report.Strict is { } rejection)
        {
            throw CommandFailure.BadInput(rejection.Code.Text(), $"line {rejection.SourceOffset} of {options.SourceName}{(rejection.Field is null ? "" : $", field {rejection.Field}")}: the run stopped here because of --strict; what came before is in {directory}");
        }
        if (report.LateCount > report.Decisions / 100)
        {
            output.Note($"LATE: {report.LateCount} of {report.Decisions} events came later than the stream's grace and changed no window; is one event dated far ahead, or should schema.json allow more grace?");
        }
        foreach (Challenger challenger in engine.Challengers) { Finish(output, challenger, context.Cancellation); }
        RunOutcome outcome = output.Run("Measuring quality", "decisions", engine.LogSize, progress => engine.Measure(input.Labels, (done, _) => progress.Done = done));
        var result = new DemoResult(options, engine, input, report, outcome, [.. engine.Challengers.Select(c => (c, engine.Measure(c, input.Labels)))]);
        if (output.Json) { output.WriteJson(result.WriteJson); } else { DemoView.Show(output, result); }
        return ExitCode.Done;
    }

    private static EmbeddedEngine OpenEngine(Output output, EngineOptions options)
    {
        ModelRefusal? refusal = null;
        EmbeddedEngine? engine = output.Run("Opening", "decisions taken again", null, progress => EmbeddedEngine.Open(options, out refusal, (done, of) =>
        {
            progress.Total = of;
            progress.Done = done;
        }));
        if (engine is null) { throw CommandFailure.BadInput(refusal!.Code, refusal.Reason); }
        if (engine.RecoveredTails > 0) { output.Note("RECOVERED_TAIL: the last run was cut off in the middle of a write; the log goes on behind its last whole group."); }
        return engine;
    }

    /// <summary>The champion is done; a challenger takes the time it needs.</summary>
    private static void Finish(Output output, Challenger challenger, CancellationToken cancellation)
    {
        long total = challenger.State.Sum(s => s.Behind);
        string? problem = output.Run($"{challenger.Name} catching up", "decisions", total, progress => challenger.Finish(left =>
        {
            progress.Total = Math.Max(progress.Total ?? 0, left);
            progress.Done = (progress.Total ?? 0) - left;
        }, cancellation));
        if (problem is not null) { output.Note($"{Challenger.Stopped}: {challenger.Name} ({problem}) has not said everything; the same command again lets it go on"); }
        challenger.AddCosts();
    }

    private static RunReport Score(EmbeddedEngine engine, FileTransactionSource source, TransactionParser parser, RunOptions run, ProgressReport progress, CancellationToken cancellation)
    {
        using var timer = new Timer(_ =>
        {
            long records = engine.Position.Transactions, read = source.BytesRead;
            progress.Done = records;
            if (run.RecordsMax != long.MaxValue) { progress.Total = Math.Max(records, run.RecordsMax); }
            else if (source.Identity.Size > 0 && read > 0) { progress.Total = Math.Max(records, (long)(records * (double)source.Identity.Size / read)); }
        }, null, 100, 100);
        return engine.Run(source, parser, run, cancellation);
    }
}
