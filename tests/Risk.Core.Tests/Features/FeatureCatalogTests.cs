using System.Text;
using Risk.Core.Decisions;
using Risk.Core.Features;

namespace Risk.Core.Tests.Features;

/// <summary>Every fault of a catalog: its code, the file, where it is, and a sentence that names the feature.</summary>
public sealed class FeatureCatalogTests
{
    private const string Count = "\"name\":\"bad\",\"entity\":\"card\",\"aggregate\":\"count\"";

    // One feature after {"name":"amount","field":"amount"} | code | path | words of the sentence.
    public static TheoryData<string, string, string, string> BadFeatures => new()
    {
        { "{\"field\":\"amount\"}", "CATALOG_INVALID", "$.features[1]", "needs a name" },
        { "{\"name\":\"no spaces\",\"field\":\"amount\"}", "CATALOG_INVALID", "$.features[1]", "letters, digits and _" },
        { "{\"name\":\"" + new string('x', 65) + "\",\"field\":\"amount\"}", "CATALOG_INVALID", "$.features[1]", "at most 64" },
        { "{\"name\":\"amount\",\"field\":\"amount\"}", "CATALOG_INVALID", "$.features[1]", "feature 'amount': is declared twice" },
        { "7", "CATALOG_INVALID", "$.features[1]", "a feature is an object" },
        { "{\"name\":\"bad\"}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': needs exactly one of" },
        { "{\"name\":\"bad\",\"field\":\"amount\",\"calendar\":\"hour\"}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': needs exactly one of" },
        { "{\"name\":\"bad\",\"field\":\"amount\",\"windw\":\"7d\"}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': unknown member 'windw'" },
        { "{\"name\":\"bad\",\"field\":\"amount\",\"window\":\"7d\"}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': 'window' does not go with field" },
        { "{\"name\":\"bad\",\"ratio\":[\"amount\",\"amount\"],\"entity\":\"card\"}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': 'entity' does not go with ratio" },
        { "{\"name\":\"bad\",\"field\":\"amount\",\"default\":\"0\"}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': default is a number" },
        { "{\"name\":\"bad\",\"field\":\"card\"}", "CATALOG_NAME_UNKNOWN", "$.features[1]", "feature 'bad': 'card' is no number field of stream 'test'; it has amount, fee" },
        { "{\"name\":\"bad\",\"calendar\":\"week\"}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': calendar is one of" },
        { "{\"name\":\"bad\",\"calendar\":\"hour_between\",\"from\":22}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': hour_between needs from and to" },
        { "{\"name\":\"bad\",\"calendar\":\"hour_between\",\"from\":0,\"to\":24}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': hour_between needs from and to" },
        { "{\"name\":\"bad\",\"calendar\":\"hour\",\"from\":0}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': from and to go with hour_between" },
        { "{\"name\":\"bad\",\"ratio\":[\"amount\"]}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': ratio names two earlier features" },
        { "{\"name\":\"bad\",\"difference\":[\"amount\",\"bad\"]}", "CATALOG_NAME_UNKNOWN", "$.features[1]", "feature 'bad': 'bad' is no feature declared before this one" },
        { "{\"name\":\"bad\",\"entity\":\"card\",\"aggregate\":\"median\"}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': aggregate is one of" },
        { "{\"name\":\"bad\",\"entity\":\"account\",\"aggregate\":\"count\"}", "CATALOG_NAME_UNKNOWN", "$.features[1]", "feature 'bad': entity 'account' is not declared" },
        { "{\"name\":\"bad\",\"aggregate\":\"count\"}", "CATALOG_NAME_UNKNOWN", "$.features[1]", "feature 'bad': entity '' is not declared" },
        { "{\"name\":\"bad\",\"entity\":\"card\",\"aggregate\":\"sum\"}", "CATALOG_NAME_UNKNOWN", "$.features[1]", "feature 'bad': sum needs 'of': a number field" },
        { "{\"name\":\"bad\",\"entity\":\"card\",\"aggregate\":\"sum\",\"of\":\"country\"}", "CATALOG_NAME_UNKNOWN", "$.features[1]", "not 'country'" },
        { "{\"name\":\"bad\",\"entity\":\"card\",\"aggregate\":\"distinct\",\"of\":\"amount\",\"window\":\"1d\"}", "CATALOG_NAME_UNKNOWN", "$.features[1]", "a key field of stream 'test', not 'amount'" },
        { "{\"name\":\"bad\",\"entity\":\"card\",\"aggregate\":\"distinct\",\"of\":\"shop\"}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': distinct needs a window" },
        { "{" + Count + ",\"of\":\"amount\"}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': 'of' does not go with count" },
        { "{" + Count + ",\"window\":7}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': window is a duration" },
        { "{" + Count + ",\"window\":\"7\"}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': window is a duration" },
        { "{" + Count + ",\"window\":\"0d\"}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': window is a duration" },
        { "{" + Count + ",\"window\":\"-1d\"}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': window is a duration" },
        { "{" + Count + ",\"window\":\"1d\",\"delay\":\"1w\"}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': delay is a duration" },
        { "{" + Count + ",\"window\":\"700d\",\"delay\":\"32d\"}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': window and delay reach back more than 731 days" },
        { "{" + Count + ",\"delay\":\"7d\"}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': a delay needs a window" },
        { "{" + Count + ",\"current\":\"yes\"}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': current is true or false" },
        { "{\"name\":\"bad\",\"entity\":\"card\",\"aggregate\":\"last\",\"of\":\"amount\",\"current\":true}", "CATALOG_INVALID", "$.features[1]", "feature 'bad': last speaks of earlier events" },
        { "{" + Count + ",\"filter\":{\"field\":\"amout\",\"op\":\">\",\"value\":1}}", "CONDITION_NAME_UNKNOWN", "$.features[1].filter.field", "feature 'bad': " },
        { "{" + Count + ",\"filter\":{\"field\":\"amount\",\"op\":\"=\",\"value\":1}}", "CONDITION_INVALID", "$.features[1].filter.op", "feature 'bad': " },
        { "{" + Count + ",\"filter\":7}", "CONDITION_INVALID", "$.features[1].filter", "feature 'bad': " },
        { "{\"name\":\"n\",\"entity\":\"card\",\"aggregate\":\"count\"},{" + Count + ",\"filter\":{\"feature\":\"n\",\"op\":\">\",\"value\":1}}", "CONDITION_NAME_UNKNOWN", "$.features[2].filter.feature", "feature 'bad': " },
    };

