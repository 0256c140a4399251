using System.Text.Json;

namespace Risk.Core.Transactions;

/// <summary>Reads <c>schema.json</c> and collects everything that is wrong with it. Used once.</summary>
internal sealed class StreamSchemaReader(string fileName) : SchemaMemberReader(fileName)
{
    private static readonly string[] TopMembers =
    [
        "stream", "version", "description", "fields", "subject", "unknownFields", "grace", "labels", "recorded", "amount", "model", "evaluation",
    ];

    private static readonly string[] FieldMembers =
    [
        "name", "type", "role", "required", "min", "max", "exclusiveMin", "values", "maxLength", "unicode", "separators", "cardLike", "description",
    ];

    private static readonly Dictionary<string, FieldType> Types = Enum.GetValues<FieldType>().ToDictionary(type => type.ToString().ToLowerInvariant());

    public StreamSchema? Read(ReadOnlySpan<byte> json)
    {
        if (json.Length > Limits.SchemaSizeMax)
        {
            Wrong(ErrorCode.TooLarge, $"{json.Length} bytes; a schema has at most {Limits.SchemaSizeMax}");
            return null;
        }

        Sha256Digest digest = Sha256Digest.Of(json);
        try
        {
            using JsonDocument document = JsonDocument.Parse(json.ToArray(), new JsonDocumentOptions { AllowDuplicateProperties = false, MaxDepth = 8 });
            return ReadRoot(document.RootElement, digest);
        }
        catch (JsonException exception)
        {
            Wrong(ErrorCode.ParseError, $"line {exception.LineNumber + 1}: not JSON, or a member twice: {exception.Message}");
            return null;
        }
        catch (InvalidOperationException)
        {
            Wrong(ErrorCode.ParseError, "a string holds half of a surrogate pair");
            return null;
        }
    }

    private StreamSchema? ReadRoot(JsonElement root, Sha256Digest digest)
    {
        if (root.ValueKind != JsonValueKind.Object)
        {
            Wrong("the file", "must be an object");
            return null;
        }

        RefuseUnknown(root, "the file", TopMembers);
        string? name = Text(root, "", "stream", required: true);
        if (name is not null && !IsName(name))
        {
            Wrong("stream", "must be 1 to 64 small letters, digits, dashes or underscores");
        }

        int version = Whole(root, "", "version", 1, int.MaxValue, required: true) ?? 1;
        List<SchemaField> fields = ReadFields(root);
        if (Errors.Count > 0)
        {
            return null;
        }

        var schema = new StreamSchema(fields)
        {
            Name = name!,
            Version = version,
            Description = Text(root, "", "description", required: false) ?? "",
            Digest = digest,
            SubjectKey = KeyIndex(fields, Text(root, "", "subject", required: true), "subject"),
            IgnoresUnknownFields = Choice(root, "", "unknownFields", "reject", "ignore") == "ignore",
            Grace = Duration(root, "", "grace") ?? 0,
            Labels = ReadLabels(root),
            Recorded = ReadRecorded(root),
            Amount = ReadAmount(root, fields),
            Model = Text(root, "", "model", required: false),
            Evaluation = ReadEvaluation(root, fields),
        };
        if (schema.Model is { } model && model.Split('@') is not [{ Length: > 0 }, { Length: > 0 }])
        {
            Wrong("model", "must be name@version");
        }

        return schema;
    }

    private List<SchemaField> ReadFields(JsonElement root)
    {
        var fields = new List<SchemaField>();
        if (!root.TryGetProperty("fields", out JsonElement array) || array.ValueKind != JsonValueKind.Array || array.GetArrayLength() == 0)
        {
            Wrong("fields", "must be a list with at least an id and a timestamp");
            return fields;
        }

        if (array.GetArrayLength() > Limits.FieldCountMax)
        {
            Wrong("fields", $"has {array.GetArrayLength()} entries, at most {Limits.FieldCountMax} are allowed");
            return fields;
        }

        foreach (JsonElement element in array.EnumerateArray())
        {
            if (ReadField(element, $"fields[{fields.Count}]") is not { } field)
            {
                return fields;
            }

            if (fields.Exists(other => other.Name == field.Name))
            {
                Wrong($"fields[{fields.Count}]", $"'{field.Name}' is declared twice");
            }

            fields.Add(field);
        }

        return Index(AssignRoles(fields));
    }

