using Risk.Core.Transactions;

namespace Risk.Streams;

/// <summary>
/// Transactions from a file or standard input: CSV with a header or JSON Lines, plain or gzip, told by name and first
/// bytes. Decompression runs ahead on its own thread. A damaged end (cut gzip, decompression bomb) is one record with a
/// problem behind everything that could be read. Empty lines are passed over and not counted.
/// </summary>
public sealed class FileTransactionSource : ITransactionSource
{
    private readonly RecordFile _file;
    private readonly StreamSchema _schema;

    private FileTransactionSource(RecordFile file, StreamSchema schema)
    {
        _file = file;
        _schema = schema;
    }

    /// <inheritdoc/>
    public SourceIdentity Identity => _file.Identity;

    public RecordFormat Format => _file.Format;

    /// <inheritdoc/>
    public long BytesRead => _file.BytesRead;

    /// <inheritdoc/>
    public bool WouldWait => _file.WouldWait;

    /// <inheritdoc/>
    public CodedError? Failure => _file.Failure;

    /// <summary>
    /// Opens a source. Null when it does not exist (<c>SOURCE_NOT_FOUND</c>), cannot be read (<c>SOURCE_UNREADABLE</c>) or
    /// is empty (<c>SOURCE_EMPTY</c>).
    /// </summary>
    /// <param name="path">A path, or <c>-</c>.</param>
    /// <param name="standardInput">What <c>-</c> reads; the process's own where null.</param>
    public static FileTransactionSource? Open(string path, StreamSchema schema, out CodedError error, Stream? standardInput = null)
    {
        // Only free texts may hold line breaks; where there are none every line end ends a record, whatever its quotes.
        bool quotedLineBreaks = schema.Fields.Any(field => field.Type == FieldType.Text);
        return RecordFile.Open(path, quotedLineBreaks, standardInput, out error) is { } file ? new FileTransactionSource(file, schema) : null;
    }

    /// <summary>A parser for this source's records; null when its header does not fit the schema.</summary>
    /// <param name="ingestIsEventTime">See <see cref="TransactionParser.IngestIsEventTime"/>.</param>
    public TransactionParser? CreateParser(TransactionKeys keys, bool ingestIsEventTime, out CodedError error)
    {
        error = default;
        TransactionParser? parser = Format == RecordFormat.JsonLines
            ? new JsonTransactionParser(_schema, keys)
            : CsvTransactionParser.Create(_schema, keys, _file.Header, out error);
        if (parser is null)
        {
            error = error with { Message = $"{Identity.Name}: {error.Message}" };
            return null;
        }

        parser.IngestIsEventTime = ingestIsEventTime;
        return parser;
    }

    /// <summary>Turns this source's records into JSON messages; only behind a <see cref="CreateParser"/> that succeeded.</summary>
    public RecordJson CreateJson() => new(_schema, _file.Header);

    /// <inheritdoc/>
    public bool TryRead(out SourceRecord record) => _file.TryRead(out record);

    /// <inheritdoc/>
    public bool SkipTo(long lineNumber)
    {
        if (lineNumber <= 0)
        {
            return true;
        }

        while (_file.TryRead(out SourceRecord record))
        {
            if (record.LineNumber >= lineNumber)
            {
                return record.LineNumber == lineNumber;
            }
        }

        return false;
    }

    public void Dispose() => _file.Dispose();
}
