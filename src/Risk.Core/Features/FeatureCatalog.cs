using System.Security.Cryptography;
using Risk.Core.Decisions;
using Risk.Core.Transactions;

namespace Risk.Core.Features;

/// <summary>
/// The features of a stream as declared in <c>features.json</c>, validated against the stream's schema. The order of the
/// features is the order of every view, training set and model input.
/// </summary>
public sealed class FeatureCatalog
{
    private readonly Dictionary<string, int> _indexOf;

    internal FeatureCatalog(StreamSchema schema, byte[] json, TimeZoneInfo zone, IReadOnlyList<EntityDefinition> entities, IReadOnlyList<FilterDefinition> filters, IReadOnlyList<FeatureDefinition> features)
    {
        Schema = schema;
        Digest = SHA256.HashData(json);
        Zone = zone;
        Entities = entities;
        Filters = filters;
        Features = features;
        _indexOf = features.Select((f, i) => (f.Name, i)).ToDictionary(f => f.Name, f => f.i, StringComparer.Ordinal);
    }

    public StreamSchema Schema { get; }
    /// <summary>SHA-256 of the file's bytes: the catalog's name in every record.</summary>
    public byte[] Digest { get; }
    /// <summary>The zone in which calendar features read the event time.</summary>
    public TimeZoneInfo Zone { get; }
    public IReadOnlyList<EntityDefinition> Entities { get; }
    public IReadOnlyList<FilterDefinition> Filters { get; }
    public IReadOnlyList<FeatureDefinition> Features { get; }
    public int Count => Features.Count;

    /// <summary>Whether all of an entity's transactions have one subject (the card itself, a card at a merchant), so that the subject's shard has its whole history.</summary>
    public bool IsOfSubject(int entity) => Entities[entity].KeyFields.Contains(Schema.SubjectKey);

    public bool TryFeature(string name, out int index) => _indexOf.TryGetValue(name, out index);

    /// <summary>Reads and validates a catalog; null when <paramref name="errors"/> got at least one entry (CATALOG_INVALID, CATALOG_NAME_UNKNOWN, CONDITION_…).</summary>
    public static FeatureCatalog? Read(ReadOnlyMemory<byte> json, string file, StreamSchema schema, ICollection<DefinitionError> errors) =>
        new FeatureCatalogReader(file, schema, errors).Read(json);
}
