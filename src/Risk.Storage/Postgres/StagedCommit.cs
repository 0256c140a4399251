using Risk.Core.Log;

namespace Risk.Storage.Postgres;

/// <summary>
/// What one commit of one log writes: made once, sent again unchanged when it has to be. Reused; tiles are taken from a pool.
/// </summary>
internal sealed class StagedCommit : IHashTileSink
{
    private readonly Stack<byte[]> _pool = new();

    /// <summary>The entries.</summary>
    public CopyRows Rows { get; set; } = new();

    /// <summary>True from <see cref="Begin"/> until it is known to be durable.</summary>
    public bool IsWaiting { get; private set; }

    public long Number { get; private set; }

    public long FirstSequence { get; private set; }

    public long EndSequence => FirstSequence + Rows.Count;

    public byte[] Position { get; private set; } = [];

    /// <summary>Root after the commit.</summary>
    public byte[] Root { get; } = new byte[LogFormat.HashBytes];

    /// <summary>Tiles that the commit fills, lower level first where they depend on each other.</summary>
    public List<(int Level, long Number, byte[] Hashes)> Tiles { get; } = [];

    public void Begin(long number, long firstSequence, ReadOnlySpan<byte> position)
    {
        (IsWaiting, Number, FirstSequence) = (true, number, firstSequence);
        if (Position.Length != position.Length)
        {
            Position = new byte[position.Length];
        }

        position.CopyTo(Position);
    }

    public void TakeHashTile(int level, long index, ReadOnlySpan<byte> hashes)
    {
        byte[] tile = _pool.TryPop(out byte[]? pooled) ? pooled : new byte[LogFormat.TileBytes];
        hashes.CopyTo(tile);
        Tiles.Add((level, index, tile));
    }

    public void End()
    {
        foreach ((int _, long _, byte[] hashes) in Tiles)
        {
            _pool.Push(hashes);
        }

        Tiles.Clear();
        Rows.Clear();
        IsWaiting = false;
    }
}
