namespace Risk.Core.Transactions;

/// <summary>
/// A stream's definition: which fields a transaction has, which of them name it, date it and belong to entities, how
/// labels arrive, and what is recorded and measured with it. Immutable; read by <see cref="Read"/> from
/// <c>streams/&lt;stream&gt;/schema.json</c>.
/// </summary>
public sealed class StreamSchema
{
    internal StreamSchema(IReadOnlyList<SchemaField> fields)
    {
        Fields = fields;
        NumberFields = [.. fields.Where(field => field.IsNumber)];
        KeyFields = [.. fields.Where(field => field.IsKey)];
        TextFields = [.. fields.Where(field => field.IsText)];
        EventIdField = fields.First(field => field.Role == FieldRole.EventId);
        // Only the schema of a label file has none, and never asks for it.
        EventTimeField = fields.FirstOrDefault(field => field.Role == FieldRole.EventTime)!;
    }

    /// <summary>The stream's name, such as <c>card-payments</c>.</summary>
    public required string Name { get; init; }

    /// <summary>The definition's version, from 1.</summary>
    public required int Version { get; init; }

    public string Description { get; init; } = "";

    /// <summary>All fields in declared order, which is also the order of the canonical bytes.</summary>
    public IReadOnlyList<SchemaField> Fields { get; }

    /// <summary>The columns of <see cref="TransactionBatch.Numbers"/>, in declared order.</summary>
    public IReadOnlyList<SchemaField> NumberFields { get; }

    /// <summary>The columns of <see cref="TransactionBatch.Keys"/>, in declared order.</summary>
    public IReadOnlyList<SchemaField> KeyFields { get; }

    /// <summary>The columns of <see cref="TransactionBatch.Text"/>, in declared order.</summary>
    public IReadOnlyList<SchemaField> TextFields { get; }

    public SchemaField EventIdField { get; }
    public SchemaField EventTimeField { get; }

    /// <summary>The event id's index in <see cref="TextFields"/>.</summary>
    public int EventIdText => EventIdField.TextIndex;

    /// <summary>Index in <see cref="KeyFields"/> of the entity that a decision is about; its token stands in decisions.</summary>
    public required int SubjectKey { get; init; }

    /// <summary>Fields that are not declared are passed over; otherwise they make a record <c>SCHEMA_INVALID</c>.</summary>
    public bool IgnoresUnknownFields { get; init; }

    /// <summary>How far events may be out of order, microseconds.</summary>
    public long Grace { get; init; }

    /// <summary>How outcomes arrive; null for a stream without labels.</summary>
    public LabelRule? Labels { get; init; }

    /// <summary>After how long a label counts as known where it carries no time of its own, microseconds; 0 without labels.</summary>
    public long LabelDelay => Labels?.Delay ?? 0;

    /// <summary>The amount of money at stake in a transaction; null where the stream has none.</summary>
    public AmountField? Amount { get; init; }

    /// <summary>The recorded stream's files beside the definition; null where none ships.</summary>
    public RecordedStream? Recorded { get; init; }

    /// <summary>The model that decides, as <c>name@version</c>; null where the definition leaves it to the configuration.</summary>
    public string? Model { get; init; }

    /// <summary>The split by which quality is measured; null where the stream has none.</summary>
    public EvaluationSplit? Evaluation { get; init; }

    /// <summary>SHA-256 of the definition's bytes.</summary>
    public required Sha256Digest Digest { get; init; }

    /// <summary>The field of that name; false where there is none.</summary>
    public bool TryField(string name, out SchemaField field)
    {
        foreach (SchemaField candidate in Fields)
        {
            if (candidate.Name == name)
            {
                field = candidate;
                return true;
            }
        }

        field = null!;
        return false;
    }

    /// <summary>
    /// Reads a definition. Null when anything is wrong; then <paramref name="errors"/> names everything that is, each
    /// with file and field. Unknown members are errors too: a misspelt bound must not pass for no bound.
    /// </summary>
    /// <param name="json">The bytes of the file, UTF-8.</param>
    /// <param name="fileName">Named in the errors.</param>
    public static StreamSchema? Read(ReadOnlySpan<byte> json, string fileName, out IReadOnlyList<CodedError> errors)
    {
        var reader = new StreamSchemaReader(fileName);
        StreamSchema? schema = reader.Read(json);
        errors = reader.Errors;
        return errors.Count == 0 ? schema : null;
    }
}

/// <summary>How the outcomes of a stream's transactions arrive.</summary>
/// <param name="Delay">After how long an outcome is known, microseconds.</param>
/// <param name="AbsentIsNegative">A transaction without a label is good once the delay is over; otherwise it stays unknown.</param>
/// <param name="IdField">The column that names the transaction.</param>
/// <param name="ValueField">The column with the outcome, 1 bad or 0 good.</param>
/// <param name="KnownAtField">The column with the time from which the outcome is known; null: event time plus <paramref name="Delay"/>.</param>
public sealed record LabelRule(long Delay, bool AbsentIsNegative, string IdField, string ValueField, string? KnownAtField);

/// <summary>The money of a transaction.</summary>
/// <param name="Number">Index in <see cref="StreamSchema.NumberFields"/>.</param>
/// <param name="Currency">ISO 4217.</param>
public sealed record AmountField(int Number, string Currency);

/// <summary>The files of a recorded stream, beside the definition or beside that of another one.</summary>
/// <param name="Stream">Whose recording it is, as a folder next to this one; null for the stream's own.</param>
public sealed record RecordedStream(string? Stream, string Transactions, string? Labels);

/// <summary>
/// The days on which a stream's models are measured: train on the days from <paramref name="TrainFrom"/> to
/// <paramref name="TrainTo"/>, both included and in UTC, test on those of <paramref name="TestFrom"/> to <paramref name="TestTo"/>.
/// </summary>
/// <param name="Delay">From the end of training to the start of testing at least, microseconds.</param>
/// <param name="CardKey">Index in <see cref="StreamSchema.KeyFields"/> of the card in card precision; entities known as compromised leave the test.</param>
/// <param name="TopK">Cards that can be looked at in a day.</param>
public sealed record EvaluationSplit(DateOnly TrainFrom, DateOnly TrainTo, DateOnly TestFrom, DateOnly TestTo, long Delay, int CardKey, int TopK);
