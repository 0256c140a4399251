using System.Text.Json;
using Risk.Core.Decisions;
using Risk.Core.Transactions;

namespace Risk.Core.Features;

/// <summary>Reads <c>features.json</c>; every fault becomes an error that names file, feature and what is wrong.</summary>
internal sealed class FeatureCatalogReader(string file, StreamSchema schema, ICollection<DefinitionError> errors) : IConditionScope
{
    /// <summary>Whole-history state has no window that ends it; an entity idle for this long starts afresh unless it says otherwise.</summary>
    private const long IdleRetentionDefault = 400 * Micro.Day;

    private static readonly string[] s_commonMembers = ["name", "text", "default"];

    /// <summary>What a feature may be, and the members that go with it.</summary>
    private static readonly (string Source, string[] Members)[] s_sources =
    [
        ("field", ["field"]),
        ("calendar", ["calendar", "from", "to"]),
        ("aggregate", ["aggregate", "entity", "of", "window", "delay", "current", "filter", "count"]),
        ("ratio", ["ratio"]),
        ("difference", ["difference"]),
    ];

    private readonly List<EntityDefinition> _entities = [];
    private readonly List<FilterDefinition> _filters = [];
    private readonly List<FeatureDefinition> _features = [];
    private readonly HashSet<int> _statedIdle = [];
    private string _path = "$";
    private string _name = "";

