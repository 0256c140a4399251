using System.Text;

namespace Risk.Core.Transactions;

/// <summary>
/// One row on its way into a batch: checks each value against its field, writes what is right, and keeps the fault with
/// the highest precedence. A row with a fault leaves the batch as it was.
/// </summary>
internal sealed class TransactionRow
{
    private readonly StreamSchema _schema;
    private readonly TransactionKeys _keys;
    private readonly byte[][][] _values;
    private TransactionBatch _batch = null!;
    private long _ingestMicros;

    public TransactionRow(StreamSchema schema, TransactionKeys keys)
    {
        _schema = schema;
        _keys = keys;
        _values = [.. schema.Fields.Select(field => field.Values.Select(Encoding.UTF8.GetBytes).ToArray())];
    }

    /// <summary>Of the faults so far the one with the highest precedence.</summary>
    public ErrorCode Code { get; private set; }

    /// <summary>The field of that fault; null where it is of the whole record.</summary>
    public string? Field { get; private set; }

    public void Begin(TransactionBatch batch, long ingestMicros)
    {
        if (!ReferenceEquals(batch.Schema, _schema))
        {
            throw new ArgumentException("the batch is of another schema", nameof(batch));
        }

        _batch = batch;
        _ingestMicros = ingestMicros;
        Code = ErrorCode.None;
        Field = null;
        batch.Begin();
    }

    public void Commit(long sourceOffset, long ingestMicros) => _batch.Commit(sourceOffset, ingestMicros, _keys.Fingerprint(_batch.Pending));

    public void Fault(ErrorCode code, string? field)
    {
        if (Code == ErrorCode.None || code < Code)
        {
            Code = code;
            Field = field;
        }
    }

    /// <summary>The field is not there.</summary>
    public void PutAbsent(SchemaField field)
    {
        if (field.Required)
        {
            Fault(ErrorCode.SchemaInvalid, field.Name);
        }
        else if (field.IsNumber)
        {
            _batch.PutNumber(field.NumberIndex, double.NaN);
        }
        else
        {
            _batch.PutAbsentText(field.TextIndex);
            if (field.IsKey)
            {
                _batch.PutKey(field.KeyIndex, default);
            }
        }
    }

    /// <summary>The field's value as text: valid UTF-8 without NUL.</summary>
    public void Put(SchemaField field, ReadOnlySpan<byte> value)
    {
        switch (field.Type)
        {
            case FieldType.Id:
            case FieldType.Key:
                PutId(field, value);
                break;
            case FieldType.Timestamp:
                PutTimestamp(field, value);
                break;
            case FieldType.Number:
            case FieldType.Integer:
                PutNumber(field, value);
                break;
            case FieldType.Boolean:
                PutBoolean(field, value);
                break;
            case FieldType.Pan:
                PutCard(field, value);
                break;
            case FieldType.Category:
                PutText(field, value, IsDeclared(field, value));
                break;
            case FieldType.Currency:
                PutText(field, value, field.Values.Count > 0 ? IsDeclared(field, value) : CurrencyCode.IsKnown(value));
                break;
            case FieldType.Text:
                if (CardNumber.IsInText(value))
                {
                    Fault(ErrorCode.PanForbidden, field.Name);
                }

                PutText(field, value, value.Length <= field.SizeMax);
                break;
        }
    }

    private void PutId(SchemaField field, ReadOnlySpan<byte> value)
    {
        if (!field.CardLike && CardNumber.IsInId(value))
        {
            Fault(ErrorCode.PanForbidden, field.Name);
        }
        else if (!Identifier.IsValid(value, field.SizeMax, field.Unicode))
        {
            Fault(ErrorCode.IdInvalid, field.Name);
        }
        else if (Code == ErrorCode.None)
        {
            _batch.PutText(field.TextIndex, value);
            if (field.Type == FieldType.Key)
            {
                _batch.PutKey(field.KeyIndex, _keys.Entity(value));
            }
            else if (field.Role == FieldRole.EventId)
            {
                _batch.PutEventKey(_keys.Event(value));
            }
        }
    }

    private void PutCard(SchemaField field, ReadOnlySpan<byte> value)
    {
        Span<byte> digits = stackalloc byte[Limits.CardDigitsMax];
        int count = CardNumber.ReadDigits(value, field.Separators, digits);
        if (count == 0)
        {
            Fault(ErrorCode.IdInvalid, field.Name);
        }
        else if (Code == ErrorCode.None)
        {
            EntityKey token = _keys.Card(digits[..count]);
            Span<byte> text = stackalloc byte[TransactionCodec.TokenTextSize];
            TransactionCodec.WriteToken(token, text);
            _batch.PutText(field.TextIndex, text);
            _batch.PutKey(field.KeyIndex, token);
        }

        digits.Clear();
    }

    private void PutTimestamp(SchemaField field, ReadOnlySpan<byte> value)
    {
        if (!TimestampText.TryParse(value, out long micros))
        {
            Fault(ErrorCode.TsInvalid, field.Name);
        }
        else if (field.Role != FieldRole.EventTime)
        {
            PutGoodNumber(field, micros);
        }
        else if (micros < Limits.EventTimeMin)
        {
            Fault(ErrorCode.TsInvalid, field.Name);
        }
        else if (micros > Limits.EventTimeMax || micros - Limits.EventTimeAheadMax > _ingestMicros)
        {
            Fault(ErrorCode.TsFuture, field.Name);
        }
        else if (Code == ErrorCode.None)
        {
            _batch.PutEventTime(micros);
        }
    }

    private void PutNumber(SchemaField field, ReadOnlySpan<byte> text)
    {
        bool good = field.Type == FieldType.Integer ? NumberText.TryParseWhole(text, out double value) : NumberText.TryParse(text, out value);
        if (!good)
        {
            Fault(ErrorCode.NumberInvalid, field.Name);
        }
        else if (value < field.Min || value > field.Max || (field.ExclusiveMin && value == field.Min))
        {
            Fault(ErrorCode.ValueRange, field.Name);
        }
        else
        {
            PutGoodNumber(field, value);
        }
    }

    private void PutBoolean(SchemaField field, ReadOnlySpan<byte> text)
    {
        bool yes = text.SequenceEqual("1"u8) || text.SequenceEqual("true"u8);
        if (yes || text.SequenceEqual("0"u8) || text.SequenceEqual("false"u8))
        {
            PutGoodNumber(field, yes ? 1 : 0);
        }
        else
        {
            Fault(ErrorCode.ValueRange, field.Name);
        }
    }

    private void PutGoodNumber(SchemaField field, double value)
    {
        if (Code == ErrorCode.None)
        {
            _batch.PutNumber(field.NumberIndex, value);
        }
    }

    private void PutText(SchemaField field, ReadOnlySpan<byte> value, bool allowed)
    {
        if (!allowed)
        {
            Fault(ErrorCode.ValueRange, field.Name);
        }
        else if (Code == ErrorCode.None)
        {
            _batch.PutText(field.TextIndex, value);
        }
    }

    private bool IsDeclared(SchemaField field, ReadOnlySpan<byte> value)
    {
        foreach (byte[] declared in _values[field.Index])
        {
            if (value.SequenceEqual(declared))
            {
                return true;
            }
        }

        return false;
    }
}
