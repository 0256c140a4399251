using Risk.Core.Decisions;
using Risk.Core.Features;
using Risk.Core.Models;
using Risk.Core.Transactions;

namespace Risk.Core;

/// <summary>
/// The one pinned configuration of a batch: what the stream's transactions look like, which features are built from them,
/// which model scores and which policy decides. Each part is named by its digest in every record.
/// </summary>
public sealed record StreamDefinition(StreamSchema Schema, FeatureCatalog Catalog, Policy Policy)
{
    /// <summary>
    /// Reads the three files of a stream's folder. Null when anything is wrong; then <paramref name="errors"/> names all of
    /// it. The bytes are handed in: Core reads no files.
    /// </summary>
    public static StreamDefinition? Read(ReadOnlyMemory<byte> schemaJson, ReadOnlyMemory<byte> featuresJson, ReadOnlyMemory<byte> policyJson, string folder, ICollection<DefinitionError> errors)
    {
        StreamSchema? schema = StreamSchema.Read(schemaJson.Span, $"{folder}/schema.json", out IReadOnlyList<CodedError> schemaErrors);
        foreach (CodedError error in schemaErrors) { errors.Add(new DefinitionError(error.Code.Text(), $"{folder}/schema.json", "$", error.Message)); }
        if (schema is null) { return null; }
        FeatureCatalog? catalog = FeatureCatalog.Read(featuresJson, $"{folder}/features.json", schema, errors);
        if (catalog is null) { return null; }
        return Policy.TryRead(policyJson, $"{folder}/policy.json", schema.Name, new Scope(schema, catalog), errors, out Policy? policy)
            ? new StreamDefinition(schema, catalog, policy)
            : null;
    }

    /// <summary>
    /// Whether this stream's model can be a challenger of another's: it must read the same transactions, and its columns must
    /// be the champion's or such as it can build itself. Null when <paramref name="errors"/> got at least one CHALLENGER_INVALID.
    /// </summary>
    /// <param name="isPartitioned">See <see cref="GivenColumns.Match"/>.</param>
    public GivenColumns? Challenges(StreamDefinition champion, bool isPartitioned, ICollection<DefinitionError> errors)
    {
        if (!Schema.Fields.SequenceEqual(champion.Schema.Fields, SameField.Instance) || Schema.SubjectKey != champion.Schema.SubjectKey || Schema.Grace != champion.Schema.Grace)
        {
            errors.Add(new DefinitionError("CHALLENGER_INVALID", $"{Schema.Name}/schema.json", "$.fields", $"a challenger of {champion.Schema.Name} reads its transactions: fields, subject and grace must be the same as there"));
            return null;
        }
        return GivenColumns.Match(Catalog, champion.Catalog, isPartitioned, $"{Schema.Name}/features.json", errors);
    }

    private sealed class SameField : IEqualityComparer<SchemaField>
    {
        public static SameField Instance { get; } = new();
        private static readonly IReadOnlyList<string> s_none = [];

        public bool Equals(SchemaField? x, SchemaField? y) => x is not null && y is not null && (x with { Values = s_none }) == (y with { Values = s_none }) && x.Values.SequenceEqual(y.Values);

        public int GetHashCode(SchemaField field) => field.Name.GetHashCode(StringComparison.Ordinal);
    }

    /// <summary>Policy conditions may use every number and text field and every feature.</summary>
    private sealed class Scope(StreamSchema schema, FeatureCatalog catalog) : IConditionScope
    {
        public bool TryNumberField(string name, out int index)
        {
            index = schema.TryField(name, out SchemaField field) ? field.NumberIndex : -1;
            return index >= 0;
        }

        public bool TryTextField(string name, out int index)
        {
            index = schema.TryField(name, out SchemaField field) ? field.TextIndex : -1;
            return index >= 0;
        }

        public bool TryFeature(string name, out int index) => catalog.TryFeature(name, out index);
    }
}

/// <summary>The model that decides: its name and digest, how its inputs come out of a view, and how its output becomes a probability.</summary>
/// <param name="Reference"><c>name@version</c>.</param>
/// <param name="Columns">For each model input, its index in the catalog.</param>
public sealed record ChampionModel(string Reference, Sha256Digest Digest, int[] Columns, ModelCalibration Calibration);
