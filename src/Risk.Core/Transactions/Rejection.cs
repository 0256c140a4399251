namespace Risk.Core.Transactions;

/// <summary>
/// Why a record was not accepted: what a dead letter may say about it. Holds no value of the record.
/// </summary>
/// <param name="SourceOffset">Line number (1-based) or partition offset of the record.</param>
/// <param name="Code">The stable code, of the faults found the one with the highest precedence.</param>
/// <param name="Field">The field's name or path, null where the fault is of the whole record. A name that the schema does
/// not know is given only when it looks like a name; otherwise its place (<c>#3</c>).</param>
/// <param name="PayloadHash">Finds the record again in its source, see <paramref name="IsKeyed"/>.</param>
/// <param name="IsKeyed">False: SHA-256 of the record's bytes. True: HMAC-SHA-256 under the engine's token key, because the
/// record holds a card number, which an open hash would let anyone guess (PCI DSS 4.0, 3.5.1.1).</param>
public readonly record struct Rejection(long SourceOffset, ErrorCode Code, string? Field, Sha256Digest PayloadHash, bool IsKeyed);
