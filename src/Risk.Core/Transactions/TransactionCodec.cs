using System.Buffers.Binary;
using System.Buffers.Text;
using System.Globalization;

namespace Risk.Core.Transactions;

/// <summary>
/// The canonical bytes of a row, one after another in schema order, little endian, self-delimiting:
/// <list type="bullet">
/// <item>the event time: 8 bytes, microseconds since the Unix epoch;</item>
/// <item>a number (also integer, boolean, other timestamps): 8 bytes, the bits of the double; absent is NaN;</item>
/// <item>a text (id, key, category, currency, text): 2 bytes size, then UTF-8; absent is size 0xFFFF;</item>
/// <item>a card number: a text, the 32 hexadecimal digits of its token. The number itself is nowhere.</item>
/// </list>
/// They are what the log's private payload keeps; <see cref="Append"/> makes the same row of them again. Not thread-safe.
/// </summary>
public sealed class TransactionCodec(StreamSchema schema, TransactionKeys keys)
{
    // An array: walking an IReadOnlyList allocates its enumerator.
    private readonly SchemaField[] _fields = [.. schema.Fields];

    internal const ushort AbsentText = 0xFFFF;
    internal const int TokenTextSize = 32;

    /// <summary>
    /// Adds the row whose canonical bytes these are: same times, texts, numbers, keys and fingerprint as when it was
    /// parsed under the same token key.
    /// </summary>
    /// <param name="batch">Of the same schema and not full, otherwise it throws; unchanged when the answer is false.</param>
    /// <returns>False when the bytes are no row of this schema (another version's, or damaged).</returns>
    public bool Append(ReadOnlySpan<byte> canonical, long sourceOffset, long ingestMicros, TransactionBatch batch)
    {
        if (!ReferenceEquals(batch.Schema, schema))
        {
            throw new ArgumentException("the batch is of another schema", nameof(batch));
        }

        batch.Begin();
        if (!TryFields(canonical, batch))
        {
            batch.Abandon();
            return false;
        }

        batch.Commit(sourceOffset, ingestMicros, keys.Fingerprint(canonical));
        return true;
    }

    private bool TryFields(ReadOnlySpan<byte> rest, TransactionBatch batch)
    {
        foreach (SchemaField field in _fields)
        {
            if (!(field.IsText ? TryText(field, ref rest, batch) : TryFixed(field, ref rest, batch)))
            {
                return false;
            }
        }

        return rest.Length == 0;
    }

    private static bool TryFixed(SchemaField field, ref ReadOnlySpan<byte> rest, TransactionBatch batch)
    {
        if (rest.Length < 8)
        {
            return false;
        }

        ReadOnlySpan<byte> bytes = rest[..8];
        rest = rest[8..];
        if (field.Role == FieldRole.EventTime)
        {
            long micros = BinaryPrimitives.ReadInt64LittleEndian(bytes);
            batch.PutEventTime(micros);
            return micros is >= Limits.EventTimeMin and <= Limits.EventTimeMax;
        }

        double value = BinaryPrimitives.ReadDoubleLittleEndian(bytes);
        batch.PutNumber(field.NumberIndex, value);
        return Math.Abs(value) < Limits.NumberAbsLimit || (double.IsNaN(value) && !field.Required);
    }

    private bool TryText(SchemaField field, ref ReadOnlySpan<byte> rest, TransactionBatch batch)
    {
        if (rest.Length < 2)
        {
            return false;
        }

        int size = BinaryPrimitives.ReadUInt16LittleEndian(rest);
        rest = rest[2..];
        if (size == AbsentText)
        {
            batch.PutAbsentText(field.TextIndex);
            if (field.IsKey)
            {
                batch.PutKey(field.KeyIndex, default);
            }

            return !field.Required;
        }

        if (size > rest.Length || size > field.SizeMax)
        {
            return false;
        }

        ReadOnlySpan<byte> text = rest[..size];
        rest = rest[size..];
        batch.PutText(field.TextIndex, text);
        if (field.Role == FieldRole.EventId)
        {
            batch.PutEventKey(keys.Event(text));
        }
        else if (field.Type == FieldType.Key)
        {
            batch.PutKey(field.KeyIndex, keys.Entity(text));
        }
        else if (field.Type == FieldType.Pan)
        {
            bool good = TryReadToken(text, out EntityKey token);
            batch.PutKey(field.KeyIndex, token);
            return good;
        }

        return true;
    }

    /// <summary>The token as 32 hexadecimal digits.</summary>
    internal static void WriteToken(EntityKey token, Span<byte> text)
    {
        token.High.TryFormat(text, out _, "x16", CultureInfo.InvariantCulture);
        token.Low.TryFormat(text[16..], out _, "x16", CultureInfo.InvariantCulture);
    }

    private static bool TryReadToken(ReadOnlySpan<byte> text, out EntityKey token)
    {
        bool good = text.Length == TokenTextSize;
        ulong high = 0, low = 0;
        good = good && Utf8Parser.TryParse(text[..16], out high, out int first, 'x') && first == 16;
        good = good && Utf8Parser.TryParse(text[16..], out low, out int second, 'x') && second == 16;
        token = new EntityKey(high, low);
        return good;
    }
}
