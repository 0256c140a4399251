using System.Runtime.CompilerServices;
using Risk.Core.Decisions;
using Risk.Core.Transactions;

namespace Risk.Core.Features;

/// <summary>Where a feature's value comes from.</summary>
public enum FeatureSource { Field, Calendar, Aggregate, Ratio, Difference }

/// <summary>A part of the event time, in the catalog's time zone.</summary>
public enum CalendarPart { Hour, MinuteOfDay, DayOfWeek, DayOfMonth, Month, IsWeekend, HourBetween }

/// <summary>What is computed over an entity's events.</summary>
public enum AggregateKind { Count, Sum, Mean, Std, Min, Max, Distinct, Last, TimeSinceLast, TimeSinceFirst, LabelCount, LabelRate }

/// <summary>One declared feature; exactly the members of its <see cref="Source"/> are set. Indices refer to the stream's schema and to the catalog.</summary>
public sealed record FeatureDefinition
{
    public required string Name { get; init; }
    /// <summary>What a customer could be told when this feature speaks against the transaction.</summary>
    public string Text { get; init; } = "";
    public required FeatureSource Source { get; init; }

    /// <summary>Field: index among the schema's number fields.</summary>
    public int Field { get; init; } = -1;

    public CalendarPart Calendar { get; init; }
    /// <summary>HourBetween: first and last hour, both inside.</summary>
    public int FromHour { get; init; }
    public int ToHour { get; init; }

    /// <summary>Aggregate: index among the catalog's entities.</summary>
    public int Entity { get; init; } = -1;
    public AggregateKind Aggregate { get; init; }
    /// <summary>Aggregate over a number field (index among number fields) or, for distinct, over a key field (index among key fields); -1 when it needs none.</summary>
    public int Of { get; init; } = -1;
    /// <summary>Window length in microseconds; 0 = the whole history.</summary>
    public long Window { get; init; }
    /// <summary>The window ends this many microseconds before the event.</summary>
    public long Delay { get; init; }
    /// <summary>Whether the current transaction counts.</summary>
    public bool Current { get; init; } = true;
    /// <summary>Last and time since last in a window: of which event, counted from the newest, 1 to <see cref="Limits.HistoryCountMax"/>.</summary>
    public int Nth { get; init; } = 1;
    /// <summary>Aggregate: index among the catalog's filters; -1 = every event.</summary>
    public int Filter { get; init; } = -1;

    /// <summary>Ratio and difference: the features' indices in the catalog, both lower than this feature's own.</summary>
    public int Left { get; init; } = -1;
    public int Right { get; init; } = -1;

    /// <summary>The value when there is none (no event in the window, a zero denominator); NaN = missing.</summary>
    public double Default { get; init; } = double.NaN;
}

/// <summary>An entity that owns history: its name and the schema's key fields that identify it.</summary>
public sealed record EntityDefinition(string Name, IReadOnlyList<int> KeyFields, long IdleRetention)
{
    /// <summary>The entity's key among a row's keys; default when a part of it is absent.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static EntityKey KeyOf(int[] fields, ReadOnlySpan<EntityKey> keys)
    {
        EntityKey key = keys[fields[0]];
        for (int k = 1; k < fields.Length; k++)
        {
            EntityKey next = keys[fields[k]];
            key = key == default || next == default ? default : EntityKey.Combine(key, next);
        }
        return key;
    }
}

/// <summary>A condition on the event that decides whether it counts; shared by the features that declare the same one.</summary>
public sealed record FilterDefinition(Condition Condition, string Json);
