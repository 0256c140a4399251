namespace Risk.Core;

/// <summary>
/// Every bound on what comes from outside, in one place: the unit is in the name or the comment, the reason beside it.
/// A value at the bound is accepted, one past it is rejected with the code named here.
/// </summary>
public static class Limits
{
    // --- one record -------------------------------------------------------------------------------------------------

    /// <summary>Bytes of one record (line, message, request body); past it <c>TOO_LARGE</c>, before parsing. A card payment is 44 bytes, an ISO 20022 message about 10 KiB; with its features it must still fit a log payload of 64 KiB.</summary>
    public const int RecordSizeMax = 56 * 1024;

    /// <summary>Nesting of a JSON record; past it <c>TOO_LARGE</c>. A record is one flat object (depth 1); the rest only tells a mistake from a depth bomb.</summary>
    public const int JsonDepthMax = 8;

    /// <summary>Bytes of an event id or a key field; past it <c>ID_INVALID</c>. A UUID is 36, a SHA-512 in hexadecimal 128.</summary>
    public const int IdSizeMax = 128;

    /// <summary>Bytes of a text, category or currency field where the schema does not say less; past it <c>VALUE_RANGE</c>.</summary>
    public const int TextSizeMax = 4096;

    /// <summary>Characters of a number; past it <c>NUMBER_INVALID</c>. The longest decimal of 29 digits with sign, point and exponent is 36.</summary>
    public const int NumberTextSizeMax = 40;

    /// <summary>Magnitudes from here on are <c>NUMBER_INVALID</c>: 2⁹⁶, the first one that a <see cref="decimal"/> cannot hold, so that every accepted amount can be settled in decimal.</summary>
    public const double NumberAbsLimit = 79228162514264337593543950336.0;

    /// <summary>Magnitudes of integer fields; past it <c>NUMBER_INVALID</c>: 2⁵³ − 1, the last whole number that no other one rounds to (RFC 7493, section 2.2).</summary>
    public const long IntegerAbsMax = (1L << 53) - 1;

    /// <summary>Digits of a card number (ISO/IEC 7812-1: up to 19; the shortest in use has 12, the shortest looked for in texts has 13).</summary>
    public const int CardDigitsMin = 12, CardDigitsSearchedMin = 13, CardDigitsMax = 19;

    // --- time -------------------------------------------------------------------------------------------------------

    /// <summary>The earliest event time, microseconds: 1971-01-01. Before it <c>TS_INVALID</c>; it is where zeroed clocks and epoch mistakes land.</summary>
    public const long EventTimeMin = 365L * 86_400 * 1_000_000;

    /// <summary>The latest event time whatever the clock says, microseconds: 2200-01-01. Past it <c>TS_FUTURE</c>; microseconds stay exact in a double until 2255.</summary>
    public const long EventTimeMax = 84_006L * 86_400 * 1_000_000;

    /// <summary>How far ahead of its arrival an event may claim to be, microseconds: one day, for clocks in another zone. Past it <c>TS_FUTURE</c>.</summary>
    public const long EventTimeAheadMax = 86_400L * 1_000_000;

    /// <summary>The longest duration a schema may ask for, microseconds: ten years.</summary>
    public const long DurationMax = 3_653L * 86_400 * 1_000_000;

    // --- a stream's definition ----------------------------------------------------------------------------------------

    /// <summary>Bytes of a schema file; a hand-written one has a few KiB.</summary>
    public const int SchemaSizeMax = 1024 * 1024;

    /// <summary>Fields of a stream; a bit mask of 256 is four words.</summary>
    public const int FieldCountMax = 256;

    /// <summary>Bytes of a field's or a stream's name.</summary>
    public const int NameSizeMax = 64;

    /// <summary>Values of a category field.</summary>
    public const int CategoryValuesMax = 1024;

    // --- a batch ------------------------------------------------------------------------------------------------------

    /// <summary>Rows of a batch: 64 Ki rows of 64 KiB are the 4 GiB that no array can hold, long before which <see cref="BatchBytesMax"/> closes it.</summary>
    public const int BatchCapacityMax = 64 * 1024;

    /// <summary>Canonical bytes of a batch; a batch that has reached it counts as full.</summary>
    public const int BatchBytesMax = 8 * 1024 * 1024;

    // --- a compressed source --------------------------------------------------------------------------------------------

    /// <summary>Decompressed bytes for one compressed byte; past it the source ends with <c>TOO_LARGE</c>. Transactions compress 3 to 30 times, deflate's ceiling is 1032.</summary>
    public const int DecompressionRatioMax = 250;

    /// <summary>Decompressed bytes that are read before the ratio counts, so that a small regular file is not mistaken for a bomb.</summary>
    public const long DecompressionFloorSize = 8L * 1024 * 1024;

    // --- a feature catalog ------------------------------------------------------------------------------------------------

    /// <summary>Events of an entity that one declaration may spread over columns; sequence models of card payments read 7 to 20.</summary>
    public const int HistoryCountMax = 64;

    /// <summary>Features of a catalog: a view of 512 doubles is 4 KiB; the richest published card models have about 250.</summary>
    public const int FeatureCountMax = 512;

    /// <summary>Characters of a feature's name, so that a training set's header stays readable.</summary>
    public const int FeatureNameLengthMax = 64;

    /// <summary>How far back a window with its delay may reach, microseconds: two years. Every event inside is kept.</summary>
    public const long WindowMax = 731L * 86_400 * 1_000_000;
}