    public FeatureCatalog? Read(ReadOnlyMemory<byte> json)
    {
        int before = errors.Count;
        try
        {
            using JsonDocument document = JsonDocument.Parse(json, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowDuplicateProperties = false });
            JsonElement root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object) { Fail("a catalog is an object with entities and features"); return null; }
            foreach (JsonProperty member in root.EnumerateObject())
            {
                if (member.Name is not ("version" or "description" or "timeZone" or "entities" or "features")) { Fail($"unknown member '{member.Name}'; there are version, description, timeZone, entities and features"); }
            }
            TimeZoneInfo zone = ReadZone(root);
            ReadEntities(root);
            ReadFeatures(root);
            return errors.Count > before ? null : new FeatureCatalog(schema, json.ToArray(), zone, _entities, _filters, _features);
        }
        catch (JsonException e)
        {
            Fail($"is not JSON, or names a member twice: line {e.LineNumber + 1}, byte {e.BytePositionInLine}");
            return null;
        }
    }

    private TimeZoneInfo ReadZone(JsonElement root)
    {
        if (!root.TryGetProperty("timeZone", out JsonElement zone)) { return TimeZoneInfo.Utc; }
        string? id = zone.ValueKind == JsonValueKind.String ? zone.GetString() : null;
        if (id is "UTC") { return TimeZoneInfo.Utc; }
        if (id is not null && TimeZoneInfo.TryFindSystemTimeZoneById(id, out TimeZoneInfo? found)) { return found; }
        Fail($"timeZone '{id}' is unknown here; use an IANA name such as Europe/Paris, or UTC");
        return TimeZoneInfo.Utc;
    }

    private void ReadEntities(JsonElement root)
    {
        if (!root.TryGetProperty("entities", out JsonElement entities)) { return; }
        if (entities.ValueKind != JsonValueKind.Object) { Fail("entities is an object: name to a list of key fields"); return; }
        foreach (JsonProperty entity in entities.EnumerateObject())
        {
            _path = $"$.entities.{entity.Name}";
            JsonElement keys = entity.Value;
            long retention = IdleRetentionDefault;
            if (keys.ValueKind == JsonValueKind.Object)
            {
                foreach (JsonProperty member in keys.EnumerateObject())
                {
                    if (member.Name is not ("keys" or "idle")) { Fail($"unknown member '{member.Name}'; an entity has keys and idle"); }
                }
                if (keys.TryGetProperty("idle", out JsonElement idle))
                {
                    if (!TryDuration(idle, out retention) || retention == 0) { Fail("idle is a duration such as 400d"); }
                    _statedIdle.Add(_entities.Count);
                }
                keys = keys.TryGetProperty("keys", out JsonElement inner) ? inner : default;
            }
            if (keys.ValueKind != JsonValueKind.Array || keys.GetArrayLength() == 0) { Fail("an entity is a list of at least one key field"); continue; }
            var fields = new List<int>();
            foreach (JsonElement key in keys.EnumerateArray())
            {
                string? name = key.ValueKind == JsonValueKind.String ? key.GetString() : null;
                int index = name is null ? -1 : KeyField(name);
                if (index < 0) { Fail($"'{name}' is no key field of stream '{schema.Name}'; it has {string.Join(", ", schema.KeyFields.Select(f => f.Name))}"); }
                else { fields.Add(index); }
            }
            _entities.Add(new EntityDefinition(entity.Name, fields, retention));
        }
    }

    private void ReadFeatures(JsonElement root)
    {
        _path = "$.features";
        if (!root.TryGetProperty("features", out JsonElement features) || features.ValueKind != JsonValueKind.Array || features.GetArrayLength() == 0)
        {
            Fail("a catalog needs a list of at least one feature");
            return;
        }
        if (features.GetArrayLength() > Limits.FeatureCountMax) { Fail($"has {features.GetArrayLength()} features; at most {Limits.FeatureCountMax}"); return; }
        int index = 0;
        foreach (JsonElement element in features.EnumerateArray())
        {
            _path = $"$.features[{index++}]";
            _name = "";
            if (element.ValueKind != JsonValueKind.Object) { Fail("a feature is an object"); continue; }
            if (ReadFeature(element) is { } feature) { AddColumns(feature, element); }
        }
        _name = "";
        if (_features.Count > Limits.FeatureCountMax) { Fail($"has {_features.Count} columns; at most {Limits.FeatureCountMax}"); }
        for (int entity = 0; entity < _entities.Count; entity++)
        {
            _path = $"$.entities.{_entities[entity].Name}";
            int filters = _features.Where(f => f.Entity == entity && f.Filter >= 0).Select(f => f.Filter).Distinct().Count();
            if (filters > EntityPlan.FilterCountMax) { Fail($"entity '{_entities[entity].Name}' has {filters} different filters; at most {EntityPlan.FilterCountMax}"); }
            FeatureDefinition? longest = _features.Where(f => f.Entity == entity && f.Window > 0).MaxBy(f => f.Window + f.Delay);
            if (longest is not null && _statedIdle.Contains(entity) && _entities[entity].IdleRetention < longest.Window + longest.Delay)
            {
                Fail($"entity '{_entities[entity].Name}' starts afresh before the window of feature '{longest.Name}' ends: make idle at least window and delay");
            }
        }
    }

    /// <summary>The feature, or with a count one column for each of the newest events: name_1 for the newest, name_2 for the one before it, ...</summary>
    private void AddColumns(FeatureDefinition feature, JsonElement element)
    {
        if (!element.TryGetProperty("count", out JsonElement count)) { _features.Add(feature); return; }
        for (int nth = 1; nth <= count.GetInt32(); nth++)
        {
            FeatureDefinition column = feature with { Name = $"{feature.Name}_{nth}", Nth = nth };
            if (_features.Exists(f => f.Name == column.Name)) { Fail($"its column '{column.Name}' is declared already"); }
            _features.Add(column);
        }
    }

    private FeatureDefinition? ReadFeature(JsonElement element)
    {
        _name = Text(element, "name") ?? "";
        if (_name.Length == 0 || _name.Length > Limits.FeatureNameLengthMax || !_name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_'))
        {
            return Fail($"needs a name of letters, digits and _, at most {Limits.FeatureNameLengthMax} long");
        }
        if (_features.Exists(f => f.Name == _name)) { return Fail("is declared twice"); }
        (string Source, string[] Members)[] sources = [.. s_sources.Where(s => element.TryGetProperty(s.Source, out _))];
        if (sources.Length != 1) { return Fail("needs exactly one of field, calendar, aggregate, ratio, difference"); }
        foreach (JsonProperty member in element.EnumerateObject())
        {
            if (s_commonMembers.Contains(member.Name) || sources[0].Members.Contains(member.Name)) { continue; }
            bool elsewhere = s_sources.Any(s => s.Members.Contains(member.Name));
            return Fail(elsewhere ? $"'{member.Name}' does not go with {sources[0].Source}" : $"unknown member '{member.Name}'");
        }
        double missing = double.NaN;
        if (element.TryGetProperty("default", out JsonElement given) && given.ValueKind != JsonValueKind.Null && !(given.ValueKind == JsonValueKind.Number && given.TryGetDouble(out missing) && double.IsFinite(missing)))
        {
            return Fail("default is a number, or null for missing");
        }
        FeatureDefinition? feature = sources[0].Source switch
        {
            "field" => ReadField(element),
            "calendar" => ReadCalendar(element),
            "aggregate" => ReadAggregate(element),
            string pair => ReadPair(element, pair),
        };
        return feature is null ? null : feature with { Text = Text(element, "text") ?? "", Default = missing };
    }

    private FeatureDefinition? ReadField(JsonElement element)
    {
        string? field = Text(element, "field");
        int index = NumberField(field);
        return index < 0
            ? Unknown($"'{field}' is no number field of stream '{schema.Name}'; it has {string.Join(", ", schema.NumberFields.Select(f => f.Name))}")
            : new FeatureDefinition { Name = _name, Source = FeatureSource.Field, Field = index };
    }

    private FeatureDefinition? ReadCalendar(JsonElement element)
    {
        CalendarPart? part = Text(element, "calendar") switch
        {
            "hour" => CalendarPart.Hour,
            "minute_of_day" => CalendarPart.MinuteOfDay,
            "day_of_week" => CalendarPart.DayOfWeek,
            "day_of_month" => CalendarPart.DayOfMonth,
            "month" => CalendarPart.Month,
            "is_weekend" => CalendarPart.IsWeekend,
            "hour_between" => CalendarPart.HourBetween,
            _ => null,
        };
        if (part is null) { return Fail("calendar is one of hour, minute_of_day, day_of_week, day_of_month, month, is_weekend, hour_between"); }
        int from = 0, to = 0;
        if (part != CalendarPart.HourBetween && (element.TryGetProperty("from", out _) || element.TryGetProperty("to", out _))) { return Fail("from and to go with hour_between"); }
        if (part == CalendarPart.HourBetween && !(Hour(element, "from", out from) && Hour(element, "to", out to))) { return Fail("hour_between needs from and to, hours 0 to 23, both inside"); }
        return new FeatureDefinition { Name = _name, Source = FeatureSource.Calendar, Calendar = part.Value, FromHour = from, ToHour = to };
    }

    private FeatureDefinition? ReadPair(JsonElement element, string source)
    {
        JsonElement pair = element.GetProperty(source);
        if (pair.ValueKind != JsonValueKind.Array || pair.GetArrayLength() != 2) { return Fail($"{source} names two earlier features: [left, right]"); }
        int[] sides = new int[2];
        for (int i = 0; i < 2; i++)
        {
            string? name = pair[i].ValueKind == JsonValueKind.String ? pair[i].GetString() : null;
            sides[i] = _features.FindIndex(f => f.Name == name);
            if (sides[i] < 0) { return Unknown($"'{name}' is no feature declared before this one"); }
        }
        return new FeatureDefinition { Name = _name, Source = source == "ratio" ? FeatureSource.Ratio : FeatureSource.Difference, Left = sides[0], Right = sides[1] };
    }

    private FeatureDefinition? ReadAggregate(JsonElement element)
    {
        AggregateKind? kind = Text(element, "aggregate") switch
        {
            "count" => AggregateKind.Count,
            "sum" => AggregateKind.Sum,
            "mean" => AggregateKind.Mean,
            "std" => AggregateKind.Std,
            "min" => AggregateKind.Min,
            "max" => AggregateKind.Max,
            "distinct" => AggregateKind.Distinct,
            "last" => AggregateKind.Last,
            "time_since_last" => AggregateKind.TimeSinceLast,
            "time_since_first" => AggregateKind.TimeSinceFirst,
            "label_count" => AggregateKind.LabelCount,
            "label_rate" => AggregateKind.LabelRate,
            _ => null,
        };
        if (kind is null) { return Fail("aggregate is one of count, sum, mean, std, min, max, distinct, last, time_since_last, time_since_first, label_count, label_rate"); }
        string? entityName = Text(element, "entity");
        int entity = _entities.FindIndex(e => e.Name == entityName);
        if (entity < 0) { return Unknown($"entity '{entityName}' is not declared under entities"); }

        int of = -1;
        bool needsValue = kind is AggregateKind.Sum or AggregateKind.Mean or AggregateKind.Std or AggregateKind.Min or AggregateKind.Max or AggregateKind.Last or AggregateKind.Distinct;
        string? ofName = Text(element, "of");
        if (needsValue)
        {
            of = kind == AggregateKind.Distinct ? KeyField(ofName) : NumberField(ofName);
            if (of < 0) { return Unknown($"{Text(element, "aggregate")} needs 'of': a {(kind == AggregateKind.Distinct ? "key" : "number")} field of stream '{schema.Name}', not '{ofName}'"); }
        }
        else if (ofName is not null) { return Fail($"'of' does not go with {Text(element, "aggregate")}"); }

        long window = 0, delay = 0;
        if (element.TryGetProperty("window", out JsonElement windowText) && (!TryDuration(windowText, out window) || window <= 0)) { return Fail("window is a duration such as 90s, 5m, 1h, 7d"); }
        if (element.TryGetProperty("delay", out JsonElement delayText) && (!TryDuration(delayText, out delay) || delay < 0)) { return Fail("delay is a duration such as 7d"); }
        if (window + delay > Limits.WindowMax) { return Fail($"window and delay reach back more than {Limits.WindowMax / Micro.Day} days"); }
        if (window == 0 && delay > 0) { return Fail("a delay needs a window: the whole history with a delay would keep every event for ever"); }
        if (window == 0 && kind == AggregateKind.Distinct) { return Fail("distinct needs a window: over the whole history its memory has no bound"); }

        if (element.TryGetProperty("count", out JsonElement count))
        {
            if (kind is not (AggregateKind.Last or AggregateKind.TimeSinceLast)) { return Fail("count goes with last and time_since_last: one column for each of the newest events"); }
            if (window == 0) { return Fail("count needs a window, which bounds the events that are kept"); }
            if (count.ValueKind != JsonValueKind.Number || !count.TryGetInt32(out int columns) || columns is < 1 or > Limits.HistoryCountMax) { return Fail($"count is a whole number, 1 to {Limits.HistoryCountMax}"); }
        }

        // "Last" and the times speak of the events before this one; counting it would always answer 0 or itself.
        bool ofEarlier = kind is AggregateKind.Last or AggregateKind.TimeSinceLast or AggregateKind.TimeSinceFirst;
        bool current = !ofEarlier;
        if (element.TryGetProperty("current", out JsonElement currentGiven))
        {
            if (currentGiven.ValueKind is not (JsonValueKind.True or JsonValueKind.False)) { return Fail("current is true or false"); }
            current = currentGiven.GetBoolean();
            if (current && ofEarlier) { return Fail($"{Text(element, "aggregate")} speaks of earlier events: current cannot be true"); }
        }
        int filter = -1;
        bool filtered = element.TryGetProperty("filter", out JsonElement filterGiven);
        if (of >= 0 && !(kind == AggregateKind.Distinct ? schema.KeyFields : schema.NumberFields)[of].Required)
        {
            // An event without the value is no event of this aggregate, or its NaN would stay in every sum.
            string present = $$$"""{"not":{"field":"{{{ofName}}}","op":"is_missing"}}""";
            using JsonDocument both = JsonDocument.Parse(filtered ? $$"""{"all":[{{present}},{{filterGiven.GetRawText()}}]}""" : present);
            if (!TryFilter(both.RootElement, out filter)) { return null; }
        }
        else if (filtered && !TryFilter(filterGiven, out filter)) { return null; }
        return new FeatureDefinition
        {
            Name = _name, Source = FeatureSource.Aggregate, Entity = entity, Aggregate = kind.Value, Of = of,
            Window = window, Delay = delay, Current = current, Filter = filter,
        };
    }

    private bool TryFilter(JsonElement element, out int filter)
    {
        string json = element.GetRawText();
        filter = _filters.FindIndex(f => f.Json == json);
        if (filter >= 0) { return true; }
        var faults = new List<DefinitionError>();
        if (!Condition.TryParse(element, file, $"{_path}.filter", this, faults, out Condition? condition))
        {
            foreach (DefinitionError fault in faults) { errors.Add(fault with { Sentence = $"feature '{_name}': {fault.Sentence}" }); }
            return false;
        }
        _filters.Add(new FilterDefinition(condition, json));
        filter = _filters.Count - 1;
        return true;
    }

    // A filter is answered before any aggregate is known, so of the features it may only read fields and the calendar.
    bool IConditionScope.TryFeature(string name, out int index)
    {
        index = _features.FindIndex(f => f.Name == name && f.Source is FeatureSource.Field or FeatureSource.Calendar);
        return index >= 0;
    }

    bool IConditionScope.TryNumberField(string name, out int index) => (index = NumberField(name)) >= 0;

    bool IConditionScope.TryTextField(string name, out int index) => (index = IndexOf(schema.TextFields, name)) >= 0;

    private int NumberField(string? name) => IndexOf(schema.NumberFields, name);
    private int KeyField(string? name) => IndexOf(schema.KeyFields, name);

    private static int IndexOf(IReadOnlyList<SchemaField> fields, string? name)
    {
        for (int i = 0; i < fields.Count; i++)
        {
            if (fields[i].Name == name) { return i; }
        }
        return -1;
    }

    private static string? Text(JsonElement element, string member) =>
        element.TryGetProperty(member, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static bool Hour(JsonElement element, string member, out int hour)
    {
        hour = 0;
        return element.TryGetProperty(member, out JsonElement value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out hour) && hour is >= 0 and <= 23;
    }

    private static bool TryDuration(JsonElement element, out long micros)
    {
        micros = 0;
        return element.ValueKind == JsonValueKind.String && DurationText.TryParse(element.GetString()!, out micros);
    }

    private FeatureDefinition? Fail(string sentence) => Add("CATALOG_INVALID", sentence);
    private FeatureDefinition? Unknown(string sentence) => Add("CATALOG_NAME_UNKNOWN", sentence);

    private FeatureDefinition? Add(string code, string sentence)
    {
        errors.Add(new DefinitionError(code, file, _path, _name.Length == 0 ? sentence : $"feature '{_name}': {sentence}"));
        return null;
    }
}
