using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Risk.Core.Decisions;
using Risk.Core.Features;
using Risk.Core.Transactions;

namespace Risk.Core.Tests.Features;

/// <summary>One transaction of the tests' stream. Times in microseconds; null = the field is absent.</summary>
internal sealed record TestEvent(long Time, string Card, double Amount)
{
    public string? Shop { get; init; }
    public double? Fee { get; init; }
    public string? Country { get; init; }
    public bool Fraud { get; init; }
    /// <summary>When its label becomes known; null = event time plus the stream's delay.</summary>
    public long? KnownAt { get; init; }
}

/// <summary>A small stream with every kind of field that features read, and an engine to feed with it.</summary>
internal static class TestStream
{
    public const long Grace = 30 * Micro.Second;
    public const long LabelDelay = 45 * Micro.Second;
    public static readonly long Start = Micro.FromDateTimeOffset(new DateTimeOffset(2024, 3, 30, 22, 0, 0, TimeSpan.Zero));

    public static readonly StreamSchema Schema = ReadSchema(Grace);

    public static StreamSchema ReadSchema(long grace)
    {
        string json = $$"""
            { "stream": "test", "version": 1, "subject": "card", "grace": "{{grace / Micro.Second}}s",
              "labels": { "delay": "{{LabelDelay / Micro.Second}}s", "id": "id", "value": "fraud" },
              "fields": [
                { "name": "id", "type": "id" },
                { "name": "time", "type": "timestamp" },
                { "name": "card", "type": "key" },
                { "name": "shop", "type": "key", "required": false },
                { "name": "amount", "type": "number" },
                { "name": "fee", "type": "number", "required": false },
                { "name": "country", "type": "text", "required": false } ] }
            """;
        return StreamSchema.Read(Encoding.UTF8.GetBytes(json), "schema.json", out IReadOnlyList<CodedError> errors) ?? throw new InvalidOperationException(string.Join('\n', errors));
    }

    public static FeatureCatalog Catalog(string features, string entities = """{"card":["card"],"shop":["shop"],"pair":["card","shop"]}""", string zone = "UTC", StreamSchema? schema = null)
    {
        var errors = new List<DefinitionError>();
        string json = $$"""{"version":1,"timeZone":"{{zone}}","entities":{{entities}},"features":[{{features}}]}""";
        return FeatureCatalog.Read(Encoding.UTF8.GetBytes(json), "features.json", schema ?? Schema, errors) ?? throw new InvalidOperationException(string.Join('\n', errors));
    }

    /// <summary>Keys whose low halves meet often: the tables must tell them apart by the whole key.</summary>
    public static EntityKey KeyOf(string text)
    {
        byte[] digest = SHA256.HashData(Encoding.UTF8.GetBytes(text));
        ulong low = BinaryPrimitives.ReadUInt64LittleEndian(digest);
        return new EntityKey(BinaryPrimitives.ReadUInt64LittleEndian(digest.AsSpan(8)) | 1, low % 3 == 0 ? low : 1000 + low % 5);
    }

    public static EntityKey EventKeyOf(int index) => new(1, (ulong)index + 1);

    public static TransactionBatch Batch(StreamSchema schema, IReadOnlyList<TestEvent> events, int from, int count)
    {
        var batch = new TransactionBatch(schema, Math.Max(1, count));
        for (int i = from; i < from + count; i++) { Put(batch, events[i], i); }
        return batch;
    }

    public static void Put(TransactionBatch batch, TestEvent e, int index)
    {
        batch.Begin();
        batch.PutEventKey(EventKeyOf(index));
        batch.PutText(0, Encoding.UTF8.GetBytes(index.ToString(CultureInfo.InvariantCulture)));
        batch.PutEventTime(e.Time);
        batch.PutText(1, Encoding.UTF8.GetBytes(e.Card));
        batch.PutKey(0, KeyOf(e.Card));
        batch.PutKey(1, e.Shop is null ? default : KeyOf(e.Shop));
        if (e.Shop is null) { batch.PutAbsentText(2); } else { batch.PutText(2, Encoding.UTF8.GetBytes(e.Shop)); }
        batch.PutNumber(0, e.Amount);
        batch.PutNumber(1, e.Fee ?? double.NaN);
        if (e.Country is null) { batch.PutAbsentText(3); } else { batch.PutText(3, Encoding.UTF8.GetBytes(e.Country)); }
        batch.Commit(index + 1, 0, 0);
    }
}

/// <summary>The labels of a list of events, by their place in it.</summary>
internal sealed class TestLabels(IReadOnlyList<TestEvent> events) : ILabelSource
{
    public bool IsPositive(in EntityKey eventKey, out long? knownAt)
    {
        TestEvent e = events[(int)eventKey.Low - 1];
        knownAt = e.KnownAt;
        return e.Fraud;
    }
}

/// <summary>What an engine answered: one view and one late mark an event.</summary>
internal sealed record Answers(double[][] Views, bool[] Late)
{
    public double Of(FeatureCatalog catalog, string feature, int index) =>
        catalog.TryFeature(feature, out int column) ? Views[index][column] : throw new ArgumentException($"no feature {feature}", nameof(feature));

    /// <summary>Feeds the events in batches of the given sizes, over and over; <paramref name="restartAt"/>: there the state goes through a snapshot into a new engine.</summary>
    public static Answers Of(FeatureCatalog catalog, IReadOnlyList<TestEvent> events, int[] batchSizes, int restartAt = -1) =>
        Of(catalog, events, batchSizes, restartAt, out _);

    public static Answers Of(FeatureCatalog catalog, IReadOnlyList<TestEvent> events, int[] batchSizes, int restartAt, out FeatureEngine engine)
    {
        var labels = new TestLabels(events);
        engine = new FeatureEngine(catalog, labels);
        var views = new double[events.Count][];
        var late = new bool[events.Count];
        int number = 0;
        for (int from = 0; from < events.Count;)
        {
            if (from == restartAt) { engine = Restarted(engine, labels); }
            int size = Math.Min(batchSizes[number++ % batchSizes.Length], events.Count - from);
            if (from < restartAt && from + size > restartAt) { size = restartAt - from; }
            TransactionBatch batch = TestStream.Batch(catalog.Schema, events, from, size);
            int[] rows = [.. Enumerable.Range(0, size)];
            var flat = new double[size * catalog.Count];
            flat.AsSpan().Fill(-77); // every place must be written
            engine.Build(batch, rows, flat, late.AsSpan(from, size));
            for (int i = 0; i < size; i++) { views[from + i] = flat[(i * catalog.Count)..((i + 1) * catalog.Count)]; }
            from += size;
        }
        return new Answers(views, late);
    }

    public static byte[] Snapshot(FeatureEngine engine)
    {
        var writer = new System.Buffers.ArrayBufferWriter<byte>();
        engine.Save(writer);
        return writer.WrittenSpan.ToArray();
    }

    private static FeatureEngine Restarted(FeatureEngine engine, ILabelSource labels)
    {
        var restarted = new FeatureEngine(engine.Catalog, labels);
        restarted.Restore(Snapshot(engine));
        return restarted;
    }
}
