using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Risk.Service.Serving;

namespace Risk.EndToEnd.Tests.Serve;

/// <summary>The configurations of ops/ are ones that <c>risk serve</c> takes, and one of them has every setting.</summary>
public sealed class ShippedConfigurationTests
{
    private const string Full = "ops/config/serve.json";

    [Theory]
    [InlineData("ops/config/serve.minimal.json", false, false)]
    [InlineData(Full, true, true)]
    [InlineData("ops/config/cluster.json", true, false)]
    [InlineData("ops/kubernetes/embedded/config.yaml", true, true)]
    [InlineData("ops/kubernetes/cluster/config.yaml", true, false)]
    public void EverySetting_IsOneThatServeKnows(string path, bool hasKafka, bool isAdvertised)
    {
        // As ops/docker/serve does.
        var configuration = ServeConfiguration.Read(Encoding.UTF8.GetBytes(Text(path).Replace("@RISK_ADVERTISE@", "http://serve-1:8080", StringComparison.Ordinal)), out string? fault);

        Assert.True(configuration is not null, $"{path}: {fault}");
        Assert.True(!hasKafka || configuration.Kafka is { GroupId: "risk", Partitions: 12 });
        Assert.Equal(isAdvertised ? "http://serve-1:8080" : null, configuration.Advertise);
    }

    [Fact]
    public void TheFullConfiguration_HasEverySettingInItsPlace_ThoughSomeAsComments()
    {
        string text = Text(Full);
        string[] missing = [.. Missing(typeof(ServeConfiguration), text[(text.IndexOf('{', StringComparison.Ordinal) + 1)..text.LastIndexOf('}')], "$")];

        Assert.True(missing.Length == 0, $"{Full} lacks {string.Join(", ", missing)}");
    }

    [Theory]
    [InlineData("""{ "streem": "x" }""", "$.streem: it is not a setting; see ops/config/serve.json")]
    [InlineData("""{ "kafka": { "group": "x" } }""", "$.kafka.group: it is not a setting; see ops/config/serve.json")]
    [InlineData("""{ "batch": { "sizeMax": "many" } }""", "$.batch.sizeMax: it must be a whole number, at most 2147483647")]
    [InlineData("""{ "batch": null }""", "$.batch: it must not be null; leave it out for its default")]
    [InlineData("""{ "store": "files" }""", "$.store: it must be an object in braces, with settings of its own")]
    [InlineData("""{ "kafka": { "partitions": 0 } }""", "$.kafka.partitions: it must be 1 to 10000")]
    [InlineData("""{ "kafka": { "replicas": 0 } }""", "$.kafka.replicas: it must be 1 or more, or -1 for the brokers' own default")]
    [InlineData("""{ "kafka": { "replicas": 100000 } }""", "$.kafka.replicas: it must be a whole number, at most 32767")]
    [InlineData("""{ "kafka": { "groupId": "" } }""", "$.kafka.groupId: it must not be empty")]
    [InlineData("""{ "kafka": { "decisions": "my decisions" } }""", "$.kafka.decisions: it must be a topic's name, 1 to 249 letters, digits, dots, underscores and hyphens")]
    [InlineData("""{ "kafka": { "labels": "one", "decisions": "one" } }""", "$.kafka.decisions: another topic of the stream has this name already")]
    [InlineData("""{ "advertise": "serve-1:8080" }""", "$.advertise: it must be an address such as http://10.0.0.7:8080")]
    [InlineData("""{ "idleAfterSeconds": 1e300 }""", "$.idleAfterSeconds: it must be above 0, at most 31536000")]
    public void AWrongSetting_IsNamed_WithWhatBelongsThere(string json, string fault)
    {
        Assert.Null(ServeConfiguration.Read(Encoding.UTF8.GetBytes(json), out string? told));
        Assert.Equal(fault, told);
    }

    /// <summary>Paths of the settings of a type that do not stand in the text of its object.</summary>
    private static IEnumerable<string> Missing(Type type, string text, string path)
    {
        foreach (PropertyInfo property in type.GetProperties(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic).Where(IsSetting))
        {
            string name = property.GetCustomAttribute<JsonPropertyNameAttribute>()?.Name ?? JsonNamingPolicy.CamelCase.ConvertName(property.Name);
            string at = $"{path}.{name}";
            int place = text.IndexOf($"\"{name}\":", StringComparison.Ordinal);
            if (place < 0) { yield return at; }
            else if (property.PropertyType.Namespace == typeof(ServeConfiguration).Namespace)
            {
                foreach (string missing in Missing(property.PropertyType, Braced(text[place..]), at)) { yield return missing; }
            }
        }
    }

    private static bool IsSetting(PropertyInfo property) =>
        property.Name != "EqualityContract" && property.GetCustomAttribute<JsonIgnoreAttribute>() is null && (property.GetMethod!.IsPublic || property.GetCustomAttribute<JsonIncludeAttribute>() is not null);

    // What stands between the first brace and its partner.
    private static string Braced(string text)
    {
        int from = text.IndexOf('{', StringComparison.Ordinal), depth = 0;
        for (int i = from; i < text.Length; i++)
        {
            depth += text[i] switch { '{' => 1, '}' => -1, _ => 0 };
            if (depth == 0) { return text[(from + 1)..i]; }
        }
        throw new InvalidDataException("a brace has no partner");
    }

    // A config map holds the text in a block, indented.
    private static string Text(string path)
    {
        string text = File.ReadAllText(Path.Combine(RiskProcess.Home, path));
        return text[text.IndexOf('{', text.IndexOf("data:", StringComparison.Ordinal) is >= 0 and var data ? data : 0)..];
    }
}
