using System.Globalization;

namespace Risk.Core.Tests.Features;

/// <summary>A feature as the tests declare it: the JSON for the engine and the meaning for the reference are both made from here.</summary>
internal sealed record Spec(string Aggregate, string Entity = "card")
{
    public string? Of { get; init; }
    public long Window { get; init; }
    public long Delay { get; init; }
    public bool? Current { get; init; }
    public double? Default { get; init; }
    public Filter? Filter { get; init; }
    /// <summary>Of a declaration with a count, which column this is; the first declares them all.</summary>
    public int Nth { get; init; }
    public int Count { get; init; }

    public string Name => Count == 0 ? DeclaredName : $"{DeclaredName}_{Nth}";

    private string DeclaredName => string.Concat(
        $"{Entity}_{Aggregate}_{Of}_{Window / 1000}_{Delay / 1000}_{Current}_{Default?.ToString(CultureInfo.InvariantCulture)}_{Filter?.Name}_{Count}".Where(c => char.IsAsciiLetterOrDigit(c) || c == '_'));

    public bool CountsCurrent => Current ?? Aggregate is not ("last" or "time_since_last" or "time_since_first");

    /// <summary>Null where an earlier column's declaration makes this one, too.</summary>
    public string? Json => Nth > 1 ? null : "{" + string.Join(",", new[]
    {
        $"\"name\":\"{DeclaredName}\"", Count == 0 ? null : $"\"count\":{Count}",
        $"\"aggregate\":\"{Aggregate}\"", $"\"entity\":\"{Entity}\"",
        Of is null ? null : $"\"of\":\"{Of}\"",
        Window == 0 ? null : $"\"window\":\"{Window / 1000}ms\"",
        Delay == 0 ? null : $"\"delay\":\"{Delay / 1000}ms\"",
        Current is { } current ? $"\"current\":{(current ? "true" : "false")}" : null,
        Default is { } value ? $"\"default\":{value.ToString(CultureInfo.InvariantCulture)}" : null,
        Filter is null ? null : $"\"filter\":{Filter.Json}",
    }.Where(member => member is not null)) + "}";

    public override string ToString() => Name;
}

/// <summary>A filter as JSON and as code.</summary>
internal sealed record Filter(string Name, string Json, Func<TestEvent, bool> Holds)
{
    public static readonly Filter Big = new("big", """{"field":"amount","op":">=","value":50}""", e => e.Amount >= 50);
    public static readonly Filter Home = new("home", """{"field":"country","op":"==","value":"FR"}""", e => e.Country == "FR");
    public static readonly Filter Both = new("both", """{"all":[{"field":"country","op":"==","value":"FR"},{"not":{"field":"amount","op":"<","value":20}}]}""", e => e.Country == "FR" && e.Amount >= 20);
}

/// <summary>What a feature must be, and how far from it is still right. Exact where <see cref="Tolerance"/> is 0.</summary>
internal readonly record struct Expected(double Value, double Tolerance)
{
    public bool Admits(double actual) => double.IsNaN(Value) ? double.IsNaN(actual) : Math.Abs(actual - Value) <= Tolerance;
}

/// <summary>
/// The reference: keeps every event in a plain list an entity and recomputes each feature from it. Nothing is shared with the
/// engine but the meaning.
/// </summary>
internal sealed class NaiveFeatures(IReadOnlyList<Spec> specs, long idle, long grace = TestStream.Grace, long labelDelay = TestStream.LabelDelay)
{
    private sealed class Known(TestEvent e)
    {
        public TestEvent Event { get; } = e;
        public bool Labelled { get; set; }
        public long Time => Event.Time;
    }

    private readonly Dictionary<string, List<Known>> _histories = [];
    private readonly List<(long Due, Known Event)> _waiting = [];
    private long _watermark;

