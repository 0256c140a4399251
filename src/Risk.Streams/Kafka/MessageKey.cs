using System.Text.Json;
using Risk.Core;

namespace Risk.Streams.Kafka;

/// <summary>
/// The key of a transaction's message: the text of its first key field, before any hashing. Producer and engine must agree
/// on it, because it says which partition, and so which shard, a transaction belongs to.
/// </summary>
public static class MessageKey
{
    /// <summary>Bytes of scratch space that <see cref="Of"/> may need.</summary>
    public const int ScratchSize = Limits.IdSizeMax * 6;

    /// <summary>The field's text, unescaped; of a whole number its digits. Empty where the object lacks the field.</summary>
    /// <param name="json">One JSON object that the stream's parser accepts.</param>
    /// <param name="field">The field's name, UTF-8.</param>
    /// <param name="scratch">Holds the text where it is not a part of <paramref name="json"/>.</param>
    public static ReadOnlySpan<byte> Of(ReadOnlySpan<byte> json, ReadOnlySpan<byte> field, Span<byte> scratch)
    {
        var reader = new Utf8JsonReader(json);
        while (reader.Read())
        {
            if (reader.TokenType != JsonTokenType.PropertyName || reader.CurrentDepth != 1 || !reader.ValueTextEquals(field))
            {
                continue;
            }

            reader.Read();
            if (!reader.ValueIsEscaped)
            {
                return reader.TokenType is JsonTokenType.String or JsonTokenType.Number ? reader.ValueSpan : [];
            }

            return reader.ValueSpan.Length <= scratch.Length ? scratch[..reader.CopyString(scratch)] : [];
        }

        return [];
    }
}
