using FsCheck;
using FsCheck.Fluent;
using Risk.Core.Features;
using Risk.Core.Transactions;
using Xunit.Abstractions;

namespace Risk.Core.Tests.Features;

/// <summary>
/// The contract that every aggregate keeps in every shape of window: equal to the plain recomputation on random streams, the
/// same bits however the stream is cut into batches or interrupted by a restart.
/// </summary>
public sealed class AggregateContractTests(ITestOutputHelper output)
{
    private const long Idle = 20 * Micro.Minute;
    private const string Entities = """{"card":{"keys":["card"],"idle":"20m"},"shop":{"keys":["shop"],"idle":"20m"},"pair":{"keys":["card","shop"],"idle":"20m"}}""";
    private static readonly int[][] s_batchSizes = [[1], [3, 16, 7], [17, 1, 40], [1000]];

    private static readonly string[] s_aggregates =
        ["count", "sum", "mean", "std", "min", "max", "distinct", "last", "time_since_last", "time_since_first", "label_count", "label_rate"];

    public static TheoryData<string> Aggregates => [.. s_aggregates];

    [Theory]
    [MemberData(nameof(Aggregates))]
    public void Aggregate_InEveryShape_EqualsTheNaiveOne(string aggregate) => Check(Shapes(aggregate), countMax: 120, streams: Streams(25), seed: 20260801);

    [Theory]
    [MemberData(nameof(Aggregates))]
    public void Aggregate_OnNewStreams_EqualsTheNaiveOne(string aggregate) => Check(Shapes(aggregate), countMax: 120, streams: Streams(4), seed: null);

    [Fact]
    public void AllAggregates_InOneCatalog_DoNotDisturbEachOther() => Check([.. s_aggregates.SelectMany(Shapes)], countMax: 100, streams: Streams(4), seed: 7);

    [Fact]
    public void AllAggregates_OnALongStream_EqualTheNaiveOnes() => Check([.. s_aggregates.SelectMany(Shapes)], countMax: 350, streams: 1, seed: 11);

    /// <summary>Each shape alone: no other feature keeps its events, groups or parts alive.</summary>
    [Theory]
    [MemberData(nameof(Aggregates))]
    public void Aggregate_AloneInItsCatalog_EqualsTheNaiveOne(string aggregate)
    {
        foreach (IGrouping<string?, Spec> spec in Shapes(aggregate).GroupBy(s => (s with { Nth = Math.Min(s.Nth, 1) }).Json)) { Check([.. spec], countMax: 80, streams: Streams(4), seed: 5); }
    }

    /// <summary>RISK_SOAK looks twenty times as long.</summary>
    private static int Streams(int usual) => Environment.GetEnvironmentVariable("RISK_SOAK") is null ? usual : usual * 20;

