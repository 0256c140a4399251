using System.Numerics;

namespace Risk.Core.Log;

/// <summary>Takes full hash tiles in the order in which they fill up.</summary>
public interface IHashTileSink
{
    /// <param name="level">Tile level, 0 = leaf hashes.</param>
    /// <param name="index">0-based place in the level.</param>
    /// <param name="hashes">256 hashes; valid during the call only.</param>
    void TakeHashTile(int level, long index, ReadOnlySpan<byte> hashes);
}

/// <summary>
/// The right edge of a tiled Merkle tree (https://c2sp.org/tlog-tiles): at each level the hashes of the tile that is not
/// full yet. Grows by whole level-0 tiles; the leaves of the last, partial one are handed in where a root is asked for.
/// Costs one node hash an entry and 8 KiB a level.
/// </summary>
public sealed class MerkleTiles
{
    private readonly List<Level> _levels = [];
    private readonly Sha256Lanes _lanes = new();
    private readonly byte[] _scratch = new byte[LogFormat.TileBytes];

    /// <summary>Entries in the full level-0 tiles taken so far.</summary>
    public long Size { get; private set; }

    /// <summary>Levels above the leaves that hold or held a hash; level numbers run from 1 to this.</summary>
    public int LevelCount => _levels.Count;

    /// <summary>Takes the next full level-0 tile, 256 leaf hashes; tiles that become full go to the sink, lower level first.</summary>
    public void Add(ReadOnlySpan<byte> leaves, IHashTileSink? sink)
    {
        long index = Size / LogFormat.TileWidth;
        Size += LogFormat.TileWidth;
        sink?.TakeHashTile(0, index, leaves);
        leaves.CopyTo(_scratch);
        MerkleHash.Reduce(_lanes, _scratch);
        for (int level = 1; ; level++)
        {
            Level tile = LevelAt(level);
            _scratch.AsSpan(0, LogFormat.HashBytes).CopyTo(tile.Hashes.AsSpan(tile.Width * LogFormat.HashBytes));
            if (++tile.Width < LogFormat.TileWidth)
            {
                return;
            }

            sink?.TakeHashTile(level, Size / WidthOf(level + 1) - 1, tile.Hashes);
            tile.Hashes.CopyTo(_scratch.AsSpan());
            MerkleHash.Reduce(_lanes, _scratch);
            tile.Width = 0;
        }
    }

    /// <summary>The hashes of the tile at that level (1 and up) that is not full yet; may be empty.</summary>
    public ReadOnlySpan<byte> Partial(int level) =>
        level > _levels.Count ? default : _levels[level - 1].Hashes.AsSpan(0, _levels[level - 1].Width * LogFormat.HashBytes);

    /// <summary>The tree's hash: of the full tiles, and of 0 to 255 leaf hashes that follow them.</summary>
    public void Root(ReadOnlySpan<byte> tail, Span<byte> root)
    {
        bool any = Fold(tail, any: false, root);
        for (int level = 1; level <= _levels.Count; level++)
        {
            any = Fold(Partial(level), any, root);
        }

        if (!any)
        {
            MerkleHash.Empty.CopyTo(root);
        }
    }

    /// <summary>
    /// Restores the right edge of a tree of that many entries (a multiple of 256) from its full tiles.
    /// </summary>
    /// <param name="size">Entries, a multiple of 256.</param>
    /// <param name="read">Copies the 256 hashes of the full tile (level, index) into the buffer.</param>
    public void Restore(long size, Action<int, long, byte[]> read)
    {
        _levels.Clear();
        Size = size;
        byte[] below = new byte[LogFormat.TileBytes];
        for (int level = 1; size / WidthOf(level) > 0; level++)
        {
            Level tile = LevelAt(level);
            long count = size / WidthOf(level);
            tile.Width = (int)(count % LogFormat.TileWidth);
            for (int i = 0; i < tile.Width; i++)
            {
                read(level - 1, count - tile.Width + i, below);
                MerkleHash.Reduce(_lanes, below);
                below.AsSpan(0, LogFormat.HashBytes).CopyTo(tile.Hashes.AsSpan(i * LogFormat.HashBytes));
            }
        }
    }

    /// <summary>Entries below one hash of a tile at that level: 256^level.</summary>
    public static long WidthOf(int level) => 1L << (LogFormat.TileHeight * level);

    /// <summary>Puts a partial tile left of what is in <paramref name="root"/>; its perfect subtrees, smallest first, are the right edge.</summary>
    private bool Fold(ReadOnlySpan<byte> hashes, bool any, Span<byte> root)
    {
        int width = hashes.Length / LogFormat.HashBytes;
        while (width > 0)
        {
            int subtree = 1 << BitOperations.TrailingZeroCount(width);
            width -= subtree;
            Span<byte> work = _scratch.AsSpan(0, subtree * LogFormat.HashBytes);
            hashes.Slice(width * LogFormat.HashBytes, work.Length).CopyTo(work);
            MerkleHash.Reduce(_lanes, work);
            if (any)
            {
                MerkleHash.Node(work[..LogFormat.HashBytes], root, root);
            }
            else
            {
                work[..LogFormat.HashBytes].CopyTo(root);
                any = true;
            }
        }

        return any;
    }

    private Level LevelAt(int level)
    {
        while (_levels.Count < level)
        {
            _levels.Add(new Level());
        }

        return _levels[level - 1];
    }

    private sealed class Level
    {
        public readonly byte[] Hashes = new byte[LogFormat.TileBytes];
        public int Width;
    }
}
