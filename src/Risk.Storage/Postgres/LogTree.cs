using Risk.Core.Log;

namespace Risk.Storage.Postgres;

/// <summary>The right edge of a log's Merkle tree, down to the last leaf.</summary>
internal sealed class LogTree
{
    private readonly MerkleTiles _tiles = new();
    private readonly byte[] _tail = new byte[LogFormat.TileBytes];
    private int _width;

    public long Size => _tiles.Size + _width;

    /// <summary>Takes up a tree from its full tiles and the leaves behind them.</summary>
    /// <param name="size">Entries.</param>
    /// <param name="readTile">Copies the 256 hashes of the full tile (level, number) into the buffer.</param>
    /// <param name="tail">The hashes of the last <c>size % 256</c> entries.</param>
    public void Restore(long size, Action<int, long, byte[]> readTile, ReadOnlySpan<byte> tail)
    {
        _width = (int)(size % LogFormat.TileWidth);
        _tiles.Restore(size - _width, readTile);
        tail[..(_width * LogFormat.HashBytes)].CopyTo(_tail);
    }

    /// <summary>Takes leaf hashes; tiles that become full go to the sink.</summary>
    public void Add(ReadOnlySpan<byte> leaves, IHashTileSink sink)
    {
        while (!leaves.IsEmpty)
        {
            Span<byte> room = _tail.AsSpan(_width * LogFormat.HashBytes);
            int bytes = Math.Min(room.Length, leaves.Length);
            leaves[..bytes].CopyTo(room);
            leaves = leaves[bytes..];
            _width += bytes / LogFormat.HashBytes;
            if (_width == LogFormat.TileWidth)
            {
                _tiles.Add(_tail, sink);
                _width = 0;
            }
        }
    }

    public void Root(Span<byte> root) => _tiles.Root(_tail.AsSpan(0, _width * LogFormat.HashBytes), root);
}
