using System.CommandLine;
using Risk.Cli.CommandLine;
using Risk.Core.Transactions;
using Risk.Service.Engine;
using Risk.Streams;

namespace Risk.Cli.Verbs;

/// <summary>A stream's data as the verbs take it: <c>--input</c> and <c>--labels</c>, the recorded stream by default.</summary>
internal sealed class StreamInput : IDisposable
{
    private readonly string _path;
    private readonly StreamSchema _schema;

    private StreamInput(string path, StreamSchema schema, FileTransactionSource source, LabelFile? labels)
    {
        _path = path;
        _schema = schema;
        Source = source;
        Labels = labels;
    }

    public FileTransactionSource Source { get; }
    public LabelFile? Labels { get; }

    public static Option<string?> InputOption() => new("--input") { Description = "Transactions: a CSV or JSON Lines file, plain or gzip, or - for standard input; default the recorded stream.", HelpName = "FILE|-" };
    public static Option<string?> LabelsOption() => new("--labels") { Description = "Labels, each known only after the stream's delay; default those of the recorded stream.", HelpName = "FILE" };

    /// <param name="recordedLabels">The recorded stream comes with its recorded labels where no others are named.</param>
    public static StreamInput Open(StreamFiles files, string? input, string? labels, KeyRing keys, bool recordedLabels = true)
    {
        StreamSchema schema = files.Definition.Schema;
        string path = input ?? files.RecordedTransactions ?? throw CommandFailure.BadInput("SOURCE_NOT_FOUND", $"stream {schema.Name} has no recorded transactions; give --input");
        if (path.StartsWith("kafka:", StringComparison.Ordinal)) { throw CommandFailure.BadInput("SOURCE_UNREADABLE", "this build reads files and standard input; Kafka topics are not built in yet"); }
        string? labelPath = labels ?? (input is null && recordedLabels ? files.RecordedLabels : null);
        LabelFile? labelFile = null;
        if (labelPath is not null)
        {
            if (schema.Labels is null) { throw CommandFailure.BadInput("SCHEMA_INVALID", $"stream {schema.Name} declares no labels, so --labels has no meaning"); }
            labelFile = LabelFile.Read(labelPath, schema, new TransactionKeys(schema.Name, keys.Secret), out CodedError labelError)
                ?? throw Failure(labelError);
        }
        FileTransactionSource source = FileTransactionSource.Open(path, schema, out CodedError error) ?? throw Failure(error);
        return new StreamInput(path, schema, source, labelFile);
    }

    public TransactionParser CreateParser(TransactionKeys keys, bool ingestIsEventTime) =>
        Source.CreateParser(keys, ingestIsEventTime, out CodedError error) ?? throw Failure(error);

    /// <summary>Runs something over the input from its beginning; nothing where it can be read only once.</summary>
    public void TryAgain(Action<FileTransactionSource> work)
    {
        if (_path == "-" || FileTransactionSource.Open(_path, _schema, out _) is not { } again) { return; }
        using (again) { work(again); }
    }

    public void Dispose() => Source.Dispose();

    private static CommandFailure Failure(CodedError error) => CommandFailure.BadInput(error.Code.Text(), error.Message);
}
