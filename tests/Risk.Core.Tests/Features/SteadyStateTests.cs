using System.Globalization;
using Risk.Core.Features;
using Risk.Core.Transactions;
using Xunit.Abstractions;

namespace Risk.Core.Tests.Features;

/// <summary>
/// A stationary stream for as long as one likes: known cards and shops, new cards all the time and old ones that never come
/// back, ties, events out of order and late ones, labels. Once it has run for a while nothing more may be allocated.
/// </summary>
public sealed class SteadyStateTests(ITestOutputHelper output)
{
    private const int BatchRows = 100;
    private const string Entities = """{"card":{"keys":["card"],"idle":"7m"},"shop":["shop"],"pair":{"keys":["card","shop"],"idle":"7m"}}""";

    private static readonly string s_features = string.Join(",",
    [
        """{"name":"amount","field":"amount"}""", """{"name":"hour","calendar":"hour"}""", """{"name":"day","calendar":"day_of_month"}""",
        .. new[] { "count", "sum", "mean", "std", "min", "max", "distinct", "last", "time_since_last", "time_since_first", "label_count", "label_rate" }.SelectMany(Shapes).Select(spec => spec.Json),
        """{"name":"ratio","ratio":["amount","hour"]}""", """{"name":"difference","difference":["amount","hour"]}""",
    ]);

    private static IEnumerable<Spec> Shapes(string aggregate)
    {
        string? of = aggregate switch { "sum" or "mean" or "std" or "min" or "max" or "last" => "amount", "distinct" => "shop", _ => null };
        foreach (string entity in (string[])["card", "shop", "pair"])
        {
            var window = new Spec(aggregate, entity) { Of = of, Window = Micro.Minute };
            yield return window;
            yield return window with { Window = 5 * Micro.Minute, Filter = Filter.Big };
            yield return window with { Delay = 20 * Micro.Second };
            if (aggregate != "distinct") { yield return window with { Window = 0, Filter = Filter.Home }; }
            if (of == "amount") { yield return window with { Of = "fee" }; }
        }
    }

    // Everything recurs every 5000 events (1000 s).
    private static TestEvent Event(int i)
    {
        long time = TestStream.Start + i * 200L * 1000;
        time -= i % 50 == 25 ? 20 * Micro.Second : i % 97 == 0 ? 200 * 1000 : i % 1250 == 7 ? 2 * TestStream.Grace : 0;
        return new TestEvent(time, i % 10 == 0 ? $"passing {i}" : $"card {i % 125}", i % 77 + 0.01)
        {
            Shop = i % 40 == 3 ? null : string.Create(CultureInfo.InvariantCulture, $"shop {i % 25 + (i % 3 == 0 ? 1 : 0)}"),
            Fee = i % 4 == 0 ? null : i % 8,
            Country = i % 2 == 0 ? "FR" : "BE",
            Fraud = i % 20 == 11,
        };
    }

    private sealed class Labels : ILabelSource
    {
        public bool IsPositive(in EntityKey eventKey, out long? knownAt)
        {
            knownAt = null;
            return (eventKey.Low - 1) % 20 == 11;
        }
    }

    private static (long Allocated, long Growth, FeatureEngine Engine) Run(Action<FeatureEngine, int>? breakIt = null)
    {
        FeatureCatalog catalog = TestStream.Catalog(s_features, Entities);
        var engine = new FeatureEngine(catalog, new Labels());
        var batch = new TransactionBatch(TestStream.Schema, BatchRows);
        var views = new double[BatchRows * catalog.Count];
        var late = new bool[BatchRows];
        int[] rows = [.. Enumerable.Range(0, BatchRows)];
        long allocated = 0, bytes = 0;
        for (int from = 0; from < 40_000; from += BatchRows)
        {
            batch.Clear();
            for (int i = from; i < from + BatchRows; i++) { TestStream.Put(batch, Event(i), i); }
            if (from == 20_000) { (allocated, bytes) = (0, engine.StateBytes); }
            long before = GC.GetAllocatedBytesForCurrentThread();
            engine.Build(batch, rows, views, late);
            breakIt?.Invoke(engine, from);
            allocated += GC.GetAllocatedBytesForCurrentThread() - before;
        }
        return (allocated, engine.StateBytes - bytes, engine);
    }

    [Fact]
    public void SteadyState_AllocatesNothing_AndStateDoesNotGrow()
    {
        // The engine does the same every time; the runtime may put some of its own on the thread while it still compiles, the longer the busier the machine.
        (long allocated, long growth, FeatureEngine engine) = Run();
        for (int again = 0; again < 6 && allocated > 0; again++) { (allocated, growth, engine) = Run(); }
        output.WriteLine($"{engine.FeatureCount} features, {engine.EntityCount} entities, {engine.StateBytes} bytes of state, {engine.StateBytes / engine.EntityCount} an entity");
        Assert.Equal(0, allocated);
        Assert.Equal(0, growth);
    }

    [Fact]
    public void TheGate_SeesASingleObject() => Assert.NotEqual(0, Run((_, from) => GC.KeepAlive(from == 30_000 ? new object() : null)).Allocated);

    [Fact]
    public void Entities_ThatNeverComeBack_AreSweptAway()
    {
        FeatureEngine engine = Run().Engine;
        // 40,000 events brought 4,000 passing cards and as many pairs; 7 minutes, grace and the sweep's round hold a few hundred.
        Assert.InRange(engine.EntityCount, 125, 4000);
    }
}
