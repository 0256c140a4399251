using System.Text;
using System.Text.Json;

namespace Risk.Core.Transactions;

/// <summary>
/// Parses one flat JSON object (RFC 8259) a record: a line of a JSON Lines file, a message, a request body. Members in
/// any order. <c>null</c> is an absent value. Ids and keys may also be written as whole numbers (<c>596</c>); their
/// digits are the id.
/// </summary>
public sealed class JsonTransactionParser(StreamSchema schema, TransactionKeys keys) : TransactionParser(schema, keys)
{
    private static readonly JsonReaderOptions Options = new() { MaxDepth = Limits.JsonDepthMax };

    // Where the value of each field stands: in the record, or in _unescaped.
    private readonly record struct Value(JsonTokenType Type, int Start, int Size, bool IsUnescaped);

    private readonly byte[][] _names = [.. schema.Fields.Select(field => Encoding.UTF8.GetBytes(field.Name))];
    private readonly Value[] _values = new Value[schema.Fields.Count];
    private byte[] _unescaped = [];
    private int _unescapedSize;

    private protected override void ReadFields(ReadOnlySpan<byte> record)
    {
        Array.Clear(_values);
        _unescapedSize = 0;
        if (record.Contains((byte)'\\') && !JsonEscapes.AreText(record))
        {
            Row.Fault(ErrorCode.ParseError, null);
            return;
        }

        var reader = new Utf8JsonReader(record, isFinalBlock: true, new JsonReaderState(Options));
        int field = -1;
        try
        {
            ReadMembers(ref reader, ref field);
        }
        catch (JsonException)
        {
            FaultOfBadJson(record, (int)reader.BytesConsumed, field);
            return;
        }

        for (int index = 0; index < _values.Length; index++)
        {
            Put(Fields[index], _values[index], record);
        }
    }

    // The whole of the record is read even past a fault, so that bad JSON (which ranks higher) is never overlooked.
    private void ReadMembers(ref Utf8JsonReader reader, ref int field)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            Row.Fault(ErrorCode.SchemaInvalid, "$");
            reader.Skip();
            reader.Read();
            return;
        }

        int member = 0;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            field = FieldNamed(ref reader, field + 1);
            if (field < 0)
            {
                if (!Schema.IgnoresUnknownFields)
                {
                    Row.Fault(ErrorCode.SchemaInvalid, NameOrPlace(reader.ValueSpan, member));
                }

                reader.Read();
                reader.Skip();
            }
            else
            {
                if (_values[field].Type != JsonTokenType.None)
                {
                    Row.Fault(ErrorCode.SchemaInvalid, Fields[field].Name);
                }

                reader.Read();
                ReadValue(ref reader, field);
            }

            member++;
        }

        // Anything but white space behind the object is bad JSON, and the reader says so.
        reader.Read();
    }

    // Members mostly come in the order of the schema: the expected one is tried first.
    private int FieldNamed(ref Utf8JsonReader reader, int expected)
    {
        if (expected < _names.Length && reader.ValueTextEquals(_names[expected]))
        {
            return expected;
        }

        for (int index = 0; index < _names.Length; index++)
        {
            if (reader.ValueTextEquals(_names[index]))
            {
                return index;
            }
        }

        return -1;
    }

    private void ReadValue(ref Utf8JsonReader reader, int field)
    {
        JsonTokenType type = reader.TokenType;
        int start = (int)reader.TokenStartIndex;
        if (type == JsonTokenType.String && reader.ValueIsEscaped)
        {
            if (_unescaped.Length < _unescapedSize + reader.ValueSpan.Length)
            {
                Array.Resize(ref _unescaped, Math.Max(_unescaped.Length * 2, _unescapedSize + reader.ValueSpan.Length));
            }

            int size = reader.CopyString(_unescaped.AsSpan(_unescapedSize));
            _values[field] = new Value(type, _unescapedSize, size, true);
            _unescapedSize += size;
            return;
        }

        _values[field] = new Value(type, type == JsonTokenType.String ? start + 1 : start, reader.ValueSpan.Length, false);
        reader.Skip();
    }

    private void Put(SchemaField field, Value value, ReadOnlySpan<byte> record)
    {
        ReadOnlySpan<byte> text = value.IsUnescaped ? _unescaped.AsSpan(value.Start, value.Size) : record.Slice(value.Start, value.Size);
        switch (value.Type)
        {
            case JsonTokenType.None or JsonTokenType.Null:
                Row.PutAbsent(field);
                break;
            case JsonTokenType.String when !field.IsNumber || field.Type == FieldType.Timestamp:
                Row.Put(field, text);
                break;
            case JsonTokenType.String:
                Row.Fault(NumberText.IsNotFinite(text) ? ErrorCode.NumberInvalid : ErrorCode.SchemaInvalid, field.Name);
                break;
            case JsonTokenType.Number when field.Type is FieldType.Number or FieldType.Integer or FieldType.Boolean:
                Row.Put(field, text);
                break;
            case JsonTokenType.Number when field.Type == FieldType.Timestamp:
                Row.Fault(ErrorCode.TsInvalid, field.Name);
                break;
            case JsonTokenType.Number when field.Type is FieldType.Id or FieldType.Key or FieldType.Pan:
                if (text.IndexOfAnyExceptInRange((byte)'0', (byte)'9') < 0)
                {
                    Row.Put(field, text);
                }
                else
                {
                    Row.Fault(ErrorCode.IdInvalid, field.Name);
                }

                break;
            case JsonTokenType.True or JsonTokenType.False when field.Type == FieldType.Boolean:
                Row.Put(field, text);
                break;
            default:
                Row.Fault(ErrorCode.SchemaInvalid, field.Name);
                break;
        }
    }

    // Why the reader stopped: too deep, a number that JSON has no word for, or anything else.
    private void FaultOfBadJson(ReadOnlySpan<byte> record, int consumed, int field)
    {
        if (JsonEscapes.DepthExceeds(record, Limits.JsonDepthMax))
        {
            Row.Fault(ErrorCode.TooLarge, null);
            return;
        }

        ReadOnlySpan<byte> rest = record[consumed..].TrimStart(" \t\r\n:"u8);
        if (field >= 0 && NumberText.IsNotFinite(rest))
        {
            Row.Fault(ErrorCode.NumberInvalid, Fields[field].Name);
            return;
        }

        Row.Fault(ErrorCode.ParseError, null);
    }
}
