using Risk.Core.Features;
using Risk.Core.Transactions;

namespace Risk.Core.Tests.Features;

/// <summary>The meanings of features one by one, on streams short enough to check by eye. Times are seconds after the start.</summary>
public sealed class FeatureEngineTests
{
    private const string Card = """{"card":["card"]}""";
    private static readonly int[] s_one = [1];

    private static TestEvent At(double seconds, double amount = 1, string card = "a") => new(TestStream.Start + (long)(seconds * Micro.Second), card, amount);

    private static double[] Column(string feature, params TestEvent[] events) => Column(feature, Card, events);

    private static double[] Column(string feature, string entities, TestEvent[] events)
    {
        FeatureCatalog catalog = TestStream.Catalog(feature, entities);
        double[] column = [.. Answers.Of(catalog, events, s_one).Views.Select(view => view[^1])];
        Assert.Equal(column, Answers.Of(catalog, events, [events.Length]).Views.Select(view => view[^1]));
        return column;
    }

    [Fact]
    public void EventAtTheWindowsFarEnd_IsOutside_AndOneMicrosecondLaterInside() =>
        Assert.Equal([1, 1, 2], Column("""{"name":"f","entity":"card","aggregate":"count","window":"10s"}""", At(0), At(10), At(19.999999)));

    [Fact]
    public void EventAtTheDelayedEnd_IsInside() =>
        Assert.Equal([0, 0, 1, 1, 0], Column("""{"name":"f","entity":"card","aggregate":"count","window":"10s","delay":"5s"}""", At(0), At(4.999999), At(5), At(9), At(50)));

    [Fact]
    public void OfEqualTimes_ThoseThatArrivedEarlierCount() =>
        Assert.Equal([1, 2, 3], Column("""{"name":"f","entity":"card","aggregate":"count","window":"10s"}""", At(0), At(0), At(0)));

    [Fact]
    public void WithoutTheCurrentOne_OnlyEarlierEventsCount() =>
        Assert.Equal([-1, 5, 7], Column("""{"name":"f","entity":"card","aggregate":"sum","of":"amount","window":"10s","current":false,"default":-1}""", At(0, 5), At(0, 2), At(1, 9)));

    [Fact]
    public void OutOfOrderEvent_SeesItsOwnPast_AndIsSeenAfterwards() =>
        Assert.Equal([1, 2, 1, 3, 4], Column("""{"name":"f","entity":"card","aggregate":"count","window":"10s"}""", At(20), At(25), At(12), At(21), At(29.5)));

    [Fact]
    public void OutOfOrderMaximum_IsThereForTheNextEvent() =>
        Assert.Equal([1, 9, 9, 2], Column("""{"name":"f","entity":"card","aggregate":"max","of":"amount","window":"10s"}""", At(20, 1), At(18, 9), At(27, 1), At(28.5, 2)));

    [Fact]
    public void LateEvent_AfterGrace_IsAnsweredAndChangesNothing()
    {
        FeatureCatalog catalog = TestStream.Catalog("""{"name":"f","entity":"card","aggregate":"count","window":"2m"},{"name":"g","entity":"card","aggregate":"sum","of":"amount"}""", Card);
        TestEvent[] events = [At(0, 1), At(60, 1), At(29.999999, 100), At(30, 10), At(61, 1), At(1, 100, "new"), At(62, 1, "new")];

        Answers answers = Answers.Of(catalog, events, s_one);

        Assert.Equal([false, false, true, false, false, true, false], answers.Late);
        Assert.Equal([1, 2, 2, 2, 4, 1, 1], answers.Views.Select(v => v[0]));
        Assert.Equal([1, 2, 102, 12, 13, 100, 1], answers.Views.Select(v => v[1]));
    }

    [Fact]
    public void Label_CountsFromItsDueTimeOn_NotBefore()
    {
        TestEvent fraud = At(0) with { Fraud = true };
        string feature = """{"name":"f","entity":"card","aggregate":"label_count","window":"10m"}""";

        Assert.Equal([0, 0, 1], Column(feature, fraud, At(44.999999), At(45)));
        Assert.Equal([0, 1, 1], Column(feature, fraud with { KnownAt = TestStream.Start + 7 }, At(44), At(45)));
        Assert.Equal([0, 0, 1], Column(feature, fraud, At(30), At(45, card: "a")));
    }

