using System.Text.Unicode;

namespace Risk.Core.Transactions;

/// <summary>
/// Turns records of one format into rows of a <see cref="TransactionBatch"/>, or into coded rejections. Not thread-safe:
/// one a source. An accepted record allocates nothing.
/// </summary>
public abstract class TransactionParser
{
    private readonly TransactionKeys _keys;

    private protected TransactionParser(StreamSchema schema, TransactionKeys keys)
    {
        Schema = schema;
        Fields = [.. schema.Fields];
        _keys = keys;
        Row = new TransactionRow(schema, keys);
    }

    public StreamSchema Schema { get; }

    /// <summary>
    /// The ingest time of an accepted row is its event time (a run on the event clock); what is handed in then only
    /// bounds the future.
    /// </summary>
    public bool IngestIsEventTime { get; set; }

    private protected TransactionRow Row { get; }

    /// <summary>The schema's fields.</summary>
    private protected SchemaField[] Fields { get; }

    /// <summary>
    /// Parses one record and adds it to the batch.
    /// </summary>
    /// <param name="record">The record without its line end; borrowed, not kept.</param>
    /// <param name="sourceOffset">Line number or partition offset, kept with the row.</param>
    /// <param name="ingestMicros">When the record arrived, microseconds since the Unix epoch.</param>
    /// <param name="batch">Takes the row; of this parser's schema and not full, otherwise it throws. Unchanged by a rejection.</param>
    /// <param name="rejection">Why the record was not accepted; meaningless otherwise.</param>
    /// <returns><see cref="ErrorCode.None"/> when the row was added, else an input code.</returns>
    public ErrorCode Parse(ReadOnlySpan<byte> record, long sourceOffset, long ingestMicros, TransactionBatch batch, out Rejection rejection)
    {
        Row.Begin(batch, ingestMicros);
        ErrorCode unreadable = Unreadable(record);
        if (unreadable == ErrorCode.None)
        {
            ReadFields(record);
        }
        else
        {
            Row.Fault(unreadable, null);
        }

        if (Row.Code == ErrorCode.None)
        {
            Row.Commit(sourceOffset, IngestIsEventTime ? batch.PendingEventTime : ingestMicros);
            rejection = default;
            return ErrorCode.None;
        }

        batch.Abandon();
        rejection = Reject(record, sourceOffset, Row.Code, Row.Field);
        return Row.Code;
    }

    /// <summary>The rejection of a row that was accepted before; its hash is of the canonical bytes, the record itself is gone.</summary>
    public static Rejection Reject(TransactionBatch batch, int row, ErrorCode code) =>
        new(batch.SourceOffsets[row], code, null, Sha256Digest.Of(batch.Canonical(row)), false);

    /// <summary>The rejection of a record that its source already found fault with.</summary>
    /// <param name="record">The bytes that are there; of an over-long record its beginning.</param>
    public Rejection Reject(ReadOnlySpan<byte> record, long sourceOffset, ErrorCode code, string? field = null)
    {
        bool holdsCard = CardNumber.IsInText(record);
        return new Rejection(sourceOffset, code, field, holdsCard ? _keys.Payload(record) : Sha256Digest.Of(record), holdsCard);
    }

    /// <summary>Puts every field of the record into <see cref="Row"/>, in schema order, and notes every fault.</summary>
    private protected abstract void ReadFields(ReadOnlySpan<byte> record);

    /// <summary>A name that came with the input, for a message: itself if it looks like a name, else its place (a value may stand where a name should).</summary>
    internal static string NameOrPlace(ReadOnlySpan<byte> name, int index)
    {
        int digits = 0;
        bool plain = name.Length is > 0 and <= Limits.NameSizeMax && !char.IsAsciiDigit((char)name[0]);
        foreach (byte character in name)
        {
            digits += char.IsAsciiDigit((char)character) ? 1 : 0;
            plain &= char.IsAsciiLetterOrDigit((char)character) || character is (byte)'_' or (byte)'.' or (byte)'-';
        }

        return plain && digits <= 4 ? System.Text.Encoding.ASCII.GetString(name) : $"#{index + 1}";
    }

    private static ErrorCode Unreadable(ReadOnlySpan<byte> record)
    {
        if (record.Length > Limits.RecordSizeMax)
        {
            return ErrorCode.TooLarge;
        }

        return record.Contains((byte)0) || !Utf8.IsValid(record) || record.StartsWith("\uFEFF"u8) ? ErrorCode.ParseError : ErrorCode.None;
    }
}
