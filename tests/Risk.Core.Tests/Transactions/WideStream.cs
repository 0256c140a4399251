using System.Text;
using Risk.Core.Transactions;

namespace Risk.Core.Tests.Transactions;

/// <summary>A stream with a field of every type, and records of it in both formats.</summary>
internal static class WideStream
{
    /// <summary>2026-01-01T00:00:00Z, when all these records arrive.</summary>
    public const long Now = 1_767_225_600L * 1_000_000;

    public const string Json = """
        {
          "stream": "wide", "version": 3, "subject": "account",
          "fields": [
            { "name": "id", "type": "id" },
            { "name": "time", "type": "timestamp", "role": "eventTime" },
            { "name": "account", "type": "key" },
            { "name": "shop", "type": "key", "required": false, "unicode": true },
            { "name": "card", "type": "pan", "separators": true },
            { "name": "amount", "type": "number", "min": 0, "exclusiveMin": true, "max": 1000000 },
            { "name": "parts", "type": "integer", "required": false, "min": 1, "max": 48 },
            { "name": "online", "type": "boolean" },
            { "name": "channel", "type": "category", "values": ["pos", "ecommerce"] },
            { "name": "currency", "type": "currency" },
            { "name": "note", "type": "text", "required": false, "maxLength": 200 },
            { "name": "opened", "type": "timestamp", "required": false }
          ]
        }
        """;

    public const string Card = "4111 1111 1111 1111";

    /// <summary>Good cells, by field: as CSV has them and as JSON has them.</summary>
    public static readonly IReadOnlyList<(string Field, string Csv, string Json)> Good =
    [
        ("id", "tx-1", "\"tx-1\""),
        ("time", "2025-12-31T10:00:00Z", "\"2025-12-31T10:00:00Z\""),
        ("account", "A-77", "\"A-77\""),
        ("shop", "Bäckerei", "\"Bäckerei\""),
        ("card", Card, $"\"{Card}\""),
        ("amount", "52.300000000000004", "52.300000000000004"),
        ("parts", "3", "3"),
        ("online", "1", "true"),
        ("channel", "pos", "\"pos\""),
        ("currency", "EUR", "\"EUR\""),
        ("note", "two loaves", "\"two loaves\""),
        ("opened", "1969-05-04T00:00:00+02:00", "\"1969-05-04T00:00:00+02:00\""),
    ];

    public static StreamSchema Schema { get; } = Read(Json);

    public static TransactionKeys Keys { get; } = new("wide", new KeyedHash("0123456789abcdef"u8));

    public static string Header { get; } = string.Join(',', Good.Select(cell => cell.Field));

    public static StreamSchema Read(string json)
    {
        StreamSchema? schema = StreamSchema.Read(Encoding.UTF8.GetBytes(json), "schema.json", out IReadOnlyList<CodedError> errors);
        Assert.True(schema is not null, string.Join("\n", errors));
        return schema;
    }

    public static TransactionParser Parser(bool csv, StreamSchema? schema = null, string? header = null)
    {
        schema ??= Schema;
        if (!csv)
        {
            return new JsonTransactionParser(schema, Keys);
        }

        TransactionParser? parser = CsvTransactionParser.Create(schema, Keys, Encoding.UTF8.GetBytes(header ?? Header), out CodedError error);
        Assert.True(parser is not null, error.ToString());
        return parser;
    }

    /// <summary>A record with some fields changed: of each the CSV cell and the JSON value, as they stand in the record.</summary>
    public static string Record(bool csv, params (string Field, string Csv, string Json)[] changes)
    {
        IEnumerable<(string Field, string Csv, string Json)> cells = Good.Select(cell =>
            changes.FirstOrDefault(change => change.Field == cell.Field) is { Field: not null } change ? change : cell);
        return csv
            ? string.Join(',', cells.Select(cell => cell.Csv))
            : "{" + string.Join(", ", cells.Where(cell => cell.Json.Length > 0).Select(cell => $"\"{cell.Field}\": {cell.Json}")) + "}";
    }

    /// <summary>Text to bytes; <c>‹NUL›</c>, <c>‹FF›</c> and <c>‹BOM›</c> stand for bytes that no source file should hold.</summary>
    public static byte[] Bytes(string text)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(text))
            .Replace(Mark("‹NUL›"), "\0").Replace(Mark("‹FF›"), "\u00FF").Replace(Mark("‹BOM›"), "\u00EF\u00BB\u00BF"));
        return bytes;
        static string Mark(string name) => Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(name));
    }
}
