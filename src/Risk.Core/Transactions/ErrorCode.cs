namespace Risk.Core.Transactions;

/// <summary>
/// The stable codes of everything that can be wrong, one a fault. The number of an input code is its precedence: of
/// several faults in one record the lowest is reported, and of two equal ones the field that the schema names first.
/// So the code of a record does not depend on the order of its columns or on how it was read.
/// </summary>
public enum ErrorCode : byte
{
    /// <summary>Nothing is wrong.</summary>
    None = 0,

    // A record, in order of precedence: can it be read, has it the right shape, is it allowed, is each value right.
    /// <summary>Record, nesting or decompressed size over its bound (<see cref="Limits"/>); decided before parsing.</summary>
    TooLarge = 1,
    /// <summary>Truncated, not UTF-8, NUL, byte order mark, lone surrogate, or not CSV/JSON at all.</summary>
    ParseError = 2,
    /// <summary>Duplicate, unknown or missing field, or a value of another type than declared.</summary>
    SchemaInvalid = 3,
    /// <summary>A card number where none may be.</summary>
    PanForbidden = 4,
    /// <summary>An id, key or card number that is empty, too long, or has characters that are not allowed.</summary>
    IdInvalid = 5,
    /// <summary>Not a timestamp with a zone, or before 1971.</summary>
    TsInvalid = 6,
    /// <summary>Not a finite decimal number within bounds; −0.</summary>
    NumberInvalid = 7,
    /// <summary>A good value outside what the schema allows (minimum, maximum, category, currency, length).</summary>
    ValueRange = 8,
    /// <summary>Further ahead than <see cref="Limits.EventTimeAheadMax"/>.</summary>
    TsFuture = 9,

    // A record that could be read, against what came before it.
    /// <summary>An id that is known with another payload; the first decision stands.</summary>
    IdConflict = 16,
    /// <summary>An id that is known with the same payload; the stored decision is the answer.</summary>
    DupSame = 17,
    /// <summary>Later than the grace period; decided, marked.</summary>
    Late = 18,

    // A source.
    /// <summary>The source does not exist.</summary>
    SourceNotFound = 32,
    /// <summary>The source is there but cannot be read (a directory, no permission, an I/O error).</summary>
    SourceUnreadable = 33,
    /// <summary>The source holds no record.</summary>
    SourceEmpty = 34,
    /// <summary>A gap in the sequence of a source.</summary>
    SourceGap = 35,
    /// <summary>The offset to go on from is no longer there.</summary>
    OffsetGap = 36,
    /// <summary>The continued source is not the one that was begun.</summary>
    SourceChanged = 37,
    /// <summary>The offset from which labels go on is no longer there; what is there is read.</summary>
    LabelGap = 38,

    // Log, ownership, models, proofs.
    RecoveredTail = 48,
    LogRollback = 49,
    Fenced = 50,
    ModelUntrusted = 51,
    ModelUnsupported = 52,
    ModelOutputInvalid = 53,
    FeatureMismatch = 54,
    ProofInvalid = 55,

    // A Kafka broker and what is configured about it.
    /// <summary>A secret stands in the configuration itself; it may only be named, as <c>env:NAME</c> or <c>file:PATH</c>.</summary>
    KafkaSecretInline = 64,
    /// <summary>The environment variable or file that should hold a secret is not there.</summary>
    KafkaSecretMissing = 65,
    /// <summary>A property that librdkafka does not know, or whose value it refuses.</summary>
    KafkaPropertyInvalid = 66,
    /// <summary>A property on which correctness rests; it can't be changed.</summary>
    KafkaPropertyFixed = 67,
    /// <summary>A topic does not exist and may not, or could not, be made.</summary>
    KafkaTopicMissing = 68,
    /// <summary>A topic has another number of partitions than it must have.</summary>
    KafkaTopicPartitions = 69,
    /// <summary>No broker answers.</summary>
    KafkaUnavailable = 70,
    /// <summary>The broker refused what was asked for good (no permission, too large, fenced).</summary>
    KafkaRefused = 71,
}