    [Fact]
    public void Label_BecomesDueByTheStreamsClock_NotTheEntitys() =>
        Assert.Equal([0, 0, 1], Column("""{"name":"f","entity":"card","aggregate":"label_rate"}""", At(0) with { Fraud = true }, At(50, card: "b"), At(20) with { Amount = 3 })
            .Select(rate => Math.Ceiling(rate)));

    [Fact]
    public void LabelOfALateEvent_IsNeverCounted() =>
        Assert.Equal([0, 0, 0], Column("""{"name":"f","entity":"card","aggregate":"label_count"}""", At(100), At(1) with { Fraud = true }, At(300)));

    [Fact]
    public void IdleEntity_StartsAfresh_AndForgetsItsLabels()
    {
        string idle = """{"card":{"keys":["card"],"idle":"20m"}}""";
        TestEvent[] events = [At(0) with { Fraud = true, KnownAt = TestStream.Start + 3000 * Micro.Second }, At(1200), At(2401), At(3001)];

        Assert.Equal([1, 2, 1, 2], Column("""{"name":"f","entity":"card","aggregate":"count"}""", idle, events));
        Assert.Equal([0, 0, 0, 0], Column("""{"name":"f","entity":"card","aggregate":"label_count"}""", idle, events));
        Assert.Equal([-1, 1200, -1, 600], Column("""{"name":"f","entity":"card","aggregate":"time_since_first","default":-1}""", idle, events));
    }

    [Fact]
    public void WindowLongerThanTheUsualRetention_KeepsItsEvents() =>
        Assert.Equal([1, 2], Column("""{"name":"f","entity":"card","aggregate":"count","window":"700d"}""", At(0), At(699.0 * 86400)));

    [Fact]
    public void TransactionWithoutTheKey_GetsDefaults_AndLeavesNoHistory()
    {
        FeatureCatalog catalog = TestStream.Catalog("""
            {"name":"n","entity":"shop","aggregate":"count","window":"1m"}, {"name":"l","entity":"shop","aggregate":"label_count"},
            {"name":"m","entity":"shop","aggregate":"mean","of":"amount"}, {"name":"d","entity":"shop","aggregate":"sum","of":"amount","window":"1m","default":-3},
            {"name":"p","entity":"pair","aggregate":"count"}, {"name":"r","ratio":["n","n"],"default":8}, {"name":"c","entity":"card","aggregate":"count"}
            """);
        TestEvent[] events = [At(0) with { Fraud = true }, At(1), At(100), At(101) with { Shop = "s" }];

        Answers answers = Answers.Of(catalog, events, s_one, restartAt: 2, out FeatureEngine engine);

        for (int i = 0; i < 3; i++) { Assert.Equal([0, 0, double.NaN, -3, 0, 8, i + 1], answers.Views[i]); }
        Assert.Equal([1, 0, 1, 1, 1, 1, 4], answers.Views[3]);
        Assert.Equal(3, engine.EntityCount);
    }

    [Fact]
    public void EventWithoutTheValue_IsNoEventOfItsAggregates()
    {
        TestEvent[] events = [At(0) with { Fee = 4 }, At(1), At(2) with { Fee = 6 }, At(3)];
        Assert.Equal([4, 4, 5, 5], Column("""{"name":"f","entity":"card","aggregate":"mean","of":"fee"}""", events));
        Assert.Equal([4, 4, 4, 4], Column("""{"name":"f","entity":"card","aggregate":"min","of":"fee","window":"1m"}""", events));
        Assert.Equal([-1, 4, 4, 6], Column("""{"name":"f","entity":"card","aggregate":"last","of":"fee","default":-1}""", events));
        Assert.Equal([0, 0, 0, 1], Column("""{"name":"f","entity":"card","aggregate":"distinct","of":"shop","window":"1m","default":0}""", At(0), At(1), At(1), At(2) with { Shop = "s" }));
    }

