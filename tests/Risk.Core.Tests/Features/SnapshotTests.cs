using Risk.Core.Features;
using Risk.Core.Transactions;

namespace Risk.Core.Tests.Features;

/// <summary>What a snapshot is; that a restart through one changes no bit of any view is part of the aggregates' contract.</summary>
public sealed class SnapshotTests
{
    private const string Features = """
        {"name":"n","entity":"card","aggregate":"count","window":"1m"},{"name":"x","entity":"card","aggregate":"max","of":"amount","window":"1m"},
        {"name":"d","entity":"card","aggregate":"distinct","of":"shop","window":"1m"},{"name":"h","entity":"shop","aggregate":"std","of":"amount"},{"name":"l","entity":"card","aggregate":"label_count"}
        """;

    private static TestEvent[] Events() => [.. Enumerable.Range(0, 500).Select(i => new TestEvent(TestStream.Start + i * Micro.Second, $"c{i * i % 37}", i % 50) { Shop = $"s{i % 11}", Fraud = i % 9 == 0 })];

    private static FeatureEngine Engine()
    {
        _ = Answers.Of(TestStream.Catalog(Features), Events(), [64], -1, out FeatureEngine engine);
        return engine;
    }

    [Fact]
    public void SameEvents_GiveTheSameBytes() => Assert.Equal(Answers.Snapshot(Engine()), Answers.Snapshot(Engine()));

    [Fact]
    public void RestoredEngine_KnowsItsWatermarkEntitiesAndWaitingLabels()
    {
        FeatureEngine engine = Engine();
        var restored = new FeatureEngine(engine.Catalog);
        restored.Restore(Answers.Snapshot(engine));
        Assert.Equal((engine.Watermark, engine.EntityCount, engine.PendingLabels), (restored.Watermark, restored.EntityCount, restored.PendingLabels));
        Assert.NotEqual(0, restored.PendingLabels);
    }

    [Fact]
    public void EmptyEngine_IsASnapshotToo()
    {
        FeatureCatalog catalog = TestStream.Catalog(Features);
        var restored = new FeatureEngine(catalog);
        restored.Restore(Answers.Snapshot(new FeatureEngine(catalog)));
        Assert.Equal((0, 0), (restored.Watermark, restored.EntityCount));
    }

    [Fact]
    public void SnapshotOfAnotherLayout_IsRefused()
    {
        byte[] snapshot = Answers.Snapshot(Engine());
        snapshot[0]++;
        Assert.Throws<InvalidDataException>(() => new FeatureEngine(TestStream.Catalog(Features)).Restore(snapshot));
    }
}
