using System.Runtime.CompilerServices;
using Risk.Core.Transactions;

namespace Risk.Core.Features;

/// <summary>
/// How one entity's history is laid out and what is read from it: the compiled form of all catalog features of one entity.
/// A state record is a row of 8-byte words: the key, a header, then one group per distinct (window, delay, filter), each with its parts.
/// </summary>
internal sealed class EntityPlan
{
    /// <summary>The entity's key, which <see cref="EntityTable"/> writes.</summary>
    public const int KeyWords = 2;
    /// <summary>Newest and oldest event time (microseconds); 0 = no event yet. The newest is <see cref="EntityTable.LastTimeWord"/>.</summary>
    public const int LastTime = 2, FirstTime = 3;
    /// <summary>Ring of the events that windows still need: pointer, capacity in events, first and end index (two uint32, wrapping).</summary>
    public const int RingPointer = 4, RingCapacity = 5, RingBounds = 6;
    private const int HeaderWords = 7;

    public required int Entity { get; init; }
    public required int[] KeyFields { get; init; }
    public required Group[] Groups { get; init; }
    public required Emission[] Before { get; init; }
    public required Emission[] After { get; init; }
    public required int RecordWords { get; init; }
    /// <summary>Words of one event in the ring: time and flags, the number fields, the distinct keys. 0 = no window needs events.</summary>
    public required int EventWords { get; init; }
    public required int[] EventNumbers { get; init; }
    public required int[] EventKeys { get; init; }
    /// <summary>Catalog filters that this entity's groups use; bit i of an event's flags (from bit 1; bit 0 is the label) tells whether filter i holds.</summary>
    public required int[] Filters { get; init; }
    /// <summary>How far back any window reaches, microseconds.</summary>
    public required long Horizon { get; init; }
    /// <summary>An entity without events for this long starts afresh, microseconds; never shorter than its windows and the grace reach, so that starting afresh takes nothing from a window.</summary>
    public required long IdleRetention { get; init; }
    public required bool HasLabels { get; init; }

    /// <summary>Bits of word 0 of a ring event below its time: bit 0 label, bits 1..9 filters. The latest event time (2200) in microseconds has 53 bits.</summary>
    public const int FlagBits = 10;
    public const int FilterCountMax = FlagBits - 1;
    public const long LabelFlag = 1;

    /// <summary>The distinct (window, delay, filter) and its running aggregates. Offsets are words in the record.</summary>
    internal sealed class Group
    {
        public required long Window { get; init; }
        public required long Delay { get; init; }
        public required long FilterFlag { get; init; }
        public required int Offset { get; init; }
        public required Part[] Parts { get; init; }
        public bool Finite => Window > 0;
        /// <summary>Words before the parts.</summary>
        public int Words => !Finite ? HistoryWords : Delay > 0 ? DelayedWords : FiniteWords;
    }

    /// <summary>Words of a group. Finite windows: bounds in the ring (start, end), next exit time, counts, and with a delay the next entry time. Whole history: counts, last, first time.</summary>
    public const int Bounds = 0, NextLeave = 1, FiniteCounts = 2, NextEnter = 3, FiniteWords = 3, DelayedWords = 4;
    public const int HistoryCounts = 0, HistoryLast = 1, HistoryFirst = 2, HistoryWords = 3;

    public enum PartKind { Sum, SumOfSquares, Min, Max, Distinct, Last }

    /// <summary>One running aggregate. <see cref="EventWord"/>: where the value stands in a ring event.</summary>
    internal readonly record struct Part(PartKind Kind, int EventWord, int Offset);

    /// <summary>Sums are double-doubles (2 words); sliding extremes are queues (pointer, bounds, capacity); distinct counters pointer and sizes.</summary>
    public static int PartWords(PartKind kind, bool finite) => kind switch
    {
        PartKind.Sum or PartKind.SumOfSquares => 2,
        PartKind.Min or PartKind.Max => finite ? 3 : 1,
        PartKind.Distinct => 2,
        _ => 1,
    };

    /// <summary>One feature to write: from which words, to which place of the view.</summary>
    internal readonly record struct Emission(AggregateKind Kind, Group Group, int Counts, int Part, int SecondPart, int EventWord, int Nth, int Output, double Default);

    /// <summary>The entity's key among a row's keys; default when a part of it is absent.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public EntityKey KeyOf(ReadOnlySpan<EntityKey> keys) => EntityDefinition.KeyOf(KeyFields, keys);

