using Risk.Core;
using Risk.Core.Transactions;

namespace Risk.Streams;

/// <summary>
/// A file (or standard input) of records: CSV with a header, or JSON Lines, plain or gzip. What it is, is told by its
/// name and, where that says nothing, by its first bytes; gzip always by its first bytes.
/// </summary>
internal sealed class RecordFile : IDisposable
{
    private const int BeginningSize = 4096;

    private readonly StoredBytes _stored;
    private readonly ReadAhead _ahead;
    private readonly RecordSplitter _splitter;
    private byte[]? _marked;
    private long _markedLine;

    private RecordFile(SourceIdentity identity, StoredBytes stored, ReadAhead ahead, RecordSplitter splitter)
    {
        Identity = identity;
        _stored = stored;
        _ahead = ahead;
        _splitter = splitter;
    }

    public SourceIdentity Identity { get; }
    public RecordFormat Format { get; private init; }

    /// <summary>The header's bytes; empty for JSON Lines.</summary>
    public byte[] Header { get; private set; } = [];

    public long BytesRead => _stored.Position;
    public bool WouldWait => _marked is null && _splitter.WouldWait;
    public CodedError? Failure => _ahead.Fault == ErrorCode.SourceUnreadable ? new CodedError(_ahead.Fault, $"{Identity.Name}: {_ahead.FaultMessage}") : null;

    /// <summary>Opens a file. Null when it cannot be read or holds nothing.</summary>
    /// <param name="path">A path, or <c>-</c> for <paramref name="standardInput"/>.</param>
    /// <param name="quotedLineBreaks">CSV cells in quotes may hold line breaks.</param>
    /// <param name="standardInput">Where <c>-</c> reads; the process's own where null.</param>
    public static RecordFile? Open(string path, bool quotedLineBreaks, Stream? standardInput, out CodedError error)
    {
        if (OpenStored(path, standardInput, out error) is not { } stream)
        {
            return null;
        }

        try
        {
            var beginning = new byte[BeginningSize];
            int size = stream.ReadAtLeast(beginning, BeginningSize, throwOnEndOfStream: false);
            if (size == 0)
            {
                stream.Dispose();
                error = new CodedError(ErrorCode.SourceEmpty, $"{path} is empty");
                return null;
            }

            return Open(path, stream, beginning.AsMemory(0, size), quotedLineBreaks, out error);
        }
        catch (IOException exception)
        {
            stream.Dispose();
            error = new CodedError(ErrorCode.SourceUnreadable, $"{path}: {exception.Message}");
            return null;
        }
    }

    /// <summary>The next record behind the header; false at the end.</summary>
    public bool TryRead(out SourceRecord record)
    {
        if (_marked is { } marked)
        {
            _marked = null;
            record = new SourceRecord(marked, _markedLine, ErrorCode.ParseError);
            return true;
        }

        return _splitter.TryRead(out record);
    }

    public void Dispose() => _ahead.Dispose();

    // A byte order mark before the header is a fault of its line, which is said; it costs no other line.
    private bool ReadHeader(out CodedError error)
    {
        error = default;
        if (!_splitter.TryRead(out SourceRecord record))
        {
            error = Failure ?? new CodedError(ErrorCode.SourceEmpty, $"{Identity.Name} holds no header");
            return false;
        }

        if (record.Problem != ErrorCode.None)
        {
            error = new CodedError(record.Problem, $"{Identity.Name}: line {record.LineNumber}: the header is cut off or longer than {Limits.RecordSizeMax} bytes");
            return false;
        }

        if (record.Bytes.StartsWith("\uFEFF"u8))
        {
            _marked = record.Bytes.ToArray();
            _markedLine = record.LineNumber;
            Header = _marked[3..];
            return true;
        }

        Header = record.Bytes.ToArray();
        return true;
    }

    private static Stream? OpenStored(string path, Stream? standardInput, out CodedError error)
    {
        error = default;
        try
        {
            if (path == "-")
            {
                return standardInput ?? Console.OpenStandardInput();
            }

            if (Directory.Exists(path))
            {
                error = new CodedError(ErrorCode.SourceUnreadable, $"{path} is a folder; name a file in it");
                return null;
            }

            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 128 * 1024, FileOptions.SequentialScan);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            error = new CodedError(ErrorCode.SourceNotFound, $"{path} does not exist");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            error = new CodedError(ErrorCode.SourceUnreadable, $"{path}: {exception.Message}");
        }

        return null;
    }

    private static RecordFile? Open(string path, Stream stream, ReadOnlyMemory<byte> beginning, bool quotedLineBreaks, out CodedError error)
    {
        string name = path == "-" ? path : Path.GetFileName(path);
        var identity = new SourceIdentity(name, stream.CanSeek ? stream.Length : -1, Sha256Digest.Of(beginning.Span));
        var stored = new StoredBytes(beginning, stream);
        bool gzip = beginning.Span.StartsWith((ReadOnlySpan<byte>)[0x1F, 0x8B]);
        var ahead = new ReadAhead(gzip ? new GzipBytes(stored) : stored, stored);
        string plainName = name.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? name[..^3] : name;
        RecordFormat? format = Path.GetExtension(plainName).ToUpperInvariant() switch
        {
            ".CSV" => RecordFormat.Csv,
            ".JSONL" or ".NDJSON" or ".JSON" => RecordFormat.JsonLines,
            _ => null,
        };
        var splitter = new RecordSplitter(ahead);
        format ??= splitter.Peek() == '{' ? RecordFormat.JsonLines : RecordFormat.Csv;
        splitter.QuotedLineBreaks = quotedLineBreaks && format == RecordFormat.Csv;
        var file = new RecordFile(identity, stored, ahead, splitter) { Format = format.Value };
        error = default;
        if (format == RecordFormat.JsonLines || file.ReadHeader(out error))
        {
            return file;
        }

        file.Dispose();
        return null;
    }
}
