using System.Globalization;
using System.Text;
using System.Text.Json;
using Risk.Core.Transactions;

namespace Risk.Cli.Verbs;

/// <summary>One field of a recorded transaction, for people and scripts.</summary>
/// <param name="Text">Null when it is a number or absent.</param>
/// <param name="Number">Null when it is a text or absent.</param>
internal sealed record RecordedField(string Name, string? Text, double? Number)
{
    private const int TokenTailShown = 4;

    public override string ToString() => Text ?? Number?.ToString("R", CultureInfo.InvariantCulture) ?? "absent";

    public void Write(Utf8JsonWriter json)
    {
        if (Number is { } number)
        {
            json.WriteNumber(Name, number);
        }
        else
        {
            json.WriteString(Name, Text);
        }
    }

    /// <summary>The fields of canonical bytes, in the schema's order; null when they are no transaction of this schema.</summary>
    public static IReadOnlyList<RecordedField>? ReadAll(StreamSchema schema, ReadOnlySpan<byte> canonical)
    {
        // Keys are not shown, so any secret will do.
        var codec = new TransactionCodec(schema, new TransactionKeys(schema.Name, new KeyedHash(new byte[KeyedHash.KeySize])));
        var row = new TransactionBatch(schema, 1);
        return codec.Append(canonical, 0, 0, row) ? [.. schema.Fields.Select(field => Read(field, row))] : null;
    }

    private static RecordedField Read(SchemaField field, TransactionBatch row)
    {
        if (field.Role == FieldRole.EventTime)
        {
            return new RecordedField(field.Name, Micro.ToIso8601(row.EventTimes[0]), null);
        }

        if (field.IsNumber)
        {
            double number = row.Numbers[field.NumberIndex];
            return double.IsNaN(number) ? new RecordedField(field.Name, null, null)
                : field.Type == FieldType.Timestamp ? new RecordedField(field.Name, Micro.ToIso8601((long)number), null)
                : field.Type == FieldType.Boolean ? new RecordedField(field.Name, number != 0 ? "true" : "false", null)
                : new RecordedField(field.Name, null, number);
        }

        string text = Encoding.UTF8.GetString(row.Text(0, field.TextIndex));
        return new RecordedField(field.Name, text.Length == 0 ? null : field.Type == FieldType.Pan ? Mask(text) : text, null);
    }

    /// <summary>A card's token is no card number, but two tokens that match are the same card: only its end is shown.</summary>
    private static string Mask(string token) => $"card token …{token[^Math.Min(TokenTailShown, token.Length)..]}";
}
