using System.CommandLine;
using System.Globalization;
using Risk.Cli.CommandLine;
using Risk.Core.Transactions;
using Risk.Service.Engine;

namespace Risk.Cli.Verbs;

/// <summary><c>risk features</c>: the training set, as the engine itself sees it: each transaction's features as of its event time, and its label.</summary>
internal static class FeaturesVerb
{
    private static readonly Option<string> s_stream = CommonOptions.Stream();
    private static readonly Option<string?> s_input = StreamInput.InputOption();
    private static readonly Option<string?> s_labels = StreamInput.LabelsOption();
    private static readonly Option<string?> s_from = new("--from") { Description = "Write transactions from this time on (ISO 8601, a day is its midnight in UTC); earlier ones still count in the windows.", HelpName = "T" };
    private static readonly Option<string?> s_to = new("--to") { Description = "Write transactions before this time.", HelpName = "T" };
    private static readonly Option<string> s_out = new("--out") { Description = "The CSV file to write: transaction_id, time, the features by name, label.", HelpName = "FILE.csv", Required = true };

    public static Command Create()
    {
        var command = new Command("features", "Write the training set: features as of each transaction, from the code that serves them.") { s_stream, s_input, s_labels, s_from, s_to, s_out };
        command.SetVerb(Run);
        return command;
    }

    private static ExitCode Run(VerbContext context)
    {
        Output output = context.Output;
        (long from, long to) = (Time(context.Get(s_from), "--from", long.MinValue), Time(context.Get(s_to), "--to", long.MaxValue));
        if (from >= to) { throw CommandFailure.BadInput("USAGE", "--from must lie before --to"); }
        StreamFiles files = StreamFiles.Load(context.Get(s_stream)!);
        StreamSchema schema = files.Definition.Schema;
        KeyRing keys = KeyRing.Reproducible(schema.Name); // nothing keyed leaves this verb
        using StreamInput input = StreamInput.Open(files, context.Get(s_input), context.Get(s_labels), keys);
        TransactionParser parser = input.CreateParser(new TransactionKeys(schema.Name, keys.Secret), ingestIsEventTime: true);
        string path = Path.GetFullPath(context.Get(s_out)!);
        TrainingSet result = output.Run("Building features", "transactions", null, progress =>
        {
            using var timer = new Timer(_ => progress.Total = input.Source.BytesRead > 0 && input.Source.Identity.Size > 0
                ? (long)(progress.Done * (double)input.Source.Identity.Size / input.Source.BytesRead) : null, null, 500, 500);
            return TrainingSet.Write(files.Definition.Catalog, input, parser, from, to, path, done => progress.Done = done, context.Cancellation);
        });
        if (output.Json)
        {
            output.WriteJson(json =>
            {
                json.WriteString("out", path);
                json.WriteNumber("transactions", result.Transactions);
                json.WriteNumber("rows", result.Rows);
                json.WriteNumber("deadLetters", result.DeadLetters);
                json.WriteNumber("duplicates", result.Duplicates);
                json.WriteNumber("positives", result.Positives);
                json.WriteNumber("features", files.Definition.Catalog.Count);
                json.WriteNumber("seconds", Math.Round(result.Elapsed.TotalSeconds, 3));
            });
        }
        else
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{result.Rows:N0} rows, {files.Definition.Catalog.Count} features, {result.Positives:N0} positive labels -> {path} ({result.Elapsed.TotalSeconds:N1} s)"));
            if (result.DeadLetters + result.Duplicates > 0) { output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Left out: {result.DeadLetters:N0} records that were not accepted, {result.Duplicates:N0} duplicates.")); }
        }
        return ExitCode.Done;
    }

    private static long Time(string? text, string option, long missing)
    {
        if (text is null) { return missing; }
        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out DateTimeOffset time)
            ? Micro.FromDateTimeOffset(time)
            : throw CommandFailure.BadInput("TS_INVALID", $"{option} '{text}' is no time; write 2018-08-08 or 2018-08-08T12:00:00Z");
    }
}