/// <summary>The texts of <see cref="ErrorCode"/>, as they stand in files, metrics and messages; they never change.</summary>
public static class ErrorCodes
{
    /// <summary>The stable name, such as <c>PARSE_ERROR</c>.</summary>
    public static string Text(this ErrorCode code) => code switch
    {
        ErrorCode.None => "NONE",
        ErrorCode.TooLarge => "TOO_LARGE",
        ErrorCode.ParseError => "PARSE_ERROR",
        ErrorCode.SchemaInvalid => "SCHEMA_INVALID",
        ErrorCode.PanForbidden => "PAN_FORBIDDEN",
        ErrorCode.IdInvalid => "ID_INVALID",
        ErrorCode.TsInvalid => "TS_INVALID",
        ErrorCode.NumberInvalid => "NUMBER_INVALID",
        ErrorCode.ValueRange => "VALUE_RANGE",
        ErrorCode.TsFuture => "TS_FUTURE",
        ErrorCode.IdConflict => "ID_CONFLICT",
        ErrorCode.DupSame => "DUP_SAME",
        ErrorCode.Late => "LATE",
        ErrorCode.SourceNotFound => "SOURCE_NOT_FOUND",
        ErrorCode.SourceUnreadable => "SOURCE_UNREADABLE",
        ErrorCode.SourceEmpty => "SOURCE_EMPTY",
        ErrorCode.SourceGap => "SOURCE_GAP",
        ErrorCode.OffsetGap => "OFFSET_GAP",
        ErrorCode.SourceChanged => "SOURCE_CHANGED",
        ErrorCode.LabelGap => "LABEL_GAP",
        ErrorCode.RecoveredTail => "RECOVERED_TAIL",
        ErrorCode.LogRollback => "LOG_ROLLBACK",
        ErrorCode.Fenced => "FENCED",
        ErrorCode.ModelUntrusted => "MODEL_UNTRUSTED",
        ErrorCode.ModelUnsupported => "MODEL_UNSUPPORTED",
        ErrorCode.ModelOutputInvalid => "MODEL_OUTPUT_INVALID",
        ErrorCode.FeatureMismatch => "FEATURE_MISMATCH",
        ErrorCode.ProofInvalid => "PROOF_INVALID",
        ErrorCode.KafkaSecretInline => "KAFKA_SECRET_INLINE",
        ErrorCode.KafkaSecretMissing => "KAFKA_SECRET_MISSING",
        ErrorCode.KafkaPropertyInvalid => "KAFKA_PROPERTY_INVALID",
        ErrorCode.KafkaPropertyFixed => "KAFKA_PROPERTY_FIXED",
        ErrorCode.KafkaTopicMissing => "KAFKA_TOPIC_MISSING",
        ErrorCode.KafkaTopicPartitions => "KAFKA_TOPIC_PARTITIONS",
        ErrorCode.KafkaUnavailable => "KAFKA_UNAVAILABLE",
        ErrorCode.KafkaRefused => "KAFKA_REFUSED",
        _ => throw new ArgumentOutOfRangeException(nameof(code), (int)code, "not an error code"),
    };

    /// <summary>The code of a stable name; false for any other text.</summary>
    public static bool TryParse(string text, out ErrorCode code)
    {
        foreach (ErrorCode candidate in Enum.GetValues<ErrorCode>())
        {
            if (candidate != ErrorCode.None && candidate.Text() == text)
            {
                code = candidate;
                return true;
            }
        }

        code = ErrorCode.None;
        return false;
    }
}

/// <summary>What is wrong with a file or a definition, for a person: <c>CODE: sentence</c>. Never holds a value of a record.</summary>
/// <param name="Code">The stable code.</param>
/// <param name="Message">A sentence that names file, field and what is wrong.</param>
public readonly record struct CodedError(ErrorCode Code, string Message)
{
    public override string ToString() => $"{Code.Text()}: {Message}";
}