    [Theory]
    [MemberData(nameof(BadFeatures))]
    public void BadFeature_IsNamedWithItsFault(string feature, string code, string path, string words) =>
        AssertOnly($$"""{"entities":{"card":["card"]},"features":[{"name":"amount","field":"amount"},{{feature}}]}""", code, path, words);

    public static TheoryData<string, string, string, string> BadCatalogs => new()
    {
        { "", "CATALOG_INVALID", "$", "is not JSON" },
        { "{\"features\":[", "CATALOG_INVALID", "$", "line 1" },
        { "[]", "CATALOG_INVALID", "$", "a catalog is an object" },
        { "{}", "CATALOG_INVALID", "$.features", "at least one feature" },
        { "{\"features\":[]}", "CATALOG_INVALID", "$.features", "at least one feature" },
        { "{\"features\":{}}", "CATALOG_INVALID", "$.features", "at least one feature" },
        { "{\"feature\":1,\"features\":[{\"name\":\"a\",\"field\":\"amount\"}]}", "CATALOG_INVALID", "$", "unknown member 'feature'" },
        { "{\"timeZone\":\"Mars/Olympus\",\"features\":[{\"name\":\"a\",\"field\":\"amount\"}]}", "CATALOG_INVALID", "$", "timeZone 'Mars/Olympus' is unknown" },
        { "{\"features\":[{\"name\":\"a\",\"name\":\"b\",\"field\":\"amount\"}]}", "CATALOG_INVALID", "$", "a member twice" },
        { "{\"entities\":[],\"features\":[{\"name\":\"a\",\"field\":\"amount\"}]}", "CATALOG_INVALID", "$", "entities is an object" },
        { "{\"entities\":{\"card\":\"card\"},\"features\":[{\"name\":\"a\",\"field\":\"amount\"}]}", "CATALOG_INVALID", "$.entities.card", "a list of at least one key field" },
        { "{\"entities\":{\"card\":[]},\"features\":[{\"name\":\"a\",\"field\":\"amount\"}]}", "CATALOG_INVALID", "$.entities.card", "a list of at least one key field" },
        { "{\"entities\":{\"card\":[\"amount\"]},\"features\":[{\"name\":\"a\",\"field\":\"amount\"}]}", "CATALOG_INVALID", "$.entities.card", "'amount' is no key field of stream 'test'; it has card, shop" },
        { "{\"entities\":{\"card\":{\"keys\":[\"card\"],\"idel\":\"1d\"}},\"features\":[{\"name\":\"a\",\"field\":\"amount\"}]}", "CATALOG_INVALID", "$.entities.card", "unknown member 'idel'" },
        { "{\"entities\":{\"card\":{\"keys\":[\"card\"],\"idle\":\"0d\"}},\"features\":[{\"name\":\"a\",\"field\":\"amount\"}]}", "CATALOG_INVALID", "$.entities.card", "idle is a duration" },
        { "{\"entities\":{\"card\":{\"keys\":[\"card\"],\"idle\":\"8d\"}},\"features\":[{\"name\":\"a\",\"entity\":\"card\",\"aggregate\":\"count\",\"window\":\"7d\",\"delay\":\"2d\"}]}", "CATALOG_INVALID", "$.entities.card", "the window of feature 'a'" },
        { "{\"entities\":{\"card\":[\"card\"]},\"features\":[" + string.Join(",", Enumerable.Range(0, 10).Select(i => $"{{\"name\":\"f{i}\",\"entity\":\"card\",\"aggregate\":\"count\",\"filter\":{{\"field\":\"amount\",\"op\":\">\",\"value\":{i}}}}}")) + "]}", "CATALOG_INVALID", "$.entities.card", "10 different filters; at most 9" },
        { "{\"features\":[" + string.Join(",", Enumerable.Range(0, 513).Select(i => $"{{\"name\":\"f{i}\",\"field\":\"amount\"}}")) + "]}", "CATALOG_INVALID", "$.features", "513 features; at most 512" },
        { "{\"entities\":{\"card\":[\"card\"]},\"features\":[" + string.Join(",", Enumerable.Range(0, 9).Select(i => $"{{\"name\":\"f{i}\",\"entity\":\"card\",\"aggregate\":\"time_since_last\",\"window\":\"7d\",\"count\":64}}")) + "]}", "CATALOG_INVALID", "$.features[8]", "576 columns; at most 512" },
        { Counted("last", "\"of\":\"amount\",\"count\":3"), "CATALOG_INVALID", "$.features[0]", "count needs a window" },
        { Counted("max", "\"of\":\"amount\",\"window\":\"7d\",\"count\":3"), "CATALOG_INVALID", "$.features[0]", "count goes with last and time_since_last" },
        { Counted("last", "\"of\":\"amount\",\"window\":\"7d\",\"count\":65"), "CATALOG_INVALID", "$.features[0]", "1 to 64" },
        { Counted("last", "\"of\":\"amount\",\"window\":\"7d\",\"count\":2.5"), "CATALOG_INVALID", "$.features[0]", "a whole number" },
        { Counted("last", "\"of\":\"amount\",\"window\":\"7d\",\"count\":2},{\"name\":\"a_2\",\"field\":\"amount\""), "CATALOG_INVALID", "$.features[1]", "declared twice" },
    };

