using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Risk.Core;
using Risk.Core.Transactions;

namespace Risk.Streams;

/// <summary>
/// Records of a file as the JSON messages of a topic. A record of JSON Lines is a message as it stands. Of a CSV record
/// every cell of a declared field becomes a member in schema order, numbers as they are written (nothing is rounded);
/// empty cells and columns that are not declared are left out. <see cref="JsonTransactionParser"/> makes the same row of
/// the message as <see cref="CsvTransactionParser"/> of the record. Not thread-safe.
/// </summary>
public sealed class RecordJson
{
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly record struct Member(JsonEncodedText Name, int Column, FieldType Type);

    private readonly Member[] _members;
    private readonly CsvRecord? _cells;
    private readonly ArrayBufferWriter<byte> _buffer = new(1024);

    /// <param name="header">Of a CSV file, one that the schema's parser accepts; empty for JSON Lines.</param>
    internal RecordJson(StreamSchema schema, ReadOnlySpan<byte> header)
    {
        if (header.IsEmpty)
        {
            _members = [];
            return;
        }

        var columns = new CsvRecord(Limits.FieldCountMax);
        columns.TrySplit(header);
        var members = new List<Member>();
        foreach (SchemaField field in schema.Fields)
        {
            for (int column = 0; column < columns.Count; column++)
            {
                if (System.Text.Ascii.Equals(columns.Column(header, column), field.Name))
                {
                    members.Add(new Member(JsonEncodedText.Encode(field.Name), column, field.Type));
                }
            }
        }

        _members = [.. members];
        _cells = new CsvRecord(columns.Count);
    }

    /// <summary>The message of a record that the parser accepted.</summary>
    public byte[] Of(ReadOnlySpan<byte> record)
    {
        if (_cells is not { } cells)
        {
            return record.ToArray();
        }

        cells.TrySplit(record);
        _buffer.ResetWrittenCount();
        using var json = new Utf8JsonWriter(_buffer, Options);
        json.WriteStartObject();
        foreach (Member member in _members)
        {
            ReadOnlySpan<byte> cell = cells.Column(record, member.Column);
            if (cell.IsEmpty)
            {
                continue;
            }

            if (member.Type is FieldType.Number or FieldType.Integer or FieldType.Boolean)
            {
                json.WritePropertyName(member.Name);
                // What the parser takes for a number or a boolean is one in JSON.
                json.WriteRawValue(cell, skipInputValidation: true);
            }
            else
            {
                json.WriteString(member.Name, cell);
            }
        }

        json.WriteEndObject();
        json.Flush();
        return _buffer.WrittenSpan.ToArray();
    }
}
