using FsCheck;
using FsCheck.Fluent;
using Risk.Core.Decisions;
using Risk.Core.Features;

namespace Risk.Core.Tests.Features;

/// <summary>A challenger that takes the champion's columns as they are recorded and builds its own, against one engine that builds them all.</summary>
public sealed class GivenColumnsTests
{
    private static readonly string[] s_champions =
    [
        """{"name":"amount","field":"amount"}""", """{"name":"frauds","entity":"shop","aggregate":"label_count","window":"5m"}""",
        """{"name":"mean","entity":"card","aggregate":"mean","of":"amount","window":"1m","current":false}""",
    ];

    private static readonly string[] s_own =
    [
        """{"name":"hour","calendar":"hour"}""", """{"name":"fee","field":"fee"}""",
        """{"name":"back","entity":"card","aggregate":"last","of":"amount","window":"1m","count":4}""",
        """{"name":"ago","entity":"card","aggregate":"time_since_last","window":"1m","count":3}""",
        """{"name":"shop_count","entity":"shop","aggregate":"count","window":"1m","filter":{"feature":"amount","op":">","value":20}}""",
        """{"name":"ratio","ratio":["amount","mean"]}""", """{"name":"difference","difference":["shop_count","frauds"]}""",
    ];

    private static readonly FeatureCatalog s_champion = TestStream.Catalog(string.Join(",", s_champions));

    // In another order than the champion's, among its own.
    private static readonly FeatureCatalog s_challenger = TestStream.Catalog(string.Join(",", [s_champions[2], s_own[0], s_champions[1], s_own[1], s_champions[0], .. s_own[2..]]));

    [Fact]
    public void GivenAndBuilt_TogetherAreTheViewsOfOneEngine_AlsoBehindLateEvents() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(80),
        Prop.ForAll(RandomStreams.Genes(120), genes =>
        {
            TestEvent[] events = RandomStreams.Events(genes);
            var labels = new TestLabels(events);
            var champion = new FeatureEngine(s_champion, labels);
            var whole = new FeatureEngine(s_challenger, labels);
            GivenColumns given = Match(s_challenger, s_champion)!;
            Assert.Equal(s_challenger.Count - s_champion.Count, given.BuiltCount);
            var beyond = new FeatureEngine(s_challenger, scope: FeatureScope.Beyond(given));
            for (int i = 0; i < events.Length; i++)
            {
                double[] said = new double[s_champion.Count], expected = new double[s_challenger.Count], view = new double[s_challenger.Count];
                bool[] late = new bool[1], expectedLate = new bool[1];
                champion.Build(TestStream.Batch(TestStream.Schema, events, i, 1), [0], said, late);
                whole.Build(TestStream.Batch(TestStream.Schema, events, i, 1), [0], expected, expectedLate);
                // As it is recorded: in the models' precision.
                for (int f = 0; f < said.Length; f++) { said[f] = (float)said[f]; }
                view.AsSpan().Fill(-77);
                given.Put([.. said.Select(v => (float)v)], view);
                beyond.Build(TestStream.Batch(TestStream.Schema, events, i, 1), [0], view, late);
                Assert.Equal(expectedLate[0], late[0]);
                // What a late event still finds of its windows depends on what else is kept of the entity; its own columns may differ.
                if (late[0]) { continue; }
                for (int f = 0; f < view.Length; f++) { Assert.True(Same((float)expected[f], (float)view[f], s_challenger.Features[f]), $"event {i}, {s_challenger.Features[f].Name}: {expected[f]} against {view[f]}"); }
            }
        }));

    [Theory]
    [InlineData("""{"name":"mean","entity":"card","aggregate":"mean","of":"amount","window":"2m","current":false}""", "something else")]
    [InlineData("""{"name":"mean","entity":"shop","aggregate":"mean","of":"amount","window":"1m","current":false}""", "something else")]
    [InlineData("""{"name":"mean","entity":"card","aggregate":"mean","of":"amount","window":"1m","current":false,"filter":{"feature":"amount","op":">","value":20}}""", "something else")]
    [InlineData("""{"name":"rate","entity":"card","aggregate":"label_rate","window":"1m"}""", "about outcomes")]
    public void NameOfTwoMeanings_AndOutcomesBeyondTheChampions_AreRefused(string feature, string why)
    {
        List<DefinitionError> errors = [];
        Assert.Null(GivenColumns.Match(TestStream.Catalog($"{s_champions[0]},{feature}"), s_champion, isPartitioned: false, "features.json", errors));
        DefinitionError error = Assert.Single(errors);
        Assert.Equal("CHALLENGER_INVALID", error.Code);
        Assert.Contains(why, error.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void EntityOfEveryPartition_IsRefusedWhereThereAreSeveral()
    {
        List<DefinitionError> errors = [];
        FeatureCatalog shops = TestStream.Catalog(s_own[4].Replace("\"feature\"", "\"field\"", StringComparison.Ordinal));
        Assert.NotNull(GivenColumns.Match(shops, s_champion, isPartitioned: false, "features.json", errors));
        Assert.Null(GivenColumns.Match(shops, s_champion, isPartitioned: true, "features.json", errors));
        Assert.Contains("shop", Assert.Single(errors).Sentence, StringComparison.Ordinal);
        Assert.NotNull(GivenColumns.Match(TestStream.Catalog(s_own[2]), s_champion, isPartitioned: true, "features.json", errors));
    }

    private static GivenColumns? Match(FeatureCatalog challenger, FeatureCatalog champion)
    {
        List<DefinitionError> errors = [];
        GivenColumns? given = GivenColumns.Match(challenger, champion, isPartitioned: false, "features.json", errors);
        Assert.Empty(errors);
        return given;
    }

    // What is derived from a given column is derived from it as it is recorded.
    private static bool Same(float expected, float actual, FeatureDefinition feature) =>
        expected.Equals(actual) || (feature.Source is FeatureSource.Ratio or FeatureSource.Difference && Math.Abs(expected - actual) <= 1e-5f * Math.Max(1, Math.Abs(expected)));
}