    private SchemaField? ReadField(JsonElement element, string place)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            Wrong(place, "must be an object with name and type");
            return null;
        }

        string? name = Text(element, place, "name", required: true);
        string? typeText = Text(element, place, "type", required: true);
        if (name is null || typeText is null)
        {
            return null;
        }

        place = $"field '{name}'";
        RefuseUnknown(element, place, FieldMembers);
        if (name.Length is 0 or > Limits.NameSizeMax || !name.All(character => char.IsAsciiLetterOrDigit(character) || character is '_' or '.' or '-'))
        {
            Wrong(place, $"a name has 1 to {Limits.NameSizeMax} letters, digits, underscores, points or dashes");
        }

        if (!Types.TryGetValue(typeText, out FieldType type))
        {
            Wrong(place, $"type must be one of {string.Join(", ", Types.Keys)}");
            return null;
        }

        var field = new SchemaField
        {
            Name = name,
            Type = type,
            Role = Choice(element, place, "role", "", "eventId", "eventTime") switch { "eventId" => FieldRole.EventId, "eventTime" => FieldRole.EventTime, _ => FieldRole.None },
            Required = Flag(element, place, "required", true),
            Min = Number(element, place, "min") ?? double.NegativeInfinity,
            Max = Number(element, place, "max") ?? double.PositiveInfinity,
            ExclusiveMin = Flag(element, place, "exclusiveMin", false),
            Values = Values(element, place),
            SizeMax = Whole(element, place, "maxLength", 1, type is FieldType.Id or FieldType.Key ? Limits.IdSizeMax : Limits.TextSizeMax, required: false)
                ?? (type is FieldType.Id or FieldType.Key or FieldType.Pan ? Limits.IdSizeMax : Limits.TextSizeMax),
            Unicode = Flag(element, place, "unicode", false),
            Separators = Flag(element, place, "separators", false),
            CardLike = Choice(element, place, "cardLike", "reject", "allow") == "allow",
        };
        CheckMembersFit(element, place, field);
        return field;
    }

    // A bound that does nothing on its type is a misunderstanding, and is said.
    private void CheckMembersFit(JsonElement element, string place, SchemaField field)
    {
        void OnlyFor(string member, bool fits, string types)
        {
            if (!fits && element.TryGetProperty(member, out _))
            {
                Wrong(place, $"{member} is for {types}");
            }
        }

        bool number = field.Type is FieldType.Number or FieldType.Integer;
        OnlyFor("min", number, "number and integer");
        OnlyFor("max", number, "number and integer");
        OnlyFor("exclusiveMin", number && double.IsFinite(field.Min), "number and integer with min");
        OnlyFor("values", field.Type is FieldType.Category or FieldType.Currency, "category and currency");
        OnlyFor("maxLength", field.Type is FieldType.Id or FieldType.Key or FieldType.Text, "id, key and text");
        OnlyFor("unicode", field.Type is FieldType.Id or FieldType.Key, "id and key");
        OnlyFor("separators", field.Type == FieldType.Pan, "pan");
        OnlyFor("cardLike", field.Type is FieldType.Id or FieldType.Key, "id and key");
        if (field.Min > field.Max || (field.ExclusiveMin && field.Min == field.Max))
        {
            Wrong(place, "min is above max: no value would be allowed");
        }

        if (field.Type == FieldType.Category && field.Values.Count == 0)
        {
            Wrong(place, "a category must list its values");
        }

        if (field.Role == FieldRole.EventId && field.Type != FieldType.Id)
        {
            Wrong(place, "role eventId is for type id");
        }

        if (field.Role == FieldRole.EventTime && field.Type != FieldType.Timestamp)
        {
            Wrong(place, "role eventTime is for type timestamp");
        }

        if (field.Role != FieldRole.None && !field.Required)
        {
            Wrong(place, "the event id and the event time are required");
        }
    }

    // The role goes without saying where there is only one field of the type.
    private List<SchemaField> AssignRoles(List<SchemaField> fields)
    {
        foreach ((FieldType type, FieldRole role, string text) in ((FieldType, FieldRole, string)[])[(FieldType.Id, FieldRole.EventId, "eventId"), (FieldType.Timestamp, FieldRole.EventTime, "eventTime")])
        {
            int having = fields.Count(field => field.Role == role);
            int ofType = fields.Count(field => field.Type == type);
            if (having == 0 && ofType == 1)
            {
                int index = fields.FindIndex(field => field.Type == type);
                fields[index] = fields[index] with { Role = role };
                if (!fields[index].Required)
                {
                    Wrong($"field '{fields[index].Name}'", "the event id and the event time are required");
                }
            }
            else if (having != 1)
            {
                Wrong("fields", $"exactly one field must have the role {text}; {having} have it and {ofType} are of its type");
            }
        }

        if (!fields.Exists(field => field.IsKey))
        {
            Wrong("fields", "at least one field must be of type key or pan: without an entity there is no history");
        }

        return fields;
    }

    private static List<SchemaField> Index(List<SchemaField> fields)
    {
        int numbers = 0, keys = 0, texts = 0;
        for (int index = 0; index < fields.Count; index++)
        {
            SchemaField field = fields[index];
            fields[index] = field with
            {
                Index = index,
                NumberIndex = field.IsNumber ? numbers++ : -1,
                KeyIndex = field.IsKey ? keys++ : -1,
                TextIndex = field.IsText ? texts++ : -1,
            };
        }

        return fields;
    }

    private LabelRule? ReadLabels(JsonElement root)
    {
        if (Section(root, "labels", ["delay", "absent", "id", "value", "knownAt"]) is not { } labels)
        {
            return null;
        }

        return new LabelRule(
            Duration(labels, "labels", "delay") ?? 0,
            Choice(labels, "labels", "absent", "negative", "unknown") == "negative",
            Text(labels, "labels", "id", required: true) ?? "",
            Text(labels, "labels", "value", required: true) ?? "",
            Text(labels, "labels", "knownAt", required: false));
    }

    private RecordedStream? ReadRecorded(JsonElement root)
    {
        if (Section(root, "recorded", ["stream", "transactions", "labels"]) is not { } recorded)
        {
            return null;
        }

        string transactions = Text(recorded, "recorded", "transactions", required: true) ?? "";
        string? labels = Text(recorded, "recorded", "labels", required: false);
        string? stream = Text(recorded, "recorded", "stream", required: false);
        foreach (string? file in (string?[])[transactions, labels, stream])
        {
            if (file is not null && (file.Contains('/') || file.Contains('\\') || file is ".." or "." or ""))
            {
                Wrong("recorded", "names files beside the schema, or beside that of the stream it names, without a path");
            }
        }

        return new RecordedStream(stream, transactions, labels);
    }

    private AmountField? ReadAmount(JsonElement root, List<SchemaField> fields)
    {
        if (Section(root, "amount", ["field", "currency"]) is not { } amount)
        {
            return null;
        }

        string? name = Text(amount, "amount", "field", required: true);
        string currency = Text(amount, "amount", "currency", required: true) ?? "";
        SchemaField? field = fields.Find(candidate => candidate.Name == name);
        if (field is not { Type: FieldType.Number or FieldType.Integer })
        {
            Wrong("amount.field", "must name a number or integer field");
        }

        if (!CurrencyCode.IsKnown(System.Text.Encoding.UTF8.GetBytes(currency)))
        {
            Wrong("amount.currency", "must be an ISO 4217 code in capitals, such as EUR");
        }

        return new AmountField(field?.NumberIndex ?? 0, currency);
    }

    private EvaluationSplit? ReadEvaluation(JsonElement root, List<SchemaField> fields)
    {
        const string Place = "evaluation";
        if (Section(root, Place, ["trainFrom", "trainTo", "testFrom", "testTo", "delay", "card", "topK"]) is not { } split)
        {
            return null;
        }

        var result = new EvaluationSplit(
            Day(split, Place, "trainFrom"), Day(split, Place, "trainTo"), Day(split, Place, "testFrom"), Day(split, Place, "testTo"),
            Duration(split, Place, "delay") ?? 0,
            KeyIndex(fields, Text(split, Place, "card", required: true), "evaluation.card"),
            Whole(split, Place, "topK", 1, 1_000_000, required: false) ?? 100);
        if (result.TrainFrom > result.TrainTo || result.TrainTo >= result.TestFrom || result.TestFrom > result.TestTo)
        {
            Wrong(Place, "the days must be in the order trainFrom, trainTo, testFrom, testTo, and the test after the training");
        }

        return result;
    }

    private int KeyIndex(List<SchemaField> fields, string? name, string place)
    {
        if (fields.Find(field => field.Name == name) is { KeyIndex: >= 0 } key)
        {
            return key.KeyIndex;
        }

        Wrong(place, $"must name a key or pan field; they are {string.Join(", ", fields.Where(field => field.IsKey).Select(field => field.Name))}");
        return 0;
    }

    private static bool IsName(string name) =>
        name.Length is > 0 and <= Limits.NameSizeMax && char.IsAsciiLetterOrDigit(name[0]) && name.All(character => char.IsAsciiLetterLower(character) || char.IsAsciiDigit(character) || character is '-' or '_');
}
