namespace Risk.Core.Transactions;

/// <summary>What became of one transaction.</summary>
/// <param name="EventKey">Of the transaction, as in <see cref="TransactionBatch.EventKeys"/>.</param>
/// <param name="IsPositive">It was bad (a fraud, a default).</param>
/// <param name="KnownAt">Since when that is known, microseconds; null: the stream's delay after the event.</param>
public readonly record struct Label(EntityKey EventKey, bool IsPositive, long? KnownAt);

/// <summary>
/// Parses label records with the rules and codes of transactions: the id, the outcome (0, 1, true, false) and, where the
/// schema names it, the time from which it is known. Other columns are passed over. Not thread-safe.
/// </summary>
public sealed class LabelParser
{
    private readonly TransactionParser _parser;
    private readonly TransactionBatch _batch;
    private readonly int _value, _knownAt;

    private LabelParser(TransactionParser parser, LabelRule rule)
    {
        _parser = parser;
        _batch = new TransactionBatch(parser.Schema, 1);
        _value = parser.Schema.TryField(rule.ValueField, out SchemaField value) ? value.NumberIndex : -1;
        _knownAt = rule.KnownAtField is not null && parser.Schema.TryField(rule.KnownAtField, out SchemaField known) ? known.NumberIndex : -1;
    }

    /// <summary>For a CSV file that begins with this header; null when a column is missing or twice. The stream must have labels.</summary>
    public static LabelParser? ForCsv(StreamSchema stream, TransactionKeys keys, ReadOnlySpan<byte> header, out CodedError error)
    {
        LabelRule rule = Rule(stream);
        return CsvTransactionParser.Create(LabelSchema(stream, rule), keys, header, out error) is { } parser ? new LabelParser(parser, rule) : null;
    }

    /// <summary>For JSON, one object a record. The stream must have labels.</summary>
    public static LabelParser ForJson(StreamSchema stream, TransactionKeys keys)
    {
        LabelRule rule = Rule(stream);
        return new LabelParser(new JsonTransactionParser(LabelSchema(stream, rule), keys), rule);
    }

    /// <summary>Parses one record; see <see cref="TransactionParser.Parse"/>.</summary>
    public ErrorCode Parse(ReadOnlySpan<byte> record, long sourceOffset, out Label label, out Rejection rejection)
    {
        _batch.Clear();
        ErrorCode code = _parser.Parse(record, sourceOffset, Limits.EventTimeMax, _batch, out rejection);
        if (code != ErrorCode.None)
        {
            label = default;
            return code;
        }

        double knownAt = _knownAt < 0 ? double.NaN : _batch.Numbers[_knownAt];
        label = new Label(_batch.EventKeys[0], _batch.Numbers[_value] == 1, double.IsNaN(knownAt) ? null : (long)knownAt);
        return ErrorCode.None;
    }

    /// <summary>The rejection of a record that its source already found fault with.</summary>
    public Rejection Reject(ReadOnlySpan<byte> record, long sourceOffset, ErrorCode code) => _parser.Reject(record, sourceOffset, code);

    private static LabelRule Rule(StreamSchema stream) =>
        stream.Labels ?? throw new ArgumentException($"stream '{stream.Name}' has no labels", nameof(stream));

    // A label names its transaction under the same rules as the transaction does.
    private static StreamSchema LabelSchema(StreamSchema stream, LabelRule rule)
    {
        List<SchemaField> fields =
        [
            stream.EventIdField with { Name = rule.IdField, Index = 0, TextIndex = 0 },
            new SchemaField { Name = rule.ValueField, Type = FieldType.Boolean, Index = 1, NumberIndex = 0 },
        ];
        if (rule.KnownAtField is { } knownAt)
        {
            fields.Add(new SchemaField { Name = knownAt, Type = FieldType.Timestamp, Required = false, Index = 2, NumberIndex = 1 });
        }

        return new StreamSchema(fields) { Name = stream.Name, Version = stream.Version, Digest = stream.Digest, SubjectKey = -1, IgnoresUnknownFields = true };
    }
}
