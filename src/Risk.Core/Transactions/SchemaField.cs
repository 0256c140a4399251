namespace Risk.Core.Transactions;

/// <summary>What a field holds. Which codes a wrong value gets is said with each.</summary>
public enum FieldType : byte
{
    /// <summary>The event id, or with another role any identifier that is no entity. <c>ID_INVALID</c>.</summary>
    Id,
    /// <summary>ISO 8601 with a zone. <c>TS_INVALID</c>, <c>TS_FUTURE</c>.</summary>
    Timestamp,
    /// <summary>The identifier of an entity. <c>ID_INVALID</c>.</summary>
    Key,
    /// <summary>A card number; becomes a token while it is parsed. <c>ID_INVALID</c>.</summary>
    Pan,
    /// <summary>A decimal number, held as the nearest double. <c>NUMBER_INVALID</c>, <c>VALUE_RANGE</c>.</summary>
    Number,
    /// <summary>A whole number below 2⁵³. <c>NUMBER_INVALID</c>, <c>VALUE_RANGE</c>.</summary>
    Integer,
    /// <summary><c>true</c>, <c>false</c>, <c>1</c> or <c>0</c>; the number 0 or 1. <c>VALUE_RANGE</c>.</summary>
    Boolean,
    /// <summary>One of the declared values. <c>VALUE_RANGE</c>.</summary>
    Category,
    /// <summary>An ISO 4217 code in capitals. <c>VALUE_RANGE</c>.</summary>
    Currency,
    /// <summary>Free text. <c>VALUE_RANGE</c> when too long.</summary>
    Text,
}

/// <summary>What a field is to the engine beyond its value.</summary>
public enum FieldRole : byte { None, EventId, EventTime }

/// <summary>One field of a stream, as declared in <c>schema.json</c>. Immutable.</summary>
public sealed record SchemaField
{
    public required string Name { get; init; }
    public required FieldType Type { get; init; }
    public FieldRole Role { get; init; }

    /// <summary>A record without it is <c>SCHEMA_INVALID</c>. Absent: <see cref="double.NaN"/> as a number, empty as a text, the default key.</summary>
    public bool Required { get; init; } = true;

    /// <summary>Smallest allowed number, −∞ where there is none; itself not allowed when <see cref="ExclusiveMin"/>.</summary>
    public double Min { get; init; } = double.NegativeInfinity;

    /// <summary>Largest allowed number, itself allowed; +∞ where there is none.</summary>
    public double Max { get; init; } = double.PositiveInfinity;

    public bool ExclusiveMin { get; init; }

    /// <summary>The values of a category (or the currencies that are taken); empty where any is.</summary>
    public IReadOnlyList<string> Values { get; init; } = [];

    /// <summary>Bytes of a text value at most.</summary>
    public int SizeMax { get; init; } = Limits.TextSizeMax;

    /// <summary>Ids and keys: letters of other scripts are allowed (see <see cref="Identifier"/>); otherwise printable ASCII.</summary>
    public bool Unicode { get; init; }

    /// <summary>Card numbers: spaces and dashes between digits are taken out.</summary>
    public bool Separators { get; init; }

    /// <summary>Ids and keys: values that look like a card number are none here (a stream whose ids are 13 to 19 digits long).</summary>
    public bool CardLike { get; init; }

    /// <summary>Index in <see cref="StreamSchema.Fields"/>.</summary>
    public int Index { get; init; }

    /// <summary>Index in <see cref="StreamSchema.NumberFields"/>, −1 where it is none.</summary>
    public int NumberIndex { get; init; } = -1;

    /// <summary>Index in <see cref="StreamSchema.KeyFields"/>, −1 where it is none.</summary>
    public int KeyIndex { get; init; } = -1;

    /// <summary>Index in <see cref="StreamSchema.TextFields"/>, −1 where it is none.</summary>
    public int TextIndex { get; init; } = -1;

    /// <summary>Its value is in <see cref="TransactionBatch.Numbers"/>; a timestamp that is not the event time counts as microseconds there.</summary>
    public bool IsNumber => Type is FieldType.Number or FieldType.Integer or FieldType.Boolean || (Type == FieldType.Timestamp && Role != FieldRole.EventTime);

    /// <summary>Its hash is in <see cref="TransactionBatch.Keys"/>.</summary>
    public bool IsKey => Type is FieldType.Key or FieldType.Pan;

    /// <summary>Its bytes are in <see cref="TransactionBatch.Text"/>.</summary>
    public bool IsText => Type is FieldType.Id or FieldType.Key or FieldType.Pan or FieldType.Category or FieldType.Currency or FieldType.Text;
}