    /// <summary>The next event: whether it is late, and what each feature must be; null where a late event's window reaches back to what may be forgotten.</summary>
    public (bool Late, Expected?[] View) Next(TestEvent e)
    {
        bool late = e.Time < _watermark - grace;
        _watermark = Math.Max(_watermark, e.Time);
        foreach ((_, Known due) in _waiting.Where(w => w.Due <= _watermark)) { due.Labelled = true; }
        _waiting.RemoveAll(w => w.Due <= _watermark);

        var known = new Known(e);
        var view = new Expected?[specs.Count];
        foreach (IGrouping<string, (Spec Spec, int Index)> entity in specs.Select((s, i) => (s, i)).GroupBy(s => s.s.Entity))
        {
            string? key = entity.Key switch { "card" => e.Card, "shop" => e.Shop, _ => e.Shop is null ? null : $"{e.Card}/{e.Shop}" };
            List<Known> history = key is null ? [] : History($"{entity.Key}:{key}");
            long newest = history.Count == 0 ? 0 : history.Max(h => h.Time);
            if (newest < _watermark - idle - grace || (!late && e.Time - newest > idle)) { history.Clear(); }
            long reach = entity.Max(s => s.Spec.Window == 0 ? 0 : s.Spec.Window + s.Spec.Delay);
            foreach ((Spec spec, int index) in entity)
            {
                bool complete = !late || spec.Window == 0 || e.Time - spec.Window - spec.Delay >= newest - reach - grace;
                view[index] = complete ? Value(spec, history, key is null ? null : known, e.Time) : null;
            }
            if (!late && key is not null) { history.Add(known); }
        }
        if (!late && e.Fraud) { _waiting.Add((e.KnownAt ?? e.Time + labelDelay, known)); }
        return (late, view);
    }

    private List<Known> History(string key) => _histories.TryGetValue(key, out List<Known>? history) ? history : _histories[key] = [];

    private static Expected Value(Spec spec, List<Known> history, Known? current, long now)
    {
        IEnumerable<Known> events = history;
        if (current is not null && spec.CountsCurrent) { events = events.Append(current); }
        if (spec.Window > 0) { events = events.Where(e => e.Time > now - spec.Delay - spec.Window && e.Time <= now - spec.Delay); }
        if (spec.Filter is { } filter) { events = events.Where(e => filter.Holds(e.Event)); }
        if (spec.Of == "fee") { events = events.Where(e => e.Event.Fee is not null); }
        if (spec.Of == "shop") { events = events.Where(e => e.Event.Shop is not null); }
        Known[] inside = [.. events];

        if (spec.Aggregate == "count") { return new(inside.Length, 0); }
        if (spec.Aggregate == "label_count") { return new(inside.Count(e => e.Labelled), 0); }
        if (inside.Length == 0) { return new(spec.Default ?? double.NaN, 0); }
        // Of equal times the one that arrived last is the newest: the list is in order of arrival, and sorting is stable.
        int nth = Math.Max(1, spec.Nth);
        if (inside.Length < nth) { return new(spec.Default ?? double.NaN, 0); }
        Known newest = inside.OrderBy(e => e.Time).ElementAt(inside.Length - nth);
        double[] values = [.. inside.Select(e => spec.Of == "fee" ? e.Event.Fee!.Value : e.Event.Amount)];
        double scale = 1e-9 * values.Max(Math.Abs);
        double mean = (double)(values.Sum(v => (decimal)v) / values.Length);
        return spec.Aggregate switch
        {
            "sum" => new((double)values.Sum(v => (decimal)v), scale),
            "mean" => new(mean, scale),
            "std" => new(Math.Sqrt(values.Sum(v => (v - mean) * (v - mean)) / values.Length), scale),
            "min" => new(values.Min(), 0),
            "max" => new(values.Max(), 0),
            "distinct" => new(inside.Select(e => spec.Of == "shop" ? e.Event.Shop : e.Event.Card).Distinct().Count(), 0),
            "last" => new(spec.Of == "fee" ? newest.Event.Fee!.Value : newest.Event.Amount, 0),
            "time_since_last" => new(Math.Max(0, now - newest.Time) * 1e-6, 0),
            "time_since_first" => new(Math.Max(0, now - inside.Min(e => e.Time)) * 1e-6, 0),
            "label_rate" => new((double)inside.Count(e => e.Labelled) / inside.Length, 0),
            _ => throw new ArgumentException(spec.Aggregate, nameof(spec)),
        };
    }
}
