using Risk.Core.Decisions;

namespace Risk.Core.Features;

/// <summary>
/// The columns of a challenger's catalog that the champion's views tell already: a challenger takes them as they stand in the
/// champion's record, so both models see the same numbers, and builds the others only. Immutable.
/// </summary>
public sealed class GivenColumns
{
    private const string Code = "CHALLENGER_INVALID";

    private readonly int[] _source; // by feature of the challenger's catalog: its index in the champion's, or -1

    private GivenColumns(int[] source) => _source = source;

    /// <summary>Columns that the challenger builds itself.</summary>
    public int BuiltCount => _source.Count(source => source < 0);

    /// <summary>
    /// Matches the columns by name. Null when a name means one thing here and another there, or when a column beyond the
    /// champion's needs what a challenger does not have: outcomes, or the history of an entity that has its owner elsewhere.
    /// </summary>
    /// <param name="isPartitioned">The stream is cut into partitions, so each has the subjects' history only.</param>
    /// <param name="file">Of the challenger's catalog, for the errors.</param>
    public static GivenColumns? Match(FeatureCatalog challenger, FeatureCatalog champion, bool isPartitioned, string file, ICollection<DefinitionError> errors)
    {
        int before = errors.Count;
        int[] source = new int[challenger.Count];
        for (int i = 0; i < source.Length; i++)
        {
            FeatureDefinition feature = challenger.Features[i];
            source[i] = champion.TryFeature(feature.Name, out int index) ? index : -1;
            string? fault = source[i] >= 0
                ? AreSame(challenger, feature, champion, champion.Features[index]) ? null : "is something else in the champion's catalog: give it a name of its own"
                : feature.Source != FeatureSource.Aggregate ? null
                : feature.Aggregate is AggregateKind.LabelCount or AggregateKind.LabelRate ? "is about outcomes, which are the champion's to learn: put it into the champion's catalog"
                : isPartitioned && !challenger.IsOfSubject(feature.Entity) ? $"is about {challenger.Entities[feature.Entity].Name}, whose history is spread over the partitions: put it into the champion's catalog"
                : null;
            if (fault is not null) { errors.Add(new DefinitionError(Code, file, $"$.features[{feature.Name}]", fault)); }
        }
        return errors.Count == before ? new GivenColumns(source) : null;
    }

    internal bool Has(int feature) => _source[feature] >= 0;

    /// <summary>Puts a view of the champion into one of the challenger. Shapes: [champion's count], [challenger's count].</summary>
    internal void Put(ReadOnlySpan<float> champion, Span<double> view)
    {
        for (int i = 0; i < _source.Length; i++)
        {
            if (_source[i] >= 0) { view[i] = champion[_source[i]]; }
        }
    }

    // What a feature refers to by its place (entities, filters, features) is compared by what it is.
    private static bool AreSame(FeatureCatalog a, FeatureDefinition x, FeatureCatalog b, FeatureDefinition y) =>
        Plain(x) == Plain(y)
        && (x.Entity < 0 || AreSame(a.Entities[x.Entity], b.Entities[y.Entity]))
        && (x.Filter < 0 ? y.Filter < 0 : y.Filter >= 0 && a.Filters[x.Filter].Json == b.Filters[y.Filter].Json)
        && NameAt(a, x.Left) == NameAt(b, y.Left) && NameAt(a, x.Right) == NameAt(b, y.Right)
        && (x.Source != FeatureSource.Calendar || a.Zone.Equals(b.Zone));

    private static bool AreSame(EntityDefinition x, EntityDefinition y) => x.Name == y.Name && x.IdleRetention == y.IdleRetention && x.KeyFields.SequenceEqual(y.KeyFields);

    private static FeatureDefinition Plain(FeatureDefinition feature) => feature with { Text = "", Entity = Math.Min(feature.Entity, 0), Filter = -1, Left = -1, Right = -1 };

    private static string NameAt(FeatureCatalog catalog, int feature) => feature < 0 ? "" : catalog.Features[feature].Name;
}
