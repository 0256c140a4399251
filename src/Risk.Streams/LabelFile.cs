using Risk.Core.Transactions;

namespace Risk.Streams;

/// <summary>
/// The labels of a stream, read whole: by the key of their transaction, 40 bytes each and the table around them. When a
/// label counts as known is the engine's business.
/// </summary>
public sealed class LabelFile
{
    private const int RejectionsKeptMax = 1000;

    private readonly Dictionary<EntityKey, Label> _labels = [];
    private readonly List<Rejection> _rejections = [];
    private readonly SortedDictionary<ErrorCode, long> _problems = [];

    private LabelFile(SourceIdentity identity) => Identity = identity;

    public SourceIdentity Identity { get; }

    /// <summary>Transactions with a label.</summary>
    public int Count => _labels.Count;

    /// <summary>Every label once, in no particular order.</summary>
    public IReadOnlyCollection<Label> Labels => _labels.Values;

    /// <summary>Records that gave no label, by code; <c>DUP_SAME</c> and <c>ID_CONFLICT</c> (the first label stands) among them.</summary>
    public IReadOnlyDictionary<ErrorCode, long> Problems => _problems;

    /// <summary>The first of those records, at most 1,000.</summary>
    public IReadOnlyList<Rejection> Rejections => _rejections;

    /// <summary>The label of a transaction; false where there is none.</summary>
    public bool TryGet(EntityKey eventKey, out Label label) => _labels.TryGetValue(eventKey, out label);

    /// <summary>
    /// Reads a label file: CSV or JSON Lines, plain or gzip, told as transactions are. Null when it cannot be read at all;
    /// single bad records are counted in <see cref="Problems"/>. The stream must have labels.
    /// </summary>
    public static LabelFile? Read(string path, StreamSchema schema, TransactionKeys keys, out CodedError error, Stream? standardInput = null)
    {
        using RecordFile? file = RecordFile.Open(path, quotedLineBreaks: false, standardInput, out error);
        if (file is null)
        {
            return null;
        }

        LabelParser? parser = file.Format == RecordFormat.JsonLines ? LabelParser.ForJson(schema, keys) : LabelParser.ForCsv(schema, keys, file.Header, out error);
        if (parser is null)
        {
            error = error with { Message = $"{file.Identity.Name}: {error.Message}" };
            return null;
        }

        var labels = new LabelFile(file.Identity);
        while (file.TryRead(out SourceRecord record))
        {
            labels.Add(parser, record);
        }

        error = file.Failure ?? default;
        return file.Failure is null ? labels : null;
    }

    private void Add(LabelParser parser, SourceRecord record)
    {
        if (record.Problem != ErrorCode.None)
        {
            Reject(parser.Reject(record.Bytes, record.LineNumber, record.Problem));
        }
        else if (parser.Parse(record.Bytes, record.LineNumber, out Label label, out Rejection rejection) != ErrorCode.None)
        {
            Reject(rejection);
        }
        else if (!_labels.TryAdd(label.EventKey, label))
        {
            Reject(parser.Reject(record.Bytes, record.LineNumber, _labels[label.EventKey] == label ? ErrorCode.DupSame : ErrorCode.IdConflict));
        }
    }

    private void Reject(Rejection rejection)
    {
        _problems[rejection.Code] = _problems.GetValueOrDefault(rejection.Code) + 1;
        if (_rejections.Count < RejectionsKeptMax)
        {
            _rejections.Add(rejection);
        }
    }
}
