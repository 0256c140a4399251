using YamlDotNet.RepresentationModel;

namespace Risk.Repository.Tests.Operations;

/// <summary>YAML files as dictionaries, lists and texts; merge keys (<c>&lt;&lt;</c>) resolved, own keys first.</summary>
internal static class Yaml
{
    public static IReadOnlyList<Dictionary<string, object>> Documents(string path)
    {
        using var text = new StreamReader(Checkout.FullPath(path));
        var stream = new YamlStream();
        stream.Load(text);
        return [.. stream.Documents.Select(document => (Dictionary<string, object>)Plain(document.RootNode))];
    }

    public static Dictionary<string, object> Document(string path) => Assert.Single(Documents(path));

    /// <summary>What stands at the end of the keys; null where there is nothing.</summary>
    public static object? At(this object? node, params string[] keys)
    {
        foreach (string key in keys)
        {
            node = (node as Dictionary<string, object>)?.GetValueOrDefault(key);
        }

        return node;
    }

    public static string? Text(this object? node, params string[] keys) => node.At(keys) as string;

    public static IReadOnlyList<object> List(this object? node, params string[] keys) => node.At(keys) as List<object> ?? [];

    public static Dictionary<string, object> Map(this object? node, params string[] keys) => node.At(keys) as Dictionary<string, object> ?? [];

    /// <summary>Every text below the node, with the keys to it.</summary>
    public static IEnumerable<(string Path, string Text)> Texts(object node, string path = "") => node switch
    {
        Dictionary<string, object> map => map.SelectMany(pair => Texts(pair.Value, $"{path}.{pair.Key}")),
        List<object> list => list.SelectMany((item, index) => Texts(item, $"{path}[{index}]")),
        _ => [(path, (string)node)],
    };

    private static object Plain(YamlNode node) => node switch
    {
        YamlMappingNode map => Merged(map),
        YamlSequenceNode list => list.Children.Select(Plain).ToList(),
        _ => ((YamlScalarNode)node).Value ?? "",
    };

    private static Dictionary<string, object> Merged(YamlMappingNode map)
    {
        var merged = new Dictionary<string, object>(StringComparer.Ordinal);
        foreach ((YamlNode key, YamlNode value) in map.Children)
        {
            if (Plain(key) is string name && name != "<<")
            {
                merged[name] = Plain(value);
            }
        }

        foreach (YamlNode from in map.Children.Where(pair => pair.Key is YamlScalarNode { Value: "<<" }).Select(pair => pair.Value))
        {
            foreach ((string name, object value) in Merged((YamlMappingNode)from))
            {
                merged.TryAdd(name, value);
            }
        }

        return merged;
    }
}
