namespace Risk.Core.Transactions;

/// <summary>
/// Parses the records of a CSV file (RFC 4180: comma, double quotes, a header). The header names the columns in any
/// order. An empty cell is an absent value; of an id, key or card number it is an empty one. The record comes without its
/// line end and may hold line breaks within quotes. Source: https://www.rfc-editor.org/rfc/rfc4180.
/// </summary>
public sealed class CsvTransactionParser : TransactionParser
{
    // Column of each field, −1 where the header has none.
    private readonly int[] _columnOfField;
    private readonly CsvRecord _record;
    private readonly int _columnCount;

    private CsvTransactionParser(StreamSchema schema, TransactionKeys keys, int[] columnOfField, int columnCount)
        : base(schema, keys)
    {
        _columnOfField = columnOfField;
        _columnCount = columnCount;
        _record = new CsvRecord(columnCount);
    }

    /// <summary>
    /// A parser for the file that begins with this header. Null when the header does not fit the schema: a column twice,
    /// one missing that is required, or one that is not declared where unknown fields are refused.
    /// </summary>
    /// <param name="header">The first record, without its line end.</param>
    /// <param name="error">What is wrong, for a person.</param>
    public static CsvTransactionParser? Create(StreamSchema schema, TransactionKeys keys, ReadOnlySpan<byte> header, out CodedError error)
    {
        var columns = new CsvRecord(Limits.FieldCountMax);
        if (!System.Text.Unicode.Utf8.IsValid(header) || header.Contains((byte)0) || header.StartsWith("\uFEFF"u8) || !columns.TrySplit(header))
        {
            error = new CodedError(ErrorCode.ParseError, "the header is not CSV in UTF-8 without byte order mark");
            return null;
        }

        var columnOfField = new int[schema.Fields.Count];
        Array.Fill(columnOfField, -1);
        for (int column = 0; column < columns.Count; column++)
        {
            ReadOnlySpan<byte> name = columns.Column(header, column);
            int field = IndexOf(schema, name);
            if (field < 0 && !schema.IgnoresUnknownFields)
            {
                error = Wrong($"column {NameOrPlace(name, column)} is not declared by stream '{schema.Name}'; it declares {Names(schema)}");
                return null;
            }

            if (field >= 0 && columnOfField[field] >= 0)
            {
                error = Wrong($"column '{schema.Fields[field].Name}' is there twice");
                return null;
            }

            if (field >= 0)
            {
                columnOfField[field] = column;
            }
        }

        foreach (SchemaField field in schema.Fields)
        {
            if (field.Required && columnOfField[field.Index] < 0)
            {
                error = Wrong($"column '{field.Name}' is missing; stream '{schema.Name}' declares {Names(schema)}");
                return null;
            }
        }

        error = default;
        return new CsvTransactionParser(schema, keys, columnOfField, columns.Count);
    }

    private protected override void ReadFields(ReadOnlySpan<byte> record)
    {
        if (!_record.TrySplit(record))
        {
            Row.Fault(ErrorCode.ParseError, null);
            return;
        }

        // Past a wrong number of columns nobody can say which value is whose.
        if (_record.Count != _columnCount)
        {
            Row.Fault(ErrorCode.SchemaInvalid, _record.Count > _columnCount ? $"#{_columnCount + 1}" : FirstMissing(_record.Count));
            return;
        }

        for (int index = 0; index < _columnOfField.Length; index++)
        {
            SchemaField field = Fields[index];
            int column = _columnOfField[index];
            ReadOnlySpan<byte> value = column < 0 ? default : _record.Column(record, column);
            bool empty = value.Length == 0 && !(field.Required && field.Type is FieldType.Id or FieldType.Key or FieldType.Pan);
            if (empty)
            {
                Row.PutAbsent(field);
            }
            else
            {
                Row.Put(field, value);
            }
        }
    }

    private string FirstMissing(int column)
    {
        int field = Array.IndexOf(_columnOfField, column);
        return field >= 0 ? Fields[field].Name : $"#{column + 1}";
    }

    private static int IndexOf(StreamSchema schema, ReadOnlySpan<byte> name)
    {
        foreach (SchemaField field in schema.Fields)
        {
            if (System.Text.Ascii.Equals(name, field.Name))
            {
                return field.Index;
            }
        }

        return -1;
    }

    private static CodedError Wrong(string what) => new(ErrorCode.SchemaInvalid, $"header: {what}");

    private static string Names(StreamSchema schema) => string.Join(", ", schema.Fields.Select(field => field.Name));
}