    private static List<Spec> Shapes(string aggregate)
    {
        string? of = aggregate switch { "sum" or "mean" or "std" or "min" or "max" or "last" => "amount", "distinct" => "shop", _ => null };
        bool ofEarlier = aggregate is "last" or "time_since_last" or "time_since_first";
        var whole = new Spec(aggregate) { Of = of };
        var window = whole with { Window = 10 * Micro.Second };
        var shapes = new List<Spec>
        {
            window,
            window with { Window = Micro.Minute, Default = -5 },
            window with { Window = 5 * Micro.Minute },
            window with { Delay = 45 * Micro.Second },
            window with { Window = Micro.Minute, Delay = 10 * Micro.Second },
            window with { Filter = Filter.Big },
            window with { Window = Micro.Minute, Filter = Filter.Both },
            window with { Window = Micro.Minute, Filter = Filter.Home, Delay = 20 * Micro.Second },
            window with { Window = Micro.Minute, Current = false },
            window with { Window = Micro.Minute, Current = false, Filter = Filter.Big },
            window with { Window = 1000, Entity = "shop" },
            window with { Window = Micro.Minute, Entity = "shop", Delay = 30 * Micro.Second },
            window with { Window = 5 * Micro.Minute, Entity = "pair" },
        };
        if (aggregate == "distinct") { return [.. shapes, window with { Window = Micro.Minute, Of = "card", Entity = "shop" }]; }
        shapes.AddRange(
        [
            whole,
            whole with { Default = 3 },
            whole with { Current = false },
            whole with { Filter = Filter.Big },
            whole with { Entity = "pair", Filter = Filter.Home },
            whole with { Entity = "shop" },
        ]);
        if (of is not null)
        {
            shapes.Add(whole with { Of = "fee" });
            shapes.Add(window with { Of = "fee", Window = Micro.Minute, Filter = Filter.Home });
            shapes.Add(window with { Of = "fee", Delay = 10 * Micro.Second });
        }
        if (!ofEarlier) { return [.. shapes]; }
        shapes.RemoveAll(s => s.Current is not null);
        if (aggregate == "time_since_first") { return shapes; }
        Spec[] spread = [window with { Window = Micro.Minute, Count = 4 }, window with { Window = 5 * Micro.Minute, Count = 3, Filter = Filter.Big, Default = -1 }, window with { Window = 5 * Micro.Minute, Count = 3, Entity = "shop" }];
        return [.. shapes, .. spread.SelectMany(s => Enumerable.Range(1, s.Count).Select(nth => s with { Nth = nth }))];
    }

    private void Check(List<Spec> specs, int countMax, int streams, int? seed)
    {
        FeatureCatalog catalog = TestStream.Catalog(string.Join(",", specs.Select(s => s.Json).OfType<string>()), Entities);
        ulong gamma = 2 * (ulong)(seed ?? Random.Shared.Next()) + 1;
        Config config = Config.QuickThrowOnFailure.WithMaxTest(streams).WithStartSize(countMax).WithEndSize(countMax).WithReplay((ulong)(seed ?? Random.Shared.Next()), gamma);
        output.WriteLine($"{specs.Count} features, {streams} streams, gamma {gamma}");
        Prop.ForAll(RandomStreams.Genes(countMax), genes => Matches(catalog, specs, RandomStreams.Events(genes))).Check(config);
    }

    private static void Matches(FeatureCatalog catalog, List<Spec> specs, TestEvent[] events)
    {
        var naive = new NaiveFeatures(specs, Idle);
        Answers answers = Answers.Of(catalog, events, s_batchSizes[1]);
        for (int i = 0; i < events.Length; i++)
        {
            (bool late, Expected?[] view) = naive.Next(events[i]);
            Assert.True(late == answers.Late[i], $"event {i} {events[i]}: late is {answers.Late[i]}");
            for (int f = 0; f < specs.Count; f++)
            {
                Assert.True(view[f]?.Admits(answers.Views[i][f]) ?? true,
                    $"{specs[f]} of event {i} is {answers.Views[i][f]:R}, must be {view[f]?.Value:R}; stream:\n{string.Join('\n', events.Take(i + 1).Select((e, n) => $"{n} {e.Time - TestStream.Start} {e}"))}");
            }
        }
        foreach (int[] sizes in s_batchSizes) { SameBits(answers, Answers.Of(catalog, events, sizes), $"batches of {string.Join(", ", sizes)}"); }
        foreach (int restartAt in (int[])[events.Length / 3, events.Length - 1]) { SameBits(answers, Answers.Of(catalog, events, s_batchSizes[2], restartAt), $"restart at {restartAt}"); }
    }

    private static void SameBits(Answers expected, Answers actual, string how)
    {
        for (int i = 0; i < expected.Views.Length; i++)
        {
            bool same = System.Runtime.InteropServices.MemoryMarshal.AsBytes<double>(expected.Views[i]).SequenceEqual(System.Runtime.InteropServices.MemoryMarshal.AsBytes<double>(actual.Views[i]));
            Assert.True(same && expected.Late[i] == actual.Late[i], $"{how}: view {i} is not the same");
        }
    }
}
