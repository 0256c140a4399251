namespace Risk.Core.Log;

/// <summary>
/// The fixed sizes of the decision log. The log is an RFC 6962 Merkle tree (https://www.rfc-editor.org/rfc/rfc6962#section-2.1)
/// in the C2SP tile layout (https://c2sp.org/tlog-tiles).
/// </summary>
public static class LogFormat
{
    /// <summary>Most bytes of one entry and of one private payload: bundles carry lengths as uint16.</summary>
    public const int EntryBytesMax = ushort.MaxValue;

    /// <summary>Hashes in a full tile, and entries in a full bundle.</summary>
    public const int TileWidth = 256;

    /// <summary>Levels of the Merkle tree that one tile spans.</summary>
    public const int TileHeight = 8;

    /// <summary>Bytes of a SHA-256 hash.</summary>
    public const int HashBytes = 32;

    /// <summary>Bytes of a full tile.</summary>
    public const int TileBytes = TileWidth * HashBytes;

    /// <summary>Bytes before each entry of a bundle: its length, big-endian.</summary>
    public const int LengthPrefixBytes = sizeof(ushort);

    /// <summary>Most bytes of the source position that one group carries.</summary>
    public const int PositionBytesMax = 4096;

    /// <summary>Bytes of the token that stands for a subject (card, account).</summary>
    public const int SubjectTokenBytes = 16;

    /// <summary>Bytes of the salt of a private payload.</summary>
    public const int SaltBytes = 16;

    /// <summary>The version of the record schema that this code writes.</summary>
    public const int SchemaVersion = 1;
}
