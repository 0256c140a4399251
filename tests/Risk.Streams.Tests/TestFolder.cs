using System.IO.Compression;
using System.Text;
using Risk.Core.Transactions;

namespace Risk.Streams.Tests;

/// <summary>A folder for one test, gone afterwards; and a small stream to put into it.</summary>
internal sealed class TestFolder : IDisposable
{
    /// <summary>When every record of the tests arrives: 2026-01-01.</summary>
    public const long Now = 1_767_225_600L * 1_000_000;

    public const string Header = "id,time,account,amount";

    private const string Fields = """
        { "name": "id", "type": "id" }, { "name": "time", "type": "timestamp" },
        { "name": "account", "type": "key" }, { "name": "amount", "type": "number", "min": 0 }
        """;

    public string Path { get; } = Directory.CreateTempSubdirectory("risk-streams-").FullName;

    public static KeyedHash Secret { get; } = new("0123456789abcdef"u8);

    /// <summary>id, time, account, amount; every line end ends a record.</summary>
    public static StreamSchema Schema { get; } = Read(Fields);

    /// <summary>The same and a free text, in whose quotes lines may break.</summary>
    public static StreamSchema SchemaWithNote { get; } = Read(Fields + """, { "name": "note", "type": "text", "required": false }""");

    public static TransactionKeys Keys { get; } = new("payments", Secret);

    public static byte[] Gzip(byte[] bytes)
    {
        using var memory = new MemoryStream();
        using (var gzip = new GZipStream(memory, CompressionLevel.Optimal, leaveOpen: true))
        {
            gzip.Write(bytes);
        }

        return memory.ToArray();
    }

    public static string Row(int id, string amount = "10.5") => $"tx-{id},2025-12-01T00:00:{id % 60:00}Z,A-{id % 7},{amount}";

    public static string JsonRow(int id, string amount = "10.5") =>
        $"{{\"id\":\"tx-{id}\",\"time\":\"2025-12-01T00:00:{id % 60:00}Z\",\"account\":\"A-{id % 7}\",\"amount\":{amount}}}";

    public string File(string name, string text) => File(name, Encoding.UTF8.GetBytes(text));

    public string File(string name, byte[] bytes)
    {
        string path = System.IO.Path.Combine(Path, name);
        System.IO.File.WriteAllBytes(path, bytes);
        return path;
    }

    public string Named(string name) => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);

    private static StreamSchema Read(string fields)
    {
        string json = $$"""{ "stream": "payments", "version": 1, "subject": "account", "labels": { "delay": "1d", "id": "id", "value": "fraud", "knownAt": "known_at" }, "fields": [ {{fields}} ] }""";
        StreamSchema? schema = StreamSchema.Read(Encoding.UTF8.GetBytes(json), "schema.json", out IReadOnlyList<CodedError> errors);
        Assert.True(schema is not null, string.Join('\n', errors));
        return schema;
    }
}