    [Theory]
    [MemberData(nameof(BadCatalogs))]
    public void BadCatalog_IsNamedWithItsFault(string json, string code, string path, string words) => AssertOnly(json, code, path, words);

    private static string Counted(string aggregate, string members) =>
        "{\"entities\":{\"card\":[\"card\"]},\"features\":[{\"name\":\"a\",\"entity\":\"card\",\"aggregate\":\"" + aggregate + "\"," + members + "}]}";

    [Fact]
    public void EveryFault_IsReportedAtOnce()
    {
        var errors = new List<DefinitionError>();
        string json = """{"entities":{"card":["crad"]},"features":[{"name":"a","field":"x"},{"name":"b","calendar":"y"}]}""";
        Assert.Null(FeatureCatalog.Read(Encoding.UTF8.GetBytes(json), "f.json", TestStream.Schema, errors));
        Assert.Equal(["$.entities.card", "$.features[0]", "$.features[1]"], errors.Select(e => e.Path));
    }

    [Fact]
    public void GoodCatalog_KeepsTheOrderNamesTextsAndDigest()
    {
        FeatureCatalog catalog = TestStream.Catalog("""{"name":"b","field":"amount","text":"The amount"},{"name":"a","calendar":"hour"}""");
        Assert.Equal(["b", "a"], catalog.Features.Select(f => f.Name));
        Assert.Equal("The amount", catalog.Features[0].Text);
        Assert.True(catalog.TryFeature("a", out int index) && index == 1);
        Assert.False(catalog.TryFeature("c", out _));
        Assert.Equal(32, catalog.Digest.Length);
        Assert.NotEqual(catalog.Digest, TestStream.Catalog("""{"name":"b","field":"amount","text":"The Amount"},{"name":"a","calendar":"hour"}""").Digest);
    }

    private static void AssertOnly(string json, string code, string path, string words)
    {
        var errors = new List<DefinitionError>();
        FeatureCatalog? catalog = FeatureCatalog.Read(Encoding.UTF8.GetBytes(json), "streams/test/features.json", TestStream.Schema, errors);
        Assert.Null(catalog);
        DefinitionError error = Assert.Single(errors);
        Assert.Equal((code, "streams/test/features.json"), (error.Code, error.File));
        Assert.Equal(path, error.Path);
        Assert.Contains(words, error.Sentence, StringComparison.Ordinal);
    }
}