    [Fact]
    public void Filter_ReadsFieldsTextsAndTheCalendar()
    {
        const string Night = """{"name":"hour","calendar":"hour"},{"name":"f","entity":"card","aggregate":"count","filter":{"any":[{"feature":"hour","op":"==","value":23},{"field":"country","op":"==","value":"FR"}]}}""";
        Assert.Equal([0, 1, 2, 2], Column(Night, At(0), At(1) with { Country = "FR" }, At(3600), At(7200)));
    }

    [Fact]
    public void RatioAndDifference_SayNothingWhereThereIsNothing()
    {
        const string Mean = """{"name":"amount","field":"amount"},{"name":"fee","field":"fee","default":-2},{"name":"mean","entity":"card","aggregate":"mean","of":"amount","current":false},{"name":"zero","difference":["amount","amount"]},""";
        TestEvent[] events = [At(0, 10), At(1, 20), At(2, 30) with { Fee = 2 }];
        Assert.Equal([double.NaN, 2, 2], Column(Mean + """{"name":"f","ratio":["amount","mean"]}""", events));
        Assert.Equal([7, 10, 15], Column(Mean + """{"name":"f","difference":["amount","mean"],"default":7}""", events));
        Assert.Equal([7, 7, 7], Column(Mean + """{"name":"f","ratio":["amount","zero"],"default":7}""", events));
        Assert.Equal([-2, -2, 2], Column(Mean + """{"name":"f","ratio":["fee","fee"]},{"name":"g","difference":["fee","zero"]}""", events));
    }

    [Fact]
    public void CompositeEntity_IsNeitherOfItsParts()
    {
        TestEvent[] events = [At(0) with { Shop = "x" }, At(1) with { Shop = "y" }, At(2, card: "b") with { Shop = "x" }, At(3) with { Shop = "x" }];
        Assert.Equal([1, 1, 1, 2], Column("""{"name":"f","entity":"pair","aggregate":"count"}""", """{"pair":["card","shop"]}""", events));
    }

    [Fact]
    public void Sum_AfterAnOutlierHasLeft_IsAsIfItHadNeverBeen()
    {
        double[] std = Column("""{"name":"f","entity":"card","aggregate":"std","of":"amount","window":"10s"}""", At(0, 1e15), At(5, 0.1), At(6, 0.1), At(12, 0.1));
        Assert.Equal(0, std[^1], 1e-12);
        double[] sum = Column("""{"name":"f","entity":"card","aggregate":"sum","of":"amount","window":"10s"}""", At(0, 7e28), At(5, 0.1), At(6, 0.2), At(12, 0.4));
        Assert.Equal(0.7, sum[^1], 1e-15);
    }

    [Fact]
    public void Build_OfSomeRows_SkipsTheOthers()
    {
        FeatureCatalog catalog = TestStream.Catalog("""{"name":"f","entity":"card","aggregate":"sum","of":"amount"}""", Card);
        TestEvent[] events = [At(0, 1), At(1, 2), At(2, 4)];
        var views = new double[2];
        new FeatureEngine(catalog).Build(TestStream.Batch(TestStream.Schema, events, 0, 3), [0, 2], views, new bool[2]);
        Assert.Equal([1, 5], views);
    }

    [Fact]
    public void Sweep_AmongKeysWithTheSameLowHalf_LosesNobody()
    {
        // Two thirds of the keys share five low halves, so removals shift long rows of slots.
        FeatureCatalog catalog = TestStream.Catalog("""{"name":"f","entity":"card","aggregate":"count"}""", """{"card":{"keys":["card"],"idle":"2m"}}""");
        TestEvent[] events = [.. Enumerable.Range(0, 6000).Select(i => At(i, card: i % 3 == 0 ? $"once {i}" : $"often {i % 40}"))];
        var counts = new Dictionary<string, double>();

        Answers answers = Answers.Of(catalog, events, [16], -1, out FeatureEngine engine);

        for (int i = 0; i < events.Length; i++)
        {
            counts[events[i].Card] = counts.GetValueOrDefault(events[i].Card) + 1;
            Assert.Equal(counts[events[i].Card], answers.Views[i][0]);
        }
        Assert.InRange(engine.EntityCount, 27, 300); // of 2,000 and 27
    }
}