    /// <summary>Compiles the features of one entity; <paramref name="features"/> pairs each with its place in the view.</summary>
    public static EntityPlan Compile(int entity, EntityDefinition definition, IReadOnlyList<(FeatureDefinition Feature, int Output)> features, long grace)
    {
        int[] numbers = [.. features.Where(f => f.Feature.Of >= 0 && f.Feature.Aggregate != AggregateKind.Distinct).Select(f => f.Feature.Of).Distinct().Order()];
        int[] keys = [.. features.Where(f => f.Feature.Aggregate == AggregateKind.Distinct).Select(f => f.Feature.Of).Distinct().Order()];
        int[] filters = [.. features.Where(f => f.Feature.Filter >= 0).Select(f => f.Feature.Filter).Distinct().Order()];
        bool finite = features.Any(f => f.Feature.Window > 0);
        long horizon = features.Max(f => f.Feature.Window > 0 ? f.Feature.Window + f.Feature.Delay : 0);

        int offset = HeaderWords;
        var groups = new List<Group>();
        var groupOf = new Dictionary<(long, long, int), Group>();
        foreach (IGrouping<(long Window, long Delay, int Filter), FeatureDefinition> same in features
            .Select(f => f.Feature).GroupBy(f => (f.Window, f.Delay, f.Filter)))
        {
            int groupOffset = offset;
            offset += same.Key.Window == 0 ? HistoryWords : same.Key.Delay > 0 ? DelayedWords : FiniteWords;
            var parts = new List<Part>();
            foreach ((PartKind kind, int of) in same.SelectMany(PartsOf).Distinct())
            {
                int eventWord = 1 + (kind == PartKind.Distinct ? numbers.Length + Array.IndexOf(keys, of) : Array.IndexOf(numbers, of));
                parts.Add(new Part(kind, eventWord, offset));
                offset += PartWords(kind, same.Key.Window > 0);
            }
            var group = new Group
            {
                Window = same.Key.Window,
                Delay = same.Key.Delay,
                FilterFlag = same.Key.Filter < 0 ? 0 : 1L << (1 + Array.IndexOf(filters, same.Key.Filter)),
                Offset = groupOffset,
                Parts = [.. parts],
            };
            groups.Add(group);
            groupOf[same.Key] = group;
        }

        Emission Emit((FeatureDefinition Feature, int Output) f)
        {
            Group group = groupOf[(f.Feature.Window, f.Feature.Delay, f.Feature.Filter)];
            int eventWord = f.Feature.Of < 0 ? 0 : 1 + (f.Feature.Aggregate == AggregateKind.Distinct ? numbers.Length + Array.IndexOf(keys, f.Feature.Of) : Array.IndexOf(numbers, f.Feature.Of));
            (PartKind, int)[] kinds = [.. PartsOf(f.Feature)];
            int Place(int i) => i < kinds.Length ? group.Parts.Single(p => p.Kind == kinds[i].Item1 && p.EventWord == eventWord).Offset : -1;
            return new Emission(f.Feature.Aggregate, group, group.Offset + (group.Finite ? FiniteCounts : HistoryCounts), Place(0), Place(1), eventWord, f.Feature.Nth, f.Output, f.Feature.Default);
        }

        return new EntityPlan
        {
            Entity = entity,
            KeyFields = [.. definition.KeyFields],
            Groups = [.. groups],
            Before = [.. features.Where(f => !f.Feature.Current).Select(Emit)],
            After = [.. features.Where(f => f.Feature.Current).Select(Emit)],
            RecordWords = offset,
            EventWords = finite ? 1 + numbers.Length + keys.Length : 0,
            EventNumbers = numbers,
            EventKeys = keys,
            Filters = filters,
            Horizon = horizon,
            IdleRetention = Math.Max(definition.IdleRetention, horizon + grace),
            HasLabels = features.Any(f => f.Feature.Aggregate is AggregateKind.LabelCount or AggregateKind.LabelRate),
        };
    }

    private static IEnumerable<(PartKind Kind, int Of)> PartsOf(FeatureDefinition feature) => feature.Aggregate switch
    {
        AggregateKind.Sum or AggregateKind.Mean => [(PartKind.Sum, feature.Of)],
        AggregateKind.Std => [(PartKind.Sum, feature.Of), (PartKind.SumOfSquares, feature.Of)],
        AggregateKind.Min => [(PartKind.Min, feature.Of)],
        AggregateKind.Max => [(PartKind.Max, feature.Of)],
        AggregateKind.Distinct => [(PartKind.Distinct, feature.Of)],
        AggregateKind.Last when feature.Window == 0 => [(PartKind.Last, feature.Of)],
        _ => [],
    };
}
