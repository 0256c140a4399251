namespace Risk.Core.Transactions;

/// <summary>
/// The keyed hashes of one stream. Entities and card numbers hash alike in every stream, so the same customer has the
/// same key everywhere; event ids are bound to their stream, so that two streams may use the same id.
/// </summary>
public sealed class TransactionKeys
{
    private readonly KeyedHash _entities, _cards, _events, _canonical, _payloads;

    /// <param name="stream">The stream's name.</param>
    /// <param name="secret">The engine's token key.</param>
    public TransactionKeys(string stream, KeyedHash secret)
    {
        _entities = secret.Derive("entity");
        _cards = secret.Derive("card");
        _events = secret.Derive("event/" + stream);
        _canonical = secret.Derive("canonical");
        _payloads = secret.Derive("payload");
    }

    /// <summary>The key of an entity, from the text of its key field.</summary>
    public EntityKey Entity(ReadOnlySpan<byte> text) => _entities.Hash128(text);

    /// <summary>The token of a card number, from its digits.</summary>
    public EntityKey Card(ReadOnlySpan<byte> digits) => _cards.Hash128(digits);

    /// <summary>The key of an event id in this stream; labels, dedupe and look-ups use it.</summary>
    public EntityKey Event(ReadOnlySpan<byte> id) => _events.Hash128(id);

    /// <summary>The fingerprint of a row, from its canonical bytes.</summary>
    public ulong Fingerprint(ReadOnlySpan<byte> canonical) => _canonical.Hash64(canonical);

    /// <summary>The hash by which a record with a card number in it may be named outside the engine.</summary>
    public Sha256Digest Payload(ReadOnlySpan<byte> record) => _payloads.Hmac(record);
}
